// A program's own filters (seccomp(2)): what they answer, who inherits them, what is refused. Each case is a child of its own.
#include "../check.h"
#include "../children.h"
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ucontext.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define END(value) BPF_STMT(BPF_RET | BPF_K, value)
#define WHERE(number, value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), END(value)
#define PROGRAM(...) struct sock_filter lines[] = {__VA_ARGS__}; struct sock_fprog program = {sizeof lines / sizeof *lines, lines}

static long install(struct sock_fprog *program, int flags) { return CALL(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program); }
static int alone(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }

// A served call, one of the host's kernel's own, one with an argument, and one that nobody has.
static int errors(void) {
  PROGRAM(LOAD(nr), WHERE(SYS_getppid, SECCOMP_RET_ERRNO | 77), WHERE(SYS_sched_yield, SECCOMP_RET_ERRNO | 78),
    WHERE(SYS_getpid, SECCOMP_RET_ERRNO | 0), WHERE(5000, SECCOMP_RET_ERRNO | 79),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_umask, 0, 3), LOAD(args[0]),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0123, 0, 1), END(SECCOMP_RET_ERRNO | 80), END(SECCOMP_RET_ALLOW));
  alone();
  if (install(&program, 0)) return 1;
  if (CALL(SYS_getppid) != -77) return 2;
  if (CALL(SYS_sched_yield) != -78) return 3;
  if (CALL(SYS_getpid) != 0) return 4;
  if (CALL(5000) != -79 || CALL(5001) != -ENOSYS) return 5;
  if (CALL(SYS_umask, 0123) != -80 || CALL(SYS_umask, 022) < 0) return 6;
  if (program.len != sizeof lines / sizeof *lines || program.filter != lines) return 7;
  return prctl(PR_GET_SECCOMP) == 2 ? 0 : 8;
}

// Scratch memory, the index register and arithmetic.
static int arithmetic(void) {
  PROGRAM(BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 7), BPF_STMT(BPF_ST, 3), LOAD(nr), BPF_STMT(BPF_MISC | BPF_TAX, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0), END(SECCOMP_RET_ALLOW), BPF_STMT(BPF_LD | BPF_MEM, 3),
    BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO), BPF_STMT(BPF_RET | BPF_A, 0));
  alone();
  if (install(&program, 0)) return 1;
  return CALL(SYS_getppid) == -7 ? 0 : 2;
}

static const struct sock_filter constant[] = {LOAD(nr), WHERE(SYS_getppid, SECCOMP_RET_ERRNO | 5), END(SECCOMP_RET_ALLOW)};
static const struct sock_fprog constantProgram = {4, (struct sock_filter *)constant};
static int constants(void) {
  alone();
  if (CALL(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &constantProgram, 0, 0)) return 1;
  if (CALL(SYS_getppid) != -5) return 2;
  return constantProgram.len == 4 && constantProgram.filter == constant ? 0 : 3;
}

static volatile int trapped;
static siginfo_t seen;
static void onTrap(int signal, siginfo_t *info, void *context) {
  ucontext_t *c = context;
  trapped = signal;
  seen = *info;
  c->uc_mcontext.gregs[REG_RAX] = 4242;
}
static int traps(void) {
  struct sigaction a = {.sa_sigaction = onTrap, .sa_flags = SA_SIGINFO};
  sigaction(SIGSYS, &a, 0);
  PROGRAM(LOAD(nr), WHERE(SYS_getppid, SECCOMP_RET_TRAP | 33), WHERE(SYS_sched_yield, SECCOMP_RET_TRAP),
    END(SECCOMP_RET_ALLOW));
  alone();
  if (install(&program, 0)) return 1;
  if (syscall(SYS_getppid) != 4242 || trapped != SIGSYS) return 2;
  if (seen.si_code != 1 || seen.si_syscall != SYS_getppid || seen.si_arch != AUDIT_ARCH_X86_64) return 3;
  if (seen.si_errno != 33 || seen.si_call_addr == 0) return 4;
  return syscall(SYS_sched_yield) == 4242 && seen.si_syscall == SYS_sched_yield ? 0 : 5;
}

