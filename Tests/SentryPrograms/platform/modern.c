// Calls that kernels have had for some years, which an old host lacks: they are the sentry's own.
#include "../check.h"
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { CLONE3 = 435, CLOSE_RANGE = 436, OPENAT2 = 437, FACCESSAT2 = 439, EPOLL_PWAIT2 = 441, STATX = 332, COPY_FILE_RANGE = 326 };
#define CLEAR_SIGHAND 0x100000000ULL

static long make(struct clone_args *arguments, size_t size) { return CALL(CLONE3, arguments, size); }

static int status_of(long process) {
  int status = -1;
  return waitpid((pid_t)process, &status, 0) == process ? status : -1;
}

static void nothing(int signal) { (void)signal; }

static int shared_word;

// A thread's stack begins with what it is to do: clone3 gives both the same registers.
static long spawn_thread(void *stack, size_t size, int *gone) {
  struct clone_args arguments = {
      .flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID,
      .child_tid = (uint64_t)gone,
      .stack = (uint64_t)stack,
      .stack_size = size,
  };
  long result;
  __asm__ volatile(
      "syscall\n test %%rax, %%rax\n jnz 1f\n"
      "movl $1, %[word]\n mov $60, %%eax\n xor %%edi, %%edi\n syscall\n hlt\n 1:"
      : "=a"(result), [word] "+m"(shared_word)
      : "a"((long)CLONE3), "D"(&arguments), "S"(sizeof arguments)
      : "rcx", "r11", "memory");
  return result;
}

static void clones(void) {
  struct clone_args plain = {.exit_signal = SIGCHLD};
  long child = make(&plain, sizeof plain);
  if (child == 0) _exit(7);
  check("clone3 makes a process", child > 0 && status_of(child) == 7 << 8);
  child = make(&plain, 64);
  if (child == 0) _exit(8);
  check("clone3 of the first version's size", child > 0 && status_of(child) == 8 << 8);

  struct sigaction action = {.sa_handler = nothing};
  sigaction(SIGUSR1, &action, NULL);
  signal(SIGUSR2, SIG_IGN);
  struct clone_args fresh = {.flags = CLEAR_SIGHAND, .exit_signal = SIGCHLD};
  child = make(&fresh, sizeof fresh);
  if (child == 0) {
    struct sigaction caught, ignored;
    sigaction(SIGUSR1, NULL, &caught);
    sigaction(SIGUSR2, NULL, &ignored);
    _exit(caught.sa_handler == SIG_DFL && ignored.sa_handler == SIG_IGN ? 3 : 4);
  }
  check("clone3 resets handlers", child > 0 && status_of(child) == 3 << 8);

  size_t size = 65536;
  char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  static int gone = 1;
  long thread = spawn_thread(stack, size, &gone);
  while (thread > 0 && __atomic_load_n(&gone, __ATOMIC_ACQUIRE) != 0) {
    struct timespec patience = {0, 10000000};
    CALL(SYS_futex, &gone, 0, 1, &patience);
  }
  check("clone3 makes a thread", thread > 0 && __atomic_load_n(&shared_word, __ATOMIC_ACQUIRE) == 1);

  struct clone_args wrong = {.exit_signal = 65};
  gives("clone3 with no signal", make(&wrong, sizeof wrong), -EINVAL);
  gives("clone3 of nothing", make(NULL, 88), -EFAULT);
  gives("clone3 that is too small", make(&plain, 63), -EINVAL);
  gives("clone3 that is too large", make(&plain, 4097), -E2BIG);
  struct { struct clone_args known; uint64_t more; } later = {.known = {.exit_signal = SIGCHLD}, .more = 1};
  gives("clone3 of a later kernel's", make((struct clone_args *)&later, sizeof later), -E2BIG);
  struct clone_args twice = {.flags = CLEAR_SIGHAND | CLONE_SIGHAND | CLONE_VM, .exit_signal = SIGCHLD};
  gives("clone3 with shared and fresh handlers", make(&twice, sizeof twice), -EINVAL);
}

static void files(void) {
  int folder = open("/tmp", O_PATH | O_DIRECTORY);
  check("a folder", folder >= 0);
  struct open_how how = {.flags = O_RDWR | O_CREAT, .mode = 0600, .resolve = RESOLVE_BENEATH};
  long file = CALL(OPENAT2, folder, "modern", &how, sizeof how);
  check("openat2 beneath", file >= 0);
  how.flags = O_RDONLY;
  how.mode = 0;
  gives("openat2 above", CALL(OPENAT2, folder, "../etc", &how, sizeof how), -EXDEV);
  gives("openat2 too small", CALL(OPENAT2, folder, "modern", &how, 8), -EINVAL);
  check("bytes", write((int)file, "abcdefgh", 8) == 8);

  // struct statx (linux/stat.h), which this C library has not: stx_mode at 28, stx_size at 40; STATX_TYPE and STATX_SIZE, then the basic ones.
  _Alignas(8) unsigned char seen[256];
  gives("statx", CALL(STATX, folder, "modern", 0, 0x201, seen), 0);
  check("statx's size", *(uint64_t *)(seen + 40) == 8 && S_ISREG(*(uint16_t *)(seen + 28)));
  gives("statx of a descriptor", CALL(STATX, file, "", AT_EMPTY_PATH, 0x7ff, seen), 0);

  long copy = open("/tmp/modern-copy", O_RDWR | O_CREAT, 0600);
  off_t from = 2;
  gives("copy_file_range", CALL(COPY_FILE_RANGE, file, &from, copy, NULL, 4, 0), 4);
  char bytes[8] = "";
  check("what was copied", pread((int)copy, bytes, 8, 0) == 4 && !memcmp(bytes, "cdef", 4) && from == 6);

  gives("faccessat2", CALL(FACCESSAT2, folder, "modern", R_OK | W_OK, AT_EACCESS), 0);
  gives("faccessat2 of nothing", CALL(FACCESSAT2, folder, "none", R_OK, 0), -ENOENT);
  gives("faccessat2 with a wrong flag", CALL(FACCESSAT2, folder, "modern", R_OK, 0x10), -EINVAL);

  int low = dup2((int)file, 40), high = dup2((int)file, 43);
  gives("close_range", CALL(CLOSE_RANGE, 40, 50, 0), 0);
  check("it closed them", low == 40 && high == 43 && fcntl(40, F_GETFD) == -1 && fcntl(43, F_GETFD) == -1);
  gives("close_range backwards", CALL(CLOSE_RANGE, 50, 40, 0), -EINVAL);
  unlink("/tmp/modern");
  unlink("/tmp/modern-copy");
}

static void polls(void) {
  int ends[2];
  check("a pipe", pipe(ends) == 0);
  int poll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = 42}, seen = {0};
  check("an epoll", epoll_ctl(poll, EPOLL_CTL_ADD, ends[0], &event) == 0);
  struct timespec moment = {0, 1000};
  gives("epoll_pwait2 with nothing there", CALL(EPOLL_PWAIT2, poll, &seen, 1, &moment, NULL, 0), 0);
  check("a byte", write(ends[1], "x", 1) == 1);
  gives("epoll_pwait2", CALL(EPOLL_PWAIT2, poll, &seen, 1, NULL, NULL, 0), 1);
  check("its event", seen.data.u64 == 42 && seen.events == EPOLLIN);
  moment.tv_nsec = 2000000000;
  gives("epoll_pwait2 with no time", CALL(EPOLL_PWAIT2, poll, &seen, 1, &moment, NULL, 0), -EINVAL);
}

int main(void) {
  clones();
  files();
  polls();
  return finish();
}
