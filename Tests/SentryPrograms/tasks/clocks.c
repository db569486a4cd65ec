// Clocks and sleeping: clock_gettime(2), nanosleep(2), clock_nanosleep(2).
#include "../check.h"
#include <signal.h>
#include <sys/time.h>
#include <time.h>

static long long ns(struct timespec t) { return t.tv_sec * 1000000000LL + t.tv_nsec; }
static struct timespec now(int clock) {
  struct timespec t = {0};
  syscall(SYS_clock_gettime, clock, &t);
  return t;
}
static void nothing(int signal) { (void)signal; }

int main(void) {
  int clocks[] = {0, 1, 2, 3, 4, 5, 6, 7, 11};
  for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
    struct timespec a = {-1, -1}, r = {-1, -1};
    char name[40];
    snprintf(name, sizeof name, "clock %d", clocks[i]);
    gives(name, CALL(SYS_clock_gettime, clocks[i], &a), 0);
    gives("resolution", CALL(SYS_clock_getres, clocks[i], &r), 0);
    check("both are times", a.tv_sec >= 0 && a.tv_nsec >= 0 && a.tv_nsec < 1000000000 && r.tv_sec == 0 && r.tv_nsec > 0);
  }
  struct timespec t;
  gives("clock 99", CALL(SYS_clock_gettime, 99, &t), -EINVAL);
  gives("clock 99's resolution", CALL(SYS_clock_getres, 99, &t), -EINVAL);
  gives("resolution for nobody", CALL(SYS_clock_getres, 1, 0), 0);
  gives("clock: bad pointer", CALL(SYS_clock_gettime, 0, NOWHERE), -EFAULT);
  gives("clock of a process: nobody", CALL(SYS_clock_gettime, (~0x3fffffu << 3) | 2, &t), -EINVAL);
  long long before = ns(now(CLOCK_PROCESS_CPUTIME_ID)), thread = ns(now(CLOCK_THREAD_CPUTIME_ID));
  for (volatile int i = 0; i < 20000000; i++) {}
  check("the process has run", ns(now(CLOCK_PROCESS_CPUTIME_ID)) - before > 1000000);
  check("the thread has run", ns(now(CLOCK_THREAD_CPUTIME_ID)) - thread > 1000000);
  struct timeval tv;
  gives("gettimeofday", CALL(SYS_gettimeofday, &tv, 0), 0);
  check("this century", tv.tv_sec > 946684800 && tv.tv_usec < 1000000);
  gives("gettimeofday: bad pointer", CALL(SYS_gettimeofday, NOWHERE, 0), -EFAULT);
  time_t seconds = 0;
  check("time", CALL(SYS_time, &seconds) == seconds && seconds >= tv.tv_sec);
  gives("time: bad pointer", CALL(SYS_time, NOWHERE), -EFAULT);

  struct timespec pause = {0, 20000000}, rest = {7, 7};
  long long start = ns(now(1));
  gives("nanosleep", CALL(SYS_nanosleep, &pause, &rest), 0);
  check("as long as asked", ns(now(1)) - start >= 20000000);
  check("no rest told", rest.tv_sec == 7);
  struct timespec bad = {0, 1000000000};
  gives("nanosleep: no time", CALL(SYS_nanosleep, &bad, 0), -EINVAL);
  bad = (struct timespec){-1, 0};
  gives("nanosleep: negative", CALL(SYS_nanosleep, &bad, 0), -EINVAL);
  gives("nanosleep: bad pointer", CALL(SYS_nanosleep, NOWHERE, 0), -EFAULT);
  struct timespec until = now(CLOCK_REALTIME);
  until.tv_nsec += 20000000;
  if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
  gives("until a time", CALL(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &until, 0), 0);
  check("not before", ns(now(CLOCK_REALTIME)) >= ns(until));
  until.tv_sec -= 100;
  gives("until a time that was", CALL(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &(struct timespec){0, 1}, 0), 0);
  gives("sleep by no clock", CALL(SYS_clock_nanosleep, 99, 0, &pause, 0), -EINVAL);
  gives("sleep by the thread's clock", CALL(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &pause, 0), -EOPNOTSUPP);
  gives("sleep by a raw clock", CALL(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &pause, 0), -EOPNOTSUPP);

  struct sigaction action = {.sa_handler = nothing};
  sigaction(SIGALRM, &action, 0);
  struct itimerval timer = {{0, 0}, {0, 20000}};
  setitimer(ITIMER_REAL, &timer, 0);
  pause = (struct timespec){5, 0};
  gives("a sleep that a signal ends", CALL(SYS_nanosleep, &pause, &rest), -EINTR);
  check("tells the rest", rest.tv_sec == 4 || (rest.tv_sec == 5 && rest.tv_nsec == 0));
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, 0);
  setitimer(ITIMER_REAL, &timer, 0);
  gives("with SA_RESTART too", CALL(SYS_nanosleep, &pause, &rest), -EINTR);
  return finish();
}
