// Threads that never came to be: a clone(2) that failed leaves nothing that a later thread could be taken for.
#include "../check.h"
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/wait.h>

// CLONE_THREAD without CLONE_SIGHAND is refused (clone(2)).
static void fail(const char *name, int times) {
  long seen = -EINVAL;
  for (int i = 0; i < times; i++) {
    long result = CALL(SYS_clone, CLONE_THREAD | CLONE_VM | CLONE_FILES | CLONE_FS, 0, 0, 0, 0);
    if (result != -EINVAL) seen = result;
  }
  gives(name, seen, -EINVAL);
}

static long facts[3];
static void *tell(void *number) {
  facts[0] = prctl(PR_GET_KEEPCAPS);
  facts[1] = CALL(SYS_getuid);
  facts[2] = CALL(SYS_fcntl, (int)(long)number, F_GETFD);
  return 0;
}
static void thread(int number) {
  pthread_t id;
  facts[0] = facts[1] = facts[2] = -1;
  if (pthread_create(&id, 0, tell, (void *)(long)number) || pthread_join(id, 0)) _exit(3);
}

// In a child, so that the next one begins as the first did.
static void apart(void (*body)(void)) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    body();
    _exit(finish());
  }
  int status = 0;
  waitpid(pid, &status, 0);
  if (status) failures++;
}

static void traits(void) {
  fail("a thread that is refused", 1);
  prctl(PR_SET_KEEPCAPS, 1);
  thread(0);
  gives("the next one has what its parent has now", facts[0], 1);
}

static void identity(void) {
  if (geteuid() == 0) {
    fail("a thread of root's that is refused", 1);
    CALL(SYS_setresuid, 1000, 1000, 1000);
  } else {
    fail("a thread of root's that is refused", 1);
  }
  thread(0);
  check("the next one is who its parent is now", facts[1] == CALL(SYS_getuid));
}

static void many(void) {
  fail("very many that are refused", 3000);
  prctl(PR_SET_KEEPCAPS, 1);
  thread(0);
  gives("the next one after them", facts[0], 1);
}

static void concurrent(void) {
  // One fails while others are made.
  pthread_t ids[16];
  int made = 0, right = 0;
  for (int i = 0; i < 16; i++) {
    prctl(PR_SET_KEEPCAPS, i & 1);
    CALL(SYS_clone, CLONE_THREAD | CLONE_VM, 0, 0, 0, 0);
    made += pthread_create(&ids[i], 0, tell, 0) == 0;
    pthread_join(ids[i], 0);
    right += facts[0] == (i & 1);
  }
  gives("threads between refused ones", made, 16);
  gives("each with what its parent had", right, 16);
}

int main(int count, char **words) {
  if (count > 1) {
    // Executed: what was closed is closed for every thread.
    int number = atoi(words[1]);
    thread(number);
    gives("closed by execve for threads too", facts[2], -EBADF);
    return finish();
  }
  apart(traits);
  apart(identity);
  apart(many);
  apart(concurrent);
  int number = open("/", O_RDONLY | O_CLOEXEC);
  char text[16];
  snprintf(text, sizeof text, "%d", number);
  fail("a thread that shares descriptors and is refused", 1);
  if (failures) return finish();
  char path[] = "/proc/self/exe";
  execl(path, "program", text, (char *)0);
  return 4;
}
