// Sockets: which of several errors a call tells, and what it says of ends that have gone or are shut (found by random calls).
#include "../check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

static struct sockaddr_un who;
static socklen_t room;
static long peer(int s) { return room = sizeof who, CALL(SYS_getpeername, s, &who, &room); }
static int events(int s) {
  struct pollfd one = {s, POLLIN | POLLOUT | POLLRDHUP, 0};
  return poll(&one, 1, 0) < 0 ? -1 : one.revents;
}

static void shut(void) {
  int s[2], alone = socket(AF_UNIX, SOCK_STREAM, 0);
  char b[16];
  gives("one that is alone can be shut", CALL(SYS_shutdown, alone, SHUT_RDWR), 0);
  gives("one of packets too", CALL(SYS_shutdown, socket(AF_UNIX, SOCK_SEQPACKET, 0), SHUT_RD), 0);
  socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
  gives("one of datagrams", shutdown(s[0], SHUT_RD), 0);
  gives("has an end for those who wait", recv(s[0], b, 1, 0), 0);
  gives("and nothing for those who do not", CALL(SYS_recvfrom, s[0], b, 1, MSG_DONTWAIT, 0, 0), -EAGAIN);
  gives("shut whole", shutdown(s[0], SHUT_RDWR), 0);
  check("it hangs up", events(s[0]) & POLLHUP);
  check("its peer does not", !(events(s[1]) & POLLHUP));
  close(s[0]);
  gives("one whose peer has gone names it", peer(s[1]), 0);
  gives("is refused", CALL(SYS_write, s[1], "x", 1), -ECONNREFUSED);
  gives("and then has none", peer(s[1]), -ENOTCONN);
  close(s[1]), close(alone);
}

static void passing(void) {
  int s[2];
  char b[32];
  socketpair(AF_UNIX, SOCK_STREAM, 0, s);
  struct { struct cmsghdr h; int file; } control = {{.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}, 0};
  struct iovec part = {"with a file", 11}, whole = {b, sizeof b};
  struct msghdr sent = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  write(s[0], "first ", 6);
  gives("a file after bytes", sendmsg(s[0], &sent, 0), 11);
  write(s[0], " more", 5);
  struct msghdr taken = {.msg_iov = &whole, .msg_iovlen = 1};
  gives("they come together", recvmsg(s[1], &taken, 0), 17);
  check("the file had no room", taken.msg_flags & MSG_CTRUNC);
  gives("what follows does not", read(s[1], b, sizeof b), 5);
  gives("sendmsg as of a 32-bit program", CALL(SYS_sendmsg, 999, &sent, 0x80000000), -EINVAL);
  gives("recvmsg as of a 32-bit program", CALL(SYS_recvmsg, 999, &taken, 0x80000000), -EINVAL);
  close(s[0]), close(s[1]);
}

static void naming(void) {
  int s = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un at = {AF_UNIX, "bound"}, there = {AF_UNIX, "nowhere/s"}, beneath = {AF_UNIX, "file/s"}, next = {AF_UNIX, "next"};
  gives("bind", bind(s, (void *)&at, sizeof at), 0);
  gives("again: a path that cannot be says so", CALL(SYS_bind, s, &there, sizeof there), -ENOENT);
  gives("again: nor beneath a file", CALL(SYS_bind, s, &beneath, sizeof beneath), -ENOTDIR);
  gives("again: one that is there", CALL(SYS_bind, s, &at, sizeof at), -EADDRINUSE);
  gives("again: one that could be", CALL(SYS_bind, s, &next, sizeof next), -EINVAL);
  struct stat status;
  gives("is not left behind", CALL(SYS_stat, "next", &status), -ENOENT);
  gives("again: any name", CALL(SYS_bind, s, &at, 2), 0);
  unlink("bound"), close(s);
}

static long option(int s, int name, int value) { return CALL(SYS_setsockopt, s, SOL_SOCKET, name, &value, sizeof value); }
static long has(int s, int name) {
  int value = -77;
  room = sizeof value;
  long result = CALL(SYS_getsockopt, s, SOL_SOCKET, name, &value, &room);
  return result < 0 ? result : value;
}

