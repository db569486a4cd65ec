// Positions, flags and ends of open files, asked for again and again from few places, while others get at them.
#include "../check.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>

// Places of the forms that are led elsewhere.
#define SITE(name, code)                                                                                              \
  __attribute__((noinline)) static long name(long a, const void *b, const void *c, long d) {                          \
    long result;                                                                                                      \
    register long r10 __asm__("r10") = d;                                                                             \
    __asm__ volatile(code "\n\tsyscall\n\tcmp $-4096, %%rax" : "=a"(result) : "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory", "cc"); \
    return result;                                                                                                    \
  }
SITE(read_, "xor %%eax, %%eax")
SITE(read_by_move, "mov $0, %%eax")
SITE(close_, "mov $3, %%eax")
SITE(fstat_, "mov $5, %%eax")
SITE(seek_, "mov $8, %%eax")
SITE(action_, "mov $13, %%eax")
SITE(control_, "mov $16, %%eax")
SITE(flags_, "mov $72, %%eax")
SITE(link_, "mov $89, %%eax")
SITE(access_, "mov $21, %%eax")

#define AT(number) ((const void *)(long)(number))
static long position(int file) { return seek_(file, 0, AT(SEEK_CUR), 0); }
static long go(int file, long to) { return seek_(file, AT(to), AT(SEEK_SET), 0); }
static char bytes[8192], whole[65536];
static long size;

// Makes everything be asked for often enough.
static int warm(int file) {
  struct stat status;
  char one;
  int good = 1;
  for (int i = 0; i < 30; i++) {
    good = good && fstat_(file, &status, NULL, 0) == 0 && go(file, i) == i && read_(file, &one, AT(1), 0) == 1 && one == whole[i];
    good = good && position(file) == i + 1 && read_by_move(file, &one, AT(1), 0) == 1 && one == whole[i + 1];
    good = good && seek_(file, 0, AT(SEEK_END), 0) == size && read_(file, &one, AT(1), 0) == 0 && read_by_move(file, &one, AT(1), 0) == 0;
  }
  return good && go(file, 0) == 0;
}
static int ended(pid_t child) {
  int status = -1;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
// Reads on, and says whether it is what follows.
static int follows(int file, long from, long count) {
  memset(bytes, 'x', sizeof bytes);
  return read_(file, bytes, AT(count), 0) == count && !memcmp(bytes, whole + from, (size_t)count) && position(file) == from + count;
}

static int is_listed(int process, int file) {
  char path[64];
  struct stat status;
  sprintf(path, "/proc/%d/fd/%d", process, file);
  return lstat(path, &status) == 0;
}
// Opens and closes again and again: each time the number is free again.
static int come_and_go(const char *own, int rounds) {
  int good = 1, first = -1;
  struct stat status;
  for (int i = 0; i < rounds; i++) {
    int file = open(own, O_RDONLY);
    if (first < 0) first = file;
    good = good && file == first && fstat_(file, &status, NULL, 0) == 0 && go(file, 7) == 7 && close_(file, NULL, NULL, 0) == 0;
  }
  return good ? first : -1;
}

static int shared;
static void *in_thread(void *argument) {
  long own = 0;
  for (char one; read_(shared, &one, AT(1), 0) == 1;) own++;
  *(long *)argument = own;
  return NULL;
}
static volatile long caught, caught_at;
static void on_alarm(int signal) {
  (void)signal;
  char one;
  for (int i = 0; i < 3; i++)
    if (read_(shared, &one, AT(1), 0) == 1) caught++;
  caught_at++;
}
static void on_user(int signal) { (void)signal; }

static long told(int process, int file) {
  char path[64], text[256] = "";
  sprintf(path, "/proc/%d/fdinfo/%d", process, file);
  int info = open(path, O_RDONLY);
  if (info < 0 || read(info, text, sizeof text - 1) <= 0) return -1;
  close(info);
  return atol(text + 4);
}

static int send_to(int socket, int file) {
  char room[CMSG_SPACE(sizeof file)] = {0}, one = 1;
  struct iovec vector = {&one, 1};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof file);
  memcpy(CMSG_DATA(header), &file, sizeof file);
  return sendmsg(socket, &message, 0) == 1;
}
static int receive_from(int socket) {
  char room[CMSG_SPACE(sizeof(int))], one;
  struct iovec vector = {&one, 1};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
  int file = -1;
  if (recvmsg(socket, &message, 0) == 1 && CMSG_FIRSTHDR(&message)) memcpy(&file, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof file);
  return file;
}

