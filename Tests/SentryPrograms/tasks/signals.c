// Signals: actions, masks, sending and its permissions, what ends calls and what starts them anew.
#include "../check.h"
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

static volatile sig_atomic_t caught, sender, code, value, nested;
static void count(int signal) { (void)signal; caught++; }
static int writing;
// What the interrupted read waits for is there once the handler has run, whenever that is.
static void count_and_write(int signal) {
  count(signal);
  write(writing, "y", 1);
}
static void tell(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)context;
  caught++;
  sender = info->si_pid;
  code = info->si_code;
  value = info->si_value.sival_int;
}
static void again(int signal) {
  caught++;
  if (nested++ == 0) raise(signal);
  if (caught == 1) nested = 100;
}
static void on(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  sigaction(signal, &action, 0);
}
static void told(int signal, int flags) {
  struct sigaction action = {.sa_sigaction = tell, .sa_flags = SA_SIGINFO | flags};
  sigaction(signal, &action, 0);
}
static void wait_ms(int ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
  while (nanosleep(&t, &t)) {}
}
static int status_of(pid_t pid) {
  int status = -1;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  return status;
}
// A child that signals its parent after a while, then ends.
static pid_t later(int signal, int ms) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    wait_ms(ms);
    kill(getppid(), signal);
    _exit(0);
  }
  return pid;
}

struct kernel_action {
  void *handler;
  unsigned long flags;
  void *restorer;
  unsigned long mask;
};

static void actions(void) {
  struct kernel_action action = {0}, old;
  gives("sigaction: a set of 4 bytes", CALL(SYS_rt_sigaction, SIGUSR1, 0, &old, 4), -EINVAL);
  gives("sigaction: 0", CALL(SYS_rt_sigaction, 0, 0, &old, 8), -EINVAL);
  gives("sigaction: 65", CALL(SYS_rt_sigaction, 65, 0, &old, 8), -EINVAL);
  gives("sigaction: of SIGKILL", CALL(SYS_rt_sigaction, SIGKILL, &action, 0, 8), -EINVAL);
  gives("sigaction: asking SIGKILL's", CALL(SYS_rt_sigaction, SIGKILL, 0, &old, 8), 0);
  gives("sigaction: bad action", CALL(SYS_rt_sigaction, SIGUSR1, NOWHERE, 0, 8), -EFAULT);
  gives("sigaction: bad place", CALL(SYS_rt_sigaction, SIGUSR1, 0, NOWHERE, 8), -EFAULT);
  on(SIGUSR1, count, SA_RESTART);
  gives("sigaction: asking", CALL(SYS_rt_sigaction, SIGUSR1, 0, &old, 8), 0);
  check("what was set", old.handler == (void *)count && old.flags & SA_RESTART);
  on(SIGCHLD, count, 0);
  gives("asking SIGCHLD's", CALL(SYS_rt_sigaction, SIGCHLD, 0, &old, 8), 0);
  check("without SA_RESTART as it was set", old.handler == (void *)count && !(old.flags & SA_RESTART));
  caught = 0;
  raise(SIGUSR1);
  gives("raised", caught, 1);
  on(SIGUSR1, count, SA_RESETHAND);
  raise(SIGUSR1);
  gives("asking after SA_RESETHAND", CALL(SYS_rt_sigaction, SIGUSR1, 0, &old, 8), 0);
  check("the default is back", old.handler == 0);
  on(SIGCHLD, SIG_DFL, 0);
}

static void masks(void) {
  uint64_t set = 1ull << (SIGUSR2 - 1), old = 0, pending = 0;
  on(SIGUSR2, count, 0);
  gives("procmask: how", CALL(SYS_rt_sigprocmask, 9, &set, 0, 8), -EINVAL);
  gives("procmask: size", CALL(SYS_rt_sigprocmask, SIG_BLOCK, &set, 0, 16), -EINVAL);
  gives("procmask: bad pointer", CALL(SYS_rt_sigprocmask, SIG_BLOCK, NOWHERE, 0, 8), -EFAULT);
  gives("block", CALL(SYS_rt_sigprocmask, SIG_BLOCK, &set, 0, 8), 0);
  caught = 0;
  kill(getpid(), SIGUSR2);
  gives("not delivered", caught, 0);
  gives("pending", CALL(SYS_rt_sigpending, &pending, 8), 0);
  check("it is", pending == set);
  uint64_t none = 0;
  gives("sigsuspend", CALL(SYS_rt_sigsuspend, &none, 8), -EINTR);
  gives("delivered", caught, 1);
  gives("mask is back", CALL(SYS_rt_sigprocmask, SIG_BLOCK, 0, &old, 8), 0);
  check("blocked again", old & set);
  kill(getpid(), SIGUSR2);
  siginfo_t info;
  struct timespec t = {0, 10000000};
  gives("sigtimedwait", CALL(SYS_rt_sigtimedwait, &set, &info, &t, 8), SIGUSR2);
  check("from whom", info.si_pid == getpid() && info.si_code == SI_USER);
  gives("sigtimedwait: nothing", CALL(SYS_rt_sigtimedwait, &set, &info, &t, 8), -EAGAIN);
  pid_t pid = later(SIGUSR2, 20);
  t.tv_sec = 5;
  gives("sigtimedwait: from another", CALL(SYS_rt_sigtimedwait, &set, &info, &t, 8), SIGUSR2);
  status_of(pid);
  gives("unblock", CALL(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, 0, 8), 0);
  gives("delivered once", caught, 1);
  on(SIGUSR2, again, SA_NODEFER);
  caught = nested = 0;
  raise(SIGUSR2);
  gives("within itself", caught, 2);
}

