// The kernel's interface as Swift sees it: headers, raw system calls, and constants that do not import.
#ifndef CLINUX_H
#define CLINUX_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>

// A raw system call: the result, or -errno (no errno variable, so no race and no thread-local access).
static inline long immure_syscall(long number, unsigned long a, unsigned long b, unsigned long c,
                                  unsigned long d, unsigned long e, unsigned long f) {
#if defined(__x86_64__)
  long result;
  register unsigned long r10 __asm__("r10") = d;
  register unsigned long r8 __asm__("r8") = e;
  register unsigned long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = number;
  register unsigned long x0 __asm__("x0") = a;
  register unsigned long x1 __asm__("x1") = b;
  register unsigned long x2 __asm__("x2") = c;
  register unsigned long x3 __asm__("x3") = d;
  register unsigned long x4 __asm__("x4") = e;
  register unsigned long x5 __asm__("x5") = f;
  __asm__ volatile("svc #0"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                   : "memory");
  return (long)x0;
#else
#error "immure runs on x86-64 and arm64"
#endif
}

// One more, of a number that several threads count.
static inline void immure_count(uint64_t *number) { __atomic_fetch_add(number, 1, __ATOMIC_RELAXED); }

// arguments and environment as the kernel handed them over: Swift's own are empty where /proc is not mounted.
int immure_argc(void);
char *const *immure_argv(void);
char *const *immure_environ(void);

// Gives back the pages of the executable's code and constants: what is needed again comes from the page cache.
void immure_release_image(void);

// Takes SIGALRM: from here on a timer's tick ends `immure_ticked_ioctl` with -EINTR, before its wait too, and no other call. 0 or an errno.
int immure_hear_ticks(void);
long immure_ticked_ioctl(long descriptor, unsigned long request, void *argument);
int immure_has_ticked(void);
int immure_take_tick(void);
// Whether somebody sent SIGALRM.
int immure_take_alarm(void);

// Numbers newer than glibc 2.36's headers, or function-like and so not imported (asm-generic/unistd.h).
enum {
  IMMURE_SYS_mount_setattr = 442,
  IMMURE_SYS_open_tree = 428,
  IMMURE_SYS_move_mount = 429,
  IMMURE_SYS_fsopen = 430,
  IMMURE_SYS_fsconfig = 431,
  IMMURE_SYS_fsmount = 432,
  IMMURE_SYS_fspick = 433,
  IMMURE_SYS_pidfd_open = 434,
  IMMURE_SYS_clone3 = 435,
  IMMURE_SYS_close_range = 436,
  IMMURE_SYS_openat2 = 437,
  IMMURE_SYS_pidfd_getfd = 438,
  IMMURE_SYS_landlock_create_ruleset = 444,
  IMMURE_SYS_landlock_add_rule = 445,
  IMMURE_SYS_landlock_restrict_self = 446,
};

static const uint64_t IMMURE_CLONE_NEWTIME = 0x00000080;
static const uint64_t IMMURE_CLONE_PIDFD = 0x00001000;
static const uint64_t IMMURE_CLONE_CLEAR_SIGHAND = 0x100000000ULL;
static const uint64_t IMMURE_CLONE_INTO_CGROUP = 0x200000000ULL;

// clone3(2): a struct of our own, as glibc's headers do not declare it alike everywhere.
struct immure_clone_args {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
      set_tid_size, cgroup;
};

// ioctl numbers are function-like macros.
static const unsigned long IMMURE_TIOCSCTTY = TIOCSCTTY;
static const unsigned long IMMURE_TIOCGWINSZ = TIOCGWINSZ;
static const unsigned long IMMURE_TIOCSWINSZ = TIOCSWINSZ;
static const unsigned long IMMURE_TIOCGPTN = TIOCGPTN;
static const unsigned long IMMURE_TIOCSPTLCK = TIOCSPTLCK;
static const unsigned long IMMURE_TIOCGPTPEER = 0x5441;
static const unsigned long IMMURE_TIOCNOTTY = TIOCNOTTY;
static const unsigned long IMMURE_FICLONE = 0x40049409;
static const unsigned long IMMURE_NS_GET_USERNS = 0xb701;

static inline uint64_t immure_makedev(unsigned major_number, unsigned minor_number) {
  return makedev(major_number, minor_number);
}
static inline unsigned immure_major(uint64_t device) { return major(device); }
static inline unsigned immure_minor(uint64_t device) { return minor(device); }

__attribute__((noreturn)) static inline void immure_trap(void) { __builtin_trap(); }

static inline int immure_wifexited(int s) { return WIFEXITED(s); }
static inline int immure_wexitstatus(int s) { return WEXITSTATUS(s); }
static inline int immure_wifsignaled(int s) { return WIFSIGNALED(s); }
static inline int immure_wtermsig(int s) { return WTERMSIG(s); }
static inline int immure_wifstopped(int s) { return WIFSTOPPED(s); }
static inline int immure_wstopsig(int s) { return WSTOPSIG(s); }

#endif
