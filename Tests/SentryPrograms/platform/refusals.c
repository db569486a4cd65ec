// What the sentry's table says that it refuses, for the sentry alone. With numbers: a line for each, with the error that its call gave. Without: flags and
// options that the table names beside a call, each with its error.
#include "../check.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum { READ_WRITE_ATOMIC = 0x40, NEW_CGROUP = 0x02000000, NEW_TIME = 0x80, RESOLVE_FROM_CACHE = 0x20 };

static int file;

static void processes(void) {
  gives("clone, a mount namespace", CALL(SYS_clone, CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0), -EPERM);
  gives("clone, a user namespace", CALL(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0), -EPERM);
  int number;
  gives("clone, CLONE_PIDFD", CALL(SYS_clone, 0x1000 | SIGCHLD, 0, &number, 0, 0), -EINVAL);
  uint64_t arguments[11] = {0};
  arguments[4] = SIGCHLD;
  int id = 1;
  arguments[8] = (uintptr_t)&id;
  arguments[9] = 1;
  gives("clone3, set_tid", CALL(SYS_clone3, arguments, 88), -EPERM);
  arguments[8] = arguments[9] = 0;
  arguments[0] = 0x200000000;
  gives("clone3, CLONE_INTO_CGROUP", CALL(SYS_clone3, arguments, 88), -EINVAL);
  gives("execveat, AT_EXECVE_CHECK", CALL(SYS_execveat, AT_FDCWD, "/bin/program", 0, 0, 0x10000), -EINVAL);
  gives("unshare, CLONE_NEWUSER", CALL(SYS_unshare, CLONE_NEWUSER), -EPERM);
  gives("unshare, CLONE_NEWPID", CALL(SYS_unshare, CLONE_NEWPID), -EINVAL);
  gives("unshare, CLONE_NEWNET", CALL(SYS_unshare, CLONE_NEWNET), -EINVAL);
  gives("unshare, CLONE_NEWTIME", CALL(SYS_unshare, NEW_TIME), -EINVAL);
  gives("unshare, CLONE_NEWCGROUP", CALL(SYS_unshare, NEW_CGROUP), 0);
  gives("pidfd_open, PIDFD_THREAD", CALL(SYS_pidfd_open, getpid(), O_EXCL), -EINVAL);
  int own = CALL(SYS_pidfd_open, getpid(), 0);
  gives("pidfd_send_signal, PIDFD_SIGNAL_THREAD", CALL(SYS_pidfd_send_signal, own, 0, 0, 1), -EINVAL);
  gives("ioprio_set, IOPRIO_WHO_PGRP", CALL(SYS_ioprio_set, 2, 0, 0), -EINVAL);
  int priority = 1;
  gives("sched_setscheduler, SCHED_FIFO", CALL(SYS_sched_setscheduler, 0, SCHED_FIFO, &priority), -EPERM);
  gives("sched_setscheduler, SCHED_RR", CALL(SYS_sched_setscheduler, 0, SCHED_RR, &priority), -EPERM);
  int options[] = {26, 35, 53, 59, 62, 65, 0x53564d41};
  const char *names[] = {"PR_SET_TSC", "PR_SET_MM", "PR_SET_SPECULATION_CTRL", "PR_SET_SYSCALL_USER_DISPATCH", "PR_SCHED_CORE", "PR_SET_MDWE", "PR_SET_VMA"};
  for (int i = 0; i < 7; i++) gives(names[i], CALL(SYS_prctl, options[i], 1, 0, 0, 0), -EINVAL);
}

