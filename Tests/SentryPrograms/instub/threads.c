// Several threads at once at places whose calls are answered in the process itself, while others of them open, close, exchange, fork and
// execute: what a call says was true at some moment of the call.
#include "../check.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SITE(name, code)                                                                                              \
  __attribute__((noinline)) static long name(long a, const void *b, const void *c, long d) {                          \
    long result;                                                                                                      \
    register long r10 __asm__("r10") = d;                                                                             \
    __asm__ volatile(code "\n\tsyscall\n\tcmp $-4096, %%rax" : "=a"(result) : "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory", "cc"); \
    return result;                                                                                                    \
  }
SITE(read_, "mov $0, %%eax")
SITE(close_, "mov $3, %%eax")
SITE(stat_, "mov $4, %%eax")
SITE(fstat_, "mov $5, %%eax")
SITE(seek_, "mov $8, %%eax")
SITE(pread_, "mov $17, %%eax")
SITE(flags_, "mov $72, %%eax")
SITE(process_, "mov $39, %%eax")
SITE(group_, "mov $111, %%eax")

#define AT(number) ((const void *)(long)(number))
enum { THREADS = 4, TOLD = 4096 };
static long position(int file) { return seek_(file, 0, AT(SEEK_CUR), 0); }
static long go(int file, long to) { return seek_(file, AT(to), AT(SEEK_SET), 0); }

// Two files that differ: this program, which nobody changes, and one in memory.
static struct kind {
  const char *path;
  struct stat status;
  unsigned char bytes[TOLD + 512];
  unsigned long sum;
} kinds[2];

static int learn(struct kind *kind, const char *path) {
  unsigned char some[4096];
  kind->path = path;
  int file = open(path, O_RDONLY);
  if (file < 0 || fstat(file, &kind->status) != 0 || pread(file, kind->bytes, sizeof kind->bytes, 0) != sizeof kind->bytes) return 0;
  for (long got; (got = read(file, some, sizeof some)) > 0;)
    for (long i = 0; i < got; i++) kind->sum += some[i];
  return close(file) == 0;
}
static int make(const char *path) {
  int file = open(path, O_CREAT | O_EXCL | O_WRONLY, 0644);
  unsigned short words[8000];
  for (int i = 0; i < 8000; i++) words[i] = (unsigned short)(i * 40503);
  return file >= 0 && write(file, words, sizeof words) == sizeof words && close(file) == 0;
}
// Everything that a descriptor says of itself, each thing by itself.
static int is(int file, const struct kind *kind, long at) {
  struct stat status = {0};
  unsigned char bytes[64];
  int good = fstat_(file, &status, NULL, 0) == 0 && status.st_ino == kind->status.st_ino && status.st_size == kind->status.st_size;
  good = good && pread_(file, bytes, AT(sizeof bytes), at) == sizeof bytes && !memcmp(bytes, kind->bytes + at, sizeof bytes);
  good = good && go(file, at) == at && read_(file, bytes, AT(sizeof bytes), 0) == sizeof bytes && !memcmp(bytes, kind->bytes + at, sizeof bytes);
  good = good && position(file) == at + (long)sizeof bytes && seek_(file, 0, AT(SEEK_END), 0) == kind->status.st_size;
  return good && flags_(file, AT(F_GETFD), NULL, 0) == FD_CLOEXEC && (flags_(file, AT(F_GETFL), NULL, 0) & O_ACCMODE) == O_RDONLY;
}
static int come_and_go(const struct kind *kind, long at) {
  int file = open(kind->path, O_RDONLY | O_CLOEXEC);
  return file >= 0 && is(file, kind, at) && close_(file, NULL, NULL, 0) == 0;
}
static int warm(int rounds) {
  int good = 1;
  struct stat status;
  for (int i = 0; i < rounds; i++) {
    good = good && stat_((long)"/", &status, NULL, 0) == 0;
    for (int k = 0; k < 2; k++) good = good && come_and_go(&kinds[k], i * 7 % TOLD);
  }
  return good;
}

// More than there are places for what is told: each is closed by its own close.
static int many_at_once(void) {
  enum { MANY = 50 };
  int files[MANY], before[MANY], good = 1;
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < MANY; i++) {
      files[i] = open(kinds[0].path, O_RDONLY | O_CLOEXEC);
      good = good && (round == 0 || files[i] == before[i]) && is(files[i], &kinds[0], i);
      before[i] = files[i];
    }
    for (int i = 0; i < MANY; i++) good = good && close_(files[i], NULL, NULL, 0) == 0;
    for (int i = 0; i < MANY; i++) good = good && close_(files[i], NULL, NULL, 0) == -EBADF;
  }
  return good;
}

static atomic_long turn, wrong;
static void in_threads(void *(*body)(void *), int count, void *(*beside)(void *)) {
  pthread_t threads[THREADS + 1];
  turn = 0;
  for (long i = 0; i < count; i++)
    if (pthread_create(&threads[i], NULL, body, (void *)i) != 0) _exit(3);
  if (beside) beside(NULL);
  for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
}

