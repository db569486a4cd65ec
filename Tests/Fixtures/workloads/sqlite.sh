# A write-ahead log in shared memory, four writers with locks, a mapped database, Python's module.
cd /tmp
sqlite3 a.db 'pragma journal_mode=wal; create table t(a int, b text);
  with recursive c(x) as (select 1 union all select x+1 from c where x<5000) insert into t select x, "v"||x from c;
  create index i on t(b); select count(*),sum(a) from t; select * from t where b="v77"; pragma integrity_check;'
for i in 1 2 3 4; do (for j in $(seq 20); do sqlite3 -cmd '.timeout 60000' a.db "insert into t values($i,'p$j')"; done) & done; wait
sqlite3 a.db 'select count(*) from t; vacuum; pragma wal_checkpoint(truncate)'
sqlite3 a.db 'select * from t order by a, b' | sha256sum
/usr/bin/python3 - <<'E'
import shelve, sqlite3
c = sqlite3.connect('/tmp/b.db'); c.execute('pragma mmap_size=1000000'); c.execute('create table x(a)')
c.executemany('insert into x values(?)', [(i,) for i in range(3000)]); c.commit(); print(c.execute('select sum(a) from x').fetchone())
s = shelve.open('/tmp/s'); s['a'] = [1]; s.close(); print(shelve.open('/tmp/s')['a'])
E
