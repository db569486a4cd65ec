// Threads that come and go while others' clones fail or are made anew for a signal: whoever lives is still known, and nobody is ended for it.
#include "../check.h"
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { COMERS = 3, STAYERS = 4, ROUNDS = 1500 };

static volatile int is_over;
static volatile int wrong;

// A session whose leader lies outside of the namespace of process ids is 0.
static void nothing(int signal) { (void)signal; }
static void *go(void *argument) {
  for (long i = 0; i < (long)argument; i++) if (CALL(SYS_getsid, 0) < 0) wrong++;
  return argument;
}

// Makes threads that end at once.
static void *comes(void *argument) {
  while (!is_over) {
    pthread_t some[24];
    int made = 0;
    while (made < 24 && pthread_create(&some[made], NULL, go, (void *)(long)(made % 6)) == 0) made++;
    if (made < 24) wrong++;
    while (made > 0) if (pthread_join(some[--made], NULL)) wrong++;
  }
  return argument;
}

// Asks what only the kernel knows.
static void *stays(void *argument) {
  char name[16];
  while (!is_over) if (CALL(SYS_getsid, 0) < 0 || gethostname(name, sizeof name) < -1) wrong++;
  return argument;
}

static void *forks(void *argument) {
  while (!is_over) {
    pid_t child = fork();
    if (child == 0) _exit(7);
    int status = -1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (child < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 7) wrong++;
  }
  return argument;
}

// In a process of its own, for what ends it ends it all.
static int storm(int signals) {
  pthread_t threads[COMERS + STAYERS + 1];
  int count = 0;
  signal(SIGALRM, nothing);
  for (int i = 0; i < COMERS; i++) if (pthread_create(&threads[count++], NULL, comes, NULL)) return 2;
  for (int i = 0; i < STAYERS; i++) if (pthread_create(&threads[count++], NULL, stays, NULL)) return 3;
  if (signals && pthread_create(&threads[count++], NULL, forks, NULL)) return 4;
  struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
  if (signals) setitimer(ITIMER_REAL, &often, NULL);
  for (int i = 0; i < ROUNDS; i++) {
    // Without CLONE_SIGHAND no thread is made (clone(2)).
    long result = CALL(SYS_clone, CLONE_THREAD | CLONE_VM | CLONE_FILES | CLONE_FS, 0, 0, 0, 0);
    if (result != -EINVAL || CALL(SYS_getsid, 0) < 0) wrong++;
  }
  setitimer(ITIMER_REAL, &never, NULL);
  is_over = 1;
  while (count > 0) if (pthread_join(threads[--count], NULL)) wrong++;
  return wrong ? 5 : 0;
}

static int result(int signals) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) _exit(storm(signals));
  int status;
  if (waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

// Parents that are killed at any moment of their children's making, beneath one that has asked for orphans: none of the children is ended for it.
static int orphans(void) {
  int killed = 0, strange = 0, status;
  if (prctl(PR_SET_CHILD_SUBREAPER, 1)) return 2;
  for (int round = 0; round < 60; round++) {
    pid_t parent = fork();
    if (parent == 0) {
      for (;;) {
        if (fork() == 0) _exit(CALL(SYS_getsid, 0) >= 0 ? 7 : 8);
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
      }
    }
    for (int spin = 0; spin < round; spin++) sched_yield();
    kill(parent, SIGKILL);
    for (pid_t ended; (ended = waitpid(-1, &status, 0)) > 0;) {
      if (ended == parent) killed++;
      else if (!WIFEXITED(status) || WEXITSTATUS(status) != 7) strange++;
    }
  }
  return killed == 60 && !strange ? 0 : 10 + strange;
}

int main(void) {
  gives("threads come and go beside clones that fail", result(0), 0);
  gives("and under signals, beside forks", result(1), 0);
  gives("orphans go to who has asked for them", orphans(), 0);
  return finish();
}
