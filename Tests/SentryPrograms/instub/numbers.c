// Calls of any number from one place, as C libraries make them: glibc's syscall(3), musl's without threads, and musl's that can be cancelled.
// What each answers is what the call of that number answers, also where a handler comes in between, and once there are threads.
#include "../check.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

// Each with the very instructions before the call, and one that nobody knows.
long by_syscall(long number, long a, long b, long c, long d, long e, long f);
long by_sleeper(long number, long a, long b, long c, long d, long e, long f);
long by_cancelled(volatile int *cancel, long number, long a, long b, long c, long d, long e, long f);
long by_other(long number, long a, long b, long c, long d, long e, long f);
extern const unsigned char cancelled_place[];
__asm__(
    ".text\nby_syscall:\n mov %rdi,%rax\n mov %rsi,%rdi\n mov %rdx,%rsi\n mov %rcx,%rdx\n mov %r8,%r10\n mov %r9,%r8\n mov 8(%rsp),%r9\n syscall\n ret\n"
    "by_sleeper:\n mov %rdi,%rax\n mov %r8,%r10\n mov %rsi,%rdi\n mov %r9,%r8\n mov %rdx,%rsi\n mov 8(%rsp),%r9\n mov %rcx,%rdx\n syscall\n ret\n"
    "by_cancelled:\n mov %rdi,%r11\n mov %rsi,%rax\n mov %rdx,%rdi\n mov %rcx,%rsi\n mov %r8,%rdx\n mov %r9,%r10\n mov 8(%rsp),%r8\n mov 16(%rsp),%r9\n"
    "cancelled_place:\n mov %r11,8(%rsp)\n syscall\n ret\n"
    "by_other:\n mov %rdi,%rax\n mov %rsi,%rdi\n mov %rdx,%rsi\n mov %rcx,%rdx\n mov %r8,%r10\n mov 8(%rsp),%r8\n xchg %r8,%r9\n syscall\n ret\n");
static volatile int never;
static long cancelled(long number, long a, long b, long c, long d, long e, long f) { return by_cancelled(&never, number, a, b, c, d, e, f); }
static long (*const ways[])(long, long, long, long, long, long, long) = {by_syscall, by_sleeper, cancelled, by_other};
static const char *const names[] = {"syscall(3)", "a call that may sleep", "a call that can be cancelled", "another"};
enum { WAYS = 4 };
#define BY(way, number, ...) BY_(way, number, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define BY_(way, number, a, b, c, d, e, f, ...) ways[way](number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static const char *own;
static struct stat known;
static unsigned char first[64];

