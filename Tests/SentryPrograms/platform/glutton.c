// A hostile program that takes all it can of everything: descriptors, bytes in pipes and sockets, files, names that are not there, watches,
// interests, timers, locks, threads, processes, calls that sleep. Each in a child with descriptors enough; when it ends everything is there
// again for its parent, and nothing has hurt those beside it. For the sentry alone: natively it would take what is the machine's.
#include "../check.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

static char block[65536];
enum { MANY = 3000 };

static void descriptors(void) {
  while (dup(0) >= 0) {}
  for (int i = 0; i < 8; i++) if (fork() == 0) for (;;) if (open("/dev/null", O_RDONLY) < 0) _exit(0);
}
static void pipes(void) {
  int ends[2];
  while (pipe2(ends, O_NONBLOCK) == 0) while (write(ends[1], block, sizeof block) > 0) {}
}
static void sockets(int kind) {
  int ends[2];
  while (socketpair(AF_UNIX, kind | SOCK_NONBLOCK, 0, ends) == 0) while (send(ends[1], block, 60000, 0) > 0) {}
}
static void streams(void) { sockets(SOCK_STREAM); }
static void datagrams(void) { sockets(SOCK_DGRAM); }
static void nothings(void) {
  int ends[2];
  for (int i = 0; i < 200 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends) == 0; i++)
    for (int k = 0; k < 1000 && send(ends[1], block, 0, 0) == 0; k++) {}
}
// Sockets that hold each other in messages that nobody takes.
static void rings(void) {
  int ends[2];
  for (int i = 0; i < MANY && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0; i++) {
    struct iovec part = {block, 1};
    struct { struct cmsghdr head; int files[2]; } control = {{CMSG_LEN(8), SOL_SOCKET, SCM_RIGHTS}, {ends[0], ends[1]}};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_LEN(8)};
    sendmsg(ends[0], &message, 0);
    sendmsg(ends[1], &message, 0);
    close(ends[0]), close(ends[1]);
  }
}
static void backlogs(void) {
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr address = {AF_UNIX, "\0many"};
  bind(listener, &address, 7), listen(listener, 4096);
  for (int i = 0; i < MANY; i++) {
    int one = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (one < 0 || connect(one, &address, 7)) break;
  }
}
static void files(void) {
  char name[64];
  mkdir("/tmp/many", 0777);
  for (int i = 0; i < MANY; i++) {
    snprintf(name, sizeof name, "/tmp/many/%d", i);
    int file = open(name, O_WRONLY | O_CREAT, 0644);
    if (file < 0 || write(file, block, sizeof block) < (long)sizeof block) break;
    close(file);
  }
}
static void names(void) {
  char name[300];
  memset(name, 'n', sizeof name);
  for (int i = 0; i < 20000; i++) {
    snprintf(name, 40, "/tmp/%d-", i);
    name[strlen(name)] = 'n';
    name[250] = 0;
    access(name, F_OK);
  }
}
static void deep(void) {
  chdir("/tmp");
  for (int i = 0; i < 3000; i++) if (mkdir("d", 0777) || chdir("d")) break;
}
static void memories(void) {
  for (int i = 0; i < MANY; i++) {
    int file = CALL(SYS_memfd_create, "m", 0);
    if (file < 0 || write(file, block, 4000) < 0) break;
  }
}
static void interests(void) {
  int counter = CALL(SYS_eventfd2, 0, O_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN};
  for (int i = 0; i < 100; i++) {
    int poll = epoll_create1(0), copy = dup(counter);
    if (poll < 0 || copy < 0) break;
    for (int number = counter; number <= copy; number++) epoll_ctl(poll, EPOLL_CTL_ADD, number, &event);
  }
  CALL(SYS_write, counter, (uint64_t[]){1}, 8);
}
static void watches(void) {
  char name[64];
  mkdir("/tmp/many", 0777);
  for (int k = 0; k < 100; k++) snprintf(name, sizeof name, "/tmp/many/%d", k), close(open(name, O_WRONLY | O_CREAT, 0644));
  for (int i = 0; i < 150; i++) {
    int watch = inotify_init1(IN_NONBLOCK);
    if (watch < 0) break;
    for (int k = 0; k < 100; k++) {
      snprintf(name, sizeof name, "/tmp/many/%d", k);
      inotify_add_watch(watch, name, IN_ALL_EVENTS);
    }
  }
  for (int i = 0; i < 500; i++) chmod("/tmp/many/1", i & 0777);
}
static void timers(void) {
  struct sigevent none = {.sigev_notify = SIGEV_NONE};
  int id;
  struct itimerspec soon = {{0, 1}, {0, 1}};
  for (int i = 0; i < MANY; i++) if (CALL(SYS_timer_create, 1, &none, &id) < 0 || CALL(SYS_timer_settime, id, 0, &soon, 0) < 0) break;
}
static void locks(void) {
  int file = open("/tmp/locked", O_RDWR | O_CREAT, 0666);
  for (long i = 0; i < 1000; i++) {
    struct flock lock = {.l_type = F_WRLCK, .l_start = i * 2, .l_len = 1};
    if (fcntl(file, F_SETLK, &lock)) break;
  }
}
static void attributes(void) {
  char name[32];
  int file = open("/tmp/named", O_RDWR | O_CREAT, 0666);
  for (int i = 0; i < 3000; i++) {
    snprintf(name, sizeof name, "user.%d", i);
    if (CALL(SYS_fsetxattr, file, name, block, 60000, 0) < 0) break;
  }
}
static void *sleep_in_a_call(void *argument) {
  struct timespec long_time = {1000, 0};
  (void)argument;
  nanosleep(&long_time, NULL);
  return NULL;
}
static void threads(void) {
  pthread_t thread;
  pthread_attr_t small;
  pthread_attr_init(&small), pthread_attr_setstacksize(&small, 16384);
  for (int i = 0; i < 400; i++) if (pthread_create(&thread, &small, sleep_in_a_call, NULL)) break;
}
static void processes(void) {
  for (int i = 0; i < 300; i++) {
    pid_t child = fork();
    if (child < 0) break;
    if (child == 0) pause(), _exit(0);
  }
}
static void terminals(void) {
  while (open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK) >= 0) {}
}