static void *on_its_own(void *argument) {
  long own = (long)argument;
  for (int i = 0; i < 100; i++)
    if (!come_and_go(&kinds[(own + i) % 2], (own * 331 + i * 17) % TOLD)) wrong++;
  return NULL;
}

// One position, moved by everybody: each byte is read once.
static int shared;
static atomic_long bytes_read, sum_read;
static void *reads_on(void *argument) {
  unsigned char bytes[200];
  long size = 1 + (long)argument * 61, got;
  while ((got = read_(shared, bytes, AT(size), 0)) > 0) {
    long sum = 0;
    for (long i = 0; i < got; i++) sum += bytes[i];
    sum_read += sum;
    bytes_read += got;
  }
  if (got < 0) wrong++;
  return NULL;
}
static int ended(pid_t child) {
  int status = -1;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
static int results[2];
static void *forks(void *argument) {
  for (int i = 0; i < 6; i++) {
    pid_t child = fork();
    if (child == 0) {
      // The position is one, the counts are this process's own.
      bytes_read = sum_read = 0;
      if (i % 2) reads_on((void *)1);
      long told[2] = {bytes_read, sum_read};
      _exit(write(results[1], told, sizeof told) == sizeof told && process_(0, NULL, NULL, 0) == CALL(SYS_getpid) ? 7 : 8);
    }
    long told[2] = {0, 0};
    if (ended(child) != 7 || read(results[0], told, sizeof told) != sizeof told) wrong++;
    bytes_read += told[0];
    sum_read += told[1];
  }
  return argument;
}

// One number that is now this, now that file.
static int number, others[2];
static void *exchanges(void *argument) {
  for (int i = 0; i < 200; i++)
    if (dup3(others[i % 2], number, O_CLOEXEC) != number) wrong++;
  turn = 1;
  return argument;
}
static void *looks(void *argument) {
  struct stat status;
  unsigned char bytes[64];
  long at = (long)argument * 100;
  while (!turn) {
    if (fstat_(number, &status, NULL, 0) != 0) wrong++;
    int kind = status.st_ino == kinds[1].status.st_ino;
    if (status.st_ino != kinds[kind].status.st_ino || status.st_size != kinds[kind].status.st_size) wrong++;
    if (pread_(number, bytes, AT(sizeof bytes), at) != sizeof bytes) wrong++;
    if (memcmp(bytes, kinds[0].bytes + at, sizeof bytes) && memcmp(bytes, kinds[1].bytes + at, sizeof bytes)) wrong++;
    long end = seek_(number, 0, AT(SEEK_END), 0);
    if (end != kinds[0].status.st_size && end != kinds[1].status.st_size) wrong++;
  }
  return NULL;
}

// By turns: what one thread has done the other sees.
static pthread_mutex_t turns = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_turned = PTHREAD_COND_INITIALIZER;
static void await_turn(long wanted) {
  pthread_mutex_lock(&turns);
  while (turn != wanted) pthread_cond_wait(&has_turned, &turns);
  pthread_mutex_unlock(&turns);
}
static void next_turn(void) {
  pthread_mutex_lock(&turns);
  turn++;
  pthread_cond_broadcast(&has_turned);
  pthread_mutex_unlock(&turns);
}
static void *changes(void *argument) {
  for (int i = 0; i < 60; i++) {
    const struct kind *kind = &kinds[i % 2];
    await_turn(4 * i);
    if (close_(number, NULL, NULL, 0) != 0) wrong++;
    next_turn();
    await_turn(4 * i + 2);
    if (open(kind->path, O_RDONLY | O_CLOEXEC) != number || !is(number, kind, 50)) wrong++;
    next_turn();
  }
  return argument;
}
static void *sees(void *argument) {
  struct stat status;
  char byte;
  for (int i = 0; i < 60; i++) {
    await_turn(4 * i + 1);
    if (fstat_(number, &status, NULL, 0) != -EBADF || position(number) != -EBADF || read_(number, &byte, AT(1), 0) != -EBADF) wrong++;
    if (pread_(number, &byte, AT(1), 0) != -EBADF || flags_(number, AT(F_GETFD), NULL, 0) != -EBADF) wrong++;
    next_turn();
    await_turn(4 * i + 3);
    if (position(number) != kinds[i % 2].status.st_size || !is(number, &kinds[i % 2], 300)) wrong++;
    next_turn();
  }
  return argument;
}

// Another program, executed while threads read on.
static atomic_long *counted;
static void *counts(void *argument) {
  char bytes[16];
  for (long got; (got = read_(shared, bytes, AT(16), 0)) > 0;) *counted += got;
  return argument;
}
static char *self;
static void *executes(void *argument) {
  char file[16];
  sprintf(file, "%d", shared);
  while (*counted < 2000) sched_yield();
  execl(self, self, "after", file, NULL);
  _exit(argument == NULL);
}

// Its number is what the process was told by; then it is gone.
static void *asks(void *argument) {
  for (int i = 0; i < 4; i++)
    if (group_(0, NULL, NULL, 0) != CALL(SYS_getpgrp) || process_(0, NULL, NULL, 0) != CALL(SYS_getpid)) wrong++;
  return argument;
}
// Asks as the child of a fork that no longer has what its parent was told.
static int changes_group(void) {
  in_threads(asks, 1, NULL);
  long before = group_(0, NULL, NULL, 0);
  return setpgid(0, 0) == 0 && group_(0, NULL, NULL, 0) == getpid() && before != getpid() && !wrong;
}

static void *own_table(void *argument) {
  if (unshare(CLONE_FILES) != 0) wrong++;
  for (int i = 0; i < 40; i++) {
    if (dup3(others[1], number, O_CLOEXEC) != number || !is(number, &kinds[1], i)) wrong++;
    if (dup3(others[0], number, O_CLOEXEC) != number || !is(number, &kinds[0], i)) wrong++;
  }
  return argument;
}
static void *others_table(void *argument) {
  for (int i = 0; i < 80; i++) {
    struct stat status;
    if (fstat_(number, &status, NULL, 0) != 0 || status.st_ino != kinds[0].status.st_ino) wrong++;
  }
  return argument;
}

static atomic_long rounds;
static void *goes_round(void *argument) {
  struct stat status;
  char bytes[64];
  const struct kind *kind = &kinds[0];
  int file = open(kind->path, O_RDONLY | O_CLOEXEC);
  for (long i = 0; i < rounds; i++) {
    long at = i % TOLD;
    if (fstat_(file, &status, NULL, 0) != 0 || pread_(file, bytes, AT(64), at) != 64 || stat_((long)"/", &status, NULL, 0) != 0) wrong++;
    if (go(file, at) != at || read_(file, bytes, AT(64), 0) != 64 || memcmp(bytes, kind->bytes + at, 64)) wrong++;
  }
  close_(file, NULL, NULL, 0);
  return argument;
}

int main(int argc, char **argv) {
  self = argv[0];
  if (argc == 3 && !strcmp(argv[1], "after")) {
    char name[64], text[128] = "";
    sprintf(name, "/proc/self/fdinfo/%s", argv[2]);
    int info = open(name, O_RDONLY);
    _exit(info >= 0 && read(info, text, sizeof text - 1) > 0 && lseek(atoi(argv[2]), 0, SEEK_CUR) == atol(text + 4) && atol(text + 4) >= 2000 ? 7 : 8);
  }
  char other[64];
  sprintf(other, "/tmp/instub.%d", getpid());
  check("files", make(other) && learn(&kinds[0], argv[0]) && learn(&kinds[1], other) && kinds[0].status.st_ino != kinds[1].status.st_ino);
  if (failures) return finish();
  check("again and again", warm(30));
  if (argc == 3 && !strcmp(argv[1], "loop")) {
    rounds = atol(argv[2]);
    in_threads(goes_round, THREADS, NULL);
    unlink(other);
    return wrong != 0;
  }
  check("many at once", many_at_once());
  in_threads(on_its_own, THREADS, NULL);
  gives("each its own files", wrong, 0);

  shared = open(argv[0], O_RDONLY);
  in_threads(reads_on, THREADS, NULL);
  check("each byte once", wrong == 0 && bytes_read == kinds[0].status.st_size && sum_read == (long)kinds[0].sum);
  bytes_read = sum_read = 0;
  check("a pipe", pipe(results) == 0 && go(shared, 0) == 0);
  in_threads(reads_on, THREADS, forks);
  check("each byte once, by children too", wrong == 0 && bytes_read == kinds[0].status.st_size && sum_read == (long)kinds[0].sum);

  for (int k = 0; k < 2; k++) others[k] = open(kinds[k].path, O_RDONLY | O_CLOEXEC);
  number = open(argv[0], O_RDONLY | O_CLOEXEC);
  in_threads(looks, THREADS, exchanges);
  gives("one number, two files", wrong, 0);
  dup3(others[0], number, O_CLOEXEC);
  in_threads(sees, 1, changes);
  gives("what another thread did", wrong, 0);
  dup3(others[0], number, O_CLOEXEC);
  in_threads(own_table, 1, others_table);
  gives("a table of its own", wrong, 0);

  counted = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  check("from the beginning", go(shared, 0) == 0);
  pid_t child = fork();
  if (child == 0) {
    int own = open(argv[0], O_RDONLY);
    if (dup2(own, shared) != shared || close(own) != 0) _exit(1);
    in_threads(counts, THREADS, executes);
  }
  check("another program by one of them", ended(child) == 7);
  child = fork();
  if (child == 0) _exit(changes_group() ? 7 : 8);
  gives("told by a thread that is gone", ended(child), 7);
  check("still", warm(10) && wrong == 0 && unlink(other) == 0);
  return finish();
}
