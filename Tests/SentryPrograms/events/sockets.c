// Unix sockets (unix(7)), in pairs and by name, with descriptors and credentials; internet sockets on the loopback.
#include "../check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

// A write that must not block takes all that there is room for; the next one finds none.
static void saturated(const char *name, int from, int to) {
  static char big[64 << 20];
  fcntl(from, F_SETFL, O_NONBLOCK);
  long first = CALL(SYS_write, from, big, sizeof big);
  printf("%s %s: more than a piece\n", first > 65536 && first < (long)sizeof big ? "ok" : "FAIL", name);
  int rest = 0;
  while (CALL(SYS_write, from, big, sizeof big) > 0 && rest < 3) rest++;
  printf("%s %s: then nothing\n", rest < 3 ? "ok" : "FAIL", name);
  close(from), close(to);
}

static void saturation(void) {
  int s[2];
  socketpair(AF_UNIX, SOCK_STREAM, 0, s);
  saturated("a unix stream", s[0], s[1]);
  struct sockaddr_in at = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
  socklen_t length = sizeof at;
  int listener = socket(AF_INET, SOCK_STREAM, 0), one = socket(AF_INET, SOCK_STREAM, 0);
  bind(listener, (struct sockaddr *)&at, sizeof at);
  getsockname(listener, (struct sockaddr *)&at, &length);
  listen(listener, 1);
  connect(one, (struct sockaddr *)&at, sizeof at);
  int two = accept(listener, 0, 0);
  saturated("an internet stream", one, two);
  close(listener);
}

// Who has connected, said a word and gone before it was accepted.
static void hasty(const char *name, struct sockaddr *at, socklen_t length) {
  int listener = socket(at->sa_family, SOCK_STREAM, 0), one = socket(at->sa_family, SOCK_STREAM, 0);
  bind(listener, at, length);
  if (at->sa_family == AF_INET) getsockname(listener, at, &length);
  listen(listener, 1);
  connect(one, at, length);
  write(one, "word", 4);
  if (at->sa_family == AF_INET) setsockopt(one, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
  close(one);
  struct sockaddr_storage who;
  socklen_t room = sizeof who;
  int two = accept(listener, (struct sockaddr *)&who, &room);
  printf("%s %s: accepted all the same\n", two >= 0 ? "ok" : "FAIL", name);
  printf("%s %s: its name\n", room == (at->sa_family == AF_INET ? 16 : 2) && who.ss_family == at->sa_family ? "ok" : "FAIL", name);
  char b[8];
  if (at->sa_family == AF_UNIX) {
    gives("its word", read(two, b, sizeof b), 4);
    gives("then the end", read(two, b, sizeof b), 0);
    room = sizeof who;
    gives("its name is known still", CALL(SYS_getpeername, two, &who, &room), 0);
  } else {
    gives("its word", read(two, b, sizeof b), 4);
    gives("then it was reset", CALL(SYS_read, two, b, sizeof b), -ECONNRESET);
  }
  close(two), close(listener);
}

static void gone(void) {
  hasty("a unix stream", (struct sockaddr *)&(struct sockaddr_un){AF_UNIX, "\0hasty"}, sizeof(short) + 6);
  hasty("an internet stream", (struct sockaddr *)&(struct sockaddr_in){AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}}, sizeof(struct sockaddr_in));
}