static int answers(int way) {
  struct stat status;
  unsigned char bytes[64];
  int file = (int)BY(way, SYS_openat, AT_FDCWD, own, O_RDONLY | O_CLOEXEC, 0);
  int good = file >= 0 && BY(way, SYS_fstat, file, &status) == 0 && status.st_ino == known.st_ino && status.st_size == known.st_size;
  good = good && BY(way, SYS_pread64, file, bytes, sizeof bytes, 0) == sizeof bytes && !memcmp(bytes, first, sizeof bytes);
  good = good && BY(way, SYS_read, file, bytes, 10) == 10 && BY(way, SYS_lseek, file, 0, SEEK_CUR) == 10;
  good = good && BY(way, SYS_fcntl, file, F_GETFD, 0) == FD_CLOEXEC && BY(way, SYS_close, file) == 0;
  good = good && BY(way, SYS_stat, "/", &status) == 0 && S_ISDIR(status.st_mode) && BY(way, SYS_stat, "/none", &status) == -ENOENT;
  good = good && BY(way, SYS_pread64, -1, bytes, 1, 0) == -EBADF && BY(way, SYS_fstat, 0, NOWHERE) == -EFAULT && BY(way, 999, 0) == -ENOSYS;
  return good;
}
static int ids(int way) {
  int good = BY(way, SYS_getpid, 0) == getpid() && BY(way, SYS_getppid, 0) == getppid() && BY(way, SYS_getpgrp, 0) == getpgrp();
  good = good && BY(way, SYS_getuid, 0) == getuid() && BY(way, SYS_geteuid, 0) == geteuid();
  return good && BY(way, SYS_getgid, 0) == getgid() && BY(way, SYS_getegid, 0) == getegid();
}
// All six arguments, and calls that come back otherwise than others.
static int others(int way) {
  int file = open(own, O_RDONLY), status = -1;
  volatile unsigned char *page = (unsigned char *)BY(way, SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, file, 0);
  int good = page != MAP_FAILED && page[0] == first[0] && BY(way, SYS_munmap, page, 4096) == 0 && close(file) == 0;
  pid_t child = (pid_t)BY(way, SYS_fork, 0);
  if (child == 0) _exit(ids(way) && answers(way) ? 7 : 8);
  good = good && BY(way, SYS_wait4, child, &status, 0, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7;
  child = (pid_t)BY(way, SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(9);
  return good && BY(way, SYS_wait4, child, &status, 0, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 9;
}

static volatile int handled, wrong_there;
static void on_alarm(int signal) {
  (void)signal;
  for (int way = 0; way < WAYS; way++)
    if (!ids(way) || !answers(way)) wrong_there++;
  handled++;
}
static int under_signals(void) {
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  int good = sigaction(SIGALRM, &action, NULL) == 0;
  for (int i = 1; i <= 40; i++) {
    struct itimerval once = {{0, 0}, {0, 100 + i * 13}};
    good = good && setitimer(ITIMER_REAL, &once, NULL) == 0;
    while (handled < i)
      for (int way = 0; way < WAYS; way++) good = good && ids(way) && answers(way);
  }
  return good && !wrong_there;
}

static atomic_int wrong;
static void *in_thread(void *argument) {
  for (int i = 0; i < 40; i++)
    if (!ids((int)(((long)argument + i) % WAYS)) || !answers((int)(((long)argument + i) % WAYS))) wrong++;
  return NULL;
}
static int ends[2];
static atomic_int reading;
static void *sleeps(void *argument) {
  char byte;
  reading = 1;
  while (read(ends[0], &byte, 1) == 1) {}
  return argument;
}

int main(int argc, char **argv) {
  own = argv[0];
  int file = open(own, O_RDONLY);
  if (file < 0 || fstat(file, &known) != 0 || pread(file, first, sizeof first, 0) != sizeof first || close(file) != 0) return 2;
  if (argc == 3 && !strcmp(argv[1], "loop")) {
    int good = 1;
    struct stat status;
    long process = getpid(), user = getuid();
    for (long i = 0; i < 20; i++)
      for (int way = 0; way < WAYS; way++) good = good && ids(way) && answers(way);
    for (long i = 0; i < atol(argv[2]); i++)
      for (int way = 0; way < WAYS - 1; way++) good = good && BY(way, SYS_getpid, 0) == process && BY(way, SYS_getuid, 0) == user && BY(way, SYS_stat, "/", &status) == 0;
    return !good;
  }
  for (int way = 0; way < WAYS; way++) {
    int good = 1;
    for (int i = 0; i < 30; i++) good = good && ids(way) && answers(way);
    check(names[way], good && others(way));
  }
  check("while signals are handled", under_signals());
  // What the C library's own place was led to is as it was once somebody can be cancelled there.
  check("a pipe", pipe(ends) == 0);
  for (int i = 0; i < 50; i++) {
    char byte;
    file = open(own, O_RDONLY);
    if (read(file, &byte, 1) != 1 || pread(file, &byte, 1, 0) != 1 || close(file) != 0) wrong++;
  }
  int ended = 0;
  for (int i = 0; i < 30; i++) {
    pthread_t thread;
    void *result = NULL;
    reading = 0;
    if (pthread_create(&thread, NULL, sleeps, NULL) != 0) return 3;
    while (!reading) sched_yield();
    if (pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED) ended++;
  }
  gives("cancelled", ended, 30);
  gives("the place is as it was", cancelled_place[0], 0x4c);
  pthread_t threads[4];
  for (long i = 0; i < 4; i++)
    if (pthread_create(&threads[i], NULL, in_thread, (void *)i) != 0) return 3;
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  gives("in threads", wrong, 0);
  return finish();
}
