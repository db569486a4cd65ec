// Calls that the stub may answer by itself, called again and again from few places while what they tell changes.
#include "../check.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

// Places of the form that is led elsewhere, each one of its own.
#define SITE(name, number)                                                                            \
  __attribute__((noinline)) static long name(void) {                                                  \
    long result;                                                                                      \
    __asm__ volatile("mov $" #number ", %%eax\n\tsyscall" : "=a"(result) : : "rcx", "r11", "memory"); \
    return result;                                                                                    \
  }
SITE(process, 39)
SITE(parent, 110)
SITE(user, 102)
SITE(effective_user, 107)
SITE(group, 104)
SITE(effective_group, 108)
SITE(process_group, 111)

static int ended(pid_t child) {
  int status = -1;
  return waitpid(child, &status, 0) == child ? WEXITSTATUS(status) : -1;
}

// What the sites tell, against the same calls from a place that no one changes.
static int agree(void) {
  for (int i = 0; i < 100; i++) {
    if (process() != CALL(SYS_getpid) || parent() != CALL(SYS_getppid) || user() != CALL(SYS_getuid)) return 0;
    if (effective_user() != CALL(SYS_geteuid) || group() != CALL(SYS_getgid)) return 0;
    if (effective_group() != CALL(SYS_getegid) || process_group() != CALL(SYS_getpgrp)) return 0;
  }
  return 1;
}

static long whole(void) {
  // What lies below the stack pointer, and every register that a call leaves alone.
  long wrong;
  __asm__ volatile(
      "mov $0x1234567, %%rdi\n\tmov $2, %%rsi\n\tmov $3, %%rdx\n\tmov $4, %%r8\n\tmov $5, %%r9\n\tmov $6, %%r10\n\t"
      "movq $77, -8(%%rsp)\n\tmovq $78, -128(%%rsp)\n\tmov $100, %%rbx\n"
      "1:\n\tmov $39, %%eax\n\tsyscall\n\tdec %%rbx\n\tjnz 1b\n\t"
      "xor %%eax, %%eax\n\tcmp $0x1234567, %%rdi\n\tsetne %%al\n\tmov %%rax, %%rbx\n\t"
      "sub $2, %%rsi\n\tor %%rsi, %%rbx\n\tsub $3, %%rdx\n\tor %%rdx, %%rbx\n\tsub $4, %%r8\n\tor %%r8, %%rbx\n\t"
      "sub $5, %%r9\n\tor %%r9, %%rbx\n\tsub $6, %%r10\n\tor %%r10, %%rbx\n\t"
      "mov -8(%%rsp), %%rax\n\tsub $77, %%rax\n\tor %%rax, %%rbx\n\tmov -128(%%rsp), %%rax\n\tsub $78, %%rax\n\t"
      "or %%rbx, %%rax"
      : "=a"(wrong)
      :
      : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
  return wrong;
}

static void *in_thread(void *argument) {
  (void)argument;
  return (void *)(long)agree();
}

static char stack[65536] __attribute__((aligned(16)));
static long seen;
static int sharing(void *argument) {
  (void)argument;
  for (int i = 0; i < 10; i++) seen = process();
  return seen == CALL(SYS_getpid) ? 0 : 1;
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "loop")) {
    long wrong = 0, own = CALL(SYS_getpid);
    for (long i = atol(argv[2]); i > 0; i--) wrong += process() != own;
    return wrong != 0;
  }
  check("again and again", agree());
  check("registers and red zone", whole() == 0);
  int status = ended(fork() ?: (_exit(agree() ? 7 : 8), 0));
  check("in a child", status == 7);
  check("in the parent after it", agree());
  status = ended(fork() ?: (_exit(ended(fork() ?: (_exit(agree() ? 9 : 8), 0)) == 9 && agree() ? 7 : 8), 0));
  check("in a child's child", status == 7);

  pid_t child = vfork();
  if (child == 0) {
    seen = process();
    for (int i = 0; i < 10; i++) seen = process();
    _exit(seen == CALL(SYS_getpid) ? 7 : 8);
  }
  check("in a child on the same memory", ended(child) == 7);
  check("in its parent", agree() && process() != child);
  child = clone(sharing, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL);
  for (int i = 0; i < 1000; i++)
    if (process() == child) seen = -1;
  check("beside a child on the same memory", ended(child) == 0 && seen != -1 && agree());

  // A parent that goes.
  int ends[2];
  check("pipe", pipe(ends) == 0);
  child = fork();
  if (child == 0) {
    pid_t own = CALL(SYS_getpid);
    if (fork() == 0) {
      close(ends[0]);
      while (parent() == own) sched_yield();
      char told = agree() ? 'y' : 'n';
      _exit(write(ends[1], &told, 1) != 1);
    }
    _exit(0);
  }
  close(ends[1]);
  char told = 0;
  check("an orphan", ended(child) == 0 && read(ends[0], &told, 1) == 1 && told == 'y');
  close(ends[0]);

  child = fork();
  if (child == 0) {
    int good = agree();
    good = good && setsid() == process() && process_group() == process() && agree();
    good = good && setregid(5, 6) == 0 && group() == 5 && effective_group() == 6 && agree();
    good = good && setresuid(1001, 1002, 1001) == 0 && user() == 1001 && effective_user() == 1002 && agree();
    _exit(good ? 7 : 8);
  }
  check("other ids", ended(child) == 7);
  child = fork();
  if (child == 0) {
    agree();
    while (process_group() != process()) sched_yield();
    _exit(agree() ? 7 : 8);
  }
  check("a process group by another's call", setpgid(child, child) == 0 && ended(child) == 7);

  pthread_t threads[4];
  long good = 1;
  for (int i = 0; i < 4; i++) good = good && pthread_create(&threads[i], NULL, in_thread, NULL) == 0;
  for (int i = 0; i < 4; i++) {
    void *result = NULL;
    pthread_join(threads[i], &result);
    good = good && (long)result;
  }
  check("in threads", good && agree());
  return finish();
}
