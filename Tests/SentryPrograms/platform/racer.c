// A hostile program that races every buffer: while one thread makes calls whose arguments lie in memory, others change the pointers, lengths
// and contents there; then it jumps into the stub's code from everywhere. Each in a child, which may end as it likes; the parent's files,
// calls and other children stay as they were. For the sentry alone: the stub's address is its own (guest/stub.ld).
#include "../check.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

static uint64_t state = 88172645463325252UL;
static uint64_t chance(void) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return state;
}

// What all threads write and calls read: four pages, and nothing behind them.
static volatile uint64_t *shared;
enum { WORDS = 4 * 4096 / 8 };
static char *page_of(void) { return (char *)shared; }

static void *flip(void *argument) {
  uint64_t own = 0x9e3779b97f4a7c15UL * (uint64_t)(uintptr_t)argument + 1;
  for (;;) {
    own ^= own << 13, own ^= own >> 7, own ^= own << 17;
    uint64_t word;
    switch (own >> 61) {
    case 0: word = own; break;
    case 1: word = (uintptr_t)shared + (own >> 20) % (WORDS * 8); break;
    case 2: word = (own >> 20) % 64; break;
    case 3: word = -(own >> 50); break;
    case 4: word = 0x7fffffff; break;
    case 5: word = 1UL << (own >> 20) % 64; break;
    case 6: word = 0x612f2e2e2f2e2e2fUL; break;  // "/../../a"
    default: word = 0;
    }
    shared[(own >> 8) % WORDS] = word;
  }
  return NULL;
}

// A call that sleeps by what it finds in memory is ended; who is not done by then ends.
static time_t began;
static void tick(int signal) {
  (void)signal;
  if (time(NULL) > began + 4) _exit(3);
}

