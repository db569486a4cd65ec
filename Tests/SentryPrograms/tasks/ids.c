// Ids, credentials, capabilities, prctl(2). As root: it changes its ids in children.
#include "../check.h"
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static int child(int (*body)(void)) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) _exit(body());
  int status = -1;
  if (waitpid(pid, &status, 0) != pid) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

struct caps {
  uint32_t effective, permitted, inheritable;
};
static void caps_of(struct caps caps[2]) {
  struct { uint32_t version; int pid; } header = {_LINUX_CAPABILITY_VERSION_3, 0};
  CALL(SYS_capget, &header, caps);
}

static int drop(void) {
  uid_t r, e, s;
  struct caps caps[2];
  if (CALL(SYS_setgroups, 0, 0)) return 1;
  if (CALL(SYS_setresgid, 100, 100, 100)) return 2;
  if (CALL(SYS_setresuid, 1000, 1000, 1000)) return 3;
  if (CALL(SYS_getresuid, &r, &e, &s) || r != 1000 || e != 1000 || s != 1000) return 4;
  caps_of(caps);
  if (caps[0].effective || caps[0].permitted) return 5;
  if (CALL(SYS_setuid, 0) != -EPERM) return 6;
  if (CALL(SYS_setresuid, 0, -1, -1) != -EPERM) return 7;
  if (CALL(SYS_setgid, 0) != -EPERM) return 8;
  if (CALL(SYS_setgroups, 0, 0) != -EPERM) return 9;
  if (CALL(SYS_setuid, 1000)) return 10;
  if (CALL(SYS_setreuid, -1, -1)) return 11;
  if (CALL(SYS_setfsuid, 0) != 1000 || CALL(SYS_setfsuid, -1) != 1000) return 12;
  if (CALL(SYS_sethostname, "x", 1) != -EPERM) return 13;
  return 0;
}

static int temporarily(void) {
  struct caps caps[2];
  if (CALL(SYS_setresuid, -1, 1000, -1)) return 1;
  if (geteuid() != 1000 || getuid() != 0) return 2;
  caps_of(caps);
  if (caps[0].effective || !caps[0].permitted) return 3;
  if (CALL(SYS_setresuid, -1, 0, -1)) return 4;
  caps_of(caps);
  if (!caps[0].effective) return 5;
  if (CALL(SYS_setreuid, 1000, 0)) return 6;
  if (getuid() != 1000 || geteuid() != 0) return 7;
  if (CALL(SYS_setreuid, 0, 1000) || getuid() != 0 || geteuid() != 1000) return 8;
  uid_t r, e, s;
  getresuid(&r, &e, &s);
  return s == 1000 ? 0 : 9;
}

static int keeping(void) {
  struct caps caps[2];
  if (prctl(PR_SET_KEEPCAPS, 1L, 0, 0, 0) || prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0) != 1) return 1;
  if (CALL(SYS_setresuid, 1000, 1000, 1000)) return 2;
  caps_of(caps);
  if (caps[0].effective || !caps[0].permitted) return 3;
  struct { uint32_t version; int pid; } header = {_LINUX_CAPABILITY_VERSION_3, 0};
  caps[0].effective = caps[0].permitted & (1 << CAP_KILL);
  caps[1].effective = 0;
  if (CALL(SYS_capset, &header, caps)) return 4;
  caps[0].permitted = 1 << CAP_KILL, caps[1].permitted = 0;
  if (CALL(SYS_capset, &header, caps)) return 5;
  caps[0].permitted |= 1 << CAP_CHOWN;
  if (CALL(SYS_capset, &header, caps) != -EPERM) return 6;
  return 0;
}

static int nnp(void) {
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)) return 1;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L)) return 2;
  if (CALL(SYS_prctl, PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0) != -EINVAL) return 3;
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 4;
  return child(drop) == 0 ? 0 : 5;
}

static int parent_of_orphan(void) {
  int ends[2];
  if (pipe(ends)) return 1;
  pid_t self = getpid();
  pid_t pid = fork();
  if (pid == 0) {
    if (getppid() != self) _exit(9);
    _exit(getpid() == self || CALL(SYS_gettid) != getpid());
  }
  int status;
  waitpid(pid, &status, 0);
  return status ? 2 : 0;
}