static void options(void) {
  int s = socket(AF_UNIX, SOCK_STREAM, 0), value = 1;
  static const struct { int name, first; } switches[] = {{SO_REUSEADDR, 0}, {SO_DONTROUTE, 0}, {SO_BROADCAST, 0}, {SO_KEEPALIVE, 0}, {SO_OOBINLINE, 0}, {SO_NO_CHECK, 0}};
  for (unsigned i = 0; i < sizeof switches / sizeof *switches; i++) {
    gives("a switch is off", has(s, switches[i].name), switches[i].first);
    gives("is set", option(s, switches[i].name, 7), 0);
    gives("is on", has(s, switches[i].name), 1);
    gives("is set back", option(s, switches[i].name, 0), 0);
    gives("is off again", has(s, switches[i].name), 0);
  }
  gives("SO_PRIORITY", option(s, SO_PRIORITY, 5), 0);
  gives("SO_PRIORITY: what it is", has(s, SO_PRIORITY), 5);
  gives("SO_REUSEPORT is for others", option(s, SO_REUSEPORT, 1), -EOPNOTSUPP);
  gives("SO_REUSEPORT: off", option(s, SO_REUSEPORT, 0), 0);
  gives("SO_RCVLOWAT", has(s, SO_RCVLOWAT), 1);
  gives("SO_RCVLOWAT of nothing", option(s, SO_RCVLOWAT, 0), 0);
  gives("SO_RCVLOWAT is one", has(s, SO_RCVLOWAT), 1);
  gives("SO_RCVLOWAT below nothing", option(s, SO_RCVLOWAT, -1), 0);
  gives("SO_RCVLOWAT is the most", has(s, SO_RCVLOWAT), 0x7fffffff);
  gives("SO_SNDLOWAT", has(s, SO_SNDLOWAT), 1);
  gives("SO_SNDLOWAT is not set", option(s, SO_SNDLOWAT, 1), -ENOPROTOOPT);
  gives("SO_LINGER of half its size", option(s, SO_LINGER, 1), -EINVAL);
  struct linger linger = {3, 9};
  gives("SO_LINGER", CALL(SYS_setsockopt, s, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
  linger = (struct linger){0, 0}, room = sizeof linger;
  gives("SO_LINGER: what it is", CALL(SYS_getsockopt, s, SOL_SOCKET, SO_LINGER, &linger, &room), 0);
  check("SO_LINGER: on, so long", linger.l_onoff == 1 && linger.l_linger == 9);
  gives("SO_PEERGROUPS of nobody", has(s, SO_PEERGROUPS), -ENODATA);
  gives("SO_ACCEPTCONN of half its size", CALL(SYS_setsockopt, s, SOL_SOCKET, SO_ACCEPTCONN, &value, 2), -EINVAL);
  gives("too little from nowhere", CALL(SYS_setsockopt, s, SOL_SOCKET, SO_SNDBUF, NULL, 2), -EINVAL);
  gives("enough from nowhere", CALL(SYS_setsockopt, s, SOL_SOCKET, SO_SNDBUF, NOWHERE, 4), -EFAULT);
  gives("a level that is not there", CALL(SYS_getsockopt, s, 6, 1, &value, NOWHERE), -EOPNOTSUPP);
  gives("a level that is not there, to be set", CALL(SYS_setsockopt, s, 6, 1, NOWHERE, 4), -EOPNOTSUPP);
  gives("no descriptor before no length", CALL(SYS_setsockopt, 999, SOL_SOCKET, SO_SNDBUF, &value, -1), -EBADF);
  close(s);
}

static void sends_into_nothing(void) {
  char control[CMSG_SPACE(4)] = {0};
  *(struct cmsghdr *)control = (struct cmsghdr){.cmsg_len = CMSG_LEN(4), .cmsg_level = 77, .cmsg_type = 1};
  struct msghdr sent = {.msg_control = control, .msg_controllen = sizeof control};
  signal(SIGPIPE, SIG_DFL);
  sendmsg(socket(AF_INET, SOCK_STREAM, 0), &sent, 0);
}

static void internet(void) {
  int stream = socket(AF_INET, SOCK_STREAM, 0), datagrams = socket(AF_INET, SOCK_DGRAM, 0);
  struct pollfd one = {stream, 0x7fff, 0};
  gives("a stream without a peer", poll(&one, 1, 0) == 1 ? one.revents : -1, POLLOUT | POLLWRNORM | POLLHUP);
  one.fd = datagrams;
  gives("datagrams without a peer", poll(&one, 1, 0) == 1 ? one.revents : -1, POLLOUT | POLLWRNORM | POLLWRBAND);
  char control[CMSG_SPACE(4)] = {0};
  *(struct cmsghdr *)control = (struct cmsghdr){.cmsg_len = CMSG_LEN(4), .cmsg_level = 77, .cmsg_type = 1};
  struct msghdr sent = {.msg_control = control, .msg_controllen = sizeof control};
  gives("no peer before odd control messages", CALL(SYS_sendmsg, stream, &sent, 0), -EPIPE);
  gives("nobody to get it before odd control messages", CALL(SYS_sendmsg, datagrams, &sent, 0), -EDESTADDRREQ);
  pid_t child = fork();
  if (child == 0) sends_into_nothing(), _exit(0);
  int left;
  waitpid(child, &left, 0);
  gives("with its signal", WIFSIGNALED(left) ? WTERMSIG(left) : 0, SIGPIPE);
  close(stream), close(datagrams);
}

// What O_PATH opened is no descriptor to most calls.
static void paths(void) {
  int file = open("file", O_PATH), poller = epoll_create1(0), counter[2];
  pipe(counter);
  struct epoll_event event = {EPOLLIN, {0}};
  struct itimerspec times = {{0, 0}, {0, 0}};
  sigset_t none;
  sigemptyset(&none);
  gives("epoll_ctl at a path", CALL(SYS_epoll_ctl, file, EPOLL_CTL_ADD, counter[0], &event), -EBADF);
  gives("epoll_ctl of a path", CALL(SYS_epoll_ctl, poller, EPOLL_CTL_ADD, file, &event), -EBADF);
  gives("epoll_wait at a path", CALL(SYS_epoll_wait, file, &event, 1, 0), -EBADF);
  gives("epoll_wait to where nothing can be", CALL(SYS_epoll_wait, poller, 0x7fffffffe000, 1000, 0), -EFAULT);
  gives("epoll_wait of none to where nothing can be", CALL(SYS_epoll_wait, counter[0], 0x7fffffffe000, 1000, 0), -EFAULT);
  event.events = EPOLLIN | EPOLLEXCLUSIVE;
  gives("what is not there is not made exclusive", CALL(SYS_epoll_ctl, poller, EPOLL_CTL_MOD, counter[0], &event), -EINVAL);
  gives("timerfd_settime", CALL(SYS_timerfd_settime, file, 0, &times, NULL), -EBADF);
  gives("timerfd_gettime", CALL(SYS_timerfd_gettime, file, &times), -EBADF);
  gives("signalfd", CALL(SYS_signalfd4, file, &none, 8, 0), -EBADF);
  gives("inotify_add_watch", CALL(SYS_inotify_add_watch, file, ".", IN_CREATE), -EBADF);
  gives("inotify_rm_watch", CALL(SYS_inotify_rm_watch, file, 1), -EBADF);
  gives("connect before its address", CALL(SYS_connect, file, NOWHERE, 6), -EBADF);
  gives("accept4 before its flags", CALL(SYS_accept4, file, NULL, NULL, 1), -EBADF);
  gives("lseek before its manner", CALL(SYS_lseek, file, 0, 9), -EBADF);
  gives("copy_file_range before its kind", CALL(SYS_copy_file_range, file, NULL, counter[1], NULL, 1, 0), -EBADF);
  close(file), close(poller), close(counter[0]), close(counter[1]);
}

int main(void) {
  char own[] = "/tmp/sockets-XXXXXX";
  if (mkdir("/tmp", 01777) && errno != EEXIST) return 2;
  if (!mkdtemp(own) || chdir(own)) return 2;
  close(open("file", O_RDWR | O_CREAT, 0600));
  signal(SIGPIPE, SIG_IGN);
  shut();
  passing();
  naming();
  options();
  internet();
  paths();
  unlink("file");
  if (chdir("/") == 0) rmdir(own);
  return finish();
}
