# A cluster is made and served: System V and POSIX shared memory, parallel plans, many clients, a dump, crashes and recovery.
cd /tmp && mkdir pg && chown postgres pg
cat >run.sh <<'E'
cd /tmp/pg; export LANG=C PGTZ=UTC TZ=UTC PATH=/usr/lib/postgresql/15/bin:$PATH PGHOST=/tmp/pg PGPORT=5499 PGDATABASE=postgres PGDATA=/tmp/pg/d
initdb -A trust --no-locale -E UTF8 >init.log 2>&1; echo init $?
cat >>d/postgresql.conf <<'C'
unix_socket_directories='/tmp/pg'
listen_addresses='127.0.0.1'
port=5499
max_parallel_workers_per_gather=2
C
start() { pg_ctl -l log -w start >/dev/null; echo start $?; }
stop() { pg_ctl -m $1 -w stop >/dev/null; echo stop $?; }
q() { psql -At "$@"; }
start
q -c 'create table t(a int primary key, b text)' -c "insert into t select i, 'x'||i from generate_series(1,20000) i" -c 'select count(*), sum(a), max(b) from t'
q -c 'create index on t(b)' -c "select a from t where b='x777'" -c 'vacuum analyze t' -c 'checkpoint'
q -h 127.0.0.1 -c 'select 1+1'
q -c "begin; update t set b='y' where a<10; rollback; select count(*) from t where b='y'"
p='set parallel_setup_cost=0; set parallel_tuple_cost=0; set min_parallel_table_scan_size=0'
q -c "$p; explain (costs off) select count(*) from t" -c "$p; select count(*) from t where b like '%7%'"
for i in 1 2 3 4; do q -c 'select pg_sleep(0.05), pg_backend_pid()>0' & done; wait
q -c "copy t to '/tmp/pg/out.csv' csv"; wc -l <out.csv; pg_dump | grep -v -e '^--' -e restrict | sha256sum
pgbench -i -q -s 1 >/dev/null 2>&1; echo $?; pgbench -c 4 -j 2 -t 50 2>/dev/null | grep processed
q -c 'listen x' -c "notify x, 'p'" | sed 's/PID.*//'; timeout 1 psql -c 'select pg_sleep(30)'; echo $?
stop fast; start; q -c 'select count(*) from t'; q -c 'update t set b=b where a<100'; stop immediate; start; q -c 'select count(*) from t'
kill -9 $(q -c 'select pid from pg_stat_activity where backend_type='"'walwriter'"); until q -c 'select 8' 2>/dev/null; do sleep 0.05; done
stop smart; grep PANIC log
E
setpriv --reuid postgres --regid postgres --clear-groups bash run.sh; grep -i -e fail -e error pg/init.log
