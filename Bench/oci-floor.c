// The floor under `immure-oci run` as root: the kernel calls that raise, limit, confine, record and clear the container of
// Bench/oci-bench.py's configuration, made by a program that knows it beforehand and decides, parses and checks nothing.
//
//   oci-floor STATE ID ROOTFS FILTER GROUPS COMMAND [ARGUMENT…]
//   oci-floor clone
//
// STATE is a folder for records, FILTER a file of struct sock_filter (the very instructions that immure installs) or - for none, GROUPS
// the version 1 hierarchies to stand in, joined by commas. Bench/oci-bench.py compares what a container looks like from inside with immure's,
// so this cannot quietly do less. `clone` makes and leaves a mount namespace: what each mount of the host costs every runtime.
// Any call that fails ends it with 1.
#include "floor-calls.h"

static char *groups[16], *id;
static int group_count;

static void write_in(const char *controller, const char *file, const char *text) {
  char path[512];
  snprintf(path, sizeof path, "/sys/fs/cgroup/%s/%s/%s", controller, id, file);
  write_file(path, text);
}

static void copy_up(const char *file) {
  char path[512], text[256];
  snprintf(path, sizeof path, "/sys/fs/cgroup/cpuset/%s", file);
  int from = TRY(open(path, O_RDONLY | O_CLOEXEC));
  text[TRY(read(from, text, sizeof text - 1))] = 0;
  close(from);
  write_in("cpuset", file, text);
}

static void make_groups(int *tasks) {
  static const char *const devices[] = {"c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm",
      "c 5:2 rwm", "c 136:* rwm", 0};
  char path[512];
  for (int i = 0; i < group_count; i++) {
    snprintf(path, sizeof path, "/sys/fs/cgroup/%s/%s", groups[i], id);
    TRY(mkdir(path, 0755));
    if (!strcmp(groups[i], "cpuset")) {
      copy_up("cpuset.cpus");
      copy_up("cpuset.mems");
    } else if (!strcmp(groups[i], "devices")) {
      write_in(groups[i], "devices.deny", "a");
      for (int k = 0; devices[k]; k++) write_in(groups[i], "devices.allow", devices[k]);
    } else if (!strcmp(groups[i], "pids")) {
      write_in(groups[i], "pids.max", "100");
    } else if (!strcmp(groups[i], "memory")) {
      write_in(groups[i], "memory.limit_in_bytes", "536870912");
    } else if (!strcmp(groups[i], "cpu")) {
      write_in(groups[i], "cpu.shares", "512");
    }
    snprintf(path, sizeof path, "/sys/fs/cgroup/%s/%s/tasks", groups[i], id);
    tasks[i] = TRY(open(path, O_WRONLY | O_CLOEXEC));
  }
}

