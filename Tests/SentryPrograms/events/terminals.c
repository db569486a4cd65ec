// Pseudo terminals (pty(7)), the line discipline (termios(3)) and job control.
#include "../check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

static int master;
static char path[64];

static int terminal(int flags) { return open(path, flags); }

// A terminal that nobody has looked for by its name has one all the same.
static void unnamed(void) {
  int own = open("/dev/ptmx", O_RDWR | O_NOCTTY), unlock = 0;
  struct stat s;
  gives("a master's device", fstat(own, &s) == 0 && S_ISCHR(s.st_mode), 1);
  ioctl(own, TIOCSPTLCK, &unlock);
  int peer = ioctl(own, TIOCGPTPEER, O_RDWR | O_NOCTTY);
  check("a peer", peer >= 0);
  gives("a peer's device", fstat(peer, &s) == 0 && S_ISCHR(s.st_mode) && s.st_rdev >> 8 == 136, 1);
  close(peer), close(own);
}

static void open_pair(void) {
  int n = -1, unlock = 0;
  master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
  check("ptmx", master >= 0);
  gives("its number", ioctl(master, TIOCGPTN, &n), 0);
  snprintf(path, sizeof path, "/dev/pts/%d", n);
  gives("locked", CALL(SYS_open, path, O_RDWR | O_NOCTTY), -EIO);
  gives("unlock", ioctl(master, TIOCSPTLCK, &unlock), 0);
  struct stat s;
  gives("stat", stat(path, &s), 0);
  check("a character device", S_ISCHR(s.st_mode));
}

// What comes out of the master, at least so many bytes of it. Linux passes bytes on a little later.
static const char *shown(size_t wanted) {
  static char b[4096];
  struct pollfd f = {master, POLLIN, 0};
  size_t n = 0;
  b[0] = 0;
  while (n < sizeof b - 1 && poll(&f, 1, n < wanted ? 5000 : 20) == 1 && f.revents & POLLIN) {
    ssize_t got = read(master, b + n, sizeof b - 1 - n);
    if (got <= 0) break;
    n += got;
    b[n] = 0;
  }
  return b;
}

static void shows(const char *name, const char *wanted) {
  const char *got = shown(strlen(wanted));
  if (strcmp(got, wanted) == 0) return check(name, 1);
  printf("FAIL %s:", name);
  for (; *got; got++) printf(" %02x", (unsigned char)*got);
  printf("\n");
  failures++;
}

// A read of what has just been typed.
static long takes(int t, char *b, size_t n) {
  struct pollfd f = {t, POLLIN, 0};
  poll(&f, 1, 5000);
  return CALL(SYS_read, t, b, n);
}

static void type(const char *text) { write(master, text, strlen(text)); }

static void lines(void) {
  char b[256];
  int t = terminal(O_RDWR | O_NOCTTY | O_NONBLOCK);
  check("terminal", t >= 0);
  check("it is one", isatty(t) && isatty(master));
  struct termios s;
  gives("settings", tcgetattr(t, &s), 0);
  check("as Linux makes them", s.c_iflag == (ICRNL | IXON) && s.c_oflag == (OPOST | ONLCR) && s.c_cc[VINTR] == 3 &&
                                   s.c_lflag == (ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN));
  write(t, "a\nb", 3);
  shows("output", "a\r\nb");
  type("one\r");
  shows("echo", "one\r\n");
  gives("a line", takes(t, b, sizeof b), 4);
  check("its end", memcmp(b, "one\n", 4) == 0);
  type("part");
  gives("no line yet", CALL(SYS_read, t, b, sizeof b), -EAGAIN);
  shows("part", "part");
  type("\x7f");
  shows("erase", "\b \b");
  type("\x15");
  shows("kill", "\b \b\b \b\b \b");
  type("two words\x17");
  shows("erase a word", "two words\b \b\b \b\b \b\b \b\b \b");
  type("\x16\x03\r");
  shows("literal", "^\b^C\r\n");
  gives("the line", takes(t, b, sizeof b), 6);
  check("what it has", memcmp(b, "two \x03\n", 6) == 0);
  type("abc\x04");
  gives("end of file after text", takes(t, b, sizeof b), 3);
  type("\x04");
  gives("end of file", takes(t, b, sizeof b), 0);
  type("long line\nnext\n");
  gives("a piece", takes(t, b, 4), 4);
  gives("the rest of it", takes(t, b, sizeof b), 6);
  gives("the next", takes(t, b, sizeof b), 5);
  shown(0);
  type("\x01\t\x1b");
  shows("control characters", "^A\t^[");
  type("\x15");
  shown(0);
  int n = -1;
  type("xyz\n");
  struct pollfd f = {t, POLLIN, 0};
  poll(&f, 1, 5000);
  ioctl(t, FIONREAD, &n);
  gives("FIONREAD", n, 4);
  gives("flush", tcflush(t, TCIFLUSH), 0);
  gives("nothing left", CALL(SYS_read, t, b, sizeof b), -EAGAIN);
  shown(0);
  s.c_lflag &= ~(ICANON | ECHO);
  s.c_cc[VMIN] = 1;
  s.c_cc[VTIME] = 0;
  gives("raw", tcsetattr(t, TCSANOW, &s), 0);
  type("q");
  gives("a byte", takes(t, b, sizeof b), 1);
  shows("no echo", "");
  s.c_cc[VMIN] = 0;
  tcsetattr(t, TCSANOW, &s);
  fcntl(t, F_SETFL, 0);
  gives("no minimum", read(t, b, sizeof b), 0);
  s.c_cc[VTIME] = 1;
  tcsetattr(t, TCSANOW, &s);
  gives("a tenth of a second", read(t, b, sizeof b), 0);
  type("r");
  gives("before it is over", read(t, b, sizeof b), 1);
  s.c_cc[VMIN] = 3;
  s.c_cc[VTIME] = 0;
  tcsetattr(t, TCSANOW, &s);
  type("st");
  usleep(20000);
  gives("fewer than the minimum", poll(&f, 1, 0), 0);
  type("u");
  gives("the minimum", read(t, b, sizeof b), 3);
  s.c_oflag = 0;
  tcsetattr(t, TCSADRAIN, &s);
  write(t, "\n", 1);
  shows("output as it is", "\n");
  struct winsize w = {24, 80, 0, 0}, got;
  gives("set the size", ioctl(master, TIOCSWINSZ, &w), 0);
  gives("get the size", ioctl(t, TIOCGWINSZ, &got), 0);
  check("the same", got.ws_row == 24 && got.ws_col == 80);
  gives("an unknown request", CALL(SYS_ioctl, t, 0x54ff, 0), -ENOTTY);
  gives("bad pointer", CALL(SYS_ioctl, t, TCGETS, NOWHERE), -EFAULT);
  gives("not its terminal", CALL(SYS_ioctl, t, TIOCGPGRP, &n), -ENOTTY);
  close(t);
  f = (struct pollfd){master, POLLIN, 0};
  poll(&f, 1, 0);
  check("all closed", f.revents & POLLHUP);
  gives("reads an error", CALL(SYS_read, master, b, 1), -EIO);
}

