// Where random calls are made on Linux itself: a user, process, mount, network, IPC and UTS namespace of their own, on a tmpfs, with 65536 users and a
// container's capabilities. What a sequence does there hurts nobody.
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void must(long result, const char *what) {
  if (result >= 0) return;
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  _exit(97);
}
static void put(pid_t process, const char *name, const char *text) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", process, name);
  int file = open(path, O_WRONLY | O_CLOEXEC);
  must(file, path);
  must(write(file, text, strlen(text)), path);
  close(file);
}
// As a container begins with, in both worlds.
static void keep_capabilities(void) {
  uint64_t kept = 0xa80425fb;
  for (int i = 0; i < 64; i++) if (!(kept >> i & 1) && prctl(PR_CAPBSET_READ, i) == 1) must(prctl(PR_CAPBSET_DROP, i), "bounding");
  struct { uint32_t version, process; } header = {0x20080522, 0};
  uint32_t sets[6] = {(uint32_t)kept, (uint32_t)kept, 0, kept >> 32, kept >> 32, 0};
  must(syscall(SYS_capset, &header, sets), "capset");
}
// Goes on in the jail; the process that called waits there and ends as it does.
static void enter(const char *folder) {
  int ready[2];
  must(pipe2(ready, O_CLOEXEC), "pipe");
  long flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD;
  pid_t child = syscall(SYS_clone, flags, 0, 0, 0, 0);
  must(child, "clone");
  if (child) {
    put(child, "uid_map", "0 100000 65536");
    put(child, "gid_map", "0 100000 65536");
    must(write(ready[1], "", 1), "write");
    int status;
    must(waitpid(child, &status, 0), "wait");
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 96);
  }
  char byte;
  must(read(ready[0], &byte, 1), "read");
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  must(setresgid(0, 0, 0), "setresgid");
  must(setresuid(0, 0, 0), "setresuid");
  must(syscall(SYS_setgroups, 0, NULL), "setgroups");
  must(mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
  must(mount("tmpfs", folder, "tmpfs", 0, "size=64m,mode=755"), "tmpfs");
  must(chroot(folder), "chroot");
  must(chdir("/"), "chdir");
  for (const char *const *name = (const char *const[]){"/bin", "/dev", "/etc", "/proc", "/sys", "/tmp", NULL}; *name; name++) must(mkdir(*name, 0755), *name);
  must(mount("tmpfs", "/tmp", "tmpfs", 0, "size=64m,mode=1777"), "/tmp");
}
