// Programs that give who executes them more than he has: set-user-ID, set-group-ID, capabilities of files (execve(2), capabilities(7)).
#include "../check.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

static char program[100];
enum { USER = 1234, GROUP = 2345 };

// What a program finds itself to be, as its exit status cannot tell: a line.
static int tells(const char *title) {
  uid_t r, e, s;
  gid_t gr, ge, gs;
  getresuid(&r, &e, &s);
  getresgid(&gr, &ge, &gs);
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {0};
  syscall(SYS_capget, &head, data);
  printf("ok %s: users %u %u %u, groups %u %u %u, raw %d %d, secure %lu %u %u, dumpable %d\n", title, r, e, s, gr, ge, gs,
         data[0].permitted >> CAP_NET_RAW & 1, data[0].effective >> CAP_NET_RAW & 1, getauxval(AT_SECURE), (unsigned)getauxval(AT_UID),
         (unsigned)getauxval(AT_EUID), prctl(PR_GET_DUMPABLE));
  fflush(stdout);
  return 0;
}

static int ended(pid_t child) {
  int status;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}
static void becomes(uid_t id) {
  if (setgid(id) || setuid(id)) _exit(90);
}
enum how { PLAIN, NO_NEW, TRACED, SHARED, BY_DESCRIPTOR, TWICE };
static int shares(void *p) {
  (void)p;
  pause();
  return 0;
}
static int executes(const char *title, enum how how) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    becomes(1000);
    if (how == NO_NEW) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (how == SHARED) {
      static char stack[65536];
      pid_t other = clone(shares, stack + sizeof stack, CLONE_FS | SIGCHLD, 0);
      pid_t me = getpid();
      // It goes when its parent has executed the program.
      if (fork() == 0) {
        char path[40], text[40] = "";
        sprintf(path, "/proc/%d/cmdline", me);
        while (strcmp(text + strlen(text) + 1, title)) {
          int f = open(path, O_RDONLY);
          memset(text, 0, sizeof text);
          if (f < 0 || read(f, text, sizeof text - 1) <= 0) break;
          close(f);
        }
        kill(other, SIGKILL);
        _exit(0);
      }
    }
    if (how == BY_DESCRIPTOR) {
      int file = open(program, O_PATH);
      char *words[] = {program, (char *)title, 0}, *none[] = {0};
      syscall(SYS_execveat, file, "", words, none, AT_EMPTY_PATH);
      _exit(errno);
    }
    execl(program, program, title, how == TWICE ? "again" : (char *)0, (char *)0);
    _exit(errno);
  }
  return ended(child);
}

static void sets(mode_t mode, uid_t user, gid_t group) {
  chown(program, user, group);
  chmod(program, mode);
}
static int givesCapabilities(int effective, int version) {
  struct vfs_ns_cap_data data = {.magic_etc = (version == 3 ? VFS_CAP_REVISION_3 : VFS_CAP_REVISION_2) | effective,
                                 .data[0].permitted = 1 << CAP_NET_RAW};
  return CALL(SYS_setxattr, program, "security.capability", &data, version == 3 ? 24 : 20, 0);
}

static void copies(const char *self) {
  int from = open(self, O_RDONLY), to = open(program, O_WRONLY | O_CREAT | O_TRUNC, 0755);
  char bytes[65536];
  long n;
  while ((n = read(from, bytes, sizeof bytes)) > 0) write(to, bytes, n);
  close(from);
  close(to);
}