static void pairs(void) {
  int s[2];
  char b[100];
  gives("socketpair: inet", CALL(SYS_socketpair, AF_INET, SOCK_STREAM, 0, s), -EOPNOTSUPP);
  gives("socketpair: bad type", CALL(SYS_socketpair, AF_UNIX, 9, 0, s), -ESOCKTNOSUPPORT);
  gives("socketpair: bad pointer", CALL(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, NOWHERE), -EFAULT);
  gives("socketpair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
  gives("write", write(s[0], "hello", 5), 5);
  gives("peek", recv(s[1], b, sizeof b, MSG_PEEK), 5);
  gives("read", read(s[1], b, 2), 2);
  gives("more", send(s[0], "!", 1, 0), 1);
  gives("both pieces", read(s[1], b, sizeof b), 4);
  check("in their order", memcmp(b, "llo!", 4) == 0);
  gives("nothing", CALL(SYS_recvfrom, s[1], b, 1, MSG_DONTWAIT, 0, 0), -EAGAIN);
  gives("from nowhere", CALL(SYS_write, s[0], NOWHERE, 1), -EFAULT);
  gives("connected already", CALL(SYS_sendto, s[0], b, 1, 0, &(struct sockaddr_un){AF_UNIX, "x"}, sizeof(struct sockaddr_un)), -EISCONN);
  gives("shutdown", shutdown(s[0], SHUT_WR), 0);
  gives("the end", read(s[1], b, 1), 0);
  signal(SIGPIPE, SIG_IGN);
  gives("no writing any more", CALL(SYS_write, s[0], b, 1), -EPIPE);
  gives("the other way", write(s[1], "x", 1), 1);
  struct pollfd f = {s[0], POLLIN | POLLOUT, 0};
  poll(&f, 1, 0);
  check("poll", (f.revents & (POLLIN | POLLHUP)) == POLLIN);
  gives("bad shutdown", CALL(SYS_shutdown, s[0], 3), -EINVAL);
  close(s[1]);
  gives("what was left", read(s[0], b, sizeof b), 1);
  gives("the end too", read(s[0], b, 1), 0);
  close(s[0]);
  socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s);
  write(s[0], "abcdef", 6);
  write(s[0], "g", 1);
  gives("a record cut", recv(s[1], b, 3, 0), 3);
  gives("the next record", recv(s[1], b, sizeof b, 0), 1);
  write(s[0], "hij", 3);
  struct iovec whole = {b, sizeof b};
  struct msghdr record = {.msg_iov = &whole, .msg_iovlen = 1};
  gives("one more", recvmsg(s[1], &record, 0), 3);
  gives("its flags", record.msg_flags, 0);
  close(s[0]);
  gives("end of records", recv(s[1], b, 1, 0), 0);
  close(s[1]);
  socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
  send(s[0], "abcdef", 6, 0);
  gives("true length", recv(s[1], b, 3, MSG_TRUNC), 6);
  send(s[0], "", 0, 0);
  gives("an empty datagram", recv(s[1], b, 3, 0), 0);
  close(s[0]);
  close(s[1]);
}

static long blocking(int s, int filling) {
  static char b[500000];
  long sum = 0, n;
  if (filling) return write(s, b, sizeof b);
  while ((n = read(s, b, 10000)) > 0) sum += n;
  return sum;
}

static void large(void) {
  int s[2];
  socketpair(AF_UNIX, SOCK_STREAM, 0, s);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    close(s[0]);
    _exit(blocking(s[1], 1) == 500000 ? 0 : 1);
  }
  close(s[1]);
  gives("a large write", blocking(s[0], 0), 500000);
  int status;
  waitpid(pid, &status, 0);
  gives("is whole", WEXITSTATUS(status), 0);
  close(s[0]);
}

static void rights(void) {
  int s[2], p[2], on = 1;
  char c = 'x', got;
  socketpair(AF_UNIX, SOCK_STREAM, 0, s);
  pipe(p);
  union { struct cmsghdr h; char b[128]; } control;
  struct iovec v = {&c, 1};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control.b, .msg_controllen = CMSG_SPACE(sizeof p)};
  memset(&control, 0, sizeof control);
  control.h.cmsg_level = SOL_SOCKET;
  control.h.cmsg_type = SCM_RIGHTS;
  control.h.cmsg_len = CMSG_LEN(sizeof p);
  memcpy(CMSG_DATA(&control.h), p, sizeof p);
  gives("send descriptors", sendmsg(s[0], &m, 0), 1);
  close(p[0]);
  close(p[1]);
  memset(&control, 0, sizeof control);
  m.msg_controllen = sizeof control;
  v.iov_base = &got;
  gives("receive", recvmsg(s[1], &m, MSG_CMSG_CLOEXEC), 1);
  check("two descriptors", control.h.cmsg_type == SCM_RIGHTS && control.h.cmsg_len == CMSG_LEN(8));
  memcpy(p, CMSG_DATA(&control.h), sizeof p);
  gives("close on exec", fcntl(p[0], F_GETFD), FD_CLOEXEC);
  write(p[1], "y", 1);
  gives("they work", read(p[0], &got, 1), 1);
  int bad = 999;
  control.h.cmsg_len = CMSG_LEN(4);
  m.msg_controllen = CMSG_SPACE(4);
  memcpy(CMSG_DATA(&control.h), &bad, 4);
  gives("a bad one", CALL(SYS_sendmsg, s[0], &m, 0), -EBADF);
  // Two lists of them in one message count together (SCM_MAX_FD of net/core/scm.c).
  static union { struct cmsghdr h; char b[2 * CMSG_SPACE(200 * sizeof(int))]; } lists;
  for (int i = 0; i < 2; i++) {
    struct cmsghdr *each = (struct cmsghdr *)(lists.b + i * CMSG_SPACE(200 * sizeof(int)));
    each->cmsg_level = SOL_SOCKET;
    each->cmsg_type = SCM_RIGHTS;
    each->cmsg_len = CMSG_LEN((i ? 54 : 200) * sizeof(int));
  }
  m.msg_control = lists.b;
  m.msg_controllen = CMSG_SPACE(200 * sizeof(int)) + CMSG_SPACE(54 * sizeof(int));
  gives("more than one message holds", CALL(SYS_sendmsg, s[0], &m, 0), -EINVAL);
  m.msg_control = control.b;
  gives("pass credentials", setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
  m.msg_control = 0;
  m.msg_controllen = 0;
  v.iov_base = &c;
  sendmsg(s[0], &m, 0);
  m.msg_control = control.b;
  m.msg_controllen = sizeof control;
  gives("receive credentials", recvmsg(s[1], &m, 0), 1);
  struct ucred u;
  memcpy(&u, CMSG_DATA(&control.h), sizeof u);
  check("they are ours", control.h.cmsg_type == SCM_CREDENTIALS && u.pid == getpid() && u.uid == getuid());
  socklen_t size = sizeof u;
  gives("the peer's", getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &u, &size), 0);
  check("ours too", u.pid == getpid() && size == sizeof u);
  close(s[0]); close(s[1]); close(p[0]); close(p[1]);
}

