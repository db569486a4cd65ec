// What the floors share: the kernel's calls for mounts, records and control groups, each of which ends the program where it fails.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/mount.h>
#include <sched.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRY(call) \
  ({ \
    long result_ = (call); \
    if (result_ < 0) { \
      fprintf(stderr, "floor: line %d: %s: %s\n", __LINE__, #call, strerror(errno)); \
      _exit(1); \
    } \
    result_; \
  })

enum { SEALED_EXEC = 0x10, RDONLY = 1, NOSUID = 2, NODEV = 4, NOEXEC = 8, STRICTATIME = 0x20, IDMAP = 0x100000, UMOUNT_NOFOLLOW_ = 8 };
static const uint64_t kept_capabilities = 0xa80425fb;
static const char *record = "{\"record\":\"as long as immure's\"}";
static char folder[256];

static int fs(const char *type) { return TRY(syscall(SYS_fsopen, type, 1)); }
static void set(int context, const char *key, const char *value) {
  TRY(syscall(SYS_fsconfig, context, value ? 1 : 0, key, value, 0));
}
static int mounted(int context, unsigned attributes) {
  TRY(syscall(SYS_fsconfig, context, 6, 0, 0, 0));
  int mount = TRY(syscall(SYS_fsmount, context, 1, attributes));
  close(context);
  return mount;
}
static void attach(int mount, int place) { TRY(syscall(SYS_move_mount, mount, "", place, "", 0x44)); }
static void attach_over(int mount, const char *path) { TRY(syscall(SYS_move_mount, mount, "", AT_FDCWD, path, 4)); }
static int tree(int at, const char *path, int recursive) {
  return TRY(syscall(SYS_open_tree, at, path, 1 | O_CLOEXEC | AT_SYMLINK_NOFOLLOW | (*path ? 0 : AT_EMPTY_PATH) | (recursive ? 0x8000 : 0)));
}
static void change(int mount, const char *path, uint64_t attributes, int private, int recursive, int userns) {
  struct mount_attr attr = {.attr_set = attributes, .propagation = private ? 1 << 18 : 0, .userns_fd = userns};
  TRY(syscall(SYS_mount_setattr, mount, path, (*path ? 0 : AT_EMPTY_PATH) | (recursive ? 0x8000 : 0), &attr, sizeof attr));
}
static int in_root(int root, const char *path) {
  struct { uint64_t flags, mode, resolve; } how = {O_PATH | O_CLOEXEC, 0, 0x10 | 0x02};
  return syscall(SYS_openat2, root, path, &how, sizeof how);
}
static void write_file(const char *path, const char *text) {
  int fd = TRY(open(path, O_WRONLY | O_CLOEXEC));
  TRY(write(fd, text, strlen(text)));
  close(fd);
}
static void fs_at(int root, const char *path, int mount) {
  int place = TRY(in_root(root, path));
  attach(mount, place);
  close(place);
  close(mount);
}
static int tmpfs(const char *mode, const char *size, unsigned attributes) {
  int memory = fs("tmpfs");
  if (mode) set(memory, "mode", mode);
  if (size) set(memory, "size", size);
  return mounted(memory, attributes);
}

static void keep_record(int size, int first) {
  static char text[8192];
  memset(text, ' ', size);
  memcpy(text, record, strlen(record));
  int at = TRY(open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  int file = TRY(openat(at, ".record", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  TRY(write(file, text, size));
  close(file);
  if (syscall(SYS_renameat2, at, ".record", at, "record.json", first ? 0 : 2)) TRY(-1);  // RENAME_EXCHANGE
  if (!first) TRY(unlinkat(at, ".record", 0));
  close(at);
}

// Everything that a mount hides or holds still, in a root that is not entered yet.
static void protect_paths(int root) {
  static const char *const masked[] = {"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
      "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap", 0};
  static const char *const fixed[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", 0};
  int null = TRY(in_root(root, "/dev/null")), empty = fs("tmpfs"), first = 1;
  set(empty, "nr_inodes", "2");
  empty = mounted(empty, RDONLY | NOSUID | NODEV | NOEXEC);
  for (int i = 0; masked[i]; i++) {
    struct stat status;
    int place = in_root(root, masked[i]);
    if (place < 0) continue;
    TRY(fstat(place, &status));
    int is_folder = S_ISDIR(status.st_mode);
    int over = is_folder && first ? empty : tree(is_folder ? empty : null, "", 0);
    attach(over, place);
    if (over == empty) first = 0;
    else close(over);
    close(place);
  }
  close(null);
  close(empty);
  for (int i = 0; fixed[i]; i++) {
    int place = in_root(root, fixed[i]);
    if (place < 0) continue;
    int same = tree(place, "", 1);
    change(same, "", RDONLY, 1, 1, 0);
    attach(same, place);
    close(same);
    close(place);
  }
}

static void drop_capabilities(void) {
  TRY(syscall(SYS_keyctl, 1, 0));
  for (int capability = 0; capability <= 40; capability++)
    if (!(kept_capabilities >> capability & 1)) TRY(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0));
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[2] = {{kept_capabilities, kept_capabilities, 0}, {0, 0, 0}};
  TRY(syscall(SYS_capset, &header, sets));
  TRY(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
  TRY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void raise_loopback(void) {
  int inet = TRY(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  TRY(ioctl(inet, SIOCSIFFLAGS, &loopback));
  close(inet);
}
