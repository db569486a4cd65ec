// What the sentry is held against: the least that can stand between a program and its calls.
//
//   supervisor sysemu PROGRAM [ARGUMENT…]   every call stops the program (ptrace(2), PTRACE_SYSEMU: the old way). Those on files are
//                                           answered from here as a sentry would; the others are let through. Of one process with one thread.
//   supervisor notify PROGRAM [ARGUMENT…]   seccomp's notification for getppid(2) alone, answered with a number: what a notification costs
//                                           before anything is done in it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1UL
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV 32UL
#endif
#ifndef PTRACE_SYSEMU
#define PTRACE_SYSEMU 31
#endif

static void fail(const char *what) {
  perror(what);
  exit(2);
}
static void check(long result, const char *what) {
  if (result < 0) fail(what);
}

// ---- ptrace

static char buffer[64 << 10];

static long copy(int call, pid_t process, unsigned long far, void *near, size_t count) {
  struct iovec local = {near, count}, remote = {(void *)far, count};
  long result = syscall(call, process, &local, 1, &remote, 1, 0);
  return result < 0 ? -errno : result;
}
static long give(pid_t process, unsigned long far, void *near, size_t count) {
  return copy(SYS_process_vm_writev, process, far, near, count) == (long)count ? 0 : -EFAULT;
}
// A path lies within two pages.
static long text(pid_t process, unsigned long far) {
  size_t most = 4096 - (far & 4095);
  long got = copy(SYS_process_vm_readv, process, far, buffer, most);
  if (got < 0 || memchr(buffer, 0, got)) return got < 0 ? got : 0;
  return copy(SYS_process_vm_readv, process, far + got, buffer + got, 4096 - got) < 0 ? -EFAULT : 0;
}
static long error(long result) { return result < 0 ? -errno : result; }

// The program's files are the supervisor's own. 1 where the call is answered, with its result.
static int serve(pid_t process, const struct user_regs_struct *r, long *result) {
  struct stat s;
  size_t count = r->rdx < sizeof buffer ? r->rdx : sizeof buffer;
  switch (r->orig_rax) {
    case SYS_getpid: *result = process; return 1;
    case SYS_getppid: *result = getpid(); return 1;
    case SYS_stat:
    case SYS_newfstatat: {
      int at = r->orig_rax == SYS_newfstatat;
      if ((*result = text(process, at ? r->rsi : r->rdi)) < 0) return 1;
      *result = at ? error(fstatat(r->rdi, buffer, &s, r->r10)) : error(stat(buffer, &s));
      if (*result == 0) *result = give(process, at ? r->rdx : r->rsi, &s, sizeof s);
      return 1;
    }
    case SYS_fstat:
      *result = error(fstat(r->rdi, &s));
      if (*result == 0) *result = give(process, r->rsi, &s, sizeof s);
      return 1;
    case SYS_lseek: *result = error(lseek(r->rdi, r->rsi, r->rdx)); return 1;
    case SYS_read:
    case SYS_pread64:
      *result = error(r->orig_rax == SYS_read ? read(r->rdi, buffer, count) : pread(r->rdi, buffer, count, r->r10));
      if (*result > 0 && give(process, r->rsi, buffer, *result)) *result = -EFAULT;
      return 1;
    case SYS_write:
    case SYS_pwrite64:
      if ((*result = copy(SYS_process_vm_readv, process, r->rsi, buffer, count)) < 0) return 1;
      *result = error(r->orig_rax == SYS_write ? write(r->rdi, buffer, *result) : pwrite(r->rdi, buffer, *result, r->r10));
      return 1;
    case SYS_open:
    case SYS_openat: {
      int at = r->orig_rax == SYS_openat;
      if ((*result = text(process, at ? r->rsi : r->rdi)) < 0) return 1;
      *result = at ? error(openat(r->rdi, buffer, r->rdx, r->r10)) : error(open(buffer, r->rsi, r->rdx));
      return 1;
    }
    case SYS_close: *result = error(close(r->rdi)); return 1;
  }
  return 0;
}

static int emulate(char **program) {
  pid_t child = fork();
  check(child, "fork");
  if (child == 0) {
    check(ptrace(PTRACE_TRACEME, 0, 0, 0), "ptrace");
    raise(SIGSTOP);
    execvp(*program, program);
    _exit(127);
  }
  int status;
  check(waitpid(child, &status, 0), "waitpid");
  check(ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL), "ptrace");
  check(ptrace(PTRACE_CONT, child, 0, 0), "ptrace");
  int passing = 0;
  for (;;) {
    check(waitpid(child, &status, __WALL), "waitpid");
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
    int signal = WSTOPSIG(status), request = PTRACE_SYSEMU;
    if (status >> 16) signal = 0;  // It executed the program: from here on calls are emulated.
    if (signal == (SIGTRAP | 0x80) && passing) {
      passing = signal = 0;
    } else if (signal == (SIGTRAP | 0x80)) {
      struct user_regs_struct r;
      signal = 0;
      check(ptrace(PTRACE_GETREGS, child, 0, &r), "ptrace");
      long result;
      if (serve(child, &r, &result)) {
        r.rax = result;
        check(ptrace(PTRACE_SETREGS, child, 0, &r), "ptrace");
      } else {
        // Again, and this time the kernel's: back to the instruction, and stops at its entry and its end.
        r.rax = r.orig_rax, r.rip -= 2;
        check(ptrace(PTRACE_SETREGS, child, 0, &r), "ptrace");
        check(ptrace(PTRACE_SYSCALL, child, 0, 0), "ptrace");
        check(waitpid(child, &status, __WALL), "waitpid");
        passing = 1, request = PTRACE_SYSCALL;
      }
    }
    check(ptrace(request, child, 0, signal), "ptrace");
  }
}

// ---- notification

static int install(void) {
  struct sock_filter code[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog all = {sizeof code / sizeof *code, code};
  check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
  int listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                         SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &all);
  check(listener, "seccomp");
  return listener;
}

// The program is the child, whose descriptors are shared until it executes, so that the listener is had without sending it.
static void ended(int signal) { (void)signal; }
static int listen_to(char **program) {
  // Its end interrupts the wait for a call.
  struct sigaction action = {.sa_handler = ended};
  check(sigaction(SIGCHLD, &action, 0), "sigaction");
  int ready[2];
  check(pipe(ready), "pipe");
  pid_t child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
  check(child, "clone");
  if (child == 0) {
    int listener = install();
    check(fcntl(listener, F_SETFD, FD_CLOEXEC), "fcntl");
    if (write(ready[1], &listener, sizeof listener) != sizeof listener) _exit(2);
    execvp(*program, program);
    _exit(127);
  }
  int listener;
  if (read(ready[0], &listener, sizeof listener) != sizeof listener) fail("read");
  check(ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP), "SYNC_WAKE_UP");
  for (;;) {
    struct seccomp_notif call;
    memset(&call, 0, sizeof call);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call)) {
      int status;
      if (waitpid(child, &status, WNOHANG) == child) return WEXITSTATUS(status);
      if (errno != ENOENT && errno != EINTR) return 2;
      continue;
    }
    struct seccomp_notif_resp answer = {.id = call.id, .val = getpid()};
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
}

int main(int count, char **arguments) {
  if (count > 2 && !strcmp(arguments[1], "sysemu")) return emulate(arguments + 2);
  if (count > 2 && !strcmp(arguments[1], "notify")) return listen_to(arguments + 2);
  fprintf(stderr, "usage: supervisor sysemu|notify PROGRAM [ARGUMENT…]\n");
  return 2;
}