static void sending(void) {
  gives("kill: nobody", CALL(SYS_kill, 0x3fffffff, 0), -ESRCH);
  gives("kill: signal 65", CALL(SYS_kill, getpid(), 65), -EINVAL);
  gives("kill: signal -1", CALL(SYS_kill, getpid(), -1), -EINVAL);
  gives("kill: nothing to oneself", CALL(SYS_kill, getpid(), 0), 0);
  gives("tgkill: group 0", CALL(SYS_tgkill, 0, getpid(), 0), -EINVAL);
  gives("tgkill: another group", CALL(SYS_tgkill, 0x3fffffff, getpid(), 0), -ESRCH);
  gives("tkill: thread 0", CALL(SYS_tkill, 0, 0), -EINVAL);
  gives("tkill: nobody", CALL(SYS_tkill, 0x3fffffff, 0), -ESRCH);
  told(SIGUSR1, SA_RESTART);
  caught = 0;
  gives("tgkill: oneself", CALL(SYS_tgkill, getpid(), getpid(), SIGUSR1), 0);
  check("SI_TKILL of oneself", caught == 1 && code == SI_TKILL && sender == getpid());
  siginfo_t info = {0};
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_value.sival_int = 77;
  gives("queue: oneself", CALL(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &info), 0);
  check("with its value", caught == 2 && code == SI_QUEUE && value == 77);
  pid_t pid = fork();
  if (pid == 0) for (;;) pause();
  info.si_code = SI_USER;
  gives("queue: forged", CALL(SYS_rt_sigqueueinfo, pid, SIGUSR1, &info), -EPERM);
  gives("queue: bad pointer", CALL(SYS_rt_sigqueueinfo, pid, SIGUSR1, NOWHERE), -EFAULT);
  gives("kill: SIGTERM", CALL(SYS_kill, pid, SIGTERM), 0);
  int status = status_of(pid);
  check("ended by it", WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
  gives("kill: a process that is gone", CALL(SYS_kill, pid, 0), -ESRCH);

  int ends[2];
  if (pipe(ends)) return;
  pid = fork();
  if (pid == 0) {
    told(SIGUSR1, 0);
    caught = 0;
    char byte = 'r';
    write(ends[1], &byte, 1);
    while (!caught) pause();
    _exit(value == 5 ? 0 : 1);
  }
  char byte;
  read(ends[0], &byte, 1);
  info.si_code = SI_QUEUE;
  info.si_value.sival_int = 5;
  gives("queue: a child", CALL(SYS_rt_sigqueueinfo, pid, SIGUSR1, &info), 0);
  gives("value came", status_of(pid), 0);

  pid = fork();
  if (pid == 0) {
    if (CALL(SYS_setresuid, 1000, 1000, 1000)) _exit(9);
    pid_t parent = getppid();
    if (CALL(SYS_kill, parent, 0) != -EPERM) _exit(1);
    if (CALL(SYS_kill, parent, SIGUSR1) != -EPERM) _exit(2);
    if (CALL(SYS_kill, parent, SIGCONT) != 0) _exit(3);
    if (CALL(SYS_kill, getpid(), 0)) _exit(4);
    _exit(0);
  }
  gives("an unprivileged sender", status_of(pid), 0);

  pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    for (int i = 0; i < 3; i++)
      if (fork() == 0)
        for (;;) pause();
    write(ends[1], "g", 1);
    for (;;) pause();
  }
  read(ends[0], &byte, 1);
  kill(pid, SIGSTOP);
  int stopped;
  waitpid(pid, &stopped, WUNTRACED);
  check("stopped", WIFSTOPPED(stopped) && WSTOPSIG(stopped) == SIGSTOP);
  kill(pid, SIGCONT);
  waitpid(pid, &stopped, WCONTINUED);
  check("continued", WIFCONTINUED(stopped));
  gives("a group: nothing sent", CALL(SYS_kill, -pid, 0), 0);
  kill(pid, SIGKILL);
  status_of(pid);
  gives("a group whose leader is gone", CALL(SYS_kill, -pid, SIGKILL), 0);
  gives("a group that never was", CALL(SYS_kill, -0x3fffffff, 0), -ESRCH);
}

