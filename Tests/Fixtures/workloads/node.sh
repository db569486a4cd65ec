# Node: an HTTP server with its clients, worker threads, child processes, file watches, a cluster, signals.
cd /tmp
cat >n.js <<'E'
const http = require('http'), fs = require('fs'), cp = require('child_process'), wt = require('worker_threads'), os = require('os');
if (!wt.isMainThread) {
  let s = 0;
  for (let i = 0; i < 1e5; i++) s += i % wt.workerData;
  wt.parentPort.postMessage(s);
  return;
}
const once = (what, event) => new Promise((done) => what.on(event, (...all) => done(all)));
(async () => {
  const server = http.createServer((q, r) => {
    let b = '';
    q.on('data', (d) => (b += d));
    q.on('end', () => { r.setHeader('x-a', q.method); r.end(q.url + ':' + b.length + ':' + b.slice(0, 5)); });
  });
  await new Promise((r) => server.listen(0, '127.0.0.1', r));
  const port = server.address().port;
  const ask = (method, path, body) => new Promise((done, failed) => {
    const q = http.request({ port, method, path, host: '127.0.0.1' }, (r) => {
      let b = '';
      r.on('data', (d) => (b += d));
      r.on('end', () => done([r.statusCode, r.headers['x-a'], b]));
    });
    q.on('error', failed);
    q.end(body);
  });
  console.log(await ask('GET', '/a'), await ask('POST', '/b', 'x'.repeat(300000)));
  const many = Array.from({ length: 40 }, (_, i) => ask('PUT', '/' + i, 'y'.repeat(i)));
  console.log((await Promise.all(many)).map((x) => x[2]).join(' '));
  server.close();

  console.log(await Promise.all([3, 5, 7, 11].map((n) => new Promise((done, failed) => {
    const w = new wt.Worker(__filename, { workerData: n });
    w.on('message', done);
    w.on('error', failed);
  }))));

  console.log(cp.execFileSync('sh', ['-c', 'echo out; cat'], { input: 'in' }).toString());
  const shell = cp.spawn('sh', ['-c', 'read x; echo got $x; exit 3']);
  let said = '';
  shell.stdout.on('data', (d) => (said += d));
  shell.stdin.end('word\n');
  console.log(await once(shell, 'close'), said);
  const sleeper = cp.spawn('sleep', ['60']);
  sleeper.kill('SIGTERM');
  console.log(await once(sleeper, 'exit'));
  const child = cp.fork('/tmp/k.js');
  child.send({ a: 1 });
  console.log(await once(child, 'message').then((all) => all[0]));
  child.disconnect();
  console.log(await once(child, 'exit'));

  fs.mkdirSync('d/e', { recursive: true });
  fs.writeFileSync('d/e/f', 'hello');
  fs.symlinkSync('f', 'd/e/l');
  console.log(fs.readdirSync('d', { withFileTypes: true }).map((x) => x.name + x.isDirectory()), fs.readFileSync('d/e/l', 'utf8'));
  console.log(fs.statSync('d/e/f').size, fs.lstatSync('d/e/l').isSymbolicLink(), fs.realpathSync('d/e/l'));
  await fs.promises.copyFile('d/e/f', 'd/g');
  await fs.promises.rename('d/g', 'd/h');
  await fs.promises.utimes('d/h', 5, 6);
  console.log((await fs.promises.stat('d/h')).mtimeMs, await fs.promises.access('nope').catch((e) => e.code));
  const seen = new Promise((done) => { const w = fs.watch('d', (e, n) => { w.close(); done(e + n); }); });
  fs.writeFileSync('d/new', '');
  console.log(await seen);
  await once(fs.createReadStream('/bin/bash').pipe(fs.createWriteStream('d/big')), 'close');
  console.log(fs.readFileSync('d/big').equals(fs.readFileSync('/bin/bash')));
  fs.rmSync('d', { recursive: true });
  console.log(fs.existsSync('d'));

  const crypto = require('crypto'), zlib = require('zlib');
  console.log(crypto.createHash('sha256').update('a').digest('hex'), zlib.gunzipSync(zlib.gzipSync('z'.repeat(1000))).length);
  console.log(await require('dns').promises.lookup('localhost', { family: 4 }), os.userInfo().username);
  console.log(os.cpus().length > 0, process.memoryUsage().rss > 0, os.totalmem() > 0, Object.keys(os.networkInterfaces()));
  process.on('SIGUSR2', () => { console.log('usr2'); process.exit(7); });
  process.kill(process.pid, 'SIGUSR2');
  setTimeout(() => {}, 60000);
})();
E
echo 'process.on("message", m => process.send({ b: m.a + 1 }))' >k.js
cat >cluster.js <<'E'
const cluster = require('cluster'), net = require('net');
if (!cluster.isPrimary) return net.createServer((s) => s.end('x')).listen(0, '127.0.0.1');
const workers = [cluster.fork(), cluster.fork()];
let listening = 0, left = 10;
cluster.on('listening', (_, a) => {
  if (++listening < 2) return;
  for (let i = 0; i < 10; i++) {
    const c = net.connect(a.port, '127.0.0.1');
    c.resume();
    c.on('end', () => { if (!--left) { workers.forEach((w) => w.kill()); console.log('all'); } });
  }
});
E
node n.js; echo $?
echo 'console.log(1+1)' | node
node -e 'process.stdout.write("x".repeat(200000))' | wc -c
node -e 'throw new Error("e")' 2>/dev/null; echo $?
node cluster.js; echo $?
