// Times single calls from within whatever runs it: natively, behind the sentry, under Bench/supervisor.c.
//
//   sentry-calls FILE FOLDER        reads lines "OPERATION COUNT" from its input, answers each with nanoseconds an operation
//   sentry-calls exit               ends at once: what fork+exec executes
//
// FILE is read and asked for; in FOLDER it may write. Who drives it takes turns between several of these, so that load falls on all alike.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *self, *file, *folder;
static int readable, writable, null;
static char buffer[64 << 10];
static volatile long sink;

static void fail(const char *what) {
  perror(what);
  exit(2);
}
static void check(long result, const char *what) {
  if (result < 0) fail(what);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static void do_getpid(long n) { while (n--) sink += getpid(); }
// Answered by the supervisor everywhere, with nothing to look at: what a call costs by itself.
static void do_getppid(long n) { while (n--) sink += getppid(); }
static void do_clock(long n) {
  struct timespec t;
  while (n--) clock_gettime(CLOCK_MONOTONIC, &t);
}
static void do_clock_call(long n) {
  struct timespec t;
  while (n--) check(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t), "clock_gettime");
}
static void do_stat(long n) {
  struct stat s;
  while (n--) check(stat(file, &s), "stat");
}
static void do_stat_none(long n) {
  struct stat s;
  while (n--) if (stat("/usr/lib/no-such-name", &s) != -1) fail("stat of nothing");
}
static void do_fstat(long n) {
  struct stat s;
  while (n--) check(fstat(readable, &s), "fstat");
}
static void do_lseek(long n) { while (n--) check(lseek(readable, 0, SEEK_SET), "lseek"); }
static void do_pread1(long n) { while (n--) check(pread(readable, buffer, 1, 0), "pread"); }
static void do_pread4k(long n) { while (n--) check(pread(readable, buffer, 4096, 0), "pread"); }
static void do_pread64k(long n) { while (n--) check(pread(readable, buffer, sizeof buffer, 0), "pread"); }
static void do_read4k(long n) {
  while (n--) {
    long got = read(readable, buffer, 4096);
    check(got, "read");
    if (got < 4096) lseek(readable, 0, SEEK_SET);
  }
}
static void do_write_null(long n) { while (n--) check(write(null, buffer, 64), "write"); }
static void do_write_file(long n) { while (n--) check(pwrite(writable, buffer, 4096, 0), "pwrite"); }
static void do_open(long n) {
  while (n--) {
    int d = open(file, O_RDONLY | O_CLOEXEC);
    check(d, "open");
    check(read(d, buffer, 512), "read");
    close(d);
  }
}
static void do_mmap(long n) {
  while (n--) {
    char *p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) fail("mmap");
    *p = 1;
    munmap(p, 4096);
  }
}
static void do_mmap_file(long n) {
  while (n--) {
    char *p = mmap(0, 4096, PROT_READ, MAP_PRIVATE, readable, 0);
    if (p == MAP_FAILED) fail("mmap");
    sink += *p;
    munmap(p, 4096);
  }
}
static void *nothing(void *p) { return p; }
static void do_thread(long n) {
  while (n--) {
    pthread_t t;
    if (pthread_create(&t, 0, nothing, 0)) fail("pthread_create");
    pthread_join(t, 0);
  }
}
static void await(pid_t child) {
  int status;
  check(child, "fork");
  check(waitpid(child, &status, 0), "waitpid");
  if (status) exit(2);
}
static void do_fork(long n) {
  while (n--) {
    pid_t child = fork();
    if (child == 0) _exit(0);
    await(child);
  }
}
static void do_exec(long n) {
  while (n--) {
    pid_t child = vfork();
    if (child == 0) {
      execl(self, self, "exit", (char *)0);
      _exit(127);
    }
    await(child);
  }
}

// The other side of a ping-pong: a process that sends back what comes, until its end is closed.
static void with_echo(int near_in, int near_out, int far_in, int far_out, long n) {
  pid_t child = fork();
  check(child, "fork");
  if (child == 0) {
    char c;
    close(near_in);
    if (near_out != near_in) close(near_out);
    while (read(far_in, &c, 1) == 1) if (write(far_out, &c, 1) != 1) _exit(1);
    _exit(0);
  }
  close(far_in);
  if (far_out != far_in) close(far_out);
  int events = -1;
  if (near_in == near_out) {
    events = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN};
    check(epoll_ctl(events, EPOLL_CTL_ADD, near_in, &e), "epoll_ctl");
  }
  char c = 1;
  while (n--) {
    check(write(near_out, &c, 1), "write");
    if (events >= 0) {
      struct epoll_event e;
      check(epoll_wait(events, &e, 1, -1), "epoll_wait");
    }
    if (read(near_in, &c, 1) != 1) fail("read");
  }
  close(near_in);
  if (near_out != near_in) close(near_out);
  if (events >= 0) close(events);
  await(child);
}
static void do_pipe(long n) {
  int a[2], b[2];
  if (pipe(a) || pipe(b)) fail("pipe");
  with_echo(a[0], b[1], b[0], a[1], n);
}
static void do_socket(long n) {
  int s[2];
  check(socketpair(AF_UNIX, SOCK_STREAM, 0, s), "socketpair");
  with_echo(s[0], s[0], s[1], s[1], n);
}

static const struct {
  const char *name;
  void (*body)(long);
} operations[] = {
  {"getpid", do_getpid}, {"getppid", do_getppid}, {"clock", do_clock}, {"clock-call", do_clock_call},
  {"stat", do_stat}, {"stat-none", do_stat_none}, {"fstat", do_fstat}, {"lseek", do_lseek},
  {"pread-1", do_pread1}, {"pread-4k", do_pread4k}, {"pread-64k", do_pread64k}, {"read-4k", do_read4k},
  {"write-null", do_write_null}, {"pwrite-4k", do_write_file}, {"open-read-close", do_open},
  {"mmap", do_mmap}, {"mmap-file", do_mmap_file}, {"thread", do_thread}, {"fork", do_fork}, {"fork-exec", do_exec},
  {"pipe", do_pipe}, {"epoll-socket", do_socket},
};

int main(int count, char **arguments) {
  if (count == 2 && !strcmp(arguments[1], "exit")) return 0;
  if (count != 3) {
    fprintf(stderr, "usage: sentry-calls FILE FOLDER\n");
    return 2;
  }
  self = arguments[0], file = arguments[1], folder = arguments[2];
  char path[4096];
  snprintf(path, sizeof path, "%s/sentry-calls.%d", folder, getpid());
  check(readable = open(file, O_RDONLY | O_CLOEXEC), file);
  check(null = open("/dev/null", O_WRONLY | O_CLOEXEC), "/dev/null");
  check(writable = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), path);
  unlink(path);
  char line[128], name[64];
  long rounds;
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "%63s %ld", name, &rounds) != 2 || rounds < 1) return 2;
    size_t i = 0;
    while (i < sizeof operations / sizeof *operations && strcmp(operations[i].name, name)) i++;
    if (i == sizeof operations / sizeof *operations) return 2;
    double start = now();
    operations[i].body(rounds);
    printf("%.1f\n", (now() - start) / rounds);
    fflush(stdout);
  }
  return 0;
}
