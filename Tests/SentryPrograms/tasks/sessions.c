// Process groups and sessions; waiting for children by them; orphans.
#include "../check.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

static int ends[2];
static void ready(void) { write(ends[1], "r", 1); }
static void wait_ready(void) {
  char byte;
  while (read(ends[0], &byte, 1) != 1) {}
}
static pid_t sleeper(void) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    ready();
    for (;;) pause();
  }
  wait_ready();
  return pid;
}
static int finished(pid_t pid) {
  int status = -1;
  waitpid(pid, &status, 0);
  return status;
}
static volatile sig_atomic_t hung, continued;
static void on_hangup(int signal) { (void)signal, hung = 1; }
static void on_continue(int signal) { (void)signal, continued = 1; }

int main(void) {
  if (pipe(ends)) return 2;
  // A session of its own, whoever started it.
  fflush(stdout);
  pid_t main_pid = fork();
  if (main_pid != 0) return WEXITSTATUS(finished(main_pid));
  gives("setsid", CALL(SYS_setsid) == getpid(), 1);
  gives("setsid: leads a group", CALL(SYS_setsid), -EPERM);
  check("session and group", getsid(0) == getpid() && getpgrp() == getpid() && getpgid(0) == getpid());
  gives("setpgid: a session's leader", CALL(SYS_setpgid, 0, 0), -EPERM);
  gives("getpgid: nobody", CALL(SYS_getpgid, 0x3fffffff), -ESRCH);
  gives("getsid: nobody", CALL(SYS_getsid, 0x3fffffff), -ESRCH);
  gives("setpgid: nobody", CALL(SYS_setpgid, 0x3fffffff, 0), -ESRCH);
  gives("setpgid: negative", CALL(SYS_setpgid, 0, -1), -EINVAL);
  pid_t a = sleeper(), b = sleeper();
  gives("a child's group", CALL(SYS_getpgid, a) == getpid(), 1);
  gives("setpgid: into a group that isn't", CALL(SYS_setpgid, a, 0x3fffffff), -EPERM);
  gives("setpgid: its own", CALL(SYS_setpgid, a, a), 0);
  gives("setpgid: another joins", CALL(SYS_setpgid, b, a), 0);
  gives("wait: a group without children", CALL(SYS_wait4, -getpid(), 0, WNOHANG, 0), -ECHILD);
  gives("wait: a group", CALL(SYS_wait4, -a, 0, WNOHANG, 0), 0);
  gives("kill the group", CALL(SYS_kill, -a, SIGTERM), 0);
  int one = CALL(SYS_wait4, -a, 0, 0, 0), two = CALL(SYS_wait4, -a, 0, 0, 0);
  check("both came", one != two && (one == a || one == b) && (two == a || two == b));
  gives("wait: none left", CALL(SYS_wait4, -a, 0, 0, 0), -ECHILD);
  gives("wait: flags", CALL(SYS_wait4, -1, 0, 0x100, 0), -EINVAL);
  siginfo_t info;
  gives("waitid: none", CALL(SYS_waitid, P_ALL, 0, &info, WEXITED, 0), -ECHILD);
  gives("waitid: flags", CALL(SYS_waitid, P_ALL, 0, &info, 0, 0), -EINVAL);
  a = sleeper();
  kill(a, SIGKILL);
  memset(&info, 0, sizeof info);
  gives("waitid: left there", CALL(SYS_waitid, P_PID, a, &info, WEXITED | WNOWAIT, 0), 0);
  check("killed", info.si_pid == a && info.si_code == CLD_KILLED && info.si_status == SIGKILL);
  gives("a zombie is there", CALL(SYS_kill, a, 0), 0);
  gives("a zombie has a group", CALL(SYS_getpgid, a) == getpid(), 1);
  finished(a);
  gives("then it is gone", CALL(SYS_getpgid, a), -ESRCH);

  // A group that is orphaned while one of it is stopped: SIGHUP, then SIGCONT.
  fflush(stdout);
  a = fork();
  if (a == 0) {
    setpgid(0, 0);
    pid_t inner = fork();
    if (inner == 0) {
      signal(SIGHUP, on_hangup);
      signal(SIGCONT, on_continue);
      ready();
      raise(SIGSTOP);
      while (!hung || !continued) pause();
      ready();
      _exit(0);
    }
    int status;
    waitpid(inner, &status, WUNTRACED);
    _exit(WIFSTOPPED(status) ? 0 : 1);
  }
  wait_ready();
  gives("its leader went", finished(a), 0);
  wait_ready();
  check("the orphan was told", 1);

  // A subreaper has its children's orphans.
  gives("subreaper", CALL(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
  int is = 0;
  gives("subreaper?", CALL(SYS_prctl, PR_GET_CHILD_SUBREAPER, &is, 0, 0, 0), 0);
  gives("is", is, 1);
  pid_t self = getpid();
  fflush(stdout);
  a = fork();
  if (a == 0) {
    pid_t middle = getpid();
    if (fork() == 0) {
      while (getppid() == middle) sched_yield();
      _exit(getppid() == self ? 42 : 43);
    }
    _exit(0);
  }
  finished(a);
  int status = 0;
  wait(&status);
  gives("an orphan's new parent", WEXITSTATUS(status), 42);
  // The parent's death.
  fflush(stdout);
  a = fork();
  if (a == 0) {
    pid_t middle = getpid();
    if (fork() == 0) {
      signal(SIGUSR1, on_hangup);
      hung = 0;
      prctl(PR_SET_PDEATHSIG, SIGUSR1);
      if (getppid() != middle) _exit(7);
      ready();
      while (!hung) pause();
      _exit(5);
    }
    wait_ready();
    _exit(0);
  }
  finished(a);
  wait(&status);
  gives("told of its parent's death", WEXITSTATUS(status), 5);
  return finish();
}
