# strace: calls, children, signals, counts, a process that runs already; gdb: breakpoints, steps, threads, watched words, faults, a process that runs.
cd /tmp
# What differs from run to run: addresses, numbers of processes, times.
plain() { sed -E 's/0x[0-9a-f]+/ADDRESS/g; s/^\[pid +[0-9]+\] //; s/[Pp]rocess [0-9]+/process N/g; s/LWP [0-9]+/LWP N/g; s/\b(si_pid|si_uid)=[0-9]+/\1=N/g'; }
echo == calls
strace -o t -e trace=openat,read,write,execve,exit_group cat /etc/hostname >/dev/null; echo $?
plain <t | grep -v -e ADDRESS -e ELF -e '/etc/ld.so' -e hostname -e 'read(3' -e 'write(1'
echo == children
strace -f -o t -e trace=execve,exit_group sh -c '/bin/true; /bin/echo hi | cat; exit 3'; echo $?
sed -E 's/^[0-9]+ +//' t | grep -o -e 'execve("[^"]*"' -e 'exited with [0-9]*' | sort
echo == signals
strace -o t -e trace=none -e signal=USR1,KILL bash -c 'trap "echo caught" USR1; kill -USR1 $$; kill -KILL $$'; echo $?
plain <t
echo == counts
strace -c -o t -e trace=getppid python3 -c 'import os
for _ in range(50): os.getppid()'; awk '/getppid/ {print $4, $5}' t
echo == attached
sleep 100 & p=$!
strace -o t -e trace=none -e signal=TERM -p $p 2>/dev/null & s=$!
until grep -q "TracerPid:.[1-9]" /proc/$p/status; do :; done
kill $p; wait $p; echo $?; wait $s; plain <t

cat >d.c <<'E2'
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
int total = 5;
int twice(int x) {
  int y = x * 2;
  total += y;
  return y;
}
void *run(void *p) { return (void *)(long)twice(*(int *)p); }
int main(int count, char **words) {
  int n = count + 20;
  pthread_t t;
  void *r;
  pthread_create(&t, 0, run, &n);
  pthread_join(t, &r);
  printf("result %ld %d\n", (long)r, total);
  fflush(stdout);
  if (count > 2) pause();
  if (count > 1) *(volatile int *)0 = 1;
  return words == 0;
}
E2
gcc -g -O0 -o d d.c -lpthread
debug() { DEBUGINFOD_URLS= gdb -q -nx -batch "$@" </dev/null 2>&1 | plain; }
echo == breakpoints
debug -ex 'break twice' -ex run -ex 'print x' -ex bt -ex next -ex next -ex 'print y' -ex 'print total' -ex 'set var y = 100' -ex finish -ex 'info threads' -ex continue ./d |
  grep -e Breakpoint -e '^\$' -e 'result' -e 'exited normally' -e '^#[01] ' -e 'Value returned'
echo == watched
debug -ex 'break main' -ex run -ex 'watch total' -ex continue -ex continue ./d | grep -e 'Hardware' -e 'Old value' -e 'New value' -e result
echo == faults
debug -ex run -ex bt -ex kill --args ./d x | grep -e SIGSEGV -e '^#0' -e result
echo == a process that runs
mkfifo f; ./d x x >f & p=$!
read line <f
debug -ex 'print total' -ex 'set var total = 7' -ex detach -p $p | grep '^\$'
debug -ex 'print total' -p $p | grep '^\$'
kill $p; wait $p; echo $?
