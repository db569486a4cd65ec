// The floor under `immure run -- COMMAND` as root: the kernel calls that raise, limit, confine, record and clear such a box,
// made by a program that knows them beforehand and decides, parses and checks nothing.
//
//   floor STATE INIT FILTER HIDDEN COMMAND [ARGUMENT…]
//
// STATE is a folder for records (sandboxes/ names/ ids/ in it), INIT the program that is the box's first process, FILTER a file
// of struct sock_filter: the very instructions that immure installs. HIDDEN names what /etc has that the box must not see, as
// paths below /etc with ":" between them: which there are differs from machine to machine (sudo, an SSH server). For control
// groups of version 1 or hybrid, and of version 2 where memory and pids are on in /sys/fs/cgroup/immure. Bench/bench.py compares
// what a box looks like from inside with immure's, so this cannot quietly do less. Any call that fails ends it with 1.
#include "floor-calls.h"

static char name[32], cwd[4096];
static uint32_t base;

static void set_fd(int context, const char *key, int fd) { TRY(syscall(SYS_fsconfig, context, 5, key, 0, fd)); }

// One byte, with the descriptors that were made meanwhile (unix(7)).
static void tell(int channel, int *given, int count) {
  char byte = 'M', space[CMSG_SPACE(2 * sizeof(int))] = {0};
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (count) {
    message.msg_control = space;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head = (struct cmsghdr){CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(head), given, count * sizeof(int));
  }
  TRY(sendmsg(channel, &message, MSG_NOSIGNAL));
}

static void hear(int channel, int *given, int count) {
  char byte, space[CMSG_SPACE(2 * sizeof(int))];
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
  if (TRY(recvmsg(channel, &message, MSG_CMSG_CLOEXEC)) != 1) _exit(1);
  if (count) memcpy(given, CMSG_DATA(CMSG_FIRSTHDR(&message)), count * sizeof(int));
}

// ---- the parent's part

