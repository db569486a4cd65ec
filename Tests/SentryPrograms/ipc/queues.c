// POSIX message queues: mq_overview(7), by the calls themselves, whose names have no slash.
#include "../check.h"
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <time.h>

static char name[40], text[9000];
static unsigned priority;

static long mqOpen(int flags, long messages, long size) {
  struct mq_attr a = {.mq_maxmsg = messages, .mq_msgsize = size};
  return CALL(SYS_mq_open, name, flags, 0640, messages ? &a : 0);
}
static long sends(int q, const char *what, unsigned p) { return CALL(SYS_mq_timedsend, q, what, strlen(what), p, 0); }
static long gets(int q, long room) {
  memset(text, 0, sizeof text);
  priority = ~0u;
  return CALL(SYS_mq_timedreceive, q, text, room, &priority, 0);
}
static int got(const char *what, unsigned p) { return !strcmp(text, what) && priority == p; }
static pid_t forked(int (*body)(int), int q) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) _exit(body(q));
  return child;
}
static int ended(pid_t child) {
  int status;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}
static void untilSleeps(pid_t child) {
  char path[40], line[200];
  sprintf(path, "/proc/%d/stat", child);
  for (;;) {
    FILE *f = fopen(path, "r");
    line[0] = 0;
    if (f && !fgets(line, sizeof line, f)) line[0] = 0;
    if (f) fclose(f);
    char *end = strrchr(line, ')');
    if (!end || end[2] == 'S') return;
    usleep(1000);
  }
}

static void opening(void) {
  gives("nothing there", mqOpen(O_RDWR, 0, 0), -ENOENT);
  gives("name from nowhere", CALL(SYS_mq_open, NOWHERE, O_RDWR, 0, 0), -EFAULT);
  gives("no name", CALL(SYS_mq_open, "", O_CREAT | O_RDWR, 0600, 0), -ENOENT);
  gives("with a slash", CALL(SYS_mq_open, "a/b", O_CREAT | O_RDWR, 0600, 0), -EACCES);
  gives("a dot", CALL(SYS_mq_open, ".", O_CREAT | O_RDWR, 0600, 0), -EACCES);
  char longName[300];
  memset(longName, 'x', sizeof longName);
  longName[256] = 0;
  gives("a long name", CALL(SYS_mq_open, longName, O_CREAT | O_RDWR, 0600, 0), -ENAMETOOLONG);
  gives("shape from nowhere", CALL(SYS_mq_open, name, O_CREAT | O_RDWR, 0600, NOWHERE), -EFAULT);
  gives("no messages", mqOpen(O_CREAT | O_RDWR, -1, 10), -EINVAL);
  gives("no bytes", mqOpen(O_CREAT | O_RDWR, 1, 0), -EINVAL);
  gives("very many messages", mqOpen(O_CREAT | O_RDWR, 65537, 1), -EINVAL);
  gives("very great ones", mqOpen(O_CREAT | O_RDWR, 1, (16 << 20) + 1), -EINVAL);
  struct rlimit limit, least = {.rlim_cur = 1000, .rlim_max = RLIM_INFINITY};
  getrlimit(RLIMIT_MSGQUEUE, &limit);
  least.rlim_max = limit.rlim_max;
  setrlimit(RLIMIT_MSGQUEUE, &least);
  gives("beyond the limit", mqOpen(O_CREAT | O_RDWR, 10, 100), -EMFILE);
  setrlimit(RLIMIT_MSGQUEUE, &limit);
  int q = mqOpen(O_CREAT | O_RDWR | O_EXCL, 3, 50);
  check("made", q >= 0);
  gives("close-on-exec", fcntl(q, F_GETFD), FD_CLOEXEC);
  gives("there already", mqOpen(O_CREAT | O_EXCL | O_RDWR, 3, 50), -EEXIST);
  gives("bad mode", mqOpen(3, 0, 0), -EINVAL);
  struct stat s;
  check("fstat", fstat(q, &s) == 0 && S_ISREG(s.st_mode) && (s.st_mode & 0777) == 0640 && s.st_size == 80);
  struct statfs fs;
  check("fstatfs", fstatfs(q, &fs) == 0 && fs.f_type == 0x19800202);
  struct mq_attr a, b = {.mq_flags = O_NONBLOCK};
  gives("attributes", CALL(SYS_mq_getsetattr, q, 0, &a), 0);
  check("as made", a.mq_flags == 0 && a.mq_maxmsg == 3 && a.mq_msgsize == 50 && a.mq_curmsgs == 0);
  gives("set", CALL(SYS_mq_getsetattr, q, &b, &a), 0);
  check("old ones", a.mq_flags == 0 && (fcntl(q, F_GETFL) & O_NONBLOCK));
  b.mq_flags = O_APPEND;
  gives("other flags", CALL(SYS_mq_getsetattr, q, &b, 0), -EINVAL);
  gives("from nowhere", CALL(SYS_mq_getsetattr, q, NOWHERE, 0), -EFAULT);
  gives("into nowhere", CALL(SYS_mq_getsetattr, q, 0, NOWHERE), -EFAULT);
  gives("of no queue", CALL(SYS_mq_getsetattr, 0, 0, &a), -EBADF);
  close(q);
  gives("unlink", CALL(SYS_mq_unlink, name), 0);
  gives("no more", CALL(SYS_mq_unlink, name), -ENOENT);
  gives("unlink nothing", CALL(SYS_mq_unlink, ""), -ENOENT);
  gives("unlink from nowhere", CALL(SYS_mq_unlink, NOWHERE), -EFAULT);
}

