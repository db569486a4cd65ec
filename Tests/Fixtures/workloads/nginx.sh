# Two workers: files by sendfile, compression, ranges, a proxy with its cache, a unix socket; many clients, a reload, an end.
cd /tmp && mkdir www logs
seq 1 20000 >www/n.txt; echo '<h1>hi</h1>' >www/index.html; head -c 3000000 /dev/zero >www/big
cat >n.conf <<'E'
user root root;
worker_processes 2;
error_log /tmp/logs/error.log;
pid /tmp/nginx.pid;
events { worker_connections 256; }
http {
  access_log /tmp/logs/access.log;
  sendfile on; tcp_nopush on; aio threads; gzip on; gzip_types text/plain;
  client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
  proxy_cache_path /tmp/cache keys_zone=z:1m;
  server {
    listen 127.0.0.1:8081; listen unix:/tmp/n.sock;
    root /tmp/www; autoindex on;
    location /p/ { proxy_pass http://127.0.0.1:8082/; proxy_cache z; }
    location /old { return 302 /n.txt; }
  }
  server { listen 127.0.0.1:8082 reuseport; root /tmp/www; etag off; }
}
E
nginx -c /tmp/n.conf -t 2>&1 | tail -1; nginx -c /tmp/n.conf; echo $?
at=127.0.0.1:8081
until curl -s $at/ >/dev/null; do sleep 0.05; done
curl -s $at/; curl -s $at/n.txt | sha256sum; curl -s --compressed $at/n.txt | sha256sum; curl -s $at/big | sha256sum
curl -s --unix-socket n.sock http://x/; curl -sL $at/old | wc -l
curl -s $at/p/n.txt | sha256sum; curl -s $at/p/n.txt | wc -c
curl -s -r 10-19 $at/n.txt; curl -s -o /dev/null -w '%{http_code}\n' $at/none
curl -sI $at/ | grep -v -e Date -e Modif -e ETag
python3 - <<'E'
import concurrent.futures, urllib.request
def get(i): return len(urllib.request.urlopen('http://127.0.0.1:8081/n.txt').read())
with concurrent.futures.ThreadPoolExecutor(8) as pool: print(sum(pool.map(get, range(60))))
E
nginx -c /tmp/n.conf -s reload; curl -s $at/
wc -l <logs/access.log
pid=$(cat nginx.pid); nginx -c /tmp/n.conf -s quit
while kill -0 $pid 2>/dev/null; do sleep 0.05; done
ls nginx.pid
grep -v -e signal -e notice logs/error.log | cut -d'*' -f2-
