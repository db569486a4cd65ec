// Runs before Swift's runtime: keeps argv and the environment, and tells the runtime where it lives so that it does not
// look in /proc (it aborts before main where /proc is not mounted, and finds no arguments there).
#include "CLinux.h"

static int saved_argc;
static char **saved_argv;
static char **saved_environ;

__attribute__((constructor(101))) static void immure_start(int argc, char **argv, char **envp) {
  saved_argc = argc;
  saved_argv = argv;
  saved_environ = envp;
}

int immure_argc(void) { return saved_argc; }
char *const *immure_argv(void) { return saved_argv; }
char *const *immure_environ(void) { return saved_environ; }
