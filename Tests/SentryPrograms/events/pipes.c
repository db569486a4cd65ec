// pipe(2), FIFOs, poll(2), select(2), and what processes see of them.
#include "../check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

static volatile int pipes;
static void count(int signal) { (void)signal; pipes++; }

static void streams(void) {
  int p[2];
  char b[70000];
  gives("pipe2", CALL(SYS_pipe2, p, O_CLOEXEC), 0);
  check("close on exec", fcntl(p[0], F_GETFD) == FD_CLOEXEC && fcntl(p[1], F_GETFD) == FD_CLOEXEC);
  check("modes", (fcntl(p[0], F_GETFL) & O_ACCMODE) == O_RDONLY && (fcntl(p[1], F_GETFL) & O_ACCMODE) == O_WRONLY);
  gives("write", CALL(SYS_write, p[1], "hello", 5), 5);
  int n = -1;
  gives("FIONREAD", ioctl(p[0], FIONREAD, &n), 0);
  gives("bytes in it", n, 5);
  gives("read", CALL(SYS_read, p[0], b, 3), 3);
  check("what was written", memcmp(b, "hel", 3) == 0);
  struct iovec v[2] = {{b, 1}, {b + 1, 9}};
  gives("readv", CALL(SYS_readv, p[0], v, 2), 2);
  gives("read at the wrong end", CALL(SYS_read, p[1], b, 1), -EBADF);
  gives("write at the wrong end", CALL(SYS_write, p[0], b, 1), -EBADF);
  gives("lseek", CALL(SYS_lseek, p[0], 0, SEEK_CUR), -ESPIPE);
  gives("pread", CALL(SYS_pread64, p[0], b, 1, 0), -ESPIPE);
  gives("TCGETS", CALL(SYS_ioctl, p[0], 0x5401, b), -ENOTTY);
  struct stat s;
  gives("fstat", fstat(p[0], &s), 0);
  check("it is a FIFO", S_ISFIFO(s.st_mode));
  gives("bad flags", CALL(SYS_pipe2, p, 1), -EINVAL);
  gives("bad pointer", CALL(SYS_pipe2, NOWHERE, 0), -EFAULT);
  gives("write from nowhere", CALL(SYS_write, p[1], NOWHERE, 1), -EFAULT);
  gives("capacity", fcntl(p[0], F_GETPIPE_SZ), 65536);
  gives("larger", fcntl(p[1], F_SETPIPE_SZ, 100000), 131072);
  gives("no blocking", fcntl(p[0], F_SETFL, O_NONBLOCK), 0);
  gives("read of an empty pipe", CALL(SYS_read, p[0], b, 1), -EAGAIN);
  int one = 1;
  gives("FIONBIO", ioctl(p[1], FIONBIO, &one), 0);
  long sum = 0;
  for (;;) {
    long got = CALL(SYS_write, p[1], b, 4096);
    if (got < 0) { gives("a full pipe", got, -EAGAIN); break; }
    sum += got;
  }
  gives("takes its capacity", sum, 131072);
  close(p[1]);
  while (read(p[0], b, sizeof b) > 0) {}
  gives("the end", CALL(SYS_read, p[0], b, 1), 0);
  close(p[0]);
}

static void broken(void) {
  int p[2];
  pipe(p);
  close(p[0]);
  signal(SIGPIPE, count);
  gives("write without a reader", CALL(SYS_write, p[1], "x", 1), -EPIPE);
  gives("SIGPIPE came", pipes, 1);
  signal(SIGPIPE, SIG_DFL);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    write(p[1], "x", 1);
    _exit(0);
  }
  int status;
  waitpid(pid, &status, 0);
  check("and ends who does not expect it", WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
  struct pollfd f = {p[1], POLLOUT, 0};
  poll(&f, 1, 0);
  check("poll tells an error", f.revents & POLLERR);
  close(p[1]);
}

static void processes(void) {
  int p[2], q[2];
  char b[100000], c;
  pipe(p);
  pipe(q);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    close(p[0]);
    // More than there is room for: the parent reads meanwhile.
    memset(b, 7, sizeof b);
    long n = write(p[1], b, sizeof b);
    read(q[0], &c, 1);
    _exit(n == sizeof b ? 0 : 1);
  }
  close(p[1]);
  long sum = 0, n;
  while (sum < (long)sizeof b && (n = read(p[0], b, 1000)) > 0) sum += n;
  gives("all of a large write", sum, sizeof b);
  struct pollfd f = {p[0], POLLIN, 0};
  gives("poll waits its time", poll(&f, 1, 20), 0);
  write(q[1], "x", 1);
  gives("poll wakes at the end", poll(&f, 1, 10000), 1);
  check("hang-up", f.revents == POLLHUP);
  int status;
  waitpid(pid, &status, 0);
  gives("the writer wrote it whole", WEXITSTATUS(status), 0);
  close(p[0]); close(q[0]); close(q[1]);
}

