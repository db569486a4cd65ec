// A thread that a filter of its own ended tells nobody; who gets its number later is somebody else.
#include "../check.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static volatile pid_t killed;
static void *ends(void *unused) {
  (void)unused;
  struct sock_filter lines[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {4, lines};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) return 0;
  killed = syscall(SYS_gettid);
  syscall(SYS_getpriority, 0, 0);
  return 0;
}

// As many processes as there are numbers, each of nobody's.
static int others(int count) {
  if (CALL(SYS_setresgid, 1000, 1000, 1000) || CALL(SYS_setresuid, 1000, 1000, 1000)) return 2;
  for (int i = 0; i < count; i++) {
    pid_t pid = fork();
    if (pid < 0) return 3;
    if (pid == 0) {
      // Not answered from what is known of the parent.
      struct stat s;
      int wrong = mkdir("/reborn", 0755) == 0 || CALL(SYS_getpgid, 0) != getpgid(getppid());
      _exit(wrong || CALL(SYS_geteuid) != 1000 || stat("/", &s));
    }
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || status) return 4;
  }
  return 0;
}

int main(int count, char **words) {
  int numbers = count > 1 ? atoi(words[1]) : 50;
  // Past those that the kernel never gives again (RESERVED_PIDS).
  for (int i = 0; i < numbers; i++) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    if (waitpid(pid, 0, 0) != pid) return 3;
  }
  pthread_t thread;
  if (pthread_create(&thread, 0, ends, 0)) return 2;
  while (!killed) sched_yield();
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) _exit(others(numbers));
  int status = 0;
  waitpid(pid, &status, 0);
  gives("those that come after it are who they are", status, 0);
  return finish();
}
