# A server with its log and its dump, clients by TCP and a unix socket, scripts, a subscription, forked savers, a benchmark.
cd /tmp
ln -s /usr/bin/redis-check-rdb redis-server
./redis-server --port 6399 --unixsocket /tmp/r.sock --appendonly yes --save '' --logfile /tmp/log --dir /tmp --io-threads 2 &
server=$!
r() { redis-cli -p 6399 "$@"; }
until r ping >/dev/null 2>&1; do sleep 0.05; done
r set a 1; r incr a; r lpush l 1 2 3; r lrange l 0 -1
r eval 'return redis.call("get",KEYS[1])' 1 a
r setex t 100 v; r exists t
redis-cli -s /tmp/r.sock get a
redis-benchmark -p 6399 -n 2000 -c 20 -q -t set,get,lpush,mset 2>&1 | tr '\r' '\n' | grep 'requests per' | sed 's/:.*//'
redis-benchmark -s /tmp/r.sock -n 2000 -P 16 -c 5 -q -t set 2>&1 | tr '\r' '\n' | grep 'requests per' | sed 's/:.*//'
r bgrewriteaof; while r info persistence | grep -q aof_rewrite_in_progress:1; do sleep 0.05; done
r info persistence | grep aof_last_bgrewrite_status
r bgsave; while r info persistence | grep -q rdb_bgsave_in_progress:1; do sleep 0.05; done
r info persistence | grep rdb_last_bgsave_status
r dbsize
r subscribe ch >heard & listener=$!
until [ "$(r publish ch hello)" = 1 ]; do sleep 0.05; done
until grep -q hello heard; do sleep 0.05; done
kill $listener; head -6 heard
r client list | wc -l
r shutdown; wait $server; echo $?
redis-check-rdb dump.rdb | tail -1
ls appendonlydir | wc -l