static void files(void) {
  struct {
    uint64_t flags, mode, resolve;
  } how = {O_RDONLY, 0, RESOLVE_FROM_CACHE};
  gives("openat2, RESOLVE_CACHED", CALL(SYS_openat2, AT_FDCWD, "/tmp", &how, sizeof how), -EAGAIN);
  gives("renameat2, RENAME_WHITEOUT", CALL(SYS_renameat2, AT_FDCWD, "/tmp/file", AT_FDCWD, "/tmp/other", 4), -EINVAL);
  struct iovec part = {&file, sizeof file};
  gives("preadv2, RWF_ATOMIC", CALL(SYS_preadv2, file, &part, 1, 0, 0, READ_WRITE_ATOMIC), -EOPNOTSUPP);
  gives("preadv2, RWF_DONTCACHE", CALL(SYS_preadv2, file, &part, 1, 0, 0, 0x80), -EOPNOTSUPP);
  gives("pwritev2, RWF_NOAPPEND", CALL(SYS_pwritev2, file, &part, 1, 0, 0, 0x20), -EOPNOTSUPP);
  gives("pwritev2, RWF_ATOMIC", CALL(SYS_pwritev2, file, &part, 1, 0, 0, READ_WRITE_ATOMIC), -EOPNOTSUPP);
  gives("pwritev2, RWF_DONTCACHE", CALL(SYS_pwritev2, file, &part, 1, 0, 0, 0x80), -EOPNOTSUPP);
  gives("fallocate, FALLOC_FL_COLLAPSE_RANGE", CALL(SYS_fallocate, file, 8, 0, 4096), -EOPNOTSUPP);
  gives("fallocate, FALLOC_FL_ZERO_RANGE", CALL(SYS_fallocate, file, 0x10, 0, 4096), -EOPNOTSUPP);
  gives("fallocate, FALLOC_FL_INSERT_RANGE", CALL(SYS_fallocate, file, 0x20, 0, 4096), -EOPNOTSUPP);
  gives("fcntl, F_SETLEASE", CALL(SYS_fcntl, file, 1024, F_RDLCK), -EINVAL);
  gives("fcntl, F_GET_RW_HINT", CALL(SYS_fcntl, file, 1035, &part), -EINVAL);
  int folder = open("/tmp", O_RDONLY | O_DIRECTORY);
  gives("fcntl, F_NOTIFY", CALL(SYS_fcntl, folder, 1026, 2), -EINVAL);
  gives("ioctl, FS_IOC_GETFLAGS", CALL(SYS_ioctl, file, 0x80086601, &part), -ENOTTY);
  gives("setxattr, an access list", CALL(SYS_setxattr, "/tmp/file", "system.posix_acl_access", "x", 1, 0), -EOPNOTSUPP);
  gives("getxattr, an access list", CALL(SYS_getxattr, "/tmp/file", "system.posix_acl_access", 0, 0), -EOPNOTSUPP);
  gives("memfd_create, MFD_HUGETLB", CALL(SYS_memfd_create, "x", 4), -EINVAL);
  int ends[2];
  gives("pipe2, O_NOTIFICATION_PIPE", CALL(SYS_pipe2, ends, O_EXCL), -EINVAL);
  gives("pipe2", CALL(SYS_pipe2, ends, 0), 0);
  gives("sendfile from a pipe", CALL(SYS_sendfile, file, ends[0], 0, 1), -EINVAL);
  gives("sendfile from standard input", CALL(SYS_sendfile, file, 0, 0, 1), -EINVAL);
  gives("umount2, MNT_EXPIRE", CALL(SYS_umount2, "/tmp", 4), -EINVAL);
  gives("mount of a file system of the host's", CALL(SYS_mount, "none", "/tmp", "ext4", 0, 0), -ENODEV);
  gives("mknod", CALL(SYS_mknod, "/dev/disk", S_IFBLK | 0600, 8 << 8), 0);
  gives("the device is none of the sentry's", CALL(SYS_open, "/dev/disk", O_RDONLY), -ENXIO);
}

static void talk(void) {
  gives("a vsock socket", CALL(SYS_socket, 40, SOCK_STREAM, 0), -EAFNOSUPPORT);
  gives("a packet socket", CALL(SYS_socket, 17, SOCK_RAW, 0), -EAFNOSUPPORT);
  gives("a raw socket", CALL(SYS_socket, AF_INET, SOCK_RAW, 1), -EPERM);
  int stream = CALL(SYS_socket, AF_INET, SOCK_STREAM, 0), one = 1;
  gives("setsockopt, SO_MARK", CALL(SYS_setsockopt, stream, SOL_SOCKET, 36, &one, 4), -ENOPROTOOPT);
  gives("setsockopt, SO_ATTACH_FILTER", CALL(SYS_setsockopt, stream, SOL_SOCKET, 26, &one, 4), -ENOPROTOOPT);
  int pair[2];
  gives("socketpair", CALL(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair), 0);
  gives("setsockopt, unix, SO_PASSPIDFD", CALL(SYS_setsockopt, pair[0], SOL_SOCKET, 76, &one, 4), -ENOPROTOOPT);
  int ends[2];
  gives("pipe2", CALL(SYS_pipe2, ends, 0), 0);
  gives("splice from a socket", CALL(SYS_splice, pair[0], 0, ends[1], 0, 1, 0), -EINVAL);
  gives("shmget, SHM_HUGETLB", CALL(SYS_shmget, IPC_PRIVATE, 4096, IPC_CREAT | 04000 | 0600), -ENOMEM);
  int queue = CALL(SYS_msgget, IPC_PRIVATE, 0600);
  gives("msgrcv, MSG_COPY", CALL(SYS_msgrcv, queue, &(long[4]){0}, 8, 0, 040000 | IPC_NOWAIT), -ENOSYS);
  int named = CALL(SYS_mq_open, "refusals", O_RDWR | O_CREAT, 0600, 0);
  struct sigevent event = {.sigev_notify = SIGEV_THREAD};
  gives("mq_notify, SIGEV_THREAD", CALL(SYS_mq_notify, named, &event), -EINVAL);
  struct timespec time = {0};
  gives("clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID", CALL(SYS_clock_nanosleep, 2, 0, &time, 0), -EOPNOTSUPP);
}

static void filters(void) {
  gives("prctl, no_new_privs", CALL(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  gives("seccomp, SECCOMP_GET_NOTIF_SIZES", CALL(SYS_seccomp, 3, 0, &file), -EINVAL);
  struct {
    uint16_t code;
    uint8_t yes, no;
    uint32_t word;
  } allow = {6, 0, 0, 0x7fff0000};
  struct {
    uint16_t count;
    void *program;
  } program = {1, &allow};
  gives("seccomp, SECCOMP_FILTER_FLAG_NEW_LISTENER", CALL(SYS_seccomp, 1, 8, &program), -EBUSY);
}

int main(int count, char **words) {
  // A descriptor of its own: setns(2) looks whether there is one before it refuses.
  file = CALL(SYS_open, "/tmp/file", O_RDWR | O_CREAT, 0600);
  check("a file", file >= 0);
  for (int i = 1; i < count; i++) {
    long number = atol(words[i]);
    long result = CALL(number, file, 0, 0, 0, 0, 0);
    printf("%ld %ld\n", number, result);
    fflush(stdout);
  }
  if (count > 1) return finish();
  processes();
  files();
  talk();
  filters();
  return finish();
}
