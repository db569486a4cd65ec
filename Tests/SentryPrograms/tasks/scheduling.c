// Policies of threads and of their input and output, older ids, and what only an administrator may: clocks, names, the kernel's log.
#include "../check.h"
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>

// struct sched_attr as of Linux 3.14, and longer since.
struct attributes { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t priority; uint64_t times[3]; uint32_t clamps[2]; };

static void policies(void) {
  struct attributes is = {0}, set = {.size = 48, .policy = SCHED_BATCH, .nice = 3};
  gives("getattr", CALL(SYS_sched_getattr, 0, &is, sizeof is, 0), 0);
  check("getattr: the usual", is.policy == SCHED_OTHER && is.nice == 0 && is.priority == 0);
  gives("getattr: flags", CALL(SYS_sched_getattr, 0, &is, sizeof is, 1), -EINVAL);
  gives("getattr: too short", CALL(SYS_sched_getattr, 0, &is, 47, 0), -EINVAL);
  gives("getattr: too long", CALL(SYS_sched_getattr, 0, &is, 4097, 0), -EINVAL);
  gives("getattr: nobody", CALL(SYS_sched_getattr, 0x3fffffff, &is, sizeof is, 0), -ESRCH);
  gives("getattr: negative", CALL(SYS_sched_getattr, -1, &is, sizeof is, 0), -EINVAL);
  gives("getattr: to nowhere", CALL(SYS_sched_getattr, 0, NOWHERE, sizeof is, 0), -EFAULT);
  gives("setattr", CALL(SYS_sched_setattr, 0, &set, 0), 0);
  gives("setattr: it is so", CALL(SYS_sched_getscheduler, 0), SCHED_BATCH);
  CALL(SYS_sched_getattr, 0, &is, sizeof is, 0);
  gives("setattr: nice", is.nice, 3);
  gives("setattr: flags", CALL(SYS_sched_setattr, 0, &set, 1), -EINVAL);
  gives("setattr: from nowhere", CALL(SYS_sched_setattr, 0, NOWHERE, 0), -EFAULT);
  gives("setattr: nothing", CALL(SYS_sched_setattr, 0, 0, 0), -EINVAL);
  gives("setattr: negative", CALL(SYS_sched_setattr, -1, &set, 0), -EINVAL);
  gives("setattr: nobody", CALL(SYS_sched_setattr, 0x3fffffff, &set, 0), -ESRCH);
  set.policy = 77;
  gives("setattr: an odd policy", CALL(SYS_sched_setattr, 0, &set, 0), -EINVAL);
  set.size = 8;
  gives("setattr: too short", CALL(SYS_sched_setattr, 0, &set, 0), -E2BIG);
  check("setattr: tells the size", set.size >= 48);
  gives("setscheduler", CALL(SYS_sched_setscheduler, 0, SCHED_OTHER, &(int){0}), 0);
  gives("setscheduler: a priority", CALL(SYS_sched_setscheduler, 0, SCHED_OTHER, &(int){1}), -EINVAL);
  gives("setparam", CALL(SYS_sched_setparam, 0, &(int){0}), 0);
  gives("setparam: a priority", CALL(SYS_sched_setparam, 0, &(int){1}), -EINVAL);
  gives("setparam: nothing", CALL(SYS_sched_setparam, 0, 0), -EINVAL);
  gives("setparam: from nowhere", CALL(SYS_sched_setparam, 0, NOWHERE), -EFAULT);
  gives("setparam: negative", CALL(SYS_sched_setparam, -1, &(int){0}), -EINVAL);
  gives("setparam: nobody", CALL(SYS_sched_setparam, 0x3fffffff, &(int){0}), -ESRCH);
  struct timespec slice = {-1, -1};
  gives("rr_get_interval", CALL(SYS_sched_rr_get_interval, 0, &slice), 0);
  check("rr_get_interval: a short time", slice.tv_sec == 0 && slice.tv_nsec >= 0);
  gives("rr_get_interval: to nowhere", CALL(SYS_sched_rr_get_interval, 0, NOWHERE), -EFAULT);
  gives("rr_get_interval: negative", CALL(SYS_sched_rr_get_interval, -1, &slice), -EINVAL);
  gives("rr_get_interval: nobody", CALL(SYS_sched_rr_get_interval, 0x3fffffff, &slice), -ESRCH);

  int best = 2 << 13 | 5;
  gives("ioprio_set", CALL(SYS_ioprio_set, 1, 0, best), 0);
  gives("ioprio_get", CALL(SYS_ioprio_get, 1, 0), best);
  gives("ioprio_get: whose", CALL(SYS_ioprio_get, 9, 0), -EINVAL);
  gives("ioprio_get: nobody", CALL(SYS_ioprio_get, 1, 0x3fffffff), -ESRCH);
  gives("ioprio_set: whose", CALL(SYS_ioprio_set, 9, 0, best), -EINVAL);
  gives("ioprio_set: nobody", CALL(SYS_ioprio_set, 1, 0x3fffffff, best), -ESRCH);
  gives("ioprio_set: an odd class", CALL(SYS_ioprio_set, 1, 0, 5 << 13), -EINVAL);
}

