// Runs before Swift's runtime: keeps argv and the environment, and starts anew from an image that nobody can write where a process of
// this one will stand in a container.
#define _GNU_SOURCE
#include "CLinux.h"

static int saved_argc;
static char **saved_argv;
static char **saved_environ;

// Whether this is a runtime's verb that leaves a process of this image in a container: `immure-WALL create …`, `immure oci run …`.
static int enters_container(int argc, char **argv) {
  const char *slash = argc ? strrchr(argv[0], '/') : 0, *name = argc ? (slash ? slash + 1 : argv[0]) : "";
  if (strncmp(name, "immure-", 7) && !(argc > 1 && !strcmp(argv[1], "oci"))) return 0;
  for (int i = 1; i < argc; i++)
    if (!strcmp(argv[i], "create") || !strcmp(argv[i], "run") || !strcmp(argv[i], "exec")) return 1;
  return 0;
}

// What OwnImage.protect does, before Swift's runtime has begun, for it would begin twice. Where this does not succeed, that says why.
static void protect_image(char **argv, char **envp) {
  struct statfs status;
  int file = open("/proc/self/exe", O_PATH | O_CLOEXEC);
  if (file < 0) return;
  if (!fstatfs(file, &status) && !(status.f_flags & ST_RDONLY)) {
    struct mount_attr change = {.attr_set = MOUNT_ATTR_RDONLY};
    int mount = syscall(SYS_open_tree, file, "", OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH);
    if (mount >= 0) {
      if (!syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &change, sizeof change))
        syscall(SYS_execveat, mount, "", argv, envp, AT_EMPTY_PATH);
      close(mount);
    }
  }
  close(file);
}

__attribute__((constructor(101))) static void immure_start(int argc, char **argv, char **envp) {
  saved_argc = argc;
  saved_argv = argv;
  saved_environ = envp;
  if (enters_container(argc, argv)) protect_image(argv, envp);
}

int immure_argc(void) { return saved_argc; }
char *const *immure_argv(void) { return saved_argv; }
char *const *immure_environ(void) { return saved_environ; }
