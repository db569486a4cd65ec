// Who sent a signal, as the handler of another process is told (sigaction(2), SA_SIGINFO), and what it does to the calls that process sleeps in.
#include "../check.h"
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

static volatile int got, code, value;
static volatile pid_t from;
static void handler(int signal, siginfo_t *info, void *context) {
  (void)context;
  got = signal;
  code = info->si_code;
  from = info->si_pid;
  value = info->si_value.sival_int;
}
static void on(int flags) {
  struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
  sigaction(SIGUSR1, &a, 0);
}

static int up[2], down[2];
static int told(int wanted) { return got == SIGUSR1 && code == wanted && from == getppid(); }
static void ready(void) { write(up[1], "r", 1); }

static int computes(void) {
  on(0);
  ready();
  while (!got) {}
  return told(SI_USER) ? 0 : 1;
}
static int pauses(void) {
  sigset_t set, old;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, &old);
  on(0);
  ready();
  sigsuspend(&old);
  return told(SI_USER) ? 0 : 1;
}
static int reads(void) {
  char c;
  on(0);
  ready();
  long n = CALL(SYS_read, down[0], &c, 1);
  // It came before the call, or ended it.
  return (n == -EINTR || n == 1) && told(SI_USER) ? 0 : 1;
}
static int readsOn(void) {
  char c;
  on(SA_RESTART);
  ready();
  return CALL(SYS_read, down[0], &c, 1) == 1 && told(SI_USER) ? 0 : 1;
}
static int polls(void) {
  struct pollfd p = {down[0], POLLIN, 0};
  on(SA_RESTART);
  ready();
  long n = CALL(SYS_poll, &p, 1, -1);
  return (n == -EINTR || n == 1) && told(SI_USER) ? 0 : 1;
}
static int queued(void) {
  on(0);
  ready();
  while (!got) {}
  return told(SI_QUEUE) && value == 4711 ? 0 : 1;
}
static int ignores(void) {
  signal(SIGUSR1, SIG_IGN);
  ready();
  char c;
  return CALL(SYS_read, down[0], &c, 1) == 1 ? 0 : 1;
}

static void child(const char *name, int (*body)(void), int queues) {
  pipe(up);
  pipe(down);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) _exit(body());
  char c;
  read(up[0], &c, 1);
  if (queues) gives("sigqueue", sigqueue(pid, SIGUSR1, (union sigval){.sival_int = 4711}), 0);
  else gives("kill", kill(pid, SIGUSR1), 0);
  write(down[1], "x", 1);
  int status;
  waitpid(pid, &status, 0);
  gives(name, WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status), 0);
  close(up[0]), close(up[1]), close(down[0]), close(down[1]);
}

int main(void) {
  child("while it computes", computes, 0);
  child("in sigsuspend", pauses, 0);
  child("in a read", reads, 0);
  child("in a read that goes on", readsOn, 0);
  child("in poll", polls, 0);
  child("with a value", queued, 1);
  child("ignored", ignores, 0);
  return finish();
}