static volatile int seen[65];
static void note(int signal) { seen[signal]++; }

static int leader(void) {
  setsid();
  int t = terminal(O_RDWR);
  struct sigaction a = {.sa_handler = note};
  for (int i = 0; i < 4; i++) sigaction((int[]){SIGINT, SIGHUP, SIGWINCH, SIGCONT}[i], &a, 0);
  pid_t group = -1;
  if (ioctl(t, TIOCGPGRP, &group) != 0 || group != getpid()) return 1;
  if (tcgetsid(t) != getpid()) return 2;
  int own = open("/dev/tty", O_RDWR);
  if (own < 0) return 3;
  char b[16];
  // The parent types ^C.
  write(t, "1", 1);
  if (read(own, b, sizeof b) >= 0 || errno != EINTR || seen[SIGINT] != 1) return 4;
  // A child in another group may not read: it stops.
  pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    signal(SIGTTIN, SIG_DFL);
    read(t, b, 1);
    _exit(9);
  }
  int status;
  if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTTIN) return 5;
  // In the foreground it goes on, and reads what is typed.
  signal(SIGTTOU, SIG_IGN);
  if (tcsetpgrp(t, child) != 0) return 6;
  if (tcgetpgrp(t) != child) return 7;
  write(t, "2", 1);
  kill(child, SIGCONT);
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 9) return 8;
  if (tcsetpgrp(t, getpid()) != 0) return 10;
  if (tcsetpgrp(t, 1 << 20) != -1) return 11;
  // The parent changes the size, then closes the master.
  write(t, "3", 1);
  while (!seen[SIGWINCH]) pause();
  write(t, "4", 1);
  while (!seen[SIGHUP]) pause();
  if (read(t, b, 1) != 0) return 12;
  if (write(t, b, 1) != -1 || errno != EIO) return 13;
  if (open("/dev/tty", O_RDWR) != -1 || errno != ENXIO) return 14;
  return 0;
}

static void expect(char wanted) {
  char c = 0;
  // Echoes come too.
  while (read(master, &c, 1) == 1 && c != wanted) {}
}

static void jobs(void) {
  unnamed();
  open_pair();
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    close(master);
    _exit(leader());
  }
  expect('1');
  usleep(30000);
  type("\x03");
  expect('2');
  type("x\n");
  expect('3');
  usleep(30000);
  struct winsize w = {30, 100, 0, 0};
  ioctl(master, TIOCSWINSZ, &w);
  expect('4');
  close(master);
  int status;
  waitpid(pid, &status, 0);
  gives("job control", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), 0);
}

// A number is used again: the name leads to the new terminal, what was held of the old one leads nowhere.
static void again(void) {
  int held = open(path, O_PATH), first = terminal(O_RDWR | O_NOCTTY);
  char link[64];
  check("the first", held >= 0 && first >= 0);
  close(master);
  close(first);
  open_pair();
  snprintf(link, sizeof link, "/proc/self/fd/%d", held);
  gives("what was held", CALL(SYS_open, link, O_RDWR | O_NOCTTY), -EIO);
  int second = terminal(O_RDWR | O_NOCTTY);
  check("the second", second >= 0);
  type("again\n");
  char b[16];
  gives("its line", takes(second, b, sizeof b), 6);
  close(second);
  close(held);
}

int main(void) {
  open_pair();
  lines();
  again();
  close(master);
  gives("gone", CALL(SYS_open, path, O_RDWR | O_NOCTTY), -ENOENT);
  jobs();
  return finish();
}
