// setitimer(2), alarm(2), timer_create(2).
#include "../check.h"
#include <signal.h>
#include <sys/time.h>
#include <time.h>

static volatile sig_atomic_t caught, last, code, overruns, value;
static void tell(int signal, siginfo_t *info, void *context) {
  (void)context;
  caught++;
  last = signal;
  code = info->si_code;
  value = info->si_value.sival_int;
  overruns += info->si_overrun;
}

struct event {
  union sigval value;
  int signal, notify, thread;
  char rest[64];
};

int main(void) {
  int signals[] = {SIGALRM, SIGVTALRM, SIGPROF, SIGRTMIN};
  for (int i = 0; i < 4; i++) {
    struct sigaction action = {.sa_sigaction = tell, .sa_flags = SA_SIGINFO};
    sigaction(signals[i], &action, 0);
  }
  struct itimerval set = {{0, 0}, {0, 0}}, got;
  gives("getitimer", CALL(SYS_getitimer, ITIMER_REAL, &got), 0);
  check("off", !got.it_value.tv_sec && !got.it_value.tv_usec);
  gives("getitimer: 3", CALL(SYS_getitimer, 3, &got), -EINVAL);
  gives("getitimer: bad pointer", CALL(SYS_getitimer, ITIMER_REAL, NOWHERE), -EFAULT);
  set.it_value.tv_usec = 1000000;
  gives("setitimer: no time", CALL(SYS_setitimer, ITIMER_REAL, &set, 0), -EINVAL);
  gives("setitimer: bad pointer", CALL(SYS_setitimer, ITIMER_REAL, NOWHERE, 0), -EFAULT);
  set = (struct itimerval){{0, 10000}, {0, 20000}};
  gives("setitimer", CALL(SYS_setitimer, ITIMER_REAL, &set, &got), 0);
  while (caught < 3) pause();
  check("SIGALRM, again and again", last == SIGALRM);
  gives("getitimer: running", CALL(SYS_getitimer, ITIMER_REAL, &got), 0);
  check("what is left", got.it_interval.tv_usec == 10000 && (got.it_value.tv_usec > 0 || got.it_value.tv_sec));
  set = (struct itimerval){{0, 0}, {0, 0}};
  gives("off again", CALL(SYS_setitimer, ITIMER_REAL, &set, &got), 0);
  gives("alarm", CALL(SYS_alarm, 100), 0);
  gives("alarm: what was left", CALL(SYS_alarm, 0), 100);
  gives("alarm: none", CALL(SYS_alarm, 0), 0);
  caught = 0;
  set = (struct itimerval){{0, 0}, {0, 20000}};
  gives("of time run", CALL(SYS_setitimer, ITIMER_VIRTUAL, &set, 0), 0);
  while (!caught) {}
  gives("SIGVTALRM", last, SIGVTALRM);
  caught = 0;
  gives("of both times", CALL(SYS_setitimer, ITIMER_PROF, &set, 0), 0);
  while (!caught) {}
  gives("SIGPROF", last, SIGPROF);

  struct event event = {.value.sival_int = 33, .signal = SIGRTMIN, .notify = SIGEV_SIGNAL};
  int timer = -1;
  gives("create: no clock", CALL(SYS_timer_create, 99, &event, &timer), -EINVAL);
  gives("create: bad pointer", CALL(SYS_timer_create, CLOCK_MONOTONIC, &event, NOWHERE), -EFAULT);
  event.notify = 77;
  gives("create: how", CALL(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer), -EINVAL);
  event.notify = SIGEV_SIGNAL, event.signal = 65;
  gives("create: signal 65", CALL(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer), -EINVAL);
  event.signal = SIGRTMIN;
  gives("create", CALL(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer), 0);
  struct itimerspec spec = {{0, 0}, {0, 20000000}}, was;
  gives("settime: no timer", CALL(SYS_timer_settime, timer + 1000, 0, &spec, 0), -EINVAL);
  gives("settime: no pointer", CALL(SYS_timer_settime, timer, 0, 0, 0), -EINVAL);
  caught = 0;
  gives("settime", CALL(SYS_timer_settime, timer, 0, &spec, &was), 0);
  check("was off", !was.it_value.tv_sec && !was.it_value.tv_nsec);
  while (!caught) pause();
  check("its signal, code and value", last == SIGRTMIN && code == SI_TIMER && value == 33);
  gives("gettime", CALL(SYS_timer_gettime, timer, &was), 0);
  check("off", !was.it_value.tv_sec && !was.it_value.tv_nsec);
  gives("overrun", CALL(SYS_timer_getoverrun, timer), 0);
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  spec.it_value = now;
  spec.it_interval = (struct timespec){0, 5000000};
  caught = 0;
  gives("settime: at a time that is now", CALL(SYS_timer_settime, timer, TIMER_ABSTIME, &spec, 0), 0);
  while (caught < 3) pause();
  uint64_t blocked = 1ull << (SIGRTMIN - 1);
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, &blocked, 0, 8);
  struct timespec t = {0, 60000000};
  while (nanosleep(&t, &t)) {}
  caught = overruns = 0;
  syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &blocked, 0, 8);
  check("one signal for many firings", caught >= 1 && caught <= 2);
  gives("delete", CALL(SYS_timer_delete, timer), 0);
  gives("delete: twice", CALL(SYS_timer_delete, timer), -EINVAL);
  event.notify = 4, event.thread = 0x3fffffff;
  gives("create: for no thread", CALL(SYS_timer_create, CLOCK_REALTIME, &event, &timer), -EINVAL);
  event.thread = getpid();
  gives("create: for a thread", CALL(SYS_timer_create, CLOCK_REALTIME, &event, &timer), 0);
  spec = (struct itimerspec){{0, 0}, {0, 10000000}};
  caught = 0;
  CALL(SYS_timer_settime, timer, 0, &spec, 0);
  while (!caught) pause();
  gives("its signal", last, SIGRTMIN);
  event.notify = SIGEV_NONE;
  gives("create: for nobody", CALL(SYS_timer_create, CLOCK_REALTIME, &event, &timer), 0);
  spec.it_value.tv_sec = 10;
  CALL(SYS_timer_settime, timer, 0, &spec, 0);
  CALL(SYS_timer_gettime, timer, &was);
  check("it runs", was.it_value.tv_sec >= 9);
  return finish();
}
