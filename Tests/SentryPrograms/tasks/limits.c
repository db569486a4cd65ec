// getrlimit(2), prlimit(2), getrusage(2), times(2), uname(2), sysinfo(2), getrandom(2), sched(7), getpriority(2).
#include "../check.h"
#include <sched.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>

int main(void) {
  struct rlimit old, limit, again;
  gives("getrlimit", CALL(SYS_getrlimit, RLIMIT_NOFILE, &old), 0);
  check("soft is below hard", old.rlim_cur <= old.rlim_max);
  gives("getrlimit: 16", CALL(SYS_getrlimit, 16, &limit), -EINVAL);
  gives("getrlimit: -1", CALL(SYS_getrlimit, -1, &limit), -EINVAL);
  gives("getrlimit: bad pointer", CALL(SYS_getrlimit, RLIMIT_NOFILE, NOWHERE), -EFAULT);
  limit = (struct rlimit){20, 10};
  gives("setrlimit: soft above hard", CALL(SYS_setrlimit, RLIMIT_NOFILE, &limit), -EINVAL);
  limit = (struct rlimit){64, old.rlim_max};
  gives("setrlimit", CALL(SYS_setrlimit, RLIMIT_NOFILE, &limit), 0);
  gives("prlimit", CALL(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &again), 0);
  check("the same", again.rlim_cur == 64 && again.rlim_max == old.rlim_max);
  gives("a descriptor beyond it", CALL(SYS_dup2, 1, 64), -EBADF);
  gives("a descriptor below it", CALL(SYS_dup2, 1, 63), 63);
  gives("prlimit: old and new", CALL(SYS_prlimit64, getpid(), RLIMIT_NOFILE, &old, &again), 0);
  gives("old", again.rlim_cur, 64);
  gives("prlimit: nobody", CALL(SYS_prlimit64, 0x3fffffff, RLIMIT_NOFILE, 0, &again), -ESRCH);
  gives("prlimit: bad pointer", CALL(SYS_prlimit64, 0, RLIMIT_NOFILE, NOWHERE, 0), -EFAULT);
  // Below the hard limit that there is.
  getrlimit(RLIMIT_STACK, &limit);
  limit.rlim_cur = 1 << 20;
  gives("stack", CALL(SYS_setrlimit, RLIMIT_STACK, &limit), 0);
  gives("stack?", CALL(SYS_getrlimit, RLIMIT_STACK, &again), 0);
  gives("is", again.rlim_cur, 1 << 20);

  struct rusage usage;
  gives("getrusage", CALL(SYS_getrusage, RUSAGE_SELF, &usage), 0);
  check("faults", usage.ru_minflt > 0);
  check("peak", usage.ru_maxrss > 0);
  gives("of the thread", CALL(SYS_getrusage, 1, &usage), 0);
  gives("of children", CALL(SYS_getrusage, RUSAGE_CHILDREN, &usage), 0);
  gives("of whom", CALL(SYS_getrusage, 7, &usage), -EINVAL);
  gives("getrusage: bad pointer", CALL(SYS_getrusage, RUSAGE_SELF, NOWHERE), -EFAULT);
  struct tms tms;
  check("times", CALL(SYS_times, &tms) > 0);
  check("times: no pointer", CALL(SYS_times, 0) > 0);
  gives("times: bad pointer", CALL(SYS_times, NOWHERE), -EFAULT);

  struct utsname names;
  gives("uname", CALL(SYS_uname, &names), 0);
  check("Linux", !strcmp(names.sysname, "Linux"));
  gives("uname: bad pointer", CALL(SYS_uname, NOWHERE), -EFAULT);
  struct sysinfo info;
  gives("sysinfo", CALL(SYS_sysinfo, &info), 0);
  check("memory", info.totalram > 0 && info.freeram <= info.totalram && info.mem_unit == 1);
  check("processes", info.procs > 0);
  gives("sysinfo: bad pointer", CALL(SYS_sysinfo, NOWHERE), -EFAULT);

  unsigned char bytes[300] = {0};
  gives("getrandom", CALL(SYS_getrandom, bytes, 300, 0), 300);
  int seen = 0;
  for (int i = 0; i < 300; i++) seen |= bytes[i];
  check("not all zeros", seen);
  gives("getrandom: nothing", CALL(SYS_getrandom, bytes, 0, 0), 0);
  gives("getrandom: flags", CALL(SYS_getrandom, bytes, 1, 8), -EINVAL);
  gives("getrandom: both pools", CALL(SYS_getrandom, bytes, 1, GRND_RANDOM | 4), -EINVAL);
  gives("getrandom: bad pointer", CALL(SYS_getrandom, NOWHERE, 8, 0), -EFAULT);

  cpu_set_t set;
  long size = CALL(SYS_sched_getaffinity, 0, sizeof set, &set);
  check("affinity", size > 0 && size % 8 == 0);
  gives("affinity: too small", CALL(SYS_sched_getaffinity, 0, 1, &set), -EINVAL);
  gives("affinity: nobody", CALL(SYS_sched_getaffinity, 0x3fffffff, sizeof set, &set), -ESRCH);
  gives("affinity: bad pointer", CALL(SYS_sched_getaffinity, 0, sizeof set, NOWHERE), -EFAULT);
  sched_getaffinity(0, sizeof set, &set);
  gives("setaffinity", CALL(SYS_sched_setaffinity, 0, sizeof set, &set), 0);
  CPU_ZERO(&set);
  gives("setaffinity: none", CALL(SYS_sched_setaffinity, 0, sizeof set, &set), -EINVAL);
  gives("scheduler", CALL(SYS_sched_getscheduler, 0), 0);
  gives("scheduler: negative", CALL(SYS_sched_getscheduler, -1), -EINVAL);
  struct sched_param parameter = {0};
  gives("batch", CALL(SYS_sched_setscheduler, 0, SCHED_BATCH, &parameter), 0);
  gives("batch?", CALL(SYS_sched_getscheduler, 0), SCHED_BATCH);
  gives("scheduler: 77", CALL(SYS_sched_setscheduler, 0, 77, &parameter), -EINVAL);
  parameter.sched_priority = 1;
  gives("batch with a priority", CALL(SYS_sched_setscheduler, 0, SCHED_BATCH, &parameter), -EINVAL);
  gives("param", CALL(SYS_sched_getparam, 0, &parameter), 0);
  gives("priority", parameter.sched_priority, 0);
  gives("max", CALL(SYS_sched_get_priority_max, SCHED_FIFO), 99);
  gives("min", CALL(SYS_sched_get_priority_min, SCHED_RR), 1);
  gives("max of nothing", CALL(SYS_sched_get_priority_max, 42), -EINVAL);
  gives("yield", CALL(SYS_sched_yield), 0);
  gives("priority of the process", CALL(SYS_getpriority, PRIO_PROCESS, 0), 20);
  gives("nicer", CALL(SYS_setpriority, PRIO_PROCESS, 0, 5), 0);
  gives("nicer?", CALL(SYS_getpriority, PRIO_PROCESS, 0), 15);
  gives("nicest", CALL(SYS_setpriority, PRIO_PROCESS, 0, 99), 0);
  gives("nicest?", CALL(SYS_getpriority, PRIO_PROCESS, 0), 1);
  gives("priority: nobody", CALL(SYS_getpriority, PRIO_PROCESS, 0x3fffffff), -ESRCH);
  gives("priority: of what", CALL(SYS_getpriority, 3, 0), -EINVAL);
  unsigned cpu = 9999, node = 9999;
  gives("getcpu", CALL(SYS_getcpu, &cpu, &node, 0), 0);
  check("there", cpu < 4096 && node < 64);
  gives("getcpu: bad pointer", CALL(SYS_getcpu, NOWHERE, 0, 0), -EFAULT);
  return finish();
}