static int untrapped(void) {
  PROGRAM(LOAD(nr), WHERE(SYS_getppid, SECCOMP_RET_TRAP), END(SECCOMP_RET_ALLOW));
  alone();
  install(&program, 0);
  syscall(SYS_getppid);
  return 1;
}
static int kills(void) {
  PROGRAM(LOAD(nr), WHERE(SYS_getppid, SECCOMP_RET_KILL_PROCESS), END(SECCOMP_RET_ALLOW));
  alone();
  install(&program, 0);
  syscall(SYS_getppid);
  return 1;
}

static volatile int asking;
static void *ask(void *result) {
  *(long *)result = CALL(SYS_getppid);
  asking = syscall(SYS_gettid);
  syscall(SYS_sched_yield);
  return result;
}
static int killsThread(void) {
  PROGRAM(LOAD(nr), WHERE(SYS_sched_yield, SECCOMP_RET_KILL_THREAD), END(SECCOMP_RET_ALLOW));
  alone();
  install(&program, 0);
  pthread_t t;
  long result = 0;
  if (pthread_create(&t, 0, ask, &result)) return 1;
  while (!asking || CALL(SYS_tgkill, getpid(), asking, 0) == 0) usleep(1000);
  return result > 0 ? 0 : 2;
}

static int logs(void) {
  PROGRAM(LOAD(nr), WHERE(SYS_getppid, SECCOMP_RET_LOG), WHERE(SYS_umask, SECCOMP_RET_TRACE), END(SECCOMP_RET_ALLOW));
  alone();
  install(&program, 0);
  if (CALL(SYS_umask, 0) != -ENOSYS) return 1;
  return CALL(SYS_getppid) > 0 ? 0 : 2;
}

// What is not named is refused, as container engines and systemd have it; programs must start and end under it.
static int allowed(const int *numbers, int count, int otherwise) {
  struct sock_filter lines[200];
  int n = 0;
  lines[n++] = (struct sock_filter)LOAD(arch);
  lines[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
  lines[n++] = (struct sock_filter)END(SECCOMP_RET_KILL_PROCESS);
  lines[n++] = (struct sock_filter)LOAD(nr);
  for (int i = 0; i < count; i++) {
    lines[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, numbers[i], 0, 1);
    lines[n++] = (struct sock_filter)END(SECCOMP_RET_ALLOW);
  }
  lines[n++] = (struct sock_filter)END(otherwise);
  struct sock_fprog program = {n, lines};
  alone();
  return install(&program, 0);
}
static int executes(void) {
  static const int numbers[] = {SYS_execve, SYS_exit_group, SYS_exit, SYS_arch_prctl, SYS_set_tid_address, SYS_write, SYS_writev,
    SYS_brk, SYS_mmap, SYS_mprotect, SYS_rt_sigprocmask, SYS_ioctl, SYS_fork, SYS_clone, SYS_wait4, SYS_gettid, SYS_getpid};
  if (allowed(numbers, sizeof numbers / sizeof *numbers, SECCOMP_RET_ERRNO | EPERM)) return 1;
  pid_t pid = fork();
  if (pid == 0) {
    execl("/proc/self/exe", "program", "child", (char *)0);
    _exit(99);
  }
  int status;
  if (waitpid(pid, &status, 0) != pid) return 2;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}
static int executesDeadly(void) {
  static const int numbers[] = {SYS_execve, SYS_exit_group, SYS_arch_prctl, SYS_set_tid_address, SYS_getppid};
  if (allowed(numbers, sizeof numbers / sizeof *numbers, SECCOMP_RET_KILL_PROCESS)) return 1;
  execl("/proc/self/exe", "program", "deadly", (char *)0);
  return 99;
}

static int ready;
static void *waits(void *result) {
  __atomic_store_n(&ready, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) != 2) usleep(1000);
  *(long *)result = CALL(SYS_getppid);
  return result;
}
static int synchronizes(void) {
  PROGRAM(LOAD(nr), WHERE(SYS_getppid, SECCOMP_RET_ERRNO | 66), END(SECCOMP_RET_ALLOW));
  pthread_t t;
  long result = 0;
  pthread_create(&t, 0, waits, &result);
  while (!__atomic_load_n(&ready, __ATOMIC_SEQ_CST)) usleep(1000);
  alone();
  if (install(&program, SECCOMP_FILTER_FLAG_TSYNC)) return 1;
  __atomic_store_n(&ready, 2, __ATOMIC_SEQ_CST);
  pthread_join(t, 0);
  return result == -66 ? 0 : 2;
}

