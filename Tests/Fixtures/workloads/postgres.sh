cd /tmp; export PATH=/usr/lib/postgresql/15/bin:$PATH; id -un; mkdir pg; chown postgres pg; cat > run.sh <<'E'
cd /tmp/pg; export LANG=C PGTZ=UTC TZ=UTC
initdb -D d -A trust --no-locale -E UTF8 >init.log 2>&1; echo init $?
echo "dynamic_shared_memory_type = posix
unix_socket_directories='/tmp/pg'
listen_addresses='127.0.0.1'
port=5499
max_parallel_workers_per_gather=2
fsync=on" >> d/postgresql.conf
pg_ctl -D d -l log -w start >/dev/null; echo start $?
P="psql -h /tmp/pg -p 5499 -d postgres -At"
$P -c 'create table t(a int primary key, b text)' -c "insert into t select i, 'x'||i from generate_series(1,20000) i" -c 'select count(*), sum(a), max(b) from t' -c 'create index on t(b)' -c "select a from t where b='x777'" -c 'vacuum analyze t' -c 'checkpoint'
psql -h 127.0.0.1 -p 5499 -d postgres -At -c 'select 1+1'
$P -c "begin; update t set b='y' where a<10; rollback; select count(*) from t where b='y'"
$P -c "set min_parallel_table_scan_size=0; set parallel_setup_cost=0; set parallel_tuple_cost=0; explain (costs off) select count(*) from t" -c "set parallel_setup_cost=0; set parallel_tuple_cost=0; set min_parallel_table_scan_size=0; select count(*) from t where b like '%7%'"
for i in 1 2 3 4; do $P -c "select pg_sleep(0.05), pg_backend_pid()>0" & done; wait
$P -c "copy t to '/tmp/pg/out.csv' csv"; wc -l < out.csv; pg_dump -h /tmp/pg -p 5499 postgres | grep -v -e '^--' -e restrict | sha256sum
pgbench -h /tmp/pg -p 5499 -i -q -s 1 postgres >/dev/null 2>&1; echo $?; pgbench -h /tmp/pg -p 5499 -c 4 -j 2 -t 50 postgres 2>/dev/null | grep processed
$P -c "listen x" -c "notify x, 'p'"; $P -c 'select pg_cancel_backend(0)' 2>&1 | head -1; timeout 1 $P -c 'select pg_sleep(30)' ; echo $?
pg_ctl -D d -m fast -w stop >/dev/null; echo stop $?; pg_ctl -D d -l log -w start >/dev/null; $P -c 'select count(*) from t'; pg_ctl -D d -m immediate -w stop > /dev/null; pg_ctl -D d -l log -w start >/dev/null; $P -c 'select count(*) from t';  pg_ctl -D d -w stop > /dev/null; grep -c -e FATAL -e PANIC log; grep PANIC log
E
setpriv --reuid postgres --regid postgres --clear-groups bash /tmp/run.sh; grep -i -e fail -e error pg/init.log
