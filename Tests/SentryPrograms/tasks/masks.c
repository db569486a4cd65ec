// Signals that only the mask of ppoll(2), pselect(2) or epoll_pwait(2) lets through.
#include "../check.h"
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <time.h>

static volatile sig_atomic_t caught, inside;
static uint64_t mask(void) {
  uint64_t set = 0;
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, &set, 8);
  return set;
}
static void count(int signal) {
  (void)signal;
  caught++;
  inside = mask() >> (SIGUSR2 - 1) & 1;
}
static void wait_ms(int ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
  while (nanosleep(&t, &t)) {}
}
static pid_t later(int signal) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    wait_ms(30);
    kill(getppid(), signal);
    _exit(0);
  }
  return pid;
}
static void done(pid_t pid) {
  while (waitpid(pid, 0, 0) < 0) {}
}

int main(void) {
  int ends[2], poller = epoll_create1(0);
  if (pipe(ends)) return 2;
  uint64_t usual = 1ull << (SIGUSR1 - 1) | 1ull << (SIGUSR2 - 1) | 1ull << (SIGCHLD - 1);
  uint64_t during = 1ull << (SIGUSR2 - 1) | 1ull << (SIGCHLD - 1);
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &usual, 0, 8);
  for (int i = 0; i < 3; i++) {
    int signals[] = {SIGUSR1, SIGUSR2, SIGCHLD};
    struct sigaction action = {.sa_handler = count, .sa_flags = i == 2 ? SA_RESTART : 0};
    sigaction(signals[i], &action, 0);
  }
  struct timespec t = {5, 0};
  struct pollfd ask = {ends[0], POLLIN, 0};
  for (int round = 0; round < 3; round++) {
    pid_t pid = later(SIGUSR1);
    if (round == 0) gives("ppoll", CALL(SYS_ppoll, &ask, 1, &t, &during, 8), -EINTR);
    if (round == 1) {
      fd_set set;
      FD_ZERO(&set);
      FD_SET(ends[0], &set);
      struct { const uint64_t *set; size_t size; } with = {&during, 8};
      t = (struct timespec){5, 0};
      gives("pselect", CALL(SYS_pselect6, ends[0] + 1, &set, 0, 0, &t, &with), -EINTR);
    }
    if (round == 2) {
      struct epoll_event event;
      gives("epoll_pwait", CALL(SYS_epoll_pwait, poller, &event, 1, 5000, &during, 8), -EINTR);
    }
    check("its handler ran, with the call's mask", caught >= 1 && inside == 1);
    check("the thread's mask is back", mask() == usual);
    int before = caught;
    done(pid);
    wait_ms(5);
    check("the child's end waits", caught == before);
    uint64_t all = ~(1ull << (SIGCHLD - 1));
    gives("sigsuspend", CALL(SYS_rt_sigsuspend, &all, 8), -EINTR);
    check("then it comes", caught == before + 1 && mask() == usual);
    caught = 0;
  }
  t = (struct timespec){0, 100000000};
  pid_t pid = later(SIGUSR2);
  gives("one that stays blocked", CALL(SYS_ppoll, &ask, 1, &t, &during, 8), 0);
  gives("did not come", caught, 0);
  done(pid);
  kill(getpid(), SIGUSR1);
  t = (struct timespec){5, 0};
  gives("one that was pending", CALL(SYS_ppoll, &ask, 1, &t, &during, 8), -EINTR);
  check("came", caught == 1 && mask() == usual);
  write(ends[1], "x", 1);
  kill(getpid(), SIGUSR1);
  gives("ready and pending", CALL(SYS_ppoll, &ask, 1, &t, &during, 8), 1);
  gives("ppoll: a mask of 4 bytes", CALL(SYS_ppoll, &ask, 1, &t, &during, 4), -EINVAL);
  gives("ppoll: bad mask", CALL(SYS_ppoll, &ask, 1, &t, NOWHERE, 8), -EFAULT);
  return finish();
}