static void sweep(void) {
  char name[64];
  for (int i = 0; i < MANY; i++) {
    snprintf(name, sizeof name, "/tmp/many/%d", i);
    if (unlink(name)) break;
  }
}

int main(int argc, char **argv) {
  if (argc < 3 || strcmp(argv[1], "sentry")) return 0;
  // Every third of them, from the first, second or third on.
  unsigned start = atoi(argv[2]);
  static const struct { const char *name; void (*take)(void); } all[] = {
    {"descriptors", descriptors}, {"pipes", pipes}, {"streams", streams}, {"datagrams", datagrams}, {"messages of nothing", nothings},
    {"rings of sockets", rings}, {"connections that nobody accepts", backlogs}, {"files", files}, {"names that are not there", names},
    {"folders within folders", deep}, {"memory files", memories}, {"interests", interests}, {"watches", watches}, {"timers", timers},
    {"locks", locks}, {"attributes", attributes}, {"threads", threads}, {"processes", processes}, {"terminals", terminals},
  };
  int ask[2], answer[2], status;
  pipe(ask), pipe(answer);
  pid_t bystander = fork();
  if (bystander == 0) {
    char byte;
    close(ask[1]);
    while (read(ask[0], &byte, 1) == 1) write(answer[1], &byte, 1);
    _exit(0);
  }
  for (unsigned i = start; i < sizeof all / sizeof *all; i += 3) {
    pid_t child = fork();
    if (child == 0) {
      // All that it makes dies with its group.
      setpgid(0, 0);
      struct rlimit many = {4096, 4096};
      setrlimit(RLIMIT_NOFILE, &many);
      all[i].take();
      // Meanwhile the bystander is served.
      char byte = 0;
      int served = write(ask[1], "b", 1) == 1 && read(answer[0], &byte, 1) == 1 && byte == 'b';
      signal(SIGTERM, SIG_IGN);
      kill(0, SIGTERM);
      _exit(served ? 5 : 6);
    }
    setpgid(child, child);
    waitpid(child, &status, 0);
    kill(-child, SIGKILL);
    // What lies in a tree of memory stays until it is removed.
    sweep();
    check(all[i].name, WIFEXITED(status) && WEXITSTATUS(status) == 5);
    // And again there is room.
    int ends[2];
    char byte = 0;
    check("afterwards", pipe(ends) == 0 && write(ends[1], block, 60000) == 60000 && read(ends[0], &byte, 1) == 1 && close(ends[0]) == 0 && close(ends[1]) == 0);
  }
  return finish();
}