static void moving(void) {
  int q = mqOpen(O_CREAT | O_RDWR | O_NONBLOCK, 3, 50);
  gives("none yet", gets(q, 50), -EAGAIN);
  gives("too little room", gets(q, 49), -EMSGSIZE);
  memset(text, 'x', sizeof text);
  gives("too long", CALL(SYS_mq_timedsend, q, text, 51, 0, 0), -EMSGSIZE);
  gives("bad priority", sends(q, "x", 32768), -EINVAL);
  gives("from nowhere", CALL(SYS_mq_timedsend, q, NOWHERE, 5, 0, 0), -EFAULT);
  gives("to no queue", sends(1, "x", 0), -EBADF);
  gives("low", sends(q, "low", 1), 0);
  gives("high", sends(q, "high", 32767), 0);
  gives("low again", sends(q, "low again", 1), 0);
  gives("full", sends(q, "x", 0), -EAGAIN);
  struct pollfd p = {.fd = q, .events = POLLIN | POLLOUT};
  check("poll of a full one", poll(&p, 1, 0) == 1 && p.revents == POLLIN);
  gives("the highest", gets(q, 50), 4);
  check("is high", got("high", 32767));
  check("poll with room", poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLOUT));
  gives("the older", gets(q, 100), 3);
  check("is low", got("low", 1));
  gives("no priority wanted", CALL(SYS_mq_timedreceive, q, text, 50, 0, 0), 9);
  gives("an empty one", sends(q, "", 7), 0);
  gives("is empty", gets(q, 50), 0);
  check("its priority", priority == 7);
  check("poll of an empty one", poll(&p, 1, 0) == 1 && p.revents == POLLOUT);
  gives("lost", sends(q, "lost", 0), 0);
  gives("into nowhere", CALL(SYS_mq_timedreceive, q, NOWHERE, 50, 0, 0), -EFAULT);
  gives("is lost", gets(q, 50), -EAGAIN);
  int r = mqOpen(O_RDONLY, 0, 0), w = mqOpen(O_WRONLY, 0, 0);
  gives("send where it reads", sends(r, "x", 0), -EBADF);
  gives("receive where it writes", gets(w, 50), -EBADF);
  gives("one end", sends(w, "through", 2), 0);
  gives("the other", gets(r, 50), 7);
  close(r);
  close(w);
  gives("unlinked", CALL(SYS_mq_unlink, name), 0);
  gives("works on", sends(q, "still", 0), 0);
  gives("and on", gets(q, 50), 5);
  struct stat s;
  check("without a name", fstat(q, &s) == 0 && s.st_nlink == 0);
  close(q);
}

static int receives(int q) {
  long n = gets(q, 50);
  return n == 4 && got("four", 3) ? 0 : 1;
}
static int awaitsRoom(int q) { return -sends(q, "last", 0); }
static void handler(int signal) { (void)signal; }
static int interrupted(int q) {
  struct sigaction a = {.sa_handler = handler};
  sigaction(SIGUSR1, &a, 0);
  return -gets(q, 50);
}
static void waiting(void) {
  int q = mqOpen(O_CREAT | O_RDWR, 2, 50);
  pid_t child = forked(receives, q);
  untilSleeps(child);
  gives("wakes it", sends(q, "four", 3), 0);
  gives("who has it", ended(child), 0);
  sends(q, "a", 0);
  sends(q, "b", 0);
  child = forked(awaitsRoom, q);
  untilSleeps(child);
  gets(q, 50);
  gives("room", ended(child), 0);
  gives("second", gets(q, 50), 1);
  gives("third", gets(q, 50), 4);
  child = forked(interrupted, q);
  untilSleeps(child);
  kill(child, SIGUSR1);
  gives("a handler ends it", ended(child), EINTR);
  struct timespec t = {.tv_sec = 1}, bad = {.tv_nsec = -1};
  gives("a time that was", CALL(SYS_mq_timedreceive, q, text, 50, 0, &t), -ETIMEDOUT);
  gives("no time", CALL(SYS_mq_timedreceive, q, text, 50, 0, &bad), -EINVAL);
  gives("a time from nowhere", CALL(SYS_mq_timedreceive, q, text, 50, 0, NOWHERE), -EFAULT);
  clock_gettime(CLOCK_REALTIME, &t);
  t.tv_nsec += 20000000;
  if (t.tv_nsec > 999999999) t.tv_sec++, t.tv_nsec -= 1000000000;
  gives("a time to come", CALL(SYS_mq_timedreceive, q, text, 50, 0, &t), -ETIMEDOUT);
  sends(q, "a", 0);
  sends(q, "b", 0);
  gives("no room in time", CALL(SYS_mq_timedsend, q, "c", 1, 0, &t), -ETIMEDOUT);
  close(q);
  CALL(SYS_mq_unlink, name);
}