static int twice(void) {
  alone();
  for (int i = 0; i < 2; i++) {
    PROGRAM(LOAD(nr), WHERE(i ? SYS_getppid : SYS_umask, SECCOMP_RET_ERRNO | (10 + i)), END(SECCOMP_RET_ALLOW));
    if (install(&program, SECCOMP_FILTER_FLAG_SPEC_ALLOW)) return 1;
  }
  FILE *f = fopen("/proc/self/status", "r");
  char line[200];
  int found = 0, privileges = 0;
  while (f && fgets(line, sizeof line, f)) {
    if (!strcmp(line, "Seccomp:\t2\n")) found = 1;
    if (!strcmp(line, "NoNewPrivs:\t1\n")) privileges = 1;
  }
  if (!found || !privileges) return 2;
  return CALL(SYS_umask, 0) == -10 && CALL(SYS_getppid) == -11 ? 0 : 3;
}

static int unprivileged(void) {
  if (setgid(4321) || setuid(4321)) return 1;
  PROGRAM(LOAD(nr), END(SECCOMP_RET_ALLOW));
  if (install(&program, 0) != -EACCES) return 2;
  alone();
  return install(&program, 0) ? 3 : 0;
}

static int strict(void) {
  alone();
  int pipe[2];
  char c;
  if (syscall(SYS_pipe2, pipe, 0)) return 1;
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)) return 2;
  if (write(pipe[1], "x", 1) != 1 || read(pipe[0], &c, 1) != 1) return 3;
  syscall(SYS_exit, 7);
  return 4;
}
static int strictly(void) {
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
  syscall(SYS_getppid);
  return 4;
}

static int fails(void) {
  PROGRAM(LOAD(nr), END(SECCOMP_RET_ALLOW));
  unsigned action = SECCOMP_RET_TRAP;
  alone();
  // How programs ask whether there are filters at all.
  if (install(0, 0) != -EFAULT || CALL(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 0, 0, 0) != -EFAULT) return 1;
  if (install(0, SECCOMP_FILTER_FLAG_TSYNC) != -EFAULT) return 2;
  if (install(&program, 1 << 20) != -EINVAL) return 3;
  program.len = 0;
  if (install(&program, 0) != -EINVAL) return 4;
  program.len = 4097;
  if (install(&program, 0) != -EINVAL) return 5;
  program.len = 1;
  if (install(&program, 0) != -EINVAL) return 6;
  program.len = 2;
  lines[0].k = 3;
  if (install(&program, 0) != -EINVAL) return 7;
  program.filter = NOWHERE;
  if (install(&program, 0) != -EFAULT) return 8;
  if (CALL(SYS_seccomp, 99, 0, 0) != -EINVAL) return 9;
  if (CALL(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action)) return 10;
  action = 0x12340000;
  if (CALL(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != -EOPNOTSUPP) return 11;
  if (CALL(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, 0) != -EINVAL) return 12;
  return prctl(PR_GET_SECCOMP) == 0 ? 0 : 13;
}

int main(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[1], "child")) {
    if (CALL(SYS_getppid) != -EPERM) return 40;
    char *memory = malloc(300000);
    memset(memory, 1, 300000);
    return 23;
  }
  if (argc > 1) syscall(SYS_exit_group, syscall(SYS_getppid) > 0 ? 24 : 25);
  gives("errors", child(errors), 0);
  gives("arithmetic", child(arithmetic), 0);
  gives("a filter in constants", child(constants), 0);
  gives("SIGSYS", child(traps), 0);
  gives("SIGSYS without a handler", child(untrapped), 1000 + SIGSYS);
  gives("a process killed", child(kills), 1000 + SIGSYS);
  gives("a thread killed", child(killsThread), 0);
  gives("logged, and traced by nobody", child(logs), 0);
  gives("a program under a list", child(executes), 23);
  gives("a program under a deadly list", child(executesDeadly), 24);
  gives("all threads", child(synchronizes), 0);
  gives("one above the other", child(twice), 0);
  if (geteuid() == 0) gives("no_new_privs first", child(unprivileged), 0);
  gives("strict", child(strict), 7);
  gives("strictly", child(strictly), 1000 + SIGKILL);
  gives("what is refused", child(fails), 0);
  return finish();
}
