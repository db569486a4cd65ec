// Who meddles with a set-id program: its tracers, its memory as a file, its siblings' clones and filters (execve(2), ptrace(2), seccomp(2)).
#include "../check.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char program[100];
static volatile long word = 1;
enum { GO = 50, READY };

static int status;
static int ended(pid_t child) {
  return waitpid(child, &status, 0) != child ? -1 : WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}
static void becomes(uid_t id) {
  if (setgid(id) || setuid(id)) _exit(90);
}
static void tells(int file) { write(file, "", 1); }
static int hears(int file) {
  char byte;
  return read(file, &byte, 1) == 1;
}
static void copies(const char *self) {
  int from = open(self, O_RDONLY), to = open(program, O_WRONLY | O_CREAT | O_TRUNC, 0755);
  char bytes[65536];
  long n;
  while ((n = read(from, bytes, sizeof bytes)) > 0) write(to, bytes, n);
  close(from);
  close(to);
  chmod(program, 04755);
}
static void capabilities(struct __user_cap_data_struct *data, int sets) {
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  syscall(sets ? SYS_capset : SYS_capget, &head, data);
}
static int has(int capability) {
  struct __user_cap_data_struct data[2] = {0};
  capabilities(data, 0);
  return data[0].permitted >> capability & 1;
}

// The set-id program: its status says who it is, or what it saw.
static int gained(char **words) {
  const char *as = words[1];
  if (!strcmp(as, "who")) return geteuid() == 0 ? 10 : 11;
  if (!strcmp(as, "raw")) return has(CAP_NET_RAW) ? 10 : 11;
  if (!strcmp(as, "memory")) {
    tells(READY);
    hears(GO);
    return word == 1 && geteuid() == 0 ? 10 : 11;
  }
  if (!strcmp(as, "asks")) return CALL(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0) == -EPERM ? 10 : 11;
  if (!strcmp(as, "tracer")) {
    // It has a tracee that was taken before it had any power.
    pid_t tracee = atoi(words[2]);
    if (geteuid() != 0) return 12;
    tells(GO);
    int seen = 0;
    while (waitpid(tracee, &seen, __WALL) == tracee && WIFSTOPPED(seen)) ptrace(PTRACE_CONT, tracee, 0, 0);
    return WIFEXITED(seen) ? WEXITSTATUS(seen) : 13;
  }
  if (!strcmp(as, "places")) {
    // Whoever shared its places would move it.
    char first[100], now[100];
    getcwd(first, sizeof first);
    for (int i = 0; i < 200; i++) {
      sched_yield();
      if (!getcwd(now, sizeof now)) return 13;
      if (strcmp(first, now)) return geteuid() == 0 ? 12 : 11;
    }
    return geteuid() == 0 ? 10 : 11;
  }
  return 99;
}
static void executes(const char *as, const char *word) {
  execl(program, program, as, word, (char *)0);
  _exit(errno);
}

static void memory(void) {
  int go[2], ready[2];
  pipe(go);
  pipe(ready);
  pid_t attacker = fork();
  if (attacker == 0) {
    becomes(1000);
    // What had its ids changed is not to be looked into: who is forked by it is as it, and who executes is himself again.
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    int own = open("/proc/self/mem", O_RDWR);
    pid_t victim = fork();
    if (victim == 0) {
      dup2(go[0], GO);
      dup2(ready[1], READY);
      tells(READY);
      hears(GO);
      executes("memory", 0);
    }
    hears(ready[0]);
    char path[40];
    sprintf(path, "/proc/%d/mem", victim);
    int file = open(path, O_RDWR);
    long other = 2;
    if (own < 0 || file < 0) _exit(80);
    if (pwrite(file, &other, sizeof other, (long)&word) != sizeof other) _exit(81);
    tells(go[1]);
    hears(ready[0]);
    // It is root's now: what was opened leads to what was there.
    if (pwrite(file, &other, sizeof other, (long)&word) != 0) _exit(82);
    if (pread(file, &other, sizeof other, (long)&word) != 0) _exit(83);
    if (open(path, O_RDONLY) >= 0 || errno != EACCES) _exit(84);
    tells(go[1]);
    int seen = ended(victim);
    if (pread(file, &other, sizeof other, (long)&word) != 0) _exit(85);
    if (pwrite(own, &other, sizeof other, (long)&word) != sizeof other) _exit(86);
    _exit(seen);
  }
  gives("memory of before", ended(attacker), 10);
  close(go[0]), close(go[1]), close(ready[0]), close(ready[1]);
}

