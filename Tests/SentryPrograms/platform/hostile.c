// What a hostile program may try against the platform. `natively`: only what an ordinary Linux answers alike is compared; the rest is
// printed in the sentry alone (argument "sentry").
#include "../check.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char **variables;
static char *path;
static char flipping[64];
static volatile int stop;

static int ended(pid_t child) {
  int status = -1;
  return waitpid(child, &status, 0) == child ? status : -1;
}
static void *flip(void *argument) {
  (void)argument;
  while (!stop) {
    strcpy(flipping, "/bin/program");
    strcpy(flipping, "/no/such/program/at/all");
    strcpy(flipping, "/tmp/../bin/../bin/program");
  }
  return NULL;
}
static long by_interrupt(long number) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number) : "memory");
  return result;
}

int main(int argc, char **argv, char **environment) {
  variables = environment;
  path = argv[0];
  if (argc > 1 && !strcmp(argv[1], "told")) return 42;
  int in_sentry = argc > 1;
  (void)path;
  if (!in_sentry) return 0;

  // Calls that are not there.
  gives("clone3", CALL(435, 0, 0), -EINVAL);
  gives("io_uring_setup", CALL(425, 1, 0), -ENOSYS);
  gives("io_uring_enter", CALL(426, 0, 0, 0, 0, 0), -ENOSYS);
  gives("x32's getpid", CALL(0x40000000 + 39), -ENOSYS);
  gives("a number that none has", CALL(999), -ENOSYS);
  gives("a number below zero", CALL(-5), -ENOSYS);
  int status = ended(fork() ?: (by_interrupt(20), _exit(0), 0));
  check("int 0x80 ends the process", WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
  int flags[] = {CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP};
  for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++) gives("a namespace", CALL(SYS_clone, flags[i] | SIGCHLD, 0, 0, 0, 0), -EPERM);
  gives("a pidfd from clone", CALL(SYS_clone, 0x1000 | SIGCHLD, 0, &status, 0, 0), -EINVAL);
  check("ptrace", CALL(101, 0, 0, 0, 0) < 0);
  check("process_vm_readv of the keeper", CALL(310, 1, 0, 0, 0, 0, 0) < 0);
  check("a new filter", CALL(317, 1, 0, 0) < 0);
  check("keyctl", CALL(250, 0, 0, 0, 0, 0) < 0);
  check("bpf", CALL(321, 0, 0, 0) < 0);
  check("userfaultfd", CALL(323, 0) < 0);
  check("pidfd_getfd", CALL(438, 0, 0, 0) < 0);
  check("kill of the keeper does nothing", CALL(SYS_kill, 1, SIGKILL) == 0 && CALL(SYS_kill, 1, 0) == 0);

  // The stub's own calls, from where there is no stub.
  char buffer[16384];
  check("hello without an exec", CALL(0x494d00, buffer, sizeof buffer) < 0);
  gives("the keeper's call", CALL(0x494d01, 0), -ENOSYS);
  gives("telling an end", CALL(0x494d02, 2, 0), -ENOSYS);
  gives("fetching strings", CALL(0x494d03, buffer, sizeof buffer), -ENOSYS);
  gives("telling a failure", CALL(0x494d04, -2), -ENOSYS);
  // A set-user-ID program named in an exec that the host refuses, and a hello in its stead, with no call between them: it would give root's id.
  int from = open("/bin/program", O_RDONLY), to = open("/tmp/gives", O_WRONLY | O_CREAT | O_TRUNC, 0755);
  long moved;
  while ((moved = read(from, buffer, sizeof buffer)) > 0) write(to, buffer, moved);
  fchmod(to, 04755);
  close(from);
  close(to);
  static char long_one[200000];
  memset(long_one, 'x', sizeof long_one - 1);
  for (int turn = 0; turn < 2; turn++) {
    pid_t thief = fork();
    if (thief == 0) {
      setresuid(1000, 1000, 1000);
      char *told[] = {"gives", "told", NULL}, *much[] = {long_one, NULL};
      if (turn) execve("/tmp/gives", told, environment);
      syscall(SYS_execve, "/tmp/gives", much, environment);
      syscall(0x494d00, buffer, sizeof buffer);
      _exit(geteuid() == 0 ? 9 : 8);
    }
    status = ended(thief);
    if (turn) check("who executes it has it", WIFEXITED(status) && WEXITSTATUS(status) == 42);
    else check("a hello in an exec's stead is the end", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  }
  // An exec that the host refuses leaves nothing that hello could take up.
  char *self[] = {"program", "told", NULL};
  gives("an exec that fails", CALL(SYS_execve, "/bin/program", NOWHERE, environment), -EFAULT);
  check("hello after it", CALL(0x494d00, buffer, sizeof buffer) < 0);

  // The stub's text lies in every process; it is sealed and does nothing for anyone.
  unsigned char *stub = (unsigned char *)0x500000000000;
  check("the stub is there", !memcmp(stub, "\177ELF", 4));
  check("nobody writes it", mprotect(stub, 4096, 7) == -1);
  check("nobody takes it away", munmap(stub, 4096) == -1);
  check("nobody maps over it", mmap(stub, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED);

  // A path that changes while it is executed: the host's kernel finds the stub or nothing.
  pthread_t thread;
  int ran = 0, failed = 0, other = 0;
  strcpy(flipping, "/bin/program");
  for (int round = 0; round < 60; round++) {
    pid_t child = fork();
    if (child == 0) {
      pthread_create(&thread, NULL, flip, NULL);
      for (int i = 0; i < 20; i++) execve(flipping, self, environment);
      _exit(7);
    }
    status = ended(child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 42) ran++;
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 7) failed++;
    else other++;
  }
  check("a changing path runs what the sentry chose or nothing", ran + failed == 60 && other == 0);
  check("and mostly runs", ran > 0);

  // Many paths: the tree that they are links in is bounded.
  char name[4096];
  int good = 1;
  for (int i = 0; i < 40; i++) {
    snprintf(name, sizeof name, "/tmp/././//..//bin/./program");
    if (i % 2) snprintf(name, sizeof name, "/../../bin/program");
    pid_t child = fork();
    if (child == 0) {
      execve(name, self, environment);
      _exit(7);
    }
    good &= WEXITSTATUS(ended(child)) == 42;
  }
  check("paths with dots", good);
  good = 1;
  for (int i = 0; i < 8; i++) {
    // The same name is a folder, then a program, then a folder again.
    char folder[64], inner[80];
    snprintf(folder, sizeof folder, "/tmp/both");
    snprintf(inner, sizeof inner, "/tmp/both/program");
    if (i % 2) {
      good &= CALL(SYS_symlink, "/bin/program", folder) == 0;
    } else {
      good &= CALL(SYS_mkdir, folder, 0755) == 0 && CALL(SYS_symlink, "/bin/program", inner) == 0;
    }
    pid_t child = fork();
    if (child == 0) {
      execve(i % 2 ? folder : inner, self, environment);
      _exit(7);
    }
    good &= WEXITSTATUS(ended(child)) == 42;
    if (i % 2) good &= unlink(folder) == 0;
    else good &= unlink(inner) == 0 && rmdir(folder) == 0;
  }
  check("a name that is folder and program by turns", good);

  // Registers full of nonsense, to every call that does not end or stop the caller.
  pid_t child = fork();
  if (child == 0) {
    unsigned long random = 88172645463325252UL;
    // Memory of its own, with nothing behind it: what is filled too far fills nothing else.
    char *page = mmap(NULL, 12 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4 * 4096;
    mprotect(page, 4 * 4096, PROT_READ | PROT_WRITE);
    for (int i = 0; i < 20000; i++) {
      unsigned long words[7];
      for (int w = 0; w < 7; w++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        words[w] = random % 5 == 0 ? random : random % 5 == 1 ? random % 64 : random % 5 == 2 ? (unsigned long)page : random % 5 == 3 ? -(random % 4096) : 0;
      }
      long number = words[0] % 470;
      switch (number) {
        // What would end, stop or lose the caller, or make it sleep.
        case SYS_exit: case SYS_exit_group: case SYS_fork: case SYS_vfork: case SYS_clone: case SYS_kill: case SYS_tkill: case SYS_tgkill:
        case SYS_rt_sigreturn: case SYS_pause: case SYS_rt_sigsuspend: case SYS_rt_sigtimedwait: case SYS_munmap: case SYS_mmap: case SYS_mprotect:
        case SYS_mremap: case SYS_brk: case SYS_madvise: case SYS_futex: case SYS_nanosleep: case SYS_clock_nanosleep: case SYS_poll: case SYS_ppoll:
        case SYS_select: case SYS_pselect6: case SYS_read: case SYS_readv: case SYS_pread64: case SYS_rt_sigprocmask: case SYS_rt_sigaction:
        case SYS_arch_prctl: case SYS_set_robust_list: case SYS_set_tid_address: case SYS_rseq: case SYS_sigaltstack: case SYS_alarm: case SYS_setitimer:
        case SYS_timer_settime: case SYS_rt_sigqueueinfo: case SYS_rt_tgsigqueueinfo: case SYS_wait4: case SYS_waitid: case SYS_epoll_wait:
        case SYS_epoll_pwait: case SYS_restart_syscall: case SYS_close: case SYS_close_range: case SYS_dup2: case SYS_dup3: case SYS_write:
        case SYS_prlimit64: case SYS_setrlimit: case 441: case SYS_flock: case SYS_fcntl: case SYS_mlockall: case SYS_shmat: case SYS_shmdt: case SYS_pwrite64:
        case SYS_writev: case SYS_sendfile: case SYS_splice: case SYS_copy_file_range: case SYS_preadv: case SYS_preadv2: case 462:
        // uretprobe and uprobe: newer kernels let no filter see them, and end who calls them from elsewhere.
        case 335: case 336: continue;
      }
      syscall(number, words[1], words[2], words[3], words[4], words[5], words[6]);
    }
    _exit(5);
  }
  status = ended(child);
  if (WEXITSTATUS(status) != 5) printf("it ended by %x\n", status);
  check("nonsense in every register", WIFEXITED(status) && WEXITSTATUS(status) == 5);
  child = fork();
  if (child == 0) {
    execve("/bin/program", self, environment);
    _exit(7);
  }
  check("and all goes on", WEXITSTATUS(ended(child)) == 42);
  return finish();
}
