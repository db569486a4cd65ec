// epoll(7), eventfd(2), timerfd_create(2), signalfd(2), inotify(7).
#include "../check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

static void polls(void) {
  gives("epoll_create: no size", CALL(SYS_epoll_create, 0), -EINVAL);
  gives("epoll_create1: bad flags", CALL(SYS_epoll_create1, 1), -EINVAL);
  int e = epoll_create1(EPOLL_CLOEXEC), p[2];
  pipe(p);
  struct epoll_event v = {EPOLLIN, {.u64 = 0x1234567890}}, got[4];
  gives("add", epoll_ctl(e, EPOLL_CTL_ADD, p[0], &v), 0);
  gives("again", CALL(SYS_epoll_ctl, e, EPOLL_CTL_ADD, p[0], &v), -EEXIST);
  gives("itself", CALL(SYS_epoll_ctl, e, EPOLL_CTL_ADD, e, &v), -EINVAL);
  int file = open("/tmp/epoll-file", O_CREAT | O_RDWR, 0600);
  gives("a regular file", CALL(SYS_epoll_ctl, e, EPOLL_CTL_ADD, file, &v), -EPERM);
  close(file);
  unlink("/tmp/epoll-file");
  gives("nobody", CALL(SYS_epoll_ctl, e, EPOLL_CTL_ADD, 999, &v), -EBADF);
  gives("no epoll", CALL(SYS_epoll_ctl, p[0], EPOLL_CTL_ADD, p[1], &v), -EINVAL);
  gives("bad pointer", CALL(SYS_epoll_ctl, e, EPOLL_CTL_ADD, p[1], NOWHERE), -EFAULT);
  gives("not there", CALL(SYS_epoll_ctl, e, EPOLL_CTL_MOD, p[1], &v), -ENOENT);
  gives("not there to delete", CALL(SYS_epoll_ctl, e, EPOLL_CTL_DEL, p[1], 0), -ENOENT);
  gives("bad operation", CALL(SYS_epoll_ctl, e, 9, p[0], &v), -EINVAL);
  gives("nothing", epoll_wait(e, got, 4, 0), 0);
  gives("no room", CALL(SYS_epoll_wait, e, got, 0, 0), -EINVAL);
  gives("a wait", epoll_wait(e, got, 4, 10), 0);
  write(p[1], "x", 1);
  gives("one", epoll_wait(e, got, 4, -1), 1);
  check("as asked", got[0].events == EPOLLIN && got[0].data.u64 == 0x1234567890);
  gives("level: still", epoll_wait(e, got, 4, 0), 1);
  gives("nowhere to store", CALL(SYS_epoll_wait, e, NOWHERE, 4, 0), -EFAULT);
  v.events = EPOLLIN | EPOLLET;
  gives("edge", epoll_ctl(e, EPOLL_CTL_MOD, p[0], &v), 0);
  gives("edge: told", epoll_wait(e, got, 4, 0), 1);
  gives("edge: once", epoll_wait(e, got, 4, 0), 0);
  write(p[1], "x", 1);
  gives("edge: anew", epoll_wait(e, got, 4, 0), 1);
  v.events = EPOLLIN | EPOLLONESHOT;
  epoll_ctl(e, EPOLL_CTL_MOD, p[0], &v);
  gives("one shot", epoll_wait(e, got, 4, 0), 1);
  write(p[1], "x", 1);
  gives("and no more", epoll_wait(e, got, 4, 0), 0);
  epoll_ctl(e, EPOLL_CTL_MOD, p[0], &v);
  gives("armed again", epoll_wait(e, got, 4, 0), 1);
  v.events = EPOLLOUT;
  v.data.u64 = 2;
  epoll_ctl(e, EPOLL_CTL_ADD, p[1], &v);
  gives("the writer", epoll_wait(e, got, 4, 0), 1);
  check("its word", got[0].data.u64 == 2 && got[0].events == EPOLLOUT);
  int outer = epoll_create1(0);
  v.events = EPOLLIN;
  gives("nested", epoll_ctl(outer, EPOLL_CTL_ADD, e, &v), 0);
  gives("a ring", CALL(SYS_epoll_ctl, e, EPOLL_CTL_ADD, outer, &v), -ELOOP);
  gives("nested: ready", epoll_wait(outer, got, 4, 0), 1);
  struct pollfd f = {e, POLLIN, 0};
  gives("poll of an epoll", poll(&f, 1, 0), 1);
  close(p[0]);
  close(p[1]);
  gives("closed files are gone", epoll_wait(e, got, 4, 0), 0);
  pipe(p);
  v.events = EPOLLIN;
  gives("their numbers are free", epoll_ctl(e, EPOLL_CTL_ADD, p[0], &v), 0);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    usleep(20000);
    write(p[1], "y", 1);
    _exit(0);
  }
  struct timespec t = {10, 0};
  gives("epoll_pwait2 wakes", CALL(SYS_epoll_pwait2, e, got, 4, &t, 0, 8), 1);
  waitpid(pid, 0, 0);
  close(e); close(outer); close(p[0]); close(p[1]);
}

