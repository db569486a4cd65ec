// Signals whose senders are kept from sending them for a while, and which come when the receiver sleeps in a call: they end it all the same.
#include "../check.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

enum { ROUNDS = 60 };
static int ends[2];
static volatile int go, about, is_over, wrong, handled;
static pid_t receiver;

static void handle(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info, (void)context;
  handled++;
  if (write(ends[1], "", 1) != 1) wrong++;
}
// Behind whoever else wants a processor; makes no call of the sentry's after each signal.
static void *sends(void *argument) {
  struct sched_param none = {0};
  if (CALL(SYS_sched_setscheduler, 0, SCHED_IDLE, &none)) wrong++;
  for (int round = 1; !is_over; round++) {
    while (go < round && !is_over) CALL(SYS_futex, &go, FUTEX_WAIT, round - 1, NULL, NULL, 0);
    about = round;
    if (!is_over && CALL(SYS_tgkill, getpid(), receiver, SIGUSR1) != 0) wrong++;
  }
  return argument;
}
static void spin(long nanoseconds) {
  struct timespec begin, now;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  do clock_gettime(CLOCK_MONOTONIC, &now);
  while ((now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec - begin.tv_nsec < nanoseconds);
}

int main(void) {
  // As many as there are processors, and one for whoever has more of one.
  pid_t busy = fork();
  if (busy == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (long processors = sysconf(_SC_NPROCESSORS_ONLN); processors > 0; processors--)
      if (fork() == 0) break;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {}
  }
  struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_RESTART};
  if (busy < 0 || pipe(ends) || sigaction(SIGUSR1, &action, NULL)) return 2;
  receiver = (pid_t)CALL(SYS_gettid);
  pthread_t sender;
  if (pthread_create(&sender, NULL, sends, NULL)) return 3;
  int taken = 0;
  for (int round = 1; round <= ROUNDS; round++) {
    char byte;
    go = round;
    CALL(SYS_futex, &go, FUTEX_WAKE, 1, NULL, NULL, 0);
    while (about < round) {}
    spin(500000);
    if (read(ends[0], &byte, 1) == 1) taken++;
  }
  is_over = 1;
  CALL(SYS_futex, &go, FUTEX_WAKE, 1, NULL, NULL, 0);
  kill(busy, SIGKILL);
  pthread_join(sender, NULL);
  waitpid(busy, NULL, 0);
  gives("signals that came late", taken, ROUNDS);
  gives("each was handled", handled, ROUNDS);
  gives("nothing else went wrong", wrong, 0);
  return finish();
}