static siginfo_t told;
static int times;
static void tells(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)context;
  told = *info;
  times++;
}
static int sendsOne(int q) { return -sends(q, "one", 0); }
static void notifying(void) {
  int q = mqOpen(O_CREAT | O_RDWR | O_NONBLOCK, 3, 50);
  struct sigaction a = {.sa_sigaction = tells, .sa_flags = SA_SIGINFO};
  sigaction(SIGUSR2, &a, 0);
  struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2, .sigev_value.sival_int = 42};
  gives("notify", CALL(SYS_mq_notify, q, &e), 0);
  gives("one only", CALL(SYS_mq_notify, q, &e), -EBUSY);
  gives("taken back", CALL(SYS_mq_notify, q, 0), 0);
  gives("again", CALL(SYS_mq_notify, q, &e), 0);
  char line[200] = "", path[60];
  lseek(q, 0, SEEK_SET);
  long n = read(q, line, sizeof line - 1);
  char wanted[200];
  sprintf(wanted, "QSIZE:%-10d NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", 0, 0, SIGUSR2, getpid());
  check("what its file says", n > 0 && !strcmp(line, wanted));
  pid_t child = forked(sendsOne, q);
  gives("sent", ended(child), 0);
  // The signal comes before or after the child's end.
  for (int i = 0; i < 500 && !times; i++) usleep(1000);
  check("told", times == 1 && told.si_signo == SIGUSR2 && told.si_code == SI_MESGQ && told.si_value.sival_int == 42);
  sends(q, "two", 0);
  gets(q, 50);
  gets(q, 50);
  sends(q, "three", 0);
  check("once", times == 1);
  gets(q, 50);
  gives("and again", CALL(SYS_mq_notify, q, &e), 0);
  int other = mqOpen(O_RDWR, 0, 0);
  close(other);
  gives("a close took it back", CALL(SYS_mq_notify, q, &e), 0);
  e.sigev_notify = 99;
  gives("no such way", CALL(SYS_mq_notify, q, &e), -EINVAL);
  e.sigev_notify = SIGEV_SIGNAL;
  e.sigev_signo = 65;
  gives("no such signal", CALL(SYS_mq_notify, q, &e), -EINVAL);
  gives("from nowhere", CALL(SYS_mq_notify, q, NOWHERE), -EFAULT);
  gives("of no queue", CALL(SYS_mq_notify, 1, 0), -EBADF);
  close(q);
  CALL(SYS_mq_unlink, name);
  (void)path;
}

static int another(int q) {
  (void)q;
  if (setgid(1) || setuid(1)) return 100;
  long other = CALL(SYS_mq_open, name, O_RDWR, 0, 0), gone = CALL(SYS_mq_unlink, name);
  char mine[50];
  sprintf(mine, "%s-own", name);
  struct mq_attr a = {.mq_maxmsg = 11, .mq_msgsize = 10};
  long many = CALL(SYS_mq_open, mine, O_CREAT | O_RDWR, 0600, &a);
  long made = CALL(SYS_mq_open, mine, O_CREAT | O_RDWR, 0600, 0);
  return (other != -EACCES) | (gone != -EPERM) << 1 | (many != -EINVAL) << 2 | (made < 0) << 3
    | (CALL(SYS_mq_unlink, mine) != 0) << 4;
}

// The file system, mounted somewhere of our own.
static void files(void) {
  int q = mqOpen(O_CREAT | O_RDWR, 3, 50);
  gives("another user", ended(forked(another, 0)), 0);
  char folder[] = "/tmp/queues-XXXXXX", path[100];
  check("folder", mkdtemp(folder) != 0);
  gives("mount", CALL(SYS_mount, "mqueue", folder, "mqueue", 0, 0), 0);
  struct stat s;
  check("its root", stat(folder, &s) == 0 && (s.st_mode & 07777) == 01777);
  sprintf(path, "%s/%s", folder, name);
  check("the queue", stat(path, &s) == 0 && s.st_size == 80 && (s.st_mode & 0777) == 0640);
  int file = open(path, O_RDWR | O_NONBLOCK);
  gives("a queue by its file", sends(file, "x", 0), 0);
  gives("is the same", gets(q, 50), 1);
  close(file);
  gives("removed by its file", unlink(path), 0);
  gives("is gone", CALL(SYS_mq_unlink, name), -ENOENT);
  umount2(folder, MNT_DETACH);
  rmdir(folder);
  close(q);
}

int main(void) {
  sprintf(name, "check-%d", getpid());
  opening();
  moving();
  waiting();
  notifying();
  files();
  return finish();
}