static void names(void) {
  struct sockaddr_un a = {AF_UNIX, "/tmp/socket-name"};
  struct stat st;
  unlink(a.sun_path);
  int l = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
  gives("nobody there", CALL(SYS_connect, c, &a, sizeof a), -ENOENT);
  gives("listen without a name", CALL(SYS_listen, l, 1), -EINVAL);
  gives("bind", bind(l, (void *)&a, sizeof a), 0);
  gives("twice", CALL(SYS_bind, l, &a, sizeof a), -EADDRINUSE);
  struct sockaddr_un second = {AF_UNIX, "/tmp/socket-other"};
  gives("a second name", CALL(SYS_bind, l, &second, sizeof second), -EINVAL);
  gives("is not made", CALL(SYS_stat, second.sun_path, &st), -ENOENT);
  gives("stat", stat(a.sun_path, &st), 0);
  check("a socket", S_ISSOCK(st.st_mode));
  gives("open it", CALL(SYS_open, a.sun_path, O_RDWR), -ENXIO);
  gives("nobody listens", CALL(SYS_connect, c, &a, sizeof a), -ECONNREFUSED);
  int other = socket(AF_UNIX, SOCK_STREAM, 0);
  gives("the name is taken", CALL(SYS_bind, other, &a, sizeof a), -EADDRINUSE);
  close(other);
  gives("listen", listen(l, 5), 0);
  gives("nobody yet", CALL(SYS_accept4, l, 0, 0, 0), -EAGAIN);
  gives("connect", connect(c, (void *)&a, sizeof a), 0);
  gives("once more", CALL(SYS_connect, c, &a, sizeof a), -EISCONN);
  struct pollfd f = {l, POLLIN, 0};
  gives("poll", poll(&f, 1, 0), 1);
  struct sockaddr_un from;
  socklen_t size = sizeof from;
  int s = accept4(l, (void *)&from, &size, SOCK_CLOEXEC);
  check("accept", s >= 0 && size == 2 && from.sun_family == AF_UNIX);
  size = sizeof from;
  getpeername(c, (void *)&from, &size);
  check("the peer's name", strcmp(from.sun_path, a.sun_path) == 0);
  write(c, "x", 1);
  char b[32];
  gives("a byte", read(s, b, 1), 1);
  int on = 0;
  size = sizeof on;
  gives("SO_ACCEPTCONN", getsockopt(l, SOL_SOCKET, SO_ACCEPTCONN, &on, &size), 0);
  gives("is on", on, 1);
  gives("unknown option", CALL(SYS_getsockopt, l, SOL_SOCKET, 999, &on, &size), -ENOPROTOOPT);
  gives("not a socket", CALL(SYS_getsockopt, 0, SOL_SOCKET, SO_TYPE, &on, &size), -ENOTSOCK);
  close(s); close(c); close(l);
  unlink(a.sun_path);
  struct sockaddr_un h = {AF_UNIX, "\0hidden"};
  int d = socket(AF_UNIX, SOCK_DGRAM, 0), e = socket(AF_UNIX, SOCK_DGRAM, 0);
  gives("abstract", bind(d, (void *)&h, 9), 0);
  gives("send by name", sendto(e, "abc", 3, 0, (void *)&h, 9), 3);
  size = sizeof from;
  gives("receive", recvfrom(d, b, sizeof b, 0, (void *)&from, &size), 3);
  gives("from nobody", size, 0);
  close(d);
  gives("gone", CALL(SYS_sendto, e, "abc", 3, 0, &h, 9), -ECONNREFUSED);
  close(e);
}