static void counters(void) {
  uint64_t n = 0;
  gives("eventfd2: bad flags", CALL(SYS_eventfd2, 0, 0x10), -EINVAL);
  int e = eventfd(3, EFD_NONBLOCK);
  gives("read", read(e, &n, 8), 8);
  gives("the count", n, 3);
  gives("empty", CALL(SYS_read, e, &n, 8), -EAGAIN);
  gives("too small", CALL(SYS_read, e, &n, 7), -EINVAL);
  n = 5;
  gives("write", write(e, &n, 8), 8);
  n = ~0ull;
  gives("all ones", CALL(SYS_write, e, &n, 8), -EINVAL);
  n = ~0ull - 5;
  gives("too much", CALL(SYS_write, e, &n, 8), -EAGAIN);
  struct pollfd f = {e, POLLIN | POLLOUT, 0};
  poll(&f, 1, 0);
  gives("both", f.revents, POLLIN | POLLOUT);
  close(e);
  e = eventfd(2, EFD_SEMAPHORE);
  read(e, &n, 8);
  gives("a semaphore gives one", n, 1);
  fflush(stdout);
  read(e, &n, 8);
  pid_t pid = fork();
  if (pid == 0) {
    usleep(20000);
    n = 1;
    write(e, &n, 8);
    _exit(0);
  }
  gives("waits for one", read(e, &n, 8), 8);
  waitpid(pid, 0, 0);
  close(e);
}

static void timers(void) {
  uint64_t n = 0;
  gives("timerfd_create: bad clock", CALL(SYS_timerfd_create, 99, 0), -EINVAL);
  gives("timerfd_create: bad flags", CALL(SYS_timerfd_create, 1, 1), -EINVAL);
  int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  gives("disarmed", CALL(SYS_read, t, &n, 8), -EAGAIN);
  struct itimerspec s = {{0, 10000000}, {0, 10000000}}, old;
  gives("set", timerfd_settime(t, 0, &s, 0), 0);
  struct pollfd f = {t, POLLIN, 0};
  gives("it fires", poll(&f, 1, 10000), 1);
  gives("read", read(t, &n, 8), 8);
  check("once or more", n >= 1);
  gives("get", timerfd_gettime(t, &old), 0);
  check("the period", old.it_interval.tv_nsec == 10000000 && old.it_value.tv_nsec > 0);
  s = (struct itimerspec){{0, 0}, {0, 0}};
  timerfd_settime(t, 0, &s, &old);
  gives("disarmed again", poll(&f, 1, 30), 0);
  s.it_value.tv_nsec = 1000000000;
  gives("bad time", CALL(SYS_timerfd_settime, t, 0, &s, 0), -EINVAL);
  gives("bad pointer", CALL(SYS_timerfd_settime, t, 0, NOWHERE, 0), -EFAULT);
  gives("not a timer", CALL(SYS_timerfd_gettime, 0, &old), -EINVAL);
  clock_gettime(CLOCK_MONOTONIC, &s.it_value);
  gives("a time that was", timerfd_settime(t, TFD_TIMER_ABSTIME, &s, 0), 0);
  gives("fires at once", poll(&f, 1, 10000), 1);
  close(t);
  t = timerfd_create(CLOCK_REALTIME, 0);
  clock_gettime(CLOCK_REALTIME, &s.it_value);
  s.it_value.tv_sec += 1000;
  timerfd_settime(t, TFD_TIMER_ABSTIME, &s, 0);
  timerfd_gettime(t, &old);
  check("a time to come", old.it_value.tv_sec >= 998 && old.it_value.tv_sec <= 1000);
  s = (struct itimerspec){{0, 0}, {0, 1000000}};
  timerfd_settime(t, 0, &s, 0);
  gives("a read waits", read(t, &n, 8), 8);
  close(t);
}

