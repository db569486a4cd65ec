// Processes: fork(2), vfork(2), clone(2), execve(2), exit(2), as the host's kernel performs them under the sentry's eye.
#include "../check.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char **variables;

static int ended(pid_t child) {
  int status = -1;
  return waitpid(child, &status, 0) == child ? status : -1;
}
// Runs the program itself again in a child, with this first argument.
static int again(char *role, char *more) {
  pid_t child = fork();
  if (child == 0) {
    char *arguments[] = {"program", role, more, NULL};
    execve("/proc/self/exe", arguments, variables);
    execve("/bin/program", arguments, variables);
    _exit(99);
  }
  return ended(child);
}
static int start(const char *path, char *const arguments[]) {
  pid_t child = vfork();
  if (child == 0) {
    execve(path, arguments, variables);
    _exit(errno == ENOENT ? 97 : errno == EACCES ? 96 : errno == ENOEXEC ? 95 : errno == E2BIG ? 94 : 98);
  }
  return ended(child);
}

static char stack[65536] __attribute__((aligned(16)));
static volatile int shared;
static int thread(void *argument) {
  shared = *(int *)argument;
  return 5;
}

int main(int argc, char **argv, char **environment) {
  variables = environment;
  if (argc > 1 && !strcmp(argv[1], "exit")) return atoi(argv[2]);
  if (argc > 1 && !strcmp(argv[1], "count")) return argc;
  if (argc > 1 && !strcmp(argv[1], "open")) return fcntl(atoi(argv[2]), F_GETFD) >= 0;
  if (argc > 1 && !strcmp(argv[1], "crash")) *(volatile int *)8 = 1;

  char *self[] = {"program", "exit", "42", NULL};
  const char *path = argv[0];
  check("vfork and exec", WEXITSTATUS(start(path, self)) == 42);
  check("fork and exit", WEXITSTATUS(ended(fork() ?: (_exit(7), 0))) == 7);
  int status = again("crash", "");
  check("a crash is told", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);

  gives("exec of nothing", CALL(SYS_execve, "/no/such/file", self, environment), -ENOENT);
  gives("exec of an empty path", CALL(SYS_execve, "", self, environment), -ENOENT);
  gives("exec of a folder", CALL(SYS_execve, "/", self, environment), -EACCES);
  gives("exec: bad path", CALL(SYS_execve, NOWHERE, self, environment), -EFAULT);
  gives("exec: bad arguments", CALL(SYS_execve, path, NOWHERE, environment), -EFAULT);
  char *name = malloc(5000);
  memset(name, 'a', 4999);
  name[4999] = 0;
  gives("exec of a long path", CALL(SYS_execve, name, self, environment), -ENAMETOOLONG);
  char *big = malloc(200 * 1024);
  memset(big, 'b', 200 * 1024 - 1);
  big[200 * 1024 - 1] = 0;
  char *long_one[] = {"program", big, NULL};
  gives("exec of a long argument", CALL(SYS_execve, path, long_one, environment), -E2BIG);
  check("and the next one works", WEXITSTATUS(start(path, self)) == 42);
  free(big);

  // Scripts, and files that are none.
  int file = open("/tmp/immure-script", O_CREAT | O_TRUNC | O_WRONLY, 0755);
  dprintf(file, "#!%s count\n", path);
  close(file);
  char *script[] = {"ignored", "a", "b", NULL};
  check("a script: interpreter, argument, script, arguments", WEXITSTATUS(start("/tmp/immure-script", script)) == 5);
  file = open("/tmp/immure-second", O_CREAT | O_TRUNC | O_WRONLY, 0755);
  dprintf(file, "#! /tmp/immure-script one two \n");
  close(file);
  check("a script's script", WEXITSTATUS(start("/tmp/immure-second", script)) == 7);
  file = open("/tmp/immure-text", O_CREAT | O_TRUNC | O_WRONLY, 0755);
  dprintf(file, "no program\n");
  close(file);
  gives("text is no program", CALL(SYS_execve, "/tmp/immure-text", script, environment), -ENOEXEC);
  chmod("/tmp/immure-text", 0644);
  gives("nobody may execute it", CALL(SYS_execve, "/tmp/immure-text", script, environment), -EACCES);

  // Descriptors over exec.
  int kept = open("/dev/null", O_RDONLY), closed = open("/dev/null", O_RDONLY | O_CLOEXEC);
  char number[16];
  snprintf(number, sizeof number, "%d", kept);
  check("a descriptor stays", WEXITSTATUS(again("open", number)) == 1);
  snprintf(number, sizeof number, "%d", closed);
  check("a close-on-exec one goes", WEXITSTATUS(again("open", number)) == 0);
  int program = open(path, O_RDONLY | O_CLOEXEC);
  pid_t child = fork();
  if (child == 0) {
    syscall(SYS_execveat, program, "", self, environment, AT_EMPTY_PATH);
    _exit(98);
  }
  check("execveat of a descriptor", WEXITSTATUS(ended(child)) == 42);
  gives("execveat without a path", CALL(SYS_execveat, program, "", self, environment, 0), -ENOENT);
  gives("execveat of no descriptor", CALL(SYS_execveat, 777, "", self, environment, AT_EMPTY_PATH), -EBADF);
  gives("execveat: flags", CALL(SYS_execveat, program, path, self, environment, 0x4000000), -EINVAL);

  // Threads and odd clones.
  int value = 31;
  pid_t made = clone(thread, stack + sizeof stack, CLONE_VM | SIGCHLD, &value);
  check("a clone in the same memory", WEXITSTATUS(ended(made)) == 5 && shared == 31);
  check("threads without their memory are none", CALL(SYS_clone, CLONE_THREAD, 0, 0, 0, 0) == -EINVAL);
  check("a fork after a clone that failed", WEXITSTATUS(ended(fork() ?: (_exit(8), 0))) == 8);
  // Descriptors of a child that shares its table.
  check("many children at once", ({
    int good = 1;
    pid_t children[32];
    for (int i = 0; i < 32; i++) children[i] = fork() ?: (_exit(i), 0);
    for (int i = 31; i >= 0; i--) good &= WEXITSTATUS(ended(children[i])) == i;
    good;
  }));
  // An orphan goes on, and ends.
  int ends[2];
  check("a pipe", pipe(ends) == 0);
  child = fork();
  if (child == 0) {
    pid_t parent = getpid();
    if (fork() == 0) {
      close(ends[0]);
      while (getppid() == parent) sched_yield();
      _exit(write(ends[1], "x", 1) != 1);
    }
    _exit(0);
  }
  ended(child);
  close(ends[1]);
  char byte = 0;
  check("an orphan writes when its parent is gone", read(ends[0], &byte, 1) == 1 && byte == 'x');
  check("and its end of the pipe closes", read(ends[0], &byte, 1) == 0);
  check("nobody is left to wait for", waitpid(-1, NULL, 0) == -1 && errno == ECHILD);

  // Mappings of files.
  file = open("/tmp/immure-mapped", O_CREAT | O_TRUNC | O_RDWR, 0644);
  check("a file to map", write(file, "contents", 8) == 8 && ftruncate(file, 8192) == 0);
  char *map = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, file, 0);
  check("a private mapping", map != MAP_FAILED && !memcmp(map, "contents", 8));
  char *both = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  check("a shared one", both != MAP_FAILED);
  both[4096] = 'Z';
  check("is seen by read", pread(file, &byte, 1, 4096) == 1 && byte == 'Z');
  check("and sees a write", pwrite(file, "Y", 1, 4097) == 1 && both[4097] == 'Y' && map[4097] == 'Y');
  int readable = open("/tmp/immure-mapped", O_RDONLY), writable = open("/tmp/immure-mapped", O_WRONLY);
  gives("shared and writable of a file to read", CALL(SYS_mmap, 0, 4096, 3, MAP_SHARED, readable, 0), -EACCES);
  gives("of a file to write", CALL(SYS_mmap, 0, 4096, 1, MAP_SHARED, writable, 0), -EACCES);
  gives("of no descriptor", CALL(SYS_mmap, 0, 4096, 1, MAP_SHARED, 777, 0), -EBADF);
  gives("of nothing", CALL(SYS_mmap, 0, 0, 1, MAP_SHARED, file, 0), -EINVAL);
  gives("at an odd place of the file", CALL(SYS_mmap, 0, 4096, 1, MAP_SHARED, file, 5), -EINVAL);
  gives("neither shared nor private", CALL(SYS_mmap, 0, 4096, 1, 0, file, 0), -EINVAL);
  gives("of a pipe", CALL(SYS_mmap, 0, 4096, 1, MAP_SHARED, ends[0], 0), -ENODEV);
  char *view = mmap(NULL, 4096, PROT_READ, MAP_SHARED, readable, 0);
  check("a view stays a view", view != MAP_FAILED && mprotect(view, 4096, 3) == -1 && errno == EACCES);
  close(file), close(readable), close(writable);
  check("mappings outlive descriptors", both[4096] == 'Z');
  file = open("/dev/null", O_RDONLY);
  check("a number is used again for another file", file >= 0 && munmap(view, 4096) == 0);
  unlink("/tmp/immure-mapped"), unlink("/tmp/immure-script"), unlink("/tmp/immure-second"), unlink("/tmp/immure-text");
  return finish();
}