static void race(void) {
  struct sigaction ticking = {.sa_handler = tick};
  began = time(NULL);
  sigaction(SIGALRM, &ticking, NULL);
  setitimer(ITIMER_REAL, &(struct itimerval){{0, 20000}, {0, 20000}}, NULL);
  signal(SIGPIPE, SIG_IGN);
  char *all = mmap(NULL, 6 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(all + 4096, 4 * 4096, PROT_READ | PROT_WRITE);
  shared = (uint64_t *)(all + 4096);
  mkdir("/tmp/race", 0777);
  chdir("/tmp/race");
  int file = open("a", O_RDWR | O_CREAT, 0644), ends[2], pair[2], datagrams[2];
  pipe2(ends, O_NONBLOCK);
  socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
  socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, datagrams);
  int poll = CALL(SYS_epoll_create1, 0), timer = CALL(SYS_timerfd_create, 1, O_NONBLOCK);
  for (long i = 1; i < 3; i++) {
    pthread_t thread;
    pthread_create(&thread, NULL, flip, (void *)i);
  }
  struct rlimit size = {1 << 20, 1 << 20};
  setrlimit(RLIMIT_FSIZE, &size);
  signal(SIGXFSZ, SIG_IGN);
  for (int round = 0; round < 1500; round++) {
    char *at = page_of() + chance() % 4096, *other = page_of() + chance() % (4 * 4096);
    long count = chance() % 2 ? chance() % 64 : chance() % 4096;
    switch (chance() % 33) {
    case 0: CALL(SYS_readv, chance() % 2 ? file : pair[0], at, chance() % 64); break;
    case 1: CALL(SYS_writev, chance() % 2 ? ends[1] : pair[1], at, chance() % 64); break;
    case 2: CALL(SYS_sendmsg, chance() % 2 ? pair[0] : datagrams[0], at, MSG_DONTWAIT); break;
    case 3: CALL(SYS_recvmsg, chance() % 2 ? pair[1] : datagrams[1], at, MSG_DONTWAIT); break;
    case 4: CALL(SYS_sendmmsg, datagrams[0], at, 8, MSG_DONTWAIT); break;
    case 5: CALL(299, datagrams[1], at, 8, MSG_DONTWAIT, 0); break;
    case 6: CALL(SYS_openat, AT_FDCWD, at, O_RDONLY | O_NONBLOCK); break;
    case 7: CALL(437, AT_FDCWD, at, other, 24); break;
    case 8: CALL(SYS_poll, at, chance() % 64, 0); break;
    case 9: CALL(SYS_ppoll, at, chance() % 64, shared, other, 8); break;
    case 10: CALL(SYS_select, chance() % 64, at, other, at, shared); break;
    case 11: CALL(SYS_epoll_ctl, poll, 1 + chance() % 3, chance() % 16, at); break;
    case 12: CALL(SYS_epoll_pwait, poll, at, chance() % 64, 0, other, 8); break;
    case 13: CALL(SYS_timerfd_settime, timer, 0, at, other); break;
    case 14: CALL(SYS_rt_sigaction, 34 + chance() % 30, at, other, 8); break;
    case 15: CALL(SYS_bind, pair[0], at, count); break;
    case 16: CALL(SYS_connect, datagrams[0], at, count); break;
    case 17: CALL(SYS_getsockname, pair[0], at, other); break;
    case 18: CALL(SYS_setsockopt, pair[0], 1, chance() % 64, at, count); break;
    case 19: CALL(SYS_ioctl, ends[0], chance(), at); break;
    case 20: CALL(SYS_fcntl, file, 5 + chance() % 2, at); break;
    case 21: CALL(SYS_utimensat, AT_FDCWD, at, other, 0); break;
    case 22: CALL(SYS_setxattr, "a", at, other, count, 0); break;
    case 23: CALL(SYS_prlimit64, 0, 7 + chance() % 2, 0, other); break;
    case 24: CALL(SYS_getdents64, chance() % 16, at, count); break;
    case 25: CALL(SYS_renameat2, AT_FDCWD, at, AT_FDCWD, other, chance() % 3); break;
    case 26: CALL(SYS_linkat, AT_FDCWD, at, AT_FDCWD, other, 0); break;
    case 27: CALL(SYS_symlinkat, at, AT_FDCWD, other); break;
    case 28: CALL(SYS_write, chance() % 2 ? file : pair[1], at, count * 4); break;
    case 29: CALL(SYS_read, chance() % 2 ? ends[0] : pair[0], at, count * 4); break;
    case 30: CALL(SYS_mkdirat, AT_FDCWD, at, 0777); break;
    case 31: CALL(SYS_setgroups, chance() % 64, at); break;
    case 32: CALL(SYS_copy_file_range, file, at, file, other, count, 0); break;
    }
  }
  _exit(3);
}

// An execve whose path, arguments and environment change while it is looked at.
static void race_exec(void) {
  alarm(5);
  shared = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pthread_t thread;
  pthread_create(&thread, NULL, flip, (void *)7);
  for (int round = 0; round < 100; round++) {
    strcpy(page_of(), "/bin/program");
    CALL(SYS_execve, shared, page_of() + 4096, page_of() + 8192);
  }
  _exit(3);
}

static unsigned char *const stub = (unsigned char *)0x500000000000;

// Into the stub's code at an offset, with words of this program's choice in every register.
static void jump(unsigned long offset) {
  uint64_t word = chance();
  uint64_t number = chance() % 4 ? (uint64_t[]){9, 3, 462, 0x494d00, 0x494d01, 0x494d02, 0x494d03, 0x494d04}[chance() % 8] : chance() % 470;
  __asm__ volatile(
    "mov %1, %%rdi\n\tmov %1, %%rsi\n\tmov %1, %%rdx\n\tmov %1, %%r10\n\tmov %1, %%r8\n\tmov %1, %%r9\n\tjmp *%0"
    :
    : "r"(stub + offset), "r"(chance() % 2 ? word : word & 0xfff), "a"(number)
    : "rdi", "rsi", "rdx", "r8", "r9", "r10", "memory");
}

