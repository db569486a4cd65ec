# What system tools say of the machine they are on, and small languages.
cd /tmp
cat >t.tcl <<'E'
puts [expr 6*7]; set f [open /tmp/tf w]; puts $f hi; close $f; puts [exec cat /tmp/tf]; after 10 {set x 1}; vwait x
proc serve {c address port} { puts $c hello; close $c }
set s [socket -server serve -myaddr 127.0.0.1 0]; set c [socket 127.0.0.1 [lindex [fconfigure $s -sockname] 2]]
fileevent $c readable {set got [gets $c]}; vwait got; puts $got
E
command -v tclsh >/dev/null && tclsh t.tcl
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=x 2>/dev/null; openssl x509 -in cert.pem -noout -subject
openssl s_server -accept 4433 -key key.pem -cert cert.pem -www -quiet & server=$!
until curl -sk https://127.0.0.1:4433/ >/dev/null; do sleep 0.05; done
curl -sk https://127.0.0.1:4433/ -o /dev/null -w '%{http_code}\n'; kill $server
seq 100000 >n; for z in gzip bzip2 xz; do $z -c n >n.z; $z -dc n.z | cmp - n && echo $z; done
find /usr/share/common-licenses | sort | sha256sum; grep -rl GNU /usr/share/common-licenses | wc -l; du -s n | cut -f1; df /tmp | wc -l
ls -goR /etc/apt | sha256sum; stat -f -c %T /tmp /proc /sys /dev/shm
timeout 0.1 sleep 50; echo $?; nice -n 5 nice; env -i /usr/bin/env; mkfifo p; cat p & echo fifo >p; wait
dd if=/dev/zero of=z bs=1M count=20 status=none; cp --sparse=always z z2; stat -c '%s %b' z2; truncate -s 3G t; stat -c '%s %b' t
ln n h; stat -c %h n; install -m 700 -d x/y; stat -c %a x x/y; split -n 3 n; ls x??; touch -d @5 q; stat -c %Y q; date -d @5 -u
tee q1 q2 <n | md5sum; comm -12 n n | wc -l; join n n | wc -l; shuf -n 3 n | wc -l; tac n | head -1; setfattr -n user.a -v b n; getfattr -n user.a n
id; whoami; nproc; ls /proc/$$/task | wc -l; sed -n 's/^Threads:\t//p' /proc/$$/status; getent passwd root; getent hosts localhost; tty; ps -e -o comm= | grep -vx init | sort -u; pgrep -c bash; free | wc -l; uptime | wc -l
ip -br addr | awk '{print $1, $3}'; ip route; findmnt -n / -o TARGET; cut -c1-13 /proc/version; ulimit -a | wc -l; umask; lsblk >/dev/null 2>&1; echo $?
flock lk echo locked; ionice; setsid -w echo setsid; getconf ARG_MAX PAGESIZE; sysctl kernel.ostype; fuser n; echo $?; ss -ltn | wc -l
echo '#!/nowhere' >bad; chmod 755 bad; ./bad; echo $?; echo 'echo ran $0' >plain; chmod 755 plain; ./plain; printf '\177ELF' >elf; chmod 755 elf; ./elf; echo $?
