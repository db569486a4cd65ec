// Many messages at a time, and the older forms of eventfd, inotify and signalfd.
#include "../check.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

static void messages(void) {
  int s[2];
  socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
  char one[] = "one", two[] = "second", in[3][8];
  struct iovec out[2] = {{one, 3}, {two, 6}}, room[3] = {{in[0], 8}, {in[1], 8}, {in[2], 8}};
  struct mmsghdr send[2] = {{{.msg_iov = out, .msg_iovlen = 1}, 0}, {{.msg_iov = out + 1, .msg_iovlen = 1}, 0}};
  struct mmsghdr got[3] = {{{.msg_iov = room, .msg_iovlen = 1}, 0}, {{.msg_iov = room + 1, .msg_iovlen = 1}, 0}, {{.msg_iov = room + 2, .msg_iovlen = 1}, 0}};
  gives("sendmmsg", CALL(SYS_sendmmsg, s[0], send, 2, 0), 2);
  check("sendmmsg: lengths", send[0].msg_len == 3 && send[1].msg_len == 6);
  gives("recvmmsg", CALL(SYS_recvmmsg, s[1], got, 3, MSG_DONTWAIT, 0), 2);
  check("recvmmsg: lengths", got[0].msg_len == 3 && got[1].msg_len == 6);
  check("recvmmsg: their bytes", memcmp(in[0], "one", 3) == 0 && memcmp(in[1], "second", 6) == 0);
  gives("recvmmsg: none left", CALL(SYS_recvmmsg, s[1], got, 3, MSG_DONTWAIT, 0), -EAGAIN);
  gives("recvmmsg: none asked for", CALL(SYS_recvmmsg, s[1], got, 0, MSG_DONTWAIT, 0), 0);
  gives("sendmmsg: none", CALL(SYS_sendmmsg, s[0], send, 0, 0), 0);
  gives("sendmmsg: from nowhere", CALL(SYS_sendmmsg, s[0], NOWHERE, 1, 0), -EFAULT);
  gives("recvmmsg: to nowhere", CALL(SYS_recvmmsg, s[1], NOWHERE, 1, MSG_DONTWAIT, 0), -EFAULT);
  gives("recvmmsg: a time from nowhere", CALL(SYS_recvmmsg, s[1], got, 1, MSG_DONTWAIT, NOWHERE), -EFAULT);
  gives("recvmmsg: no time", CALL(SYS_recvmmsg, s[1], got, 1, MSG_DONTWAIT, &(struct timespec){0, 1000000000}), -EINVAL);
  struct timespec limit = {0, 0};
  CALL(SYS_sendmmsg, s[0], send, 2, 0);
  gives("recvmmsg: a time that is over after the first", CALL(SYS_recvmmsg, s[1], got, 3, 0, &limit), 1);
  limit.tv_sec = 1000;
  gives("recvmmsg: time enough", CALL(SYS_recvmmsg, s[1], got, 1, 0, &limit), 1);
  check("recvmmsg: what is left of it", limit.tv_sec == 999 || limit.tv_sec == 1000);
  gives("sendmmsg: no descriptor", CALL(SYS_sendmmsg, 999, send, 1, 0), -EBADF);
  gives("recvmmsg: no descriptor", CALL(SYS_recvmmsg, 999, got, 1, 0, 0), -EBADF);
  int p[2];
  if (pipe(p)) return;
  gives("sendmmsg: a pipe", CALL(SYS_sendmmsg, p[1], send, 1, 0), -ENOTSOCK);
  gives("recvmmsg: a pipe", CALL(SYS_recvmmsg, p[0], got, 1, 0, 0), -ENOTSOCK);
  // The second has nowhere to take its bytes from: the first goes, and its error is not told.
  out[1].iov_base = NOWHERE;
  gives("sendmmsg: the first alone", CALL(SYS_sendmmsg, s[0], send, 2, 0), 1);
  gives("recvmmsg: it came", CALL(SYS_recvmmsg, s[1], got, 3, MSG_WAITFORONE, 0), 1);
}

static void older(void) {
  uint64_t count = 0;
  int counter = CALL(SYS_eventfd, 3);
  check("eventfd", counter >= 0);
  gives("eventfd: no flags", fcntl(counter, F_GETFD) | (fcntl(counter, F_GETFL) & O_NONBLOCK), 0);
  check("eventfd: its count", read(counter, &count, 8) == 8 && count == 3);
  int watch = CALL(SYS_inotify_init);
  check("inotify_init", watch >= 0);
  gives("inotify_init: no flags", fcntl(watch, F_GETFD) | (fcntl(watch, F_GETFL) & O_NONBLOCK), 0);
  uint64_t mask = 1UL << (SIGUSR1 - 1);
  sigset_t blocked;
  sigemptyset(&blocked), sigaddset(&blocked, SIGUSR1);
  sigprocmask(SIG_BLOCK, &blocked, 0);
  int taken = CALL(SYS_signalfd, -1, &mask, 8);
  check("signalfd", taken >= 0);
  gives("signalfd: no flags", fcntl(taken, F_GETFD) | (fcntl(taken, F_GETFL) & O_NONBLOCK), 0);
  gives("signalfd: a set of another size", CALL(SYS_signalfd, -1, &mask, 4), -EINVAL);
  gives("signalfd: from nowhere", CALL(SYS_signalfd, -1, NOWHERE, 8), -EFAULT);
  gives("signalfd: no descriptor", CALL(SYS_signalfd, 999, &mask, 8), -EBADF);
  gives("signalfd: of another kind", CALL(SYS_signalfd, counter, &mask, 8), -EINVAL);
  char record[128];
  kill(getpid(), SIGUSR1);
  gives("signalfd: a signal", read(taken, record, sizeof record), 128);
  check("signalfd: it", record[0] == SIGUSR1);
}

int main(void) {
  messages();
  older();
  return finish();
}