static void interrupting(void) {
  int ends[2];
  char byte;
  if (pipe(ends)) return;
  on(SIGUSR1, count, 0);
  caught = 0;
  pid_t pid = later(SIGUSR1, 30);
  gives("read without SA_RESTART", CALL(SYS_read, ends[0], &byte, 1), -EINTR);
  gives("its handler ran", caught, 1);
  status_of(pid);
  on(SIGUSR1, count, SA_RESTART);
  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    wait_ms(30);
    kill(getppid(), SIGUSR1);
    wait_ms(30);
    write(ends[1], "x", 1);
    _exit(0);
  }
  gives("read with SA_RESTART", CALL(SYS_read, ends[0], &byte, 1), 1);
  gives("its handler ran too", caught, 2);
  status_of(pid);
  struct pollfd ask = {ends[0], POLLIN, 0};
  pid = later(SIGUSR1, 30);
  gives("poll, even with SA_RESTART", CALL(SYS_poll, &ask, 1, 5000), -EINTR);
  status_of(pid);
  on(SIGUSR1, SIG_IGN, 0);
  pid = later(SIGUSR1, 30);
  gives("poll, ignored", CALL(SYS_poll, &ask, 1, 100), 0);
  status_of(pid);
  // The host makes SIGCHLD.
  on(SIGCHLD, count, 0);
  caught = 0;
  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    wait_ms(30);
    _exit(0);
  }
  gives("read, and a child ends", CALL(SYS_read, ends[0], &byte, 1), -EINTR);
  gives("SIGCHLD", caught, 1);
  status_of(pid);
  writing = ends[1];
  on(SIGCHLD, count_and_write, SA_RESTART);
  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    wait_ms(30);
    _exit(0);
  }
  gives("read goes on with SA_RESTART", CALL(SYS_read, ends[0], &byte, 1), 1);
  gives("SIGCHLD twice", caught, 2);
  status_of(pid);
  on(SIGCHLD, SIG_DFL, 0);

  // Stopped within a call, which then goes on.
  fflush(stdout);
  pid = fork();
  if (pid == 0) _exit(CALL(SYS_read, ends[0], &byte, 1) == 1 ? 0 : 1);
  wait_ms(30);
  kill(pid, SIGSTOP);
  int status;
  waitpid(pid, &status, WUNTRACED);
  check("a reader is stopped", WIFSTOPPED(status));
  write(ends[1], "z", 1);
  kill(pid, SIGCONT);
  gives("and reads on", status_of(pid), 0);
  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    struct timespec a, b, t = {0, 200000000};
    clock_gettime(CLOCK_MONOTONIC, &a);
    if (CALL(SYS_nanosleep, &t, 0)) _exit(1);
    clock_gettime(CLOCK_MONOTONIC, &b);
    long ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
    _exit(ms >= 200 ? 0 : 2);
  }
  wait_ms(50);
  kill(pid, SIGSTOP);
  waitpid(pid, &status, WUNTRACED);
  kill(pid, SIGCONT);
  gives("a sleeper sleeps on", status_of(pid), 0);
  // Ended within a call, by a signal that dumps core.
  for (int i = 0; i < 2; i++) {
    int signal = i ? SIGQUIT : SIGTERM;
    fflush(stdout);
    pid = fork();
    if (pid == 0) _exit(CALL(SYS_read, ends[0], &byte, 1) == 1 ? 0 : 1);
    wait_ms(30);
    kill(pid, signal);
    status = status_of(pid);
    check(i ? "SIGQUIT ends a reader" : "SIGTERM ends a reader", WIFSIGNALED(status) && WTERMSIG(status) == signal);
  }
  fflush(stdout);
  // Before there are two: a child that writes first would find its parent's end.
  close(ends[0]);
  pid = fork();
  if (pid == 0) {
    write(ends[1], "x", 1);
    _exit(0);
  }
  status = status_of(pid);
  check("SIGPIPE", WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
  on(SIGPIPE, count, 0);
  caught = 0;
  gives("EPIPE", CALL(SYS_write, ends[1], "x", 1), -EPIPE);
  gives("with its signal", caught, 1);
}

static volatile void *fault;
static void faulted(int signal, siginfo_t *info, void *context) {
  (void)signal;
  fault = info->si_addr;
  code = info->si_code;
  ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

int main(void) {
  actions();
  masks();
  sending();
  interrupting();
  struct sigaction action = {.sa_sigaction = faulted, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigaction(SIGSEGV, &action, 0);
  static char stack[16384];
  stack_t place = {stack, 0, sizeof stack};
  gives("an alternate stack", CALL(SYS_sigaltstack, &place, 0), 0);
  __asm__ volatile("movb (%0), %%al" : : "c"(0x1234567800ul) : "eax", "memory");
  check("a fault's address", fault == (void *)0x1234567800ul && code == SEGV_MAPERR);
  return finish();
}