static int make_devices(void) {
  char id[16];
  int dev = fs("tmpfs");
  set(dev, "size", "65536k");
  set(dev, "mode", "755");
  snprintf(id, sizeof id, "%u", base);
  set(dev, "uid", id);
  set(dev, "gid", id);
  dev = mounted(dev, NOSUID | NOEXEC | STRICTATIME);
  static const struct { const char *name; int major, minor; } nodes[] = {
      {"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
  umask(0);
  for (int i = 0; i < 6; i++)
    TRY(mknodat(dev, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)));
  umask(022);
  TRY(mkdirat(dev, "pts", 0755));
  TRY(mkdirat(dev, "shm", 0755));
  TRY(mkdirat(dev, "mqueue", 0755));
  TRY(symlinkat("pts/ptmx", dev, "ptmx"));
  TRY(symlinkat("/proc/self/fd", dev, "fd"));
  TRY(symlinkat("/proc/self/fd/0", dev, "stdin"));
  TRY(symlinkat("/proc/self/fd/1", dev, "stdout"));
  TRY(symlinkat("/proc/self/fd/2", dev, "stderr"));
  static const char *const owned[] = {"null", "zero", "full", "random", "urandom", "tty", "pts", "shm", "mqueue", "ptmx", "fd", "stdin", "stdout",
      "stderr", 0};
  for (int i = 0; owned[i]; i++) TRY(fchownat(dev, owned[i], base, base, AT_SYMLINK_NOFOLLOW));
  return dev;
}

static int sealed(const char *path) {
  char bytes[32768];
  int file = TRY(open(path, O_RDONLY | O_CLOEXEC));
  int size = TRY(read(file, bytes, sizeof bytes));
  close(file);
  int memory = TRY(memfd_create("init", MFD_CLOEXEC | MFD_ALLOW_SEALING | SEALED_EXEC));
  TRY(write(memory, bytes, size));
  TRY(fcntl(memory, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE));
  return memory;
}

// ---- the child's part

static void layered(int root, int memory, int index, const char *path, int lower, const char *hidden) {
  int top = TRY(in_root(root, "/"));
  TRY(mkdirat(top, path, 0755));
  int place = TRY(openat(top, path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  close(top);
  char number[] = {'0' + index, 0};
  TRY(mkdirat(memory, number, 0755));
  int scratch = TRY(openat(memory, number, O_PATH | O_DIRECTORY | O_CLOEXEC));
  TRY(mkdirat(scratch, "upper", 0755));
  TRY(mkdirat(scratch, "work", 0755));
  for (size_t size; *hidden; hidden += size + (hidden[size] == ':')) {
    char whiteout[512];
    size = strcspn(hidden, ":");
    snprintf(whiteout, sizeof whiteout, "upper/%.*s", (int)size, hidden);
    for (char *slash = strchr(whiteout + 6, '/'); slash; slash = strchr(slash + 1, '/')) {
      *slash = 0;
      if (mkdirat(scratch, whiteout, 0755) && errno != EEXIST) TRY(-1);
      *slash = '/';
    }
    TRY(mknodat(scratch, whiteout, S_IFCHR, 0));
  }
  int upper = TRY(openat(scratch, "upper", O_PATH | O_DIRECTORY | O_CLOEXEC));
  int work = TRY(openat(scratch, "work", O_PATH | O_DIRECTORY | O_CLOEXEC));
  int overlay = fs("overlay");
  set(overlay, "userxattr", 0);
  set_fd(overlay, "lowerdir+", lower);
  set_fd(overlay, "upperdir", upper);
  set_fd(overlay, "workdir", work);
  overlay = mounted(overlay, NOSUID | NODEV);
  close(upper);
  close(work);
  attach(overlay, place);
  close(overlay);
  close(scratch);
  close(place);
}

static void build(int channel, int *trees, int tree_count, const char *hidden, int hybrid, struct sock_fprog *filter) {
  static const char *const folders[] = {"dev", "home", "mnt", "root", "run", "srv", "var", "opt", "var/log", "var/lib", 0};
  static const char *const links[] = {"bin", "sbin", "lib", "lib64", 0};
  int given[2];
  hear(channel, given, 0);  // the maps are written
  prctl(PR_SET_DUMPABLE, 0);
  umask(0);
  TRY(setgroups(0, 0));
  TRY(setresgid(0, 0, 0));
  TRY(setresuid(0, 0, 0));
  change(AT_FDCWD, "/", 0, 1, 1, 0);

  int memory = tmpfs("755", "1073741824", NOSUID | NODEV);
  attach_over(memory, "/usr");
  for (int i = 0; i < tree_count; i++) attach_over(trees[i], "/usr");
  TRY(mkdirat(memory, "root", 0755));
  int root = tree(memory, "root", 0);
  attach_over(root, "/");
  for (int i = 0; folders[i]; i++)
    if (strcmp(folders[i], "opt")) TRY(mkdirat(root, folders[i], 0755));
  TRY(mkdirat(root, "proc", 0555));
  TRY(mkdirat(root, "sys", 0555));
  TRY(mkdirat(root, "tmp", 01777));
  TRY(mkdirat(root, "var/tmp", 01777));
  TRY(mkdirat(root, "run/lock", 01777));
  TRY(fchmodat(root, "root", 0700, 0));
  for (int i = 0; links[i]; i++) {
    char target[32] = "usr/";
    TRY(symlinkat(strcat(target, links[i]), root, links[i]));
  }
  layered(root, memory, 0, "usr", trees[0], "");
  layered(root, memory, 1, "opt", trees[1], "");
  layered(root, memory, 2, "etc", trees[2], hidden);
  if (tree_count > 3) {
    for (char *slash = strchr(cwd + 1, '/');; slash = strchr(slash + 1, '/')) {
      if (slash) *slash = 0;
      if (mkdirat(root, cwd + 1, 0755) && errno != EEXIST) TRY(-1);
      if (!slash) break;
      *slash = '/';
    }
    // Under an empty layer: nothing is writable, and a socket in the folder leads to nobody.
    TRY(mkdirat(memory, "none", 0755));
    int none = TRY(openat(memory, "none", O_PATH | O_DIRECTORY | O_CLOEXEC)), overlay = fs("overlay");
    set(overlay, "userxattr", 0);
    set_fd(overlay, "lowerdir+", trees[3]);
    set_fd(overlay, "lowerdir+", none);
    fs_at(root, cwd, mounted(overlay, RDONLY | NOSUID | NODEV));
    close(none);
  }
  close(memory);

  hear(channel, given, 2);
  int init = TRY(fcntl(given[0], F_DUPFD_CLOEXEC, 64));
  fs_at(root, "/proc", mounted(fs("proc"), NOSUID | NODEV | NOEXEC));
  fs_at(root, "/dev", given[1]);
  int pts = fs("devpts");
  set(pts, "ptmxmode", "0666");
  set(pts, "mode", "0620");
  set(pts, "gid", "5");
  fs_at(root, "/dev/pts", mounted(pts, NOSUID | NOEXEC));
  fs_at(root, "/dev/shm", tmpfs("1777", "65536k", NOSUID | NODEV | NOEXEC));
  fs_at(root, "/dev/mqueue", mounted(fs("mqueue"), NOSUID | NODEV | NOEXEC));
  fs_at(root, "/sys", mounted(fs("sysfs"), RDONLY | NOSUID | NODEV | NOEXEC));
  fs_at(root, "/tmp", tmpfs("1777", "1073741824", NOSUID | NODEV));

  protect_paths(root);
  TRY(fchdir(root));
  TRY(syscall(SYS_pivot_root, ".", "."));
  TRY(syscall(SYS_umount2, ".", 2 | UMOUNT_NOFOLLOW_));
  TRY(chdir("/"));
  TRY(unshare(CLONE_NEWCGROUP));
  int groups = TRY(in_root(root, "/sys/fs/cgroup"));
  if (hybrid) {
    int shelf = tmpfs("755", 0, NOSUID | NODEV | NOEXEC);
    attach(shelf, groups);
    for (int i = 0; i < 2; i++) {
      const char *controller = i ? "pids" : "memory";
      TRY(mkdirat(shelf, controller, 0755));
      int place = TRY(openat(shelf, controller, O_PATH | O_DIRECTORY | O_CLOEXEC));
      int group = fs("cgroup");
      set(group, controller, 0);
      set(group, "source", "cgroup");
      group = mounted(group, RDONLY | NOSUID | NODEV | NOEXEC);
      attach(group, place);
      close(group);
      close(place);
    }
    change(shelf, "", RDONLY, 0, 0, 0);
    close(shelf);
  } else {
    attach(mounted(fs("cgroup2"), RDONLY | NOSUID | NODEV | NOEXEC), groups);
  }
  close(groups);
  close(root);

  TRY(sethostname(name, strlen(name)));
  raise_loopback();
  umask(022);
  TRY(syscall(SYS_close_range, 4, ~0U, 4));

  struct rlimit files = {4096, 4096}, core = {0, 0}, size = {4L << 30, 4L << 30};
  TRY(setrlimit(RLIMIT_NOFILE, &files));
  TRY(setrlimit(RLIMIT_CORE, &core));
  TRY(setrlimit(RLIMIT_FSIZE, &size));
  drop_capabilities();
  TRY(prctl(PR_SET_PDEATHSIG, SIGKILL));
  TRY(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter));
  char *arguments[] = {"init", 0}, *environment[] = {0};
  TRY(syscall(SYS_execveat, init, "", arguments, environment, AT_EMPTY_PATH));
}

// ---- the whole

// The message of guest/init, as docs/guest-init.md lays it out.
static void tell_init(int socket, char **command) {
  static char *const environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "TERM=dumb", 0};
  static char text[65536];
  uint32_t *head = (uint32_t *)text, count = 0, reply[4];
  char *end = stpcpy(text + 32, cwd) + 1;
  for (; command[count]; count++) end = stpcpy(end, command[count]) + 1;
  for (int i = 0; environment[i]; i++) end = stpcpy(end, environment[i]) + 1;
  memcpy(head, (uint32_t[]){0x314d4d49, end - text - 32, 0, ~0U, 0, count, 4, 0}, 32);
  TRY(send(socket, text, end - text, MSG_NOSIGNAL));
  if (TRY(recv(socket, reply, 16, MSG_WAITALL)) != 16 || reply[1] != 1) _exit(1);
}

static void map_ids(int child) {
  char path[64], map[64];
  snprintf(map, sizeof map, "0 %u 65536\n", base);
  snprintf(path, sizeof path, "/proc/%d/uid_map", child);
  write_file(path, map);
  snprintf(path, sizeof path, "/proc/%d/gid_map", child);
  write_file(path, map);
}

int main(int argc, char **argv) {
  if (argc < 6) {
    fputs("usage: floor STATE INIT FILTER HIDDEN COMMAND…\n", stderr);
    return 2;
  }
  char path[640], ids[512], names[512], groups[2][256];
  // Above every range that /etc/subuid gives by default and below immure's own; one for each living pid is as good as a lease.
  base = 0x20000000 + (getpid() & 0x1fff) * 65536;
  snprintf(name, sizeof name, "floor%07d", getpid());
  snprintf(folder, sizeof folder, "%s/sandboxes/%s", argv[1], name);
  snprintf(names, sizeof names, "%s/names/%s", argv[1], name);
  snprintf(ids, sizeof ids, "%s/ids/%u", argv[1], base);
  TRY(readlink("/proc/self/cwd", cwd, sizeof cwd - 1));

  struct sock_filter instructions[4096];
  int file = TRY(open(argv[3], O_RDONLY | O_CLOEXEC));
  int size = TRY(read(file, instructions, sizeof instructions));
  close(file);
  struct sock_fprog filter = {size / sizeof *instructions, instructions};

  sigset_t signals;
  sigemptyset(&signals);
  for (int i = 0; i < 6; i++) sigaddset(&signals, (int[]){SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGWINCH}[i]);
  sigprocmask(SIG_BLOCK, &signals, 0);
  int signal_queue = TRY(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));

  TRY(mkdir(folder, 0700));
  TRY(symlink(folder, names));
  keep_record(2000, 1);
  TRY(symlink(folder, ids));

  int hybrid = access("/sys/fs/cgroup/memory", F_OK) == 0, tasks[2] = {-1, -1};
  for (int i = 0; i < 2; i++) {
    snprintf(groups[i], sizeof groups[i], "/sys/fs/cgroup/%simmure/%s", !hybrid ? "" : i ? "pids/" : "memory/", name);
    if (i == 0 || hybrid) TRY(mkdir(groups[i], 0755));
  }
  static const char *const limits[2][3][2] = {
      {{"memory.max", "2147483648"}, {"memory.swap.max", "0"}, {"pids.max", "512"}},
      {{"memory.limit_in_bytes", "2147483648"}, {"memory.memsw.limit_in_bytes", "2147483648"}, {"pids.max", "512"}}};
  for (int i = 0; i < 3; i++) {
    snprintf(path, sizeof path, "%s/%s", groups[hybrid && i == 2], limits[hybrid][i][0]);
    write_file(path, limits[hybrid][i][1]);
  }
  struct clone_args arguments = {.exit_signal = SIGCHLD};
  arguments.flags = CLONE_PIDFD | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
  if (hybrid) {
    for (int i = 0; i < 2; i++) {
      snprintf(path, sizeof path, "%s/tasks", groups[i]);
      tasks[i] = TRY(open(path, O_WRONLY | O_CLOEXEC));
    }
  } else {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = TRY(open(groups[0], O_PATH | O_DIRECTORY | O_CLOEXEC));
  }

  const char *const sources[] = {"/usr", "/opt", "/etc", cwd};
  int trees[4], tree_count = strcmp(cwd, "/") ? 4 : 3;
  for (int i = 0; i < tree_count; i++) {
    int source = TRY(open(sources[i], O_PATH | O_CLOEXEC));
    trees[i] = tree(source, "", i == 3);
    close(source);
  }
  int channel[2], talk[2], pidfd = -1;
  TRY(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel));
  TRY(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk));
  arguments.pidfd = (uintptr_t)&pidfd;
  int child = TRY(syscall(SYS_clone3, &arguments, sizeof arguments));
  if (child == 0) {
    for (int i = 0; i < 2; i++)
      if (hybrid) TRY(write(tasks[i], "0", 1));
    // Out of the way of 3, which is init's.
    int far = TRY(fcntl(talk[1], F_DUPFD_CLOEXEC, 64)), own = TRY(fcntl(channel[1], F_DUPFD_CLOEXEC, 64));
    int high[4];
    for (int i = 0; i < tree_count; i++) high[i] = TRY(fcntl(trees[i], F_DUPFD_CLOEXEC, 64));
    TRY(dup3(far, 3, 0));
    build(own, high, tree_count, argv[4], hybrid, &filter);
  }
  close(channel[1]);
  close(talk[1]);
  map_ids(child);
  snprintf(path, sizeof path, "/proc/%d/ns/user", child);
  int userns = TRY(open(path, O_RDONLY | O_CLOEXEC));
  for (int i = 0; i < tree_count; i++) {
    int mapped = i != 2;  // what only root may read in /etc stays so
    change(trees[i], "", RDONLY | NOSUID | NODEV | (mapped ? IDMAP : 0), 1, i == 3, mapped ? userns : 0);
    close(trees[i]);
  }
  close(userns);
  tell(channel[0], 0, 0);
  int made[2] = {sealed(argv[2]), make_devices()};
  tell(channel[0], made, 2);
  close(made[0]);
  close(made[1]);
  char byte;
  if (recv(channel[0], &byte, 1, 0) != 0) return 1;  // closes at exec

  keep_record(3500, 0);
  tell_init(talk[0], argv + 5);
  struct pollfd events[] = {{pidfd, POLLIN, 0}, {signal_queue, POLLIN, 0}};
  TRY(poll(events, 2, -1));
  int status;
  TRY(wait4(child, &status, 0, 0));
  uint32_t reply[4];
  while (recv(talk[0], reply, 16, MSG_DONTWAIT) == 16) {}
  snprintf(path, sizeof path, "%s/%s", groups[0], hybrid ? "memory.oom_control" : "memory.events");
  char counters[512];
  file = TRY(open(path, O_RDONLY | O_CLOEXEC));
  TRY(read(file, counters, sizeof counters));
  close(file);
  for (int i = 0; i <= hybrid; i++) TRY(rmdir(groups[i]));
  TRY(unlink(ids));
  keep_record(3500, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