int main(int count, char **words) {
  if (count == 3 && !strcmp(words[2], "again")) {
    tells(words[1]);
    // Another program without bits: ids stay, and it is told to be careful.
    execl("/proc/self/exe", words[0], words[1], (char *)0);
    return errno;
  }
  if (count == 2) return tells(words[1]);
  char folder[] = "/tmp/setid-XXXXXX";
  check("folder", mkdtemp(folder) != 0);
  chmod(folder, 0755);
  sprintf(program, "%s/program", folder);
  copies("/proc/self/exe");
  umask(0);

  sets(0755, 0, 0);
  gives("plain", executes("plain", PLAIN), 0);
  sets(04755, 0, 0);
  gives("root's", executes("root's", PLAIN), 0);
  gives("root's and a program after it", executes("twice", TWICE), 0);
  sets(04755, USER, GROUP);
  gives("another user's", executes("another user's", PLAIN), 0);
  sets(02755, USER, GROUP);
  gives("another group's", executes("another group's", PLAIN), 0);
  sets(02745, USER, GROUP);
  gives("of a group that may not execute it", executes("mandatory lock", PLAIN), 0);
  sets(06755, USER, GROUP);
  gives("both", executes("both", PLAIN), 0);
  gives("by its descriptor", executes("by its descriptor", BY_DESCRIPTOR), 0);
  gives("under no_new_privs", executes("under no_new_privs", NO_NEW), 0);
  gives("that shares places", executes("that shares places", SHARED), 0);
  for (int i = 0; i < 20; i++) {
    sets(i & 1 ? 04755 : 0755, 0, 0);
    if (executes("by turns", PLAIN)) check("by turns", 0);
  }

  sets(0755, 0, 0);
  gives("capabilities", givesCapabilities(VFS_CAP_FLAGS_EFFECTIVE, 2), 0);
  gives("at once", executes("at once", PLAIN), 0);
  gives("version 3", givesCapabilities(0, 3), 0);
  gives("to be raised", executes("to be raised", PLAIN), 0);
  gives("none under no_new_privs", executes("none under no_new_privs", NO_NEW), 0);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    givesCapabilities(VFS_CAP_FLAGS_EFFECTIVE, 2);
    prctl(PR_CAPBSET_DROP, CAP_NET_RAW, 0, 0, 0);
    becomes(1000);
    execl(program, program, "not to be had", (char *)0);
    _exit(errno);
  }
  gives("what cannot be had", ended(child), EPERM);
  givesCapabilities(0, 2);
  gives("there", getxattr(program, "security.capability", 0, 0), 20);
  chown(program, 0, 1);
  gives("another owner takes them away", CALL(SYS_getxattr, program, "security.capability", 0, 0), -ENODATA);
  givesCapabilities(0, 2);
  int file = open(program, O_WRONLY | O_APPEND);
  write(file, "x", 1);
  close(file);
  gives("and who writes to it", CALL(SYS_getxattr, program, "security.capability", 0, 0), -ENODATA);
  gives("nonsense", CALL(SYS_setxattr, program, "security.capability", "nonsense", 8, 0), -EINVAL);
  chmod(program, 06775);
  child = fork();
  if (child == 0) {
    setgid(1);
    chmod(program, 06777);
    chown(program, 1000, 1);
    chmod(program, 06777);
    becomes(1000);
    struct vfs_cap_data data = {.magic_etc = VFS_CAP_REVISION_2};
    if (CALL(SYS_setxattr, program, "security.capability", &data, 20, 0) != -EPERM) _exit(1);
    file = open(program, O_WRONLY | O_APPEND);
    write(file, "y", 1);
    close(file);
    struct stat s;
    stat(program, &s);
    _exit((s.st_mode & 07000) != 0);
  }
  gives("no bits for who writes without leave", ended(child), 0);

  // A tracer that may not as much as the program: it gets nothing.
  sets(04755, 0, 0);
  child = fork();
  if (child == 0) {
    becomes(1000);
    pid_t own = fork();
    if (own == 0) {
      ptrace(PTRACE_TRACEME, 0, 0, 0);
      execl(program, program, "traced", (char *)0);
      _exit(errno);
    }
    int status;
    while (waitpid(own, &status, 0) == own && WIFSTOPPED(status)) ptrace(PTRACE_CONT, own, 0, 0);
    _exit(WEXITSTATUS(status));
  }
  gives("traced", ended(child), 0);

  // nosuid.
  gives("mount", CALL(SYS_mount, "none", folder, "tmpfs", MS_NOSUID, 0), 0);
  chmod(folder, 0755);
  copies("/proc/self/exe");
  sets(04755, 0, 0);
  gives("of a nosuid mount", executes("of a nosuid mount", PLAIN), 0);
  umount2(folder, MNT_DETACH);
  unlink(program);
  rmdir(folder);
  return finish();
}