static volatile sig_atomic_t value;
static void on_signal(int number, siginfo_t *info, void *context) { (void)number, (void)context, value = info->si_value.sival_int; }

static void signals(void) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  sigaction(SIGUSR1, &action, 0);
  siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
  info.si_value.sival_int = 11;
  long thread = CALL(SYS_gettid);
  gives("rt_tgsigqueueinfo", CALL(SYS_rt_tgsigqueueinfo, getpid(), thread, SIGUSR1, &info), 0);
  gives("rt_tgsigqueueinfo: its value", value, 11);
  gives("rt_tgsigqueueinfo: another's thread", CALL(SYS_rt_tgsigqueueinfo, 0x3fffffff, thread, SIGUSR1, &info), -ESRCH);
  gives("rt_tgsigqueueinfo: no process", CALL(SYS_rt_tgsigqueueinfo, 0, thread, SIGUSR1, &info), -EINVAL);
  gives("rt_tgsigqueueinfo: no signal", CALL(SYS_rt_tgsigqueueinfo, getpid(), thread, 65, &info), -EINVAL);
  gives("rt_tgsigqueueinfo: from nowhere", CALL(SYS_rt_tgsigqueueinfo, getpid(), thread, SIGUSR1, NOWHERE), -EFAULT);
}

static void ids(void) {
  unsigned real = 1, effective = 1, saved = 1;
  gives("getpgrp", CALL(SYS_getpgrp) == CALL(SYS_getpgid, 0), 1);
  gives("personality", CALL(SYS_personality, 0xffffffff), 0);
  gives("personality: set", CALL(SYS_personality, 0x0040000), 0);
  gives("personality: as set", CALL(SYS_personality, 0xffffffff), 0x0040000);
  gives("getresgid", CALL(SYS_getresgid, &real, &effective, &saved), 0);
  check("getresgid: root's", real == 0 && effective == 0 && saved == 0);
  gives("getresgid: to nowhere", CALL(SYS_getresgid, &real, NOWHERE, &saved), -EFAULT);
  gives("setfsgid: what was", CALL(SYS_setfsgid, 5), 0);
  gives("setfsgid: what is", CALL(SYS_setfsgid, -1), 5);
  gives("setregid", CALL(SYS_setregid, 7, 8), 0);
  CALL(SYS_getresgid, &real, &effective, &saved);
  check("setregid: the saved one too", real == 7 && effective == 8 && saved == 8);
  gives("setregid: as it is", CALL(SYS_setregid, -1, -1), 0);
  gives("setresuid: nobody", CALL(SYS_setresuid, 65534, 65534, 65534), 0);
  gives("setregid: a stranger's", CALL(SYS_setregid, 9, -1), -EPERM);
  gives("setregid: its own", CALL(SYS_setregid, -1, 7), 0);
  gives("setfsgid: a stranger's", CALL(SYS_setfsgid, 9), 7);
  gives("setfsgid: stays", CALL(SYS_setfsgid, -1), 7);
}

// By nobody: natively an administrator's child would set this machine's clock.
static void refused(void) {
  struct timespec now = {1, 0};
  struct timex change = {.modes = ADJ_FREQUENCY};
  gives("clock_settime", CALL(SYS_clock_settime, CLOCK_REALTIME, &now), -EPERM);
  gives("settimeofday", CALL(SYS_settimeofday, &(struct timeval){1, 0}, 0), -EPERM);
  gives("adjtimex", CALL(SYS_adjtimex, &change), -EPERM);
  gives("clock_adjtime", CALL(SYS_clock_adjtime, CLOCK_REALTIME, &change), -EPERM);
  gives("setdomainname", CALL(SYS_setdomainname, "name", 4), -EPERM);
  gives("sethostname", CALL(SYS_sethostname, "name", 4), -EPERM);
  gives("syslog", CALL(SYS_syslog, 5, 0, 0), -EPERM);
  gives("setattr: a real-time policy", CALL(SYS_sched_setattr, 0, &(struct attributes){.size = 48, .policy = SCHED_FIFO, .priority = 1}, 0), -EPERM);
  gives("ioprio_set: real-time", CALL(SYS_ioprio_set, 1, 0, 1 << 13), -EPERM);
}

int main(void) {
  policies();
  signals();
  ids();
  refused();
  return finish();
}