int main(void) {
  check("pid is tid", getpid() == CALL(SYS_gettid));
  gives("uid", getuid(), 0);
  gives("euid", geteuid(), 0);
  gives("gid", getgid(), 0);
  gives("egid", getegid(), 0);
  check("a child's numbers", child(parent_of_orphan) == 0);
  gives("getresuid: bad pointer", CALL(SYS_getresuid, NOWHERE, NOWHERE, NOWHERE), -EFAULT);
  gives("getgroups: negative", CALL(SYS_getgroups, -1, 0), -EINVAL);
  gid_t groups[4] = {7, 5, 9, 0};
  gives("setgroups", CALL(SYS_setgroups, 3, groups), 0);
  gives("getgroups: how many", CALL(SYS_getgroups, 0, 0), 3);
  gives("getgroups: too little room", CALL(SYS_getgroups, 2, groups), -EINVAL);
  gives("getgroups", CALL(SYS_getgroups, 4, groups), 3);
  check("sorted", groups[0] == 5 && groups[1] == 7 && groups[2] == 9);
  gives("getgroups: bad pointer", CALL(SYS_getgroups, 4, NOWHERE), -EFAULT);
  gives("setgroups: too many", CALL(SYS_setgroups, 65537, groups), -EINVAL);
  gives("setgroups: bad pointer", CALL(SYS_setgroups, 2, NOWHERE), -EFAULT);
  gives("setuid: -1", CALL(SYS_setuid, -1), -EINVAL);
  gives("setgid: -1", CALL(SYS_setgid, -1), -EINVAL);
  gives("dropped", child(drop), 0);
  gives("dropped for a time", child(temporarily), 0);
  gives("capabilities kept", child(keeping), 0);
  gives("no new privileges", child(nnp), 0);

  struct { uint32_t version; int pid; } header = {0, 0};
  gives("capget: asks for the version", CALL(SYS_capget, &header, 0), 0);
  check("version 3", header.version == _LINUX_CAPABILITY_VERSION_3);
  header.pid = -1;
  struct caps caps[2];
  gives("capget: negative", CALL(SYS_capget, &header, caps), -EINVAL);
  header.pid = 0x3fffffff;
  gives("capget: nobody", CALL(SYS_capget, &header, caps), -ESRCH);
  gives("capget: bad header", CALL(SYS_capget, NOWHERE, caps), -EFAULT);
  header.pid = 1 + getpid();
  gives("capset: another", CALL(SYS_capset, &header, caps), -EPERM);

  gives("prctl: unknown", CALL(SYS_prctl, 9999, 0, 0, 0, 0), -EINVAL);
  char name[16] = "";
  gives("name", CALL(SYS_prctl, PR_SET_NAME, "a name that is too long", 0, 0, 0), 0);
  gives("name back", CALL(SYS_prctl, PR_GET_NAME, name, 0, 0, 0), 0);
  check("cut at 15", !strcmp(name, "a name that is "));
  gives("name: bad pointer", CALL(SYS_prctl, PR_SET_NAME, NOWHERE, 0, 0, 0), -EFAULT);
  gives("dumpable: 3", CALL(SYS_prctl, PR_SET_DUMPABLE, 3, 0, 0, 0), -EINVAL);
  gives("dumpable", CALL(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
  gives("dumpable?", CALL(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
  gives("parent's death: 65", CALL(SYS_prctl, PR_SET_PDEATHSIG, 65, 0, 0, 0), -EINVAL);
  int signal = -1;
  gives("parent's death", CALL(SYS_prctl, PR_SET_PDEATHSIG, 10, 0, 0, 0), 0);
  gives("parent's death?", CALL(SYS_prctl, PR_GET_PDEATHSIG, &signal, 0, 0, 0), 0);
  gives("signal", signal, 10);
  CALL(SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0);
  gives("bounding: 64", CALL(SYS_prctl, PR_CAPBSET_READ, 64, 0, 0, 0), -EINVAL);
  gives("bounding: kill", CALL(SYS_prctl, PR_CAPBSET_READ, CAP_KILL, 0, 0, 0), 1);
  gives("securebits", CALL(SYS_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0), 0);
  gives("slack", CALL(SYS_prctl, PR_SET_TIMERSLACK, 1000, 0, 0, 0), 0);
  gives("slack?", CALL(SYS_prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0), 1000);
  gives("ambient: not inheritable", CALL(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0), -EPERM);
  gives("ambient: cleared", CALL(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), 0);
  gives("ambient?", CALL(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0), 0);
  return finish();
}