static void make_devices(int root) {
  static const struct { const char *name; int major, minor; } nodes[] = {
      {"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
  static const char *const links[][2] = {{"pts/ptmx", "ptmx"}, {"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"},
      {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"}};
  int dev = tmpfs("755", "65536k", NOSUID | STRICTATIME);
  for (int i = 0; i < 6; i++) TRY(mknodat(dev, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)));
  TRY(mkdirat(dev, "pts", 0755));
  TRY(mkdirat(dev, "shm", 0755));
  TRY(mkdirat(dev, "mqueue", 0755));
  for (int i = 0; i < 5; i++) TRY(symlinkat(links[i][0], dev, links[i][1]));
  fs_at(root, "/dev", dev);
}

static void mount_groups(int root) {
  int place = TRY(in_root(root, "/sys/fs/cgroup")), shelf = tmpfs("755", 0, NOSUID | NODEV | NOEXEC);
  char path[512];
  attach(shelf, place);
  for (int i = 0; i < group_count; i++) {
    snprintf(path, sizeof path, "/sys/fs/cgroup/%s/%s", groups[i], id);
    TRY(mkdirat(shelf, groups[i], 0755));
    int under = TRY(openat(shelf, groups[i], O_PATH | O_DIRECTORY | O_CLOEXEC)), group = tree(AT_FDCWD, path, 0);
    change(group, "", RDONLY | NOSUID | NODEV | NOEXEC, 1, 0, 0);
    attach(group, under);
    close(group);
    close(under);
  }
  change(shelf, "", RDONLY, 0, 0, 0);
  close(shelf);
  close(place);
}

static void build(const char *rootfs, int *tasks, struct sock_fprog *filter, char **command) {
  for (int i = 0; i < group_count; i++) TRY(write(tasks[i], "0", 1));
  prctl(PR_SET_DUMPABLE, 0);
  umask(0);
  change(AT_FDCWD, "/", 0, 1, 1, 0);
  int root = tree(AT_FDCWD, rootfs, 1);
  attach_over(root, rootfs);
  fs_at(root, "/proc", mounted(fs("proc"), NOSUID | NODEV | NOEXEC));
  make_devices(root);
  int pts = fs("devpts");
  set(pts, "ptmxmode", "0666");
  set(pts, "mode", "0620");
  set(pts, "gid", "5");
  fs_at(root, "/dev/pts", mounted(pts, NOSUID | NOEXEC));
  fs_at(root, "/dev/shm", tmpfs("1777", "65536k", NOSUID | NODEV | NOEXEC));
  fs_at(root, "/dev/mqueue", mounted(fs("mqueue"), NOSUID | NODEV | NOEXEC));
  fs_at(root, "/sys", mounted(fs("sysfs"), RDONLY | NOSUID | NODEV | NOEXEC));
  mount_groups(root);
  protect_paths(root);
  TRY(fchdir(root));
  TRY(syscall(SYS_pivot_root, ".", "."));
  TRY(syscall(SYS_umount2, ".", 2 | UMOUNT_NOFOLLOW_));
  TRY(chdir("/"));
  TRY(unshare(CLONE_NEWCGROUP));
  change(root, "", RDONLY, 0, 0, 0);
  close(root);
  TRY(sethostname("bench", 5));
  raise_loopback();
  umask(022);
  setsid();
  TRY(syscall(SYS_close_range, 3, ~0U, 4));
  struct rlimit files = {1024, 1024};
  TRY(setrlimit(RLIMIT_NOFILE, &files));
  TRY(setgroups(0, 0));
  TRY(setresgid(0, 0, 0));
  TRY(setresuid(0, 0, 0));
  drop_capabilities();
  if (filter->len) TRY(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter));
  char *environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", 0};
  TRY(execve(*command, command, environment));
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "clone")) {
    TRY(unshare(CLONE_NEWNS));
    change(AT_FDCWD, "/", 0, 1, 1, 0);
    return 0;
  }
  if (argc < 7) {
    fputs("usage: oci-floor STATE ID ROOTFS FILTER GROUPS COMMAND… | oci-floor clone\n", stderr);
    return 2;
  }
  char path[640];
  id = argv[2];
  snprintf(folder, sizeof folder, "%s/%s", argv[1], id);
  for (char *word = strtok(argv[5], ","); word && group_count < 16; word = strtok(0, ",")) groups[group_count++] = word;
  // No process in a container may stand on a file that it could write: a read-only clone of this program's mount (CVE-2019-5736).
  struct statfs mount;
  int self = TRY(open("/proc/self/exe", O_PATH | O_CLOEXEC));
  TRY(fstatfs(self, &mount));
  if (!(mount.f_flags & 1)) {
    int clone = tree(self, "", 0);
    change(clone, "", RDONLY, 0, 0, 0);
    for (int i = 0; i + 1 < group_count; i++) groups[i][strlen(groups[i])] = ',';
    TRY(syscall(SYS_execveat, clone, "", argv, environ, AT_EMPTY_PATH));
  }
  close(self);
  struct sock_filter instructions[4096];
  struct sock_fprog filter = {0, instructions};
  if (strcmp(argv[4], "-")) {
    int file = TRY(open(argv[4], O_RDONLY | O_CLOEXEC));
    filter.len = TRY(read(file, instructions, sizeof instructions)) / sizeof *instructions;
    close(file);
  }
  sigset_t stopping;
  sigemptyset(&stopping);
  for (int i = 0; i < 4; i++) sigaddset(&stopping, (int[]){SIGHUP, SIGINT, SIGQUIT, SIGTERM}[i]);
  TRY(sigprocmask(SIG_BLOCK, &stopping, 0));
  int signal_queue = TRY(signalfd(-1, &stopping, SFD_CLOEXEC | SFD_NONBLOCK)), tasks[16], pidfd, channel[2];
  TRY(mkdir(folder, 0700));
  keep_record(900, 1);
  snprintf(path, sizeof path, "%s/config.json", folder);
  static char configuration[3500];
  int kept = TRY(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  TRY(write(kept, configuration, sizeof configuration));
  close(kept);
  make_groups(tasks);
  TRY(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel));
  struct clone_args how = {.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_PIDFD,
                           .pidfd = (uintptr_t)&pidfd, .exit_signal = SIGCHLD};
  int child = TRY(syscall(SYS_clone3, &how, sizeof how));
  if (child == 0) {
    TRY(sigprocmask(SIG_UNBLOCK, &stopping, 0));
    build(argv[3], tasks, &filter, argv + 6);
  }
  for (int i = 0; i < group_count; i++) close(tasks[i]);
  close(channel[1]);
  char byte;
  if (recv(channel[0], &byte, 1, 0) != 0) return 1;  // closes at exec
  keep_record(1000, 0);
  struct pollfd events[] = {{pidfd, POLLIN, 0}, {signal_queue, POLLIN, 0}};
  TRY(poll(events, 2, -1));
  int status;
  TRY(wait4(child, &status, 0, 0));
  for (int i = 0; i < group_count; i++) {
    snprintf(path, sizeof path, "/sys/fs/cgroup/%s/%s", groups[i], id);
    TRY(rmdir(path));
  }
  int at = TRY(open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  TRY(unlinkat(at, "config.json", 0));
  TRY(unlinkat(at, "record.json", 0));
  TRY(rmdir(folder));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
