// Threads: made, ended, and what exec(2), fork(2) and crashes make of them.
#include "../check.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

static char **variables;
static char *path;

static int ended(pid_t child) {
  int status = -1;
  return waitpid(child, &status, 0) == child ? status : -1;
}
static void *give(void *argument) { return argument; }
static void *sleep_for_ever(void *argument) {
  for (;;) pause();
  return argument;
}
static void *read_for_ever(void *argument) {
  char byte;
  read(*(int *)argument, &byte, 1);
  return NULL;
}
static void *execute(void *argument) {
  (void)argument;
  char *arguments[] = {"program", "told", NULL};
  execve(path, arguments, variables);
  _exit(99);
}
static void *fork_and_wait(void *argument) {
  long wanted = (long)argument;
  pid_t child = fork();
  if (child == 0) _exit((int)wanted);
  return (void *)(long)(WEXITSTATUS(ended(child)) == wanted);
}
static volatile int spins;
static void *spin(void *argument) {
  spins = 1;
  for (;;) {}
  return argument;
}
static void *execute_files(void *argument) {
  (void)argument;
  while (!spins) sched_yield();
  char *arguments[] = {path, "told", "files", NULL};
  execve(path, arguments, variables);
  _exit(99);
}
static void *write_byte(void *argument) {
  return (void *)(long)(write(*(int *)argument, "b", 1) == 1);
}
static void *crash(void *argument) {
  *(volatile int *)8 = 1;
  return argument;
}
static pthread_t leader;
static void *outlive(void *argument) {
  (void)argument;
  pthread_join(leader, NULL);
  pid_t child = fork();
  if (child == 0) _exit(3);
  int good = WEXITSTATUS(ended(child)) == 3 && getpid() != gettid();
  if (!good) _exit(1);
  execute(NULL);
  return NULL;
}

int main(int argc, char **argv, char **environment) {
  variables = environment;
  path = argv[0];
  if (argc > 2) {
    int ends[2];
    pthread_t other;
    void *written = NULL;
    if (pipe(ends) || pthread_create(&other, NULL, write_byte, &ends[1]) || pthread_join(other, &written)) return 43;
    return written ? 42 : 44;
  }
  if (argc > 1 && !strcmp(argv[1], "told")) return getpid() == gettid() ? 42 : 41;

  if (argc > 1) {
    pthread_t other;
    leader = pthread_self();
    pthread_create(&other, NULL, outlive, NULL);
    pthread_exit(NULL);
  }

  pthread_t thread[32];
  int good = 1;
  for (long i = 0; i < 32; i++) good &= pthread_create(&thread[i], NULL, give, (void *)i) == 0;
  for (long i = 0; i < 32; i++) {
    void *result;
    good &= pthread_join(thread[i], &result) == 0 && (long)result == i;
  }
  check("threads end with what they have", good);

  good = 1;
  for (long i = 0; i < 16; i++) good &= pthread_create(&thread[i], NULL, fork_and_wait, (void *)(i + 1)) == 0;
  for (long i = 0; i < 16; i++) {
    void *result;
    good &= pthread_join(thread[i], &result) == 0 && (long)result == 1;
  }
  check("threads fork at the same time, each its own child", good);

  pid_t child = fork();
  if (child == 0) {
    int ends[2];
    if (pipe(ends)) _exit(1);
    pthread_t other;
    pthread_create(&other, NULL, sleep_for_ever, NULL);
    pthread_create(&other, NULL, read_for_ever, &ends[0]);
    pthread_create(&other, NULL, execute, NULL);
    pthread_join(other, NULL);
  }
  check("exec from a thread ends the others and takes the process's number", WEXITSTATUS(ended(child)) == 42);

  child = fork();
  if (child == 0) {
    pthread_t other;
    pthread_create(&other, NULL, spin, NULL);
    pthread_create(&other, NULL, execute_files, NULL);
    pthread_join(other, NULL);
  }
  check("after an exec beside a thread that made no call, threads have the new program's files", WEXITSTATUS(ended(child)) == 42);

  child = fork();
  if (child == 0) {
    char *arguments[] = {path, "outlive", NULL};
    execve(path, arguments, variables);
    _exit(98);
  }
  check("a process goes on without its first thread", WEXITSTATUS(ended(child)) == 42);

  child = fork();
  if (child == 0) {
    pthread_t other;
    pthread_create(&other, NULL, sleep_for_ever, NULL);
    pthread_create(&other, NULL, crash, NULL);
    pthread_join(other, NULL);
  }
  int status = ended(child);
  check("a thread's crash is the process's", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);

  child = fork();
  if (child == 0) {
    pthread_t other;
    pthread_create(&other, NULL, sleep_for_ever, NULL);
    _exit(9);
  }
  check("exit ends sleeping threads", WEXITSTATUS(ended(child)) == 9);

  // A process that is killed while it sleeps in a call lets its descriptors go.
  int ends[2], more[2];
  check("pipes", pipe(ends) == 0 && pipe(more) == 0);
  child = fork();
  if (child == 0) {
    close(ends[0]), close(more[1]);
    char byte;
    write(ends[1], "r", 1);
    read(more[0], &byte, 1);
    _exit(0);
  }
  close(ends[1]);
  char byte;
  check("it runs", read(ends[0], &byte, 1) == 1);
  kill(child, SIGKILL);
  check("and its ends are closed by its death", read(ends[0], &byte, 1) == 0);
  status = ended(child);
  check("by a signal", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

  // Parents that are killed at any moment of their children's making.
  good = 1;
  for (int round = 0; round < 40; round++) {
    int way[2];
    if (pipe(way)) return 1;
    child = fork();
    if (child == 0) {
      close(way[0]);
      // All of the machine's numbers would be taken by those that have ended (pid_max), and others' forks have EAGAIN.
      for (;;) {
        if (fork() == 0) _exit(0);
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
      }
    }
    close(way[1]);
    for (int spin = 0; spin < round; spin++) sched_yield();
    kill(child, SIGKILL);
    good &= read(way[0], &byte, 1) == 0;
    close(way[0]);
    good &= ended(child) != -1;
  }
  check("no half-made child holds a pipe open", good);
  return finish();
}