static void signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  gives("signalfd4: bad size", CALL(SYS_signalfd4, -1, &set, 4, 0), -EINVAL);
  gives("signalfd4: bad flags", CALL(SYS_signalfd4, -1, &set, 8, 1), -EINVAL);
  gives("signalfd4: bad pointer", CALL(SYS_signalfd4, -1, NOWHERE, 8, 0), -EFAULT);
  sigprocmask(SIG_BLOCK, &set, 0);
  int s = signalfd(-1, &set, SFD_NONBLOCK);
  struct signalfd_siginfo i;
  gives("none", CALL(SYS_read, s, &i, sizeof i), -EAGAIN);
  kill(getpid(), SIGUSR1);
  struct pollfd f = {s, POLLIN, 0};
  gives("poll tells one", poll(&f, 1, 10000), 1);
  gives("read", read(s, &i, sizeof i), sizeof i);
  check("it is ours", i.ssi_signo == SIGUSR1 && i.ssi_pid == (uint32_t)getpid());
  gives("none is left", CALL(SYS_read, s, &i, sizeof i), -EAGAIN);
  fflush(stdout);
  pid_t me = getpid(), pid = fork();
  if (pid == 0) {
    usleep(20000);
    kill(me, SIGUSR1);
    _exit(0);
  }
  gives("poll waits for one", poll(&f, 1, 10000), 1);
  gives("of a child", read(s, &i, sizeof i), sizeof i);
  waitpid(pid, 0, 0);
  close(s);
}

static int next(int w, char *name) {
  char b[4096] __attribute__((aligned(8)));
  if (read(w, b, sizeof b) <= 0) return 0;
  struct inotify_event *e = (struct inotify_event *)b;
  strcpy(name, e->len ? e->name : "");
  return e->mask;
}

static void watches(void) {
  char name[256];
  mkdir("/tmp/watched", 0700);
  gives("inotify_init1: bad flags", CALL(SYS_inotify_init1, 1), -EINVAL);
  int w = inotify_init1(IN_NONBLOCK);
  gives("nothing there", CALL(SYS_inotify_add_watch, w, "/tmp/absent", IN_CREATE), -ENOENT);
  gives("no events", CALL(SYS_inotify_add_watch, w, "/tmp/watched", 0), -EINVAL);
  gives("no inotify", CALL(SYS_inotify_add_watch, 0, "/tmp/watched", IN_CREATE), -EINVAL);
  gives("watch", inotify_add_watch(w, "/tmp/watched", IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_CLOSE_WRITE), 1);
  gives("the same again", inotify_add_watch(w, "/tmp/watched", IN_CREATE | IN_DELETE | IN_CLOSE_WRITE), 1);
  gives("quiet", CALL(SYS_read, w, name, sizeof name), -EAGAIN);
  close(open("/tmp/watched/file", O_CREAT | O_RDONLY, 0600));
  struct pollfd f = {w, POLLIN, 0};
  gives("poll", poll(&f, 1, 0), 1);
  gives("created", next(w, name), IN_CREATE);
  check("its name", strcmp(name, "file") == 0);
  int file = open("/tmp/watched/file", O_WRONLY);
  write(file, "x", 1);
  close(file);
  gives("closed after writing", next(w, name), IN_CLOSE_WRITE);
  unlink("/tmp/watched/file");
  gives("deleted", next(w, name), IN_DELETE);
  mkdir("/tmp/watched/folder", 0700);
  gives("a folder", next(w, name), (int)(IN_CREATE | IN_ISDIR));
  rmdir("/tmp/watched/folder");
  next(w, name);
  gives("unwatch", inotify_rm_watch(w, 1), 0);
  gives("says so", next(w, name), IN_IGNORED);
  gives("unwatch again", CALL(SYS_inotify_rm_watch, w, 1), -EINVAL);
  rmdir("/tmp/watched");
  close(w);
}

int main(void) {
  polls();
  counters();
  timers();
  signals();
  watches();
  return finish();
}
