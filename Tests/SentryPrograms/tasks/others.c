// A signal for a process of several threads, whose first one waits under a mask that blocks it (ppoll(2) and its kin): another one takes it,
// whatever that is doing.
#include "../check.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

static int told[2], way[2], ready[2];
static volatile sig_atomic_t caught_by, runs, blocked_inside;
static volatile int goes_on;
static const uint64_t bit = 1ull << (SIGUSR1 - 1);

static void caught(int signal) {
  (void)signal;
  uint64_t now = 0;
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, &now, 8);
  blocked_inside = now >> (SIGUSR2 - 1) & 1;
  caught_by = gettid();
  runs++;
  write(told[1], "c", 1);
}

static void *spin(void *argument) {
  write(ready[1], "r", 1);
  while (goes_on) {}
  return argument;
}
// Makes no call before it is told to end.
static volatile int runs_silently;
static void *spin_silently(void *argument) {
  runs_silently = 1;
  while (goes_on) {}
  return argument;
}
static void *sleep_natively(void *argument) {
  write(ready[1], "r", 1);
  pause();
  return argument;
}
static void *wait_natively(void *argument) {
  write(ready[1], "r", 1);
  while (goes_on) syscall(SYS_futex, &goes_on, 128, 1, 0, 0, 0);
  return argument;
}
static void *read_byte(void *argument) {
  char byte;
  write(ready[1], "r", 1);
  return (void *)CALL(SYS_read, way[0], &byte, 1);
  (void)argument;
}
static void *take(void *argument) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  write(ready[1], "r", 1);
  int signal = sigwaitinfo(&set, NULL);
  write(told[1], "t", 1);
  return (void *)(long)signal;
  (void)argument;
}
// Blocks it but while it waits.
static void *let_through(void *argument) {
  uint64_t own = bit | 1ull << (SIGUSR2 - 1), during = 1ull << (SIGUSR2 - 1), after = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &own, 0, 8);
  write(ready[1], "r", 1);
  long result = CALL(SYS_ppoll, 0, 0, 0, &during, 8);
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, &after, 8);
  return (void *)(after == own ? result : -1);
  (void)argument;
}

// A child's end is told to the thread that made the child.
static void *read_as_a_parent(void *argument) {
  char byte;
  pid_t pid = fork();
  if (pid == 0) {
    read(ready[0], &byte, 1);
    nanosleep(&(struct timespec){0, 20000000}, NULL);
    _exit(0);
  }
  long result = CALL(SYS_read, way[0], &byte, 1);
  while (waitpid(pid, NULL, 0) < 0) {}
  return (void *)result;
  (void)argument;
}

static pid_t from_outside(int signal) {
  pid_t parent = getpid(), pid = fork();
  if (pid == 0) {
    char byte;
    if (read(ready[0], &byte, 1) == 1) {
      // Who said that he is about to sleep sleeps some time after that, or does not yet: both are met.
      struct timespec moment = {0, 20000000};
      nanosleep(&moment, NULL);
      kill(parent, signal);
    }
    _exit(0);
  }
  return pid;
}

enum { PPOLL, PSELECT, EPOLL, KINDS };
static long wait_masked(int kind, uint64_t mask) {
  struct timespec t = {10, 0};
  struct pollfd ask = {told[0], POLLIN, 0};
  if (kind == PPOLL) return CALL(SYS_ppoll, &ask, 1, &t, &mask, 8);
  if (kind == PSELECT) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(told[0], &set);
    struct { const uint64_t *set; size_t size; } with = {&mask, 8};
    return CALL(SYS_pselect6, told[0] + 1, &set, 0, 0, &t, &with);
  }
  int poller = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN};
  epoll_ctl(poller, EPOLL_CTL_ADD, told[0], &event);
  long result = CALL(SYS_epoll_pwait, poller, &event, 1, 10000, &mask, 8);
  close(poller);
  return result;
}

static long one(const char *name, void *(*work)(void *), int kind, int flags) {
  struct sigaction action = {.sa_handler = caught, .sa_flags = flags};
  sigaction(SIGUSR1, &action, NULL);
  caught_by = runs = 0;
  goes_on = 1;
  pid_t sender = from_outside(SIGUSR1);
  pthread_t thread;
  pthread_create(&thread, NULL, work, NULL);
  if (work == spin_silently) {
    while (!runs_silently) {}
    write(ready[1], "r", 1);
  }
  char text[64], byte;
  snprintf(text, sizeof text, "%s: it was told", name);
  gives(text, wait_masked(kind, bit), 1);
  snprintf(text, sizeof text, "%s: another thread took it, once", name);
  check(text, runs == (work != take) && caught_by != getpid() && read(told[0], &byte, 1) == 1);
  goes_on = 0;
  if (work == read_byte && flags & SA_RESTART) write(way[1], "w", 1);
  if (work == wait_natively) syscall(SYS_futex, &goes_on, 129, 1, 0, 0, 0);
  void *result = NULL;
  pthread_join(thread, &result);
  while (waitpid(sender, NULL, 0) < 0) {}
  return (long)result;
}

int main(void) {
  if (pipe(told) || pipe(way) || pipe(ready)) return 2;
  one("one that runs, ppoll", spin, PPOLL, 0);
  one("one that runs, pselect", spin, PSELECT, 0);
  one("one that runs, epoll_pwait", spin, EPOLL, 0);
  one("one that has made no call", spin_silently, PPOLL, 0);
  one("one that pauses", sleep_natively, PPOLL, 0);
  one("one that waits for a word", wait_natively, PPOLL, 0);
  gives("one that reads is interrupted", one("one that reads", read_byte, PPOLL, 0), -EINTR);
  gives("or goes on reading", one("one that reads on", read_byte, PPOLL, SA_RESTART), 1);
  gives("one that waits for signals has it", one("sigwait", take, PPOLL, 0), SIGUSR1);
  gives("one whose mask lets it through", one("ppoll of another", let_through, PPOLL, 0), -EINTR);
  check("under that mask", blocked_inside == 1);

  struct sigaction ends = {.sa_handler = caught, .sa_flags = SA_RESTART};
  sigaction(SIGCHLD, &ends, NULL);
  pthread_t parent;
  pthread_create(&parent, NULL, read_as_a_parent, NULL);
  write(ready[1], "r", 1);
  char byte;
  gives("a child's end while all read: who reads on", CALL(SYS_read, told[0], &byte, 1), 1);
  write(way[1], "w", 1);
  void *result;
  pthread_join(parent, &result);
  gives("so does the other", (long)result, 1);
  signal(SIGCHLD, SIG_DFL);

  // A clock's, again and again.
  struct sigaction action = {.sa_handler = caught};
  sigaction(SIGALRM, &action, NULL);
  pthread_t thread;
  goes_on = 1;
  pthread_create(&thread, NULL, spin, NULL);
  setitimer(ITIMER_REAL, &(struct itimerval){{0, 5000}, {0, 5000}}, NULL);
  int good = 1;
  for (int round = 0; round < 5; round++) {
    good &= wait_masked(PPOLL, 1ull << (SIGALRM - 1)) == 1 && read(told[0], &byte, 1) == 1;
  }
  setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
  goes_on = 0;
  pthread_join(thread, NULL);
  check("a timer's signals go on coming", good);
  return finish();
}