static void later_power(void) {
  int go[2];
  pipe(go);
  pid_t tracer = fork();
  if (tracer == 0) {
    becomes(1000);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    pid_t tracee = fork();
    if (tracee == 0) {
      hears(go[0]);
      executes("who", 0);
    }
    if (ptrace(PTRACE_SEIZE, tracee, 0, 0)) _exit(80);
    dup2(go[1], GO);
    char number[20];
    sprintf(number, "%d", tracee);
    executes("tracer", number);
  }
  gives("a tracer that became root since", ended(tracer), 11);
  close(go[0]), close(go[1]);
}

// Root that has put a capability away has it again by any program; not under a tracer that has no more.
static void put_away(int traced) {
  pid_t tracer = fork();
  if (tracer == 0) {
    struct __user_cap_data_struct data[2] = {0};
    data[0].permitted = data[0].effective = 1 << CAP_SETUID;
    capabilities(data, 1);
    pid_t child = fork();
    if (child == 0) {
      if (traced && ptrace(PTRACE_TRACEME, 0, 0, 0)) _exit(80);
      executes("raw", 0);
    }
    int seen = 0;
    while (waitpid(child, &seen, 0) == child && WIFSTOPPED(seen)) ptrace(PTRACE_CONT, child, 0, 0);
    _exit(WIFEXITED(seen) ? WEXITSTATUS(seen) : 81);
  }
  gives(traced ? "what root put away, traced" : "what root put away", ended(tracer), traced ? 11 : 10);
}

static void asks(void) {
  pid_t parent = fork();
  if (parent == 0) {
    becomes(1000);
    pid_t child = fork();
    if (child == 0) executes("asks", 0);
    _exit(ended(child));
  }
  gives("to be traced by who may less", ended(parent), 10);
}

static volatile int is_done;
static void *filters(void *unused) {
  struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  struct sock_fprog filter = {1, &allow};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) _exit(80);
  if (CALL(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter)) _exit(81);
  is_done = 1;
  return unused;
}
static void filtered(void) {
  pid_t child = fork();
  if (child == 0) {
    becomes(1000);
    pthread_t thread;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)) _exit(82);
    pthread_create(&thread, 0, filters, 0);
    pthread_join(thread, 0);
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) _exit(83);
    executes("who", 0);
  }
  gives("under a filter of another thread", ended(child), 11);
}

static pid_t forked;
static int of_main, of_maker, asked[2];
static void *forks(void *unused) {
  forked = fork();
  if (forked == 0) {
    if (ptrace(PTRACE_TRACEME, 0, 0, 0)) _exit(80);
    raise(SIGSTOP);
    _exit(7);
  }
  if (waitpid(forked, &status, 0) != forked || !WIFSTOPPED(status)) of_maker = -1;
  tells(asked[1]);
  while (!is_done) sched_yield();
  of_maker = CALL(SYS_ptrace, PTRACE_CONT, forked, 0, 0);
  return unused;
}
static void maker(void) {
  pthread_t thread;
  pipe(asked);
  is_done = 0;
  pthread_create(&thread, 0, forks, 0);
  hears(asked[0]);
  of_main = CALL(SYS_ptrace, PTRACE_CONT, forked, 0, 0);
  is_done = 1;
  pthread_join(thread, 0);
  gives("another thread than its maker", of_main, -ESRCH);
  gives("the thread that made it", of_maker, 0);
  gives("goes on", ended(forked), 7);
}

static int moves(void *unused) {
  (void)unused;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (;;) chdir("/proc"), chdir("/");
  return 0;
}
static void *clones(void *unused) {
  static char stack[16384];
  // Until the program ends this thread. A child that shares places, not memory.
  for (;;) {
    pid_t child = clone(moves, stack + sizeof stack, CLONE_FS | SIGCHLD, 0);
    if (child < 0) continue;
    kill(child, SIGKILL);
    waitpid(child, 0, 0);
  }
  return unused;
}
static void shared(void) {
  int bad = 0;
  for (int i = 0; i < 10; i++) {
    pid_t child = fork();
    if (child == 0) {
      becomes(1000);
      chdir("/");
      pthread_t thread;
      pthread_create(&thread, 0, clones, 0);
      executes("places", 0);
    }
    int seen = ended(child);
    if (seen != 10 && seen != 11) bad = seen;
  }
  gives("nobody moves a set-id program", bad, 0);
}

int main(int count, char **words) {
  if (count > 1) return gained(words);
  char folder[] = "/tmp/gains-XXXXXX";
  check("folder", mkdtemp(folder) != 0);
  chmod(folder, 0755);
  sprintf(program, "%s/program", folder);
  copies("/proc/self/exe");
  memory();
  later_power();
  put_away(0);
  put_away(1);
  asks();
  filtered();
  maker();
  shared();
  unlink(program);
  rmdir(folder);
  return finish();
}
