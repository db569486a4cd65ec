// Runs before Swift's runtime: keeps argv and the environment, and starts anew from an image that nobody can write where a process of
// this one will stand in a container.
#define _GNU_SOURCE
#include "CLinux.h"

#include <malloc.h>

static int saved_argc;
static char **saved_argv;
static char **saved_environ;

// What runs before glibc has begun may call nothing of it, and the compiler may put no calls of it in.
#define BEFORE_GLIBC static __attribute__((no_builtin, no_stack_protector))

BEFORE_GLIBC int is(const char *word, const char *wanted) {
  while (*word && *word == *wanted) word++, wanted++;
  return *word == *wanted;
}

// Whether this is a runtime's verb that leaves a process of this image in a container: `immure-WALL create …`, `immure oci run …`.
BEFORE_GLIBC int enters_container(int argc, char **argv) {
  static const char prefix[] = "immure-";
  const char *name = argc ? argv[0] : "";
  for (const char *at = name; *at; at++)
    if (*at == '/') name = at + 1;
  int length = 0;
  while (prefix[length] && name[length] == prefix[length]) length++;
  if (prefix[length] && !(argc > 1 && is(argv[1], "oci"))) return 0;
  for (int i = 1; i < argc; i++)
    if (is(argv[i], "create") || is(argv[i], "run") || is(argv[i], "exec")) return 1;
  return 0;
}

// What OwnImage.protect does, before Swift's runtime has begun, for it would begin twice. Where this does not succeed, that says why.
BEFORE_GLIBC void protect_image(char **argv, char **envp) {
#define call(number, a, b, c, d, e) \
  immure_syscall(number, (unsigned long)(a), (unsigned long)(b), (unsigned long)(c), (unsigned long)(d), (unsigned long)(e), 0)
  struct statfs status;
  long file = call(SYS_openat, AT_FDCWD, "/proc/self/exe", O_PATH | O_CLOEXEC, 0, 0);
  if (file < 0) return;
  if (!call(SYS_fstatfs, file, &status, 0, 0, 0) && !(status.f_flags & ST_RDONLY)) {
    struct mount_attr change = {.attr_set = MOUNT_ATTR_RDONLY};
    long mount = call(SYS_open_tree, file, "", OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH, 0, 0);
    if (mount >= 0) {
      if (!call(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &change, sizeof change))
        call(SYS_execveat, mount, "", argv, envp, AT_EMPTY_PATH);
      call(SYS_close, mount, 0, 0, 0, 0);
    }
  }
  call(SYS_close, file, 0, 0, 0, 0);
#undef call
}

static int looked_at_image;

// The first instructions of the release's executable (`hotLink` in Package.swift), with the stack as the kernel made it: argc, argv and the
// environment. glibc looks at the processor when it begins, a quarter of a millisecond in a virtual machine, and would begin twice.
__attribute__((used, visibility("hidden"), no_builtin, no_stack_protector)) void immure_first(unsigned long *stack) {
  int argc = (int)stack[0];
  char **argv = (char **)(stack + 1);
  looked_at_image = 1;
  if (enters_container(argc, argv)) protect_image(argv, argv + argc + 1);
}
#if defined(__x86_64__)
// rdx is the dynamic linker's word to _start (the System V ABI's supplement for AMD64, "Process Initialization").
__asm__(
    ".text\n.globl immure_entry\n.type immure_entry, @function\n.weak _start\nimmure_entry:\n"
    "  mov %rdx, %rbx\n  mov %rsp, %rdi\n  call immure_first\n  mov %rbx, %rdx\n  xor %ebx, %ebx\n  jmp _start\n"
    ".size immure_entry, . - immure_entry\n");
#elif defined(__aarch64__)
__asm__(
    ".text\n.globl immure_entry\n.type immure_entry, %function\n.weak _start\nimmure_entry:\n"
    "  mov x19, x0\n  mov x0, sp\n  bl immure_first\n  mov x0, x19\n  b _start\n.size immure_entry, . - immure_entry\n");
#endif

// Swift's own way to them reads /proc/self/maps before main, and ends the process where there is no /proc. With these two of its functions here
// (SwiftShims/RuntimeShims.h), a static executable has none of that.
static char **given_argv;
static int given_argc;
__attribute__((weak)) char **_swift_stdlib_getUnsafeArgvArgc(int *count) {
  *count = given_argv ? given_argc : saved_argc;
  return given_argv ? given_argv : saved_argv;
}
__attribute__((weak)) void _swift_stdlib_overrideUnsafeArgvArgc(char **argv, int argc) {
  given_argv = argv;
  given_argc = argc;
}

// The runtime in a static executable looks for a program that would show where a crash was, beside the executable and around it: eight
// calls, in every start. It is told that there is none, unless the user says what he wants.
static char *extended[256];
static void skip_crash_reporter(char **envp) {
  int count = 0;
  for (; envp[count]; count++)
    if (count == 254 || !strncmp(envp[count], "SWIFT_BACKTRACE=", 16)) return;
  memcpy(extended, envp, count * sizeof *envp);
  extended[count] = "SWIFT_BACKTRACE=enable=no,swift-backtrace=/";
  environ = extended;
}

__attribute__((constructor(101))) static void immure_start(int argc, char **argv, char **envp) {
  saved_argc = argc;
  saved_argv = argv;
  saved_environ = envp;
  if (!looked_at_image && enters_container(argc, argv)) protect_image(argv, envp);
  if (looked_at_image) skip_crash_reporter(envp);
  // A buffer for a file is given back and asked for again, each by a call of its own, where the heap may shrink at every step.
  mallopt(M_TRIM_THRESHOLD, 1 << 20);
  mallopt(M_TOP_PAD, 256 << 10);
}

int immure_argc(void) { return saved_argc; }
char *const *immure_argv(void) {
  // What was said to the runtime, which has read it by now, is for nobody else.
  if (environ == extended) environ = saved_environ;
  return saved_argv;
}
char *const *immure_environ(void) { return saved_environ; }