static void waits(void) {
  int p[2];
  pipe(p);
  struct pollfd f[4] = {{p[0], POLLIN, 9}, {p[1], POLLOUT, 9}, {-1, POLLIN, 9}, {1000, POLLIN, 9}};
  gives("poll", poll(f, 4, 0), 2);
  check("answers", f[0].revents == 0 && f[1].revents == POLLOUT && f[2].revents == 0 && f[3].revents == POLLNVAL);
  gives("poll: bad pointer", CALL(SYS_poll, NOWHERE, 1, 0), -EFAULT);
  gives("poll: too many", CALL(SYS_poll, f, 1 << 30, 0), -EINVAL);
  struct timespec t = {0, 1000000000};
  gives("ppoll: bad time", CALL(SYS_ppoll, f, 1, &t, 0, 8), -EINVAL);
  t.tv_nsec = 1000000;
  gives("ppoll: bad set", CALL(SYS_ppoll, f, 1, &t, f, 4), -EINVAL);
  gives("ppoll", CALL(SYS_ppoll, f, 1, &t, 0, 8), 0);
  check("no time left", t.tv_sec == 0 && t.tv_nsec == 0);
  fd_set r, w;
  FD_ZERO(&r); FD_ZERO(&w);
  FD_SET(p[0], &r); FD_SET(p[1], &w);
  struct timeval tv = {5, 0};
  gives("select", CALL(SYS_select, p[1] + 1, &r, &w, 0, &tv), 1);
  check("sets", !FD_ISSET(p[0], &r) && FD_ISSET(p[1], &w));
  check("time left", tv.tv_sec >= 4);
  FD_SET(60, &r);
  gives("select: bad descriptor", CALL(SYS_select, 61, &r, 0, 0, &tv), -EBADF);
  gives("select: negative", CALL(SYS_select, -1, 0, 0, 0, &tv), -EINVAL);
  tv.tv_sec = -1;
  gives("select: bad time", CALL(SYS_select, 0, 0, 0, 0, &tv), -EINVAL);
  tv = (struct timeval){0, 10000};
  gives("select as a sleep", CALL(SYS_select, 0, 0, 0, 0, &tv), 0);
  write(p[1], "x", 1);
  FD_ZERO(&r); FD_SET(p[0], &r);
  gives("pselect", CALL(SYS_pselect6, p[0] + 1, &r, 0, 0, 0, 0), 1);
  close(p[0]); close(p[1]);
}

static void interrupted(void) {
  int p[2];
  char c;
  pipe(p);
  struct sigaction a = {.sa_handler = count};
  sigaction(SIGUSR1, &a, 0);
  pipes = 0;
  pid_t me = getpid();
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    close(p[1]);
    for (int i = 0; i < 2; i++) {
      // Until the parent sleeps in its call.
      usleep(50000);
      kill(me, SIGUSR1);
    }
    _exit(0);
  }
  gives("a handler ends a read", CALL(SYS_read, p[0], &c, 1), -EINTR);
  struct pollfd f = {p[0], POLLIN, 0};
  gives("and a poll", CALL(SYS_poll, &f, 1, -1), -EINTR);
  gives("handlers ran", pipes, 2);
  waitpid(pid, 0, 0);
  close(p[0]); close(p[1]);
}

static void fifo(void) {
  char name[] = "/tmp/fifo-XXXXXX", c;
  if (!mktemp(name)[0]) return;
  gives("mkfifo", mkfifo(name, 0600), 0);
  gives("a writer that may not wait", CALL(SYS_open, name, O_WRONLY | O_NONBLOCK), -ENXIO);
  int r = open(name, O_RDONLY | O_NONBLOCK);
  check("a reader that may not wait", r >= 0);
  gives("reads the end", CALL(SYS_read, r, &c, 1), 0);
  close(r);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    int w = open(name, O_WRONLY);
    _exit(write(w, "y", 1) == 1 ? 0 : 1);
  }
  r = open(name, O_RDONLY);
  check("both ends open", r >= 0);
  gives("a byte", CALL(SYS_read, r, &c, 1), 1);
  waitpid(pid, 0, 0);
  gives("the end", CALL(SYS_read, r, &c, 1), 0);
  close(r);
  int both = open(name, O_RDWR);
  gives("one for both", CALL(SYS_write, both, "z", 1), 1);
  gives("reads its own", CALL(SYS_read, both, &c, 1), 1);
  close(both);
  unlink(name);
}

// A pipe opened anew by its descriptor waits for nobody.
static void anew(void) {
  // Where there is no procfs there is nothing to open.
  if (access("/proc/self/fd", F_OK)) return;
  int p[2];
  char path[32], b[8];
  if (pipe(p)) return;
  write(p[1], "abc", 3);
  close(p[1]);
  snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
  int again = open(path, O_RDONLY);
  check("a reader without writers", again >= 0);
  gives("its bytes", read(again, b, sizeof b), 3);
  gives("its end", read(again, b, sizeof b), 0);
  int writer = open(path, O_WRONLY | O_NONBLOCK);
  check("a writer", writer >= 0);
  gives("writes", write(writer, "de", 2), 2);
  gives("reaches the first", read(p[0], b, sizeof b), 2);
  close(again), close(p[0]);
  writer = (close(writer), pipe(p), close(p[0]), snprintf(path, sizeof path, "/proc/self/fd/%d", p[1]), open(path, O_WRONLY | O_NONBLOCK));
  check("a writer without readers", writer >= 0);
  close(writer), close(p[1]);
}

int main(void) {
  streams();
  broken();
  processes();
  waits();
  interrupted();
  fifo();
  anew();
  return finish();
}
