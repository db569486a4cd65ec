// Parts of a program that run in a process of their own.
#include <sys/wait.h>

static pid_t forked(int (*body)(void)) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) _exit(body());
  return child;
}

// What it gave, or 1000 and the signal that ended it.
static int ended(pid_t child) {
  int status;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

__attribute__((unused)) static int child(int (*body)(void)) { return ended(forked(body)); }
