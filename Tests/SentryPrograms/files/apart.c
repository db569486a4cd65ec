// A table of descriptors that two processes share until one leaves it (clone(2) with CLONE_FILES, unshare(2)): what each maps is its own.
#include "../check.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>

static int ask[2], answer[2];
static void says(int file, char word) { write(file, &word, 1); }
static char hears(int file) {
  char byte = 0;
  read(file, &byte, 1);
  return byte;
}
static int made(const char *name) {
  int file = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  write(file, name + 5, 1);
  return file;
}
// The first letter of what is mapped; 0 where nothing can be.
static char mapped(int file) {
  char *at = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (at == MAP_FAILED) return 0;
  char letter = at[0];
  munmap(at, 4096);
  return letter;
}

static int file;
static char stack[65536];
static int leaves(void *unused) {
  (void)unused;
  if (mapped(file) != 'a') return 1;
  if (CALL(SYS_unshare, CLONE_FILES | CLONE_FS)) return 2;
  if (mapped(file) != 'a') return 3;
  close(file);
  if (made("/tmp/b") != file) return 4;
  if (mapped(file) != 'b') return 5;
  return 0;
}
static int child(void *unused) {
  int bad = leaves(unused);
  says(answer[1], 'b');
  hears(ask[0]);
  // The other one has another file there now.
  if (!bad && mapped(file) != 'b') bad = 6;
  char own[8] = "";
  if (!bad && (pread(file, own, 1, 0) != 1 || own[0] != 'b')) bad = 7;
  _exit(bad);
}

static void *thread(void *unused) {
  (void)unused;
  long bad = CALL(SYS_unshare, CLONE_FILES);
  if (!bad) bad = close(file);
  if (!bad && mapped(file)) bad = 1;
  return (void *)bad;
}

int main(void) {
  pipe(ask);
  pipe(answer);
  file = made("/tmp/a");
  gives("mapped", mapped(file), 'a');
  pid_t other = clone(child, stack + sizeof stack, CLONE_FILES | SIGCHLD, 0);
  check("a child", other > 0);
  hears(answer[0]);
  gives("still its own", mapped(file), 'a');
  close(file);
  gives("the number", made("/tmp/c"), file);
  gives("another one", mapped(file), 'c');
  says(ask[1], 'b');
  int status;
  gives("its end", waitpid(other, &status, 0), other);
  gives("what it saw", WEXITSTATUS(status), 0);
  gives("after it", mapped(file), 'c');
  pthread_t one;
  void *bad;
  pthread_create(&one, 0, thread, 0);
  pthread_join(one, &bad);
  gives("a thread that leaves", (long)bad, 0);
  gives("and closes", mapped(file), 'c');
  unlink("/tmp/a"), unlink("/tmp/b"), unlink("/tmp/c");
  return finish();
}