// Its own clock ends it, or it may have that blocked: then it is ended from here, which is late where no clock was to blame.
static int late;
static int end_in_time(pid_t child) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGCHLD);
  int status;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (sigtimedwait(&ends, NULL, &(struct timespec){20, 0}) < 0 && errno == EAGAIN) kill(child, SIGKILL), late = 1;
  }
  return status;
}

static long bystander_rounds(pid_t child, int from) {
  char byte;
  return kill(child, 0) == 0 && read(from, &byte, 1) == 1 && byte == 'b';
}

int main(int argc, char **argv) {
  if (argc < 2 || strcmp(argv[1], "sentry")) return 0;
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGCHLD);
  sigprocmask(SIG_BLOCK, &ends, NULL);
  // Who does nothing wrong: asked after each attack, it answers.
  int ask[2], answer[2];
  pipe(ask), pipe(answer);
  pid_t bystander = fork();
  if (bystander == 0) {
    char byte;
    close(ask[1]);
    while (read(ask[0], &byte, 1) == 1) write(answer[1], &byte, 1);
    _exit(0);
  }
  int canary = open("/tmp/canary", O_RDWR | O_CREAT, 0600);
  write(canary, "as it was", 9);
#define STANDS(what) \
  do { \
    char text[16] = {0}; \
    write(ask[1], "b", 1); \
    check(what, bystander_rounds(bystander, answer[0]) && pread(canary, text, 16, 0) == 9 && !strcmp(text, "as it was")); \
  } while (0)

  for (int i = 0; i < 4; i++) {
    pid_t child = fork();
    if (child == 0) {
      close(canary);
      // Nobody's: the canary's mode keeps it.
      setresgid(1000, 1000, 1000);
      setresuid(1000 + i % 2, 1000 + i % 2, 1000 + i % 2);
      state += (uint64_t)i * 0x9e3779b97f4a7c15UL;
      race();
    }
    end_in_time(child);
  }
  STANDS("buffers that change while they are read");
  check("each racer's clock ended it", !late);
  for (int i = 0; i < 10; i++) {
    pid_t child = fork();
    if (child == 0) race_exec();
    end_in_time(child);
  }
  STANDS("an execve that changes while it is made");
  int survived = 0;
  for (unsigned long i = 0; i < 200; i++) {
    chance();
    pid_t child = fork();
    if (child == 0) {
      alarm(5);
      setresuid(1000, 1000, 1000);
      jump(i < 100 ? 0x200 + i * 9 : chance() % 12288);
      _exit(3);
    }
    if (WIFEXITED(end_in_time(child))) survived++;
  }
  STANDS("jumps into the stub");
  printf("ok some of them ended by themselves\n");
  (void)survived;

  // Everyone it can name: the keeper, the sentry, its parent, all.
  pid_t child = fork();
  if (child == 0) {
    setresuid(1000, 1000, 1000);
    for (int id = -3; id < 300; id++) {
      if (id == getpid() || id == -1) continue;
      CALL(SYS_kill, id, SIGKILL);
      CALL(SYS_tkill, id, SIGKILL);
      CALL(SYS_tgkill, id, id, SIGSTOP);
      CALL(SYS_ptrace, 16, id, 0, 0);
      CALL(SYS_ptrace, 0x4206, id, 0, 0);
      struct iovec own = {&id, 4}, its = {(void *)0x500000000000, 4};
      CALL(SYS_process_vm_writev, id, &own, 1, &its, 1, 0);
      CALL(SYS_prlimit64, id, 7, (struct rlimit[]){{0, 0}}, 0);
      CALL(SYS_sched_setaffinity, id, 8, &own);
      CALL(SYS_setpriority, 0, id, 19);
    }
    CALL(SYS_kill, -1, SIGKILL);
    _exit(4);
  }
  end_in_time(child);
  STANDS("signals and tracing of those of another user");
  return finish();
}