static int loop(const char *own, long rounds) {
  int file = open(own, O_RDONLY), folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct termios terminal;
  char old[32];
  long wrong = 0;
  size = lseek(file, 0, SEEK_END);
  struct stat status;
  for (long i = 0; i < rounds; i++) {
    wrong += fstat_(file, &status, NULL, 0) != 0 || go(file, i % 1000) != i % 1000 || read_(file, bytes, AT(64), 0) != 64;
    wrong += position(file) != i % 1000 + 64 || seek_(file, 0, AT(SEEK_END), 0) != size || read_(file, bytes, AT(64), 0) != 0;
    wrong += control_(file, AT(TCGETS), &terminal, 0) != -ENOTTY || flags_(folder, AT(F_GETFD), NULL, 0) != FD_CLOEXEC;
    wrong += flags_(folder, AT(F_SETFD), AT(FD_CLOEXEC), 0) != 0 || (flags_(folder, AT(F_GETFL), NULL, 0) & O_DIRECTORY) == 0;
    wrong += action_(SIGUSR2, NULL, old, 8) != 0 || link_((long)"/", bytes, AT(64), 0) != -EINVAL;
    wrong += access_((long)"/", AT(R_OK | X_OK), NULL, 0) != 0;
  }
  return wrong != 0;
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "loop")) return loop(argv[0], atol(argv[2]));
  if (argc == 3 && !strcmp(argv[1], "closing")) return come_and_go(argv[0], atoi(argv[2])) < 0;
  if (argc == 3 && !strcmp(argv[1], "without")) _exit(fcntl(atoi(argv[2]), F_GETFD) == -1 && !is_listed(getpid(), atoi(argv[2])) ? 7 : 8);
  if (argc == 4 && !strcmp(argv[1], "after")) {
    // Executed with a file open, and what stands where it should.
    int file = atoi(argv[2]);
    long wanted = atol(argv[3]);
    int own = open(argv[0], O_RDONLY);
    size = pread(own, whole, sizeof whole, 0);
    _exit(lseek(file, 0, SEEK_CUR) == wanted && follows(file, wanted, 10) ? 7 : 8);
  }
  int own = open(argv[0], O_RDONLY);
  size = lseek(own, 0, SEEK_END);
  check("a program", pread(own, whole, sizeof whole, 0) > 20000 && go(own, 0) == 0);
  check("again and again", warm(own));
  int good = 1;
  for (long at = 0; at + 613 < 20000; at += 613) good = good && follows(own, at, 613);
  check("in order", good);
  good = 1;
  for (int round = 0; round < 5; round++) {
    good = good && go(own, 0) == 0;
    for (long at = 0; at + 4000 < 20000; at += 4000) good = good && follows(own, at, 4000);
  }
  check("in order, again", good);

  // Where it may go.
  gives("before the beginning", go(own, -1), -EINVAL);
  gives("no such way", seek_(own, 0, AT(9), 0), -EINVAL);
  gives("past the end", seek_(own, AT(10), AT(SEEK_END), 0), size + 10);
  gives("nothing there", read_(own, bytes, AT(10), 0), 0);
  gives("it stands there", position(own), size + 10);
  gives("back by its number", seek_(own, AT(-size), AT(SEEK_CUR), 0), 10);
  gives("before the beginning by its number", seek_(own, AT(-11), AT(SEEK_CUR), 0), -EINVAL);
  gives("it stood still", position(own), 10);
  gives("data", seek_(own, AT(100), AT(SEEK_DATA), 0), 100);
  gives("nothing", read_(own, bytes, NULL, 0), 0);
  gives("nowhere", read_(own, NOWHERE, AT(10), 0), -EFAULT);
  gives("nowhere, much", read_(own, NOWHERE, AT(4000), 0), -EFAULT);
  gives("beyond all", read_(own, AT(-8), AT(4), 0), -EFAULT);
  gives("it stands still", position(own), 100);
  gives("at the end", go(own, size), size);
  gives("nowhere at the end", read_(own, NOWHERE, AT(10), 0), 0);
  gives("beyond all at the end", read_(own, AT(-8), AT(4), 0), -EFAULT);
  check("the last of it", go(own, size - 10) == size - 10 && read_(own, bytes, AT(64), 0) == 10 && read_(own, bytes, AT(64), 0) == 0);

  // Others that move it, or ask.
  check("warm", warm(own) && go(own, 500) == 500);
  int other = dup(own);
  check("a second descriptor", other >= 0 && lseek(other, 0, SEEK_CUR) == 500 && follows(other, 500, 20) && follows(own, 520, 20) && follows(other, 540, 5));
  close(other);
  check("one again", warm(own) && go(own, 700) == 700 && follows(own, 700, 1));
  pid_t child = fork();
  if (child == 0) _exit(follows(own, 701, 50) && warm(own) && go(own, 900) == 900 ? 7 : 8);
  check("a child", ended(child) == 7 && position(own) == 900 && follows(own, 900, 30));
  check("one again after it", warm(own) && go(own, 1234) == 1234);
  child = vfork();
  if (child == 0) _exit(position(own) == 1234 && read_(own, bytes, AT(6), 0) == 6 ? 7 : 8);
  check("a child on the same memory", ended(child) == 7 && position(own) == 1240);
  check("warm before a program", warm(own) && go(own, 2000) == 2000);
  char number[16], at[16];
  sprintf(number, "%d", own), sprintf(at, "%d", 2000);
  child = fork();
  if (child == 0) execl(argv[0], argv[0], "after", number, at, NULL), _exit(1);
  check("another program", ended(child) == 7 && position(own) == 2010);
  child = fork();
  if (child == 0) {
    // It alone has what it opens, until it executes.
    int fresh = open(argv[0], O_RDONLY);
    int fine = warm(fresh) && go(fresh, 3000) == 3000 && execl("/none", "/none", NULL) == -1 && follows(fresh, 3000, 3) && warm(fresh) && go(fresh, 77) == 77;
    sprintf(number, "%d", fresh);
    if (fine) execl(argv[0], argv[0], "after", number, "77", NULL);
    _exit(1);
  }
  check("another program of its own", ended(child) == 7);
  check("warm before a message", warm(own) && go(own, 40) == 40);
  int ends[2];
  check("sockets", socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && send_to(ends[0], own) && follows(own, 40, 2));
  other = receive_from(ends[1]);
  check("a message's", other >= 0 && follows(other, 42, 3) && follows(own, 45, 1) && close(other) == 0);
  check("a message that is left", warm(own) && go(own, 60) == 60 && send_to(ends[0], own) && close(own) == 0);
  own = receive_from(ends[1]);
  check("and comes later", follows(own, 60, 4) && close(ends[0]) == 0 && close(ends[1]) == 0);
  check("warm before a look", warm(own) && go(own, 321) == 321);
  gives("a look at it", told(getpid(), own), 321);
  check("warm before another's look", warm(own) && go(own, 654) == 654);
  child = fork();
  if (child == 0) _exit(told(getppid(), own) == 654 ? 7 : 8);
  check("another's look", ended(child) == 7 && follows(own, 654, 10));
  check("warm before calls that go on", warm(own) && go(own, 10) == 10);
  struct iovec parts[2] = {{bytes, 5}, {bytes + 5, 5}};
  check("readv", readv(own, parts, 2) == 10 && !memcmp(bytes, whole + 10, 10) && position(own) == 20);
  int target = open("/tmp/positions", O_CREAT | O_RDWR | O_TRUNC, 0644);
  check("sendfile", warm(own) && go(own, 20) == 20 && sendfile(target, own, NULL, 30) == 30 && position(own) == 50);
  check("FIONREAD", warm(own) && go(own, 100) == 100 && ioctl(own, FIONREAD, bytes) == 0 && *(int *)bytes == size - 100);
  int pipes[2];
  check("splice", pipe(pipes) == 0 && warm(own) && go(own, 70) == 70 && splice(own, NULL, pipes[1], NULL, 8, 0) == 8 && position(own) == 78);
  check("mapped", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, own, 0) != MAP_FAILED && warm(own) && go(own, 5) == 5 && follows(own, 5, 5));

  // What it is.
  struct termios terminal;
  long result = 0;
  for (int i = 0; i < 20; i++) result = control_(own, AT(TCGETS), &terminal, 0);
  gives("no terminal", result, -ENOTTY);
  for (int i = 0; i < 20; i++) result = flags_(own, AT(F_GETFD), NULL, 0);
  gives("stays open", result, 0);
  check("closes", flags_(own, AT(F_SETFD), AT(1), 0) == 0 && flags_(own, AT(F_GETFD), NULL, 0) == 1);
  check("it still reads on", follows(own, 10, 5));
  for (int i = 0; i < 20; i++) result = flags_(own, AT(F_SETFD), AT(1), 0);
  check("closes still", result == 0 && flags_(own, AT(F_GETFD), NULL, 0) == 1 && ioctl(own, FIONCLEX) == 0 && flags_(own, AT(F_GETFD), NULL, 0) == 0);
  for (int i = 0; i < 20; i++) result = flags_(own, AT(F_GETFL), NULL, 0);
  gives("its flags", result & ~0100000, O_RDONLY);
  check("others", flags_(own, AT(F_SETFL), AT(O_NONBLOCK), 0) == 0 && (flags_(own, AT(F_GETFL), NULL, 0) & O_NONBLOCK) && follows(own, 15, 5));
  warm(own);
  child = fork();
  if (child == 0) _exit(fcntl(own, F_SETFL, 0) == 0 ? 7 : 8);
  check("by a child", ended(child) == 7 && !(flags_(own, AT(F_GETFL), NULL, 0) & O_NONBLOCK));
  warm(own);
  int master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
  check("a terminal in its place", master >= 0 && dup2(master, own) == own && control_(own, AT(TCGETS), &terminal, 0) == 0 && position(own) == -ESPIPE);
  close(own), close(master);
  gives("closed", control_(own, AT(TCGETS), &terminal, 0), -EBADF);
  gives("closed, flags", flags_(own, AT(F_GETFL), NULL, 0), -EBADF);
  gives("closed, position", position(own), -EBADF);
  gives("closed, bytes", read_(own, bytes, AT(1), 0), -EBADF);
  own = open(argv[0], O_RDONLY | O_CLOEXEC);
  check("opened again", position(own) == 0 && flags_(own, AT(F_GETFD), NULL, 0) == 1 && warm(own));
  mkdir("/tmp/positions.f", 0755);
  int folder = open("/tmp/positions.f", O_RDONLY | O_DIRECTORY);
  struct stat status;
  for (int i = 0; i < 20; i++) result = fstat_(folder, &status, NULL, 0) || flags_(folder, AT(F_GETFL), NULL, 0) < 0;
  check("a folder", result == 0 && S_ISDIR(status.st_mode) && status.st_nlink >= 2 && control_(folder, AT(TCGETS), &terminal, 0) == -ENOTTY);
  gives("a folder's bytes", read_(folder, bytes, AT(1), 0), -EISDIR);
  long links = (long)status.st_nlink;
  check("one more in it", mkdir("/tmp/positions.f/d", 0755) == 0 && fstat_(folder, &status, NULL, 0) == 0 && (long)status.st_nlink == links + 1);
  check("one less", rmdir("/tmp/positions.f/d") == 0 && fstat_(folder, &status, NULL, 0) == 0 && (long)status.st_nlink == links && rmdir("/tmp/positions.f") == 0);
  int path = open("/tmp", O_PATH);
  for (int i = 0; i < 20; i++) result = fstat_(path, &status, NULL, 0);
  check("a path", result == 0 && control_(path, AT(TCGETS), &terminal, 0) == -EBADF && read_(path, bytes, AT(1), 0) == -EBADF);

  // Closed.
  int number_of = come_and_go(argv[0], 100);
  check("comes and goes", number_of >= 0 && read_(number_of, bytes, AT(1), 0) == -EBADF && position(number_of) == -EBADF);
  check("closed twice", come_and_go(argv[0], 1) == number_of && close_(number_of, NULL, NULL, 0) == -EBADF);
  check("not there", come_and_go(argv[0], 1) == number_of && !is_listed(getpid(), number_of) && fstat_(number_of, &status, NULL, 0) == -EBADF);
  check("free for a second", come_and_go(argv[0], 1) == number_of && dup(1) == number_of && write(number_of, "", 0) == 0 && close(number_of) == 0);
  check("free for others", come_and_go(argv[0], 1) == number_of && open("/tmp", O_RDONLY) == number_of && control_(number_of, AT(TCGETS), &terminal, 0) == -ENOTTY && read_(number_of, bytes, AT(1), 0) == -EISDIR && close(number_of) == 0);
  check("gone before a child", come_and_go(argv[0], 1) == number_of);
  child = fork();
  if (child == 0) _exit(fcntl(number_of, F_GETFD) == -1 && come_and_go(argv[0], 50) == number_of ? 7 : 8);
  check("a child has it not", ended(child) == 7 && !is_listed(getpid(), number_of));
  sprintf(number, "%d", number_of);
  child = fork();
  if (child == 0) {
    come_and_go(argv[0], 50);
    execl(argv[0], argv[0], "without", number, NULL);
    _exit(1);
  }
  check("nor a program", ended(child) == 7);
  // A lock is given back by any descriptor's close.
  int locked = open(argv[0], O_RDONLY);
  for (int i = 0; i < 20; i++) {
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 10};
    int file = open(argv[0], O_RDONLY);
    result = fstat_(file, &status, NULL, 0) || position(file) || fcntl(locked, F_SETLK, &lock) || close_(file, NULL, NULL, 0);
  }
  child = fork();
  if (child == 0) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
    _exit(fcntl(locked, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK ? 7 : 8);
  }
  check("its lock is given back", result == 0 && ended(child) == 7 && close(locked) == 0);

  // A file that grows.
  ftruncate(target, 0);
  int reading = open("/tmp/positions", O_RDONLY);
  for (int i = 0; i < 20; i++) result = read_(reading, bytes, AT(10), 0) + position(reading);
  gives("nothing yet", result, 0);
  check("it grows", write(target, "", 0) == 0 && lseek(target, 0, SEEK_SET) == 0 && write(target, "abc", 3) == 3 && read_(reading, bytes, AT(10), 0) == 3 && !memcmp(bytes, "abc", 3));
  for (int i = 0; i < 20; i++) result = read_(reading, bytes, AT(10), 0);
  check("its end", result == 0 && seek_(reading, 0, AT(SEEK_END), 0) == 3);
  child = fork();
  if (child == 0) _exit(write(target, "de", 2) == 2 ? 7 : 8);
  check("by a child's write", ended(child) == 7 && seek_(reading, 0, AT(SEEK_END), 0) == 5 && go(reading, 3) == 3 && read_(reading, bytes, AT(10), 0) == 2);
  for (int i = 0; i < 20; i++) result = read_(target, bytes, AT(10), 0);
  check("read and written", result == 0 && write(target, "f", 1) == 1 && position(target) == 6 && read_(reading, bytes, AT(10), 0) == 1);
  close(target), close(reading), unlink("/tmp/positions");

  // Beside oneself.
  shared = open(argv[0], O_RDONLY);
  check("warm before threads", warm(shared) && go(shared, size - 3000) == size - 3000);
  long counts[3];
  pthread_t threads[3];
  good = 1;
  for (int i = 0; i < 3; i++) good = good && pthread_create(&threads[i], NULL, in_thread, &counts[i]) == 0;
  for (int i = 0; i < 3; i++) good = good && pthread_join(threads[i], NULL) == 0;
  check("each byte once", good && counts[0] + counts[1] + counts[2] == 3000);
  child = fork();
  if (child == 0) {
    // No thread beside it, and a handler that reads too.
    shared = open(argv[0], O_RDONLY);
    good = warm(shared);
    signal(SIGALRM, on_alarm);
    struct itimerval often = {{0, 500}, {0, 500}};
    setitimer(ITIMER_REAL, &often, NULL);
    long first = 0, rounds = 0;
    while (good && caught_at < 100 && ++rounds < 200) {
      long begin = size > 20000 ? size - 20000 : 0;
      sigset_t alarms, before;
      sigemptyset(&alarms), sigaddset(&alarms, SIGALRM), sigprocmask(SIG_BLOCK, &alarms, &before);
      first = 0, caught = 0;
      go(shared, begin);
      sigprocmask(SIG_SETMASK, &before, NULL);
      for (char one; read_(shared, &one, AT(1), 0) == 1;) first++;
      sigprocmask(SIG_BLOCK, &alarms, NULL);
      good = first + caught == size - begin;
      sigprocmask(SIG_SETMASK, &before, NULL);
    }
    _exit(good ? 7 : 8);
  }
  check("each byte once beside a handler", ended(child) == 7);

  // Actions of signals.
  child = fork();
  if (child == 0) {
    struct { void *handler; long flags; void *restorer; long mask; } old, none = {0}, first[65];
    good = 1;
    for (int number = 1; number <= 64; number++) good = good && action_(number, NULL, &first[number], 8) == 0 && (number == SIGPIPE || number == 32 || number == 33 || !first[number].handler);
    for (int i = 0; i < 20; i++)
      for (int number = 1; number <= 64; number++) {
        memset(&old, 'x', sizeof old);
        good = good && action_(number, NULL, &old, 8) == 0 && !memcmp(&old, &first[number], sizeof old);
      }
    if (!good) _exit(1);
    good = signal(SIGUSR1, on_user) == SIG_DFL && action_(SIGUSR1, NULL, &old, 8) == 0 && old.handler == (void *)on_user;
    good = good && signal(SIGUSR2, SIG_IGN) == SIG_DFL && action_(SIGUSR2, NULL, &old, 8) == 0 && old.handler == (void *)SIG_IGN;
    good = good && action_(SIGHUP, NULL, &old, 8) == 0 && !memcmp(&old, &none, sizeof old);
    good = good && action_(0, NULL, &old, 8) == -EINVAL && action_(65, NULL, &old, 8) == -EINVAL && action_(SIGHUP, NULL, &old, 4) == -EINVAL;
    good = good && action_(SIGHUP, NULL, NOWHERE, 8) == -EFAULT && action_(SIGHUP, NULL, NULL, 8) == 0;
    pid_t inner = fork();
    if (inner == 0) {
      for (int i = 0; i < 20; i++) good = good && action_(SIGUSR1, NULL, &old, 8) == 0 && old.handler == (void *)on_user && action_(SIGTERM, NULL, &old, 8) == 0 && !old.handler;
      _exit(good ? 7 : 8);
    }
    _exit(ended(inner) == 7 && good ? 7 : 8);
  }
  check("what signals do", ended(child) == 7);

  // Links, and what may be done.
  mkdir("/tmp/positions.d", 0755);
  for (int i = 0; i < 20; i++) result = link_((long)"/tmp/positions.d", bytes, AT(64), 0);
  gives("no link", result, -EINVAL);
  gives("no room", link_((long)"/tmp/positions.d", bytes, AT(0), 0), -EINVAL);
  check("nothing there", rmdir("/tmp/positions.d") == 0 && link_((long)"/tmp/positions.d", bytes, AT(64), 0) == -ENOENT);
  for (int i = 0; i < 20; i++) result = link_((long)"/tmp/positions.d", bytes, AT(64), 0);
  gives("nothing still", result, -ENOENT);
  check("a link", symlink("abc", "/tmp/positions.d") == 0 && link_((long)"/tmp/positions.d", bytes, AT(64), 0) == 3 && !memcmp(bytes, "abc", 3));
  for (int i = 0; i < 20; i++) result = link_((long)"/tmp/positions.d", bytes, AT(2), 0);
  check("a part of it", result == 2 && unlink("/tmp/positions.d") == 0 && mkdir("/tmp/positions.d", 0755) == 0);
  for (int i = 0; i < 20; i++) result = access_((long)"/tmp/positions.d", AT(R_OK | X_OK), NULL, 0);
  gives("a folder for everybody", result, 0);
  check("for some", chmod("/tmp/positions.d", 0700) == 0 && access_((long)"/tmp/positions.d", AT(R_OK), NULL, 0) == 0);
  child = fork();
  if (child == 0) {
    if (setresuid(1000, 1000, 1000)) _exit(1);
    for (int i = 0; i < 20; i++) result = access_((long)"/tmp/positions.d", AT(R_OK), NULL, 0);
    _exit(result == -EACCES ? 7 : 8);
  }
  check("not for others", ended(child) == 7);
  check("left as it was", rmdir("/tmp/positions.d") == 0);
  return finish();
}