static void internet(void) {
  gives("bad family", CALL(SYS_socket, 99, SOCK_STREAM, 0), -EAFNOSUPPORT);
  gives("bad type", CALL(SYS_socket, AF_INET, 15, 0), -EINVAL);
  int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  struct sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
  gives("reuse", setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
  gives("bind", bind(l, (void *)&a, sizeof a), 0);
  socklen_t size = sizeof a;
  gives("its port", getsockname(l, (void *)&a, &size), 0);
  check("is one", a.sin_port != 0 && size == sizeof a);
  gives("listen", listen(l, 5), 0);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    char b[8];
    if (connect(c, (void *)&a, sizeof a) != 0) _exit(1);
    if (setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) _exit(2);
    if (send(c, "ping", 4, 0) != 4) _exit(3);
    if (recv(c, b, sizeof b, MSG_WAITALL) != 4 || memcmp(b, "pong", 4)) _exit(4);
    _exit(0);
  }
  int s = accept(l, 0, 0);
  check("accept", s >= 0);
  char b[8];
  gives("four bytes", recv(s, b, 4, MSG_WAITALL), 4);
  check("ping", memcmp(b, "ping", 4) == 0);
  gives("answer", write(s, "pong", 4), 4);
  close(s);
  int status;
  waitpid(pid, &status, 0);
  gives("the client is content", WEXITSTATUS(status), 0);
  close(l);
  close(c);
  c = socket(AF_INET, SOCK_STREAM, 0);
  gives("nobody listens any more", CALL(SYS_connect, c, &a, sizeof a), -ECONNREFUSED);
  close(c);
  int u = socket(AF_INET, SOCK_DGRAM, 0), v = socket(AF_INET, SOCK_DGRAM, 0);
  a.sin_port = 0;
  bind(u, (void *)&a, sizeof a);
  getsockname(u, (void *)&a, &size);
  gives("a datagram", sendto(v, "dg", 2, 0, (void *)&a, sizeof a), 2);
  gives("its length", recv(u, b, 1, MSG_TRUNC), 2);
  struct timeval t = {0, 20000};
  gives("a time-out", setsockopt(u, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t), 0);
  gives("ends a receive", CALL(SYS_recvfrom, u, b, 1, 0, 0, 0), -EAGAIN);
  close(u); close(v);
}

static void interfaces(void) {
  struct { char name[16]; int index; char rest[20]; } r = {"lo", -1, ""};
  int u = socket(AF_UNIX, SOCK_DGRAM, 0);
  gives("an interface's index, by a unix socket", CALL(SYS_ioctl, u, 0x8933, &r), 0);
  gives("of the loopback", r.index, 1);
  strcpy(r.name, "absent0");
  gives("of none", CALL(SYS_ioctl, u, 0x8933, &r), -ENODEV);
  close(u);
}

// The lowest free number, whatever was closed in between.
static void numbers(void) {
  int d[40];
  for (int i = 0; i < 40; i++) d[i] = dup(1);
  int first = d[0];
  close(d[20]);
  close(d[5]);
  gives("the lowest", dup(1), d[5]);
  gives("at least", fcntl(1, F_DUPFD, d[10]), d[20]);
  int next = dup(1);
  check("the next", next > d[39]);
  close(next);
  for (int i = 0; i < 40; i++) close(d[i]);
  gives("all free again", dup(1), first);
  close(first);
}

int main(void) {
  pairs();
  saturation();
  gone();
  interfaces();
  numbers();
  large();
  rights();
  names();
  internet();
  return finish();
}
