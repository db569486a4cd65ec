// The first process of a box: waits for one message, starts the command, passes signals on to it, reaps everything, and ends
// when the command ends. Freestanding (no C library), one file, x86-64 and arm64. The protocol: docs/guest-init.md.
//
// It is run from a sealed memory file with argv "init" and an empty environment; descriptor 3 is a stream socket to the host.
// What it is allowed (ids, capabilities, seccomp, cgroup) is what the command is allowed: it grants nothing and needs nothing.
#include <stddef.h>
#include <stdint.h>

// ---- The kernel's interface (asm-generic/unistd.h, arch/x86/entry/syscalls/syscall_64.tbl) ----

#if defined(__x86_64__)
enum {
  SYS_read = 0, SYS_close = 3, SYS_mmap = 9, SYS_munmap = 11, SYS_rt_sigaction = 13, SYS_rt_sigprocmask = 14,
  SYS_ioctl = 16, SYS_getpid = 39, SYS_sendto = 44, SYS_clone = 56, SYS_execve = 59, SYS_wait4 = 61, SYS_kill = 62,
  SYS_fcntl = 72, SYS_chdir = 80, SYS_umask = 95, SYS_setsid = 112, SYS_setpgid = 109, SYS_rt_sigtimedwait = 128,
  SYS_prctl = 157, SYS_exit_group = 231, SYS_dup3 = 292, SYS_pipe2 = 293, SYS_write = 1
};
static inline long call6(long n, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
__asm__(".globl _start\n_start:\n  xor %ebp, %ebp\n  and $-16, %rsp\n  call init_main\n  hlt\n");
#elif defined(__aarch64__)
enum {
  SYS_dup3 = 24, SYS_fcntl = 25, SYS_ioctl = 29, SYS_chdir = 49, SYS_close = 57, SYS_pipe2 = 59, SYS_read = 63,
  SYS_write = 64, SYS_exit_group = 94, SYS_kill = 129, SYS_rt_sigaction = 134, SYS_rt_sigprocmask = 135,
  SYS_rt_sigtimedwait = 137, SYS_setpgid = 154, SYS_setsid = 157, SYS_umask = 166, SYS_prctl = 167, SYS_getpid = 172,
  SYS_sendto = 206, SYS_munmap = 215, SYS_clone = 220, SYS_execve = 221, SYS_mmap = 222, SYS_wait4 = 260
};
static inline long call6(long n, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
__asm__(".globl _start\n_start:\n  mov x29, xzr\n  mov x30, xzr\n  bl init_main\n  brk #0\n");
#else
#error "guest/init is for x86-64 and arm64"
#endif
#define call(n, a, b, c, d) call6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

enum { EINTR = 4, ENOENT = 2, EAGAIN = 11, EACCES = 13, ENODEV = 19, ENOTDIR = 20, ENAMETOOLONG = 36, ESTALE = 116, ETIMEDOUT = 110 };
enum {
  SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGKILL = 9, SIGCHLD = 17, SIGCONT = 18, SIGSTOP = 19, SIGTSTP = 20, SIGTTIN = 21,
  SIGTTOU = 22, SIGWINCH = 28, SIGNALS = 64
};
enum { PR_SET_DUMPABLE = 4, PR_SET_NAME = 15, PR_SET_CHILD_SUBREAPER = 36 };
enum { SIG_SETMASK = 2, TIOCSCTTY = 0x540E, O_CLOEXEC = 02000000, WNOHANG = 1, WALL = 0x40000000, MSG_NOSIGNAL = 0x4000 };
enum { PROT_READ_WRITE = 3, MAP_PRIVATE_ANONYMOUS = 0x22, F_SETFD = 2, FD_CLOEXEC = 1 };

// The compiler may ask for these by name even in freestanding code.
void *memset(void *to, int value, size_t count) {
  volatile char *bytes = to;
  for (size_t i = 0; i < count; i++) bytes[i] = (char)value;
  return to;
}
void *memcpy(void *to, const void *from, size_t count) {
  volatile char *bytes = to;
  const char *source = from;
  for (size_t i = 0; i < count; i++) bytes[i] = source[i];
  return to;
}

// ---- The protocol, both ways little-endian (Sources/Guest/InitMessage.swift, InitReply.swift) ----

enum { HOST = 3, MESSAGE_MAGIC = 0x314d4d49, REPLY_MAGIC = 0x31524d49, MESSAGE_LIMIT = 8 << 20, DESCRIPTOR_LIMIT = 1024 };
enum { FLAG_TERMINAL = 1, UMASK_KEPT = 0xffffffff };
enum kind { STARTED = 1, FAILED = 2, EXITED = 3 };
enum step { STEP_MESSAGE = 1, STEP_FORK = 2, STEP_DESCRIPTORS = 3, STEP_TERMINAL = 4, STEP_DIRECTORY = 5, STEP_EXECUTE = 6 };

struct header {
  uint32_t magic, length, flags, umask, descriptors, arguments, variables, reserved;
};
struct reply {
  uint32_t magic, kind;
  int32_t value;
  uint32_t step;
};
struct failure {
  int32_t error;
  uint32_t step;
};
struct message {
  struct header header;
  char *directory;
  char **arguments, **variables;
  void *memory;
  size_t size;
};

static _Noreturn void leave(int code) {
  for (;;) call(SYS_exit_group, code, 0, 0, 0);
}

// Negative where the supervisor is gone: the command goes on all the same.
static long tell(enum kind kind, int value, enum step step) {
  struct reply reply = {REPLY_MAGIC, kind, value, step};
  long sent;
  do sent = call6(SYS_sendto, HOST, (long)&reply, sizeof reply, MSG_NOSIGNAL, 0, 0);
  while (sent == -EINTR);
  return sent;
}

// 1 when every byte came, 0 at the end of the stream or an error.
static int receive(void *to, size_t count) {
  for (size_t have = 0; have < count;) {
    long got = call(SYS_read, HOST, (char *)to + have, count - have, 0);
    if (got == -EINTR) continue;
    if (got <= 0) return 0;
    have += (size_t)got;
  }
  return 1;
}

// Takes the next NUL-terminated string; null when there is none.
static char *next_string(char **cursor, char *end) {
  char *start = *cursor;
  for (char *c = start; c < end; c++)
    if (!*c) return *cursor = c + 1, start;
  return NULL;
}

// 1 with a whole message, 0 when the host is gone, -1 when what came is not a message.
static int receive_message(struct message *message) {
  struct header *header = &message->header;
  if (!receive(header, sizeof *header)) return 0;
  if (header->magic != MESSAGE_MAGIC || header->length > MESSAGE_LIMIT || header->descriptors > DESCRIPTOR_LIMIT) return -1;
  // Every string costs at least its NUL, so the counts are bounded by the length.
  if (!header->arguments || header->arguments > header->length || header->variables > header->length) return -1;
  size_t pointers = ((size_t)header->arguments + header->variables + 2) * sizeof(char *);
  message->size = pointers + header->length;
  long memory = call6(SYS_mmap, 0, (long)message->size, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
  if (memory < 0 && memory > -4096) return -1;
  message->memory = (void *)memory;
  message->arguments = (char **)memory;
  message->variables = message->arguments + header->arguments + 1;
  char *cursor = (char *)memory + pointers;
  char *end = cursor + header->length;
  if (!receive(cursor, header->length)) return 0;
  if (!(message->directory = next_string(&cursor, end))) return -1;
  for (uint32_t i = 0; i < header->arguments; i++)
    if (!(message->arguments[i] = next_string(&cursor, end))) return -1;
  for (uint32_t i = 0; i < header->variables; i++)
    if (!(message->variables[i] = next_string(&cursor, end))) return -1;
  return cursor == end ? 1 : -1;
}

// ---- The command ----

static int has_slash(const char *name) {
  for (; *name; name++)
    if (*name == '/') return 1;
  return 0;
}

static const char *search_path(char **variables) {
  for (; *variables; variables++) {
    char *v = *variables;
    if (v[0] == 'P' && v[1] == 'A' && v[2] == 'T' && v[3] == 'H' && v[4] == '=') return v + 5;
  }
  return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

// Replaces this image; returns errno. The order of execvp(3): a file that may not be run is remembered and the search goes on.
static int execute(char **arguments, char **variables) {
  const char *name = arguments[0];
  if (!*name) return ENOENT;
  if (has_slash(name)) return (int)-call(SYS_execve, name, arguments, variables, 0);
  static char path[4096];
  int remembered = ENOENT;
  for (const char *from = search_path(variables);; from++) {
    size_t length = 0;
    while (*from && *from != ':' && length < sizeof path) path[length++] = *from++;
    // An empty entry is the working directory.
    if (length && length < sizeof path) path[length++] = '/';
    const char *c = name;
    while (length < sizeof path && (path[length] = *c)) length++, c++;
    if (length < sizeof path) {
      int error = (int)-call(SYS_execve, path, arguments, variables, 0);
      if (error == EACCES)
        remembered = EACCES;
      else if (error != ENOENT && error != ENOTDIR && error != ESTALE && error != ENODEV && error != ETIMEDOUT)
        return error;
    }
    while (*from && *from != ':') from++;
    if (!*from) return remembered;
  }
}

static struct failure become(const struct message *message) {
  const struct header *header = &message->header;
  // The box's own descriptors came as 4, 5, …: each moves down by one, over the socket.
  for (uint32_t i = 0; i < header->descriptors; i++) {
    long moved = call(SYS_dup3, HOST + 1 + i, HOST + i, 0, 0);
    if (moved < 0) return (struct failure){(int32_t)-moved, STEP_DESCRIPTORS};
  }
  call(SYS_close, HOST + header->descriptors, 0, 0, 0);
  if (header->flags & FLAG_TERMINAL) {
    call(SYS_setsid, 0, 0, 0, 0);
    long taken = call(SYS_ioctl, 0, TIOCSCTTY, 0, 0);
    if (taken < 0) return (struct failure){(int32_t)-taken, STEP_TERMINAL};
  } else {
    // A group of its own in init's session: not an orphaned one, so that SIGTSTP stops it (setpgid(2), POSIX 3.264).
    call(SYS_setpgid, 0, 0, 0, 0);
  }
  if (header->umask != UMASK_KEPT) call(SYS_umask, header->umask & 0777, 0, 0, 0);
  long changed = call(SYS_chdir, message->directory, 0, 0, 0);
  if (changed < 0) return (struct failure){(int32_t)-changed, STEP_DIRECTORY};
  // What immure ignores (SIGPIPE) would stay ignored across exec. struct sigaction all zero is SIG_DFL.
  static const uint64_t standard[4];
  for (int number = 1; number <= SIGNALS; number++)
    if (number != SIGKILL && number != SIGSTOP) call(SYS_rt_sigaction, number, standard, 0, 8);
  static const uint64_t none = 0;
  call(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
  return (struct failure){execute(message->arguments, message->variables), STEP_EXECUTE};
}

// The command's pid once it runs its own program; or 0 with the failure.
static int start(const struct message *message, struct failure *failure) {
  int ends[2];
  long made = call(SYS_pipe2, ends, O_CLOEXEC, 0, 0);
  if (made < 0) return *failure = (struct failure){(int32_t)-made, STEP_FORK}, 0;
  long pid = call6(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
  if (pid < 0) return *failure = (struct failure){(int32_t)-pid, STEP_FORK}, 0;
  if (pid == 0) {
    *failure = become(message);
    call(SYS_write, ends[1], failure, sizeof *failure, 0);
    leave(127);
  }
  call(SYS_close, ends[1], 0, 0, 0);
  long got;
  // The end of the pipe without a word is the successful exec, which closed it.
  do got = call(SYS_read, ends[0], failure, sizeof *failure, 0);
  while (got == -EINTR);
  call(SYS_close, ends[0], 0, 0, 0);
  return got == sizeof *failure ? 0 : (int)pid;
}

// What a terminal would send to its foreground group goes to the command's group, everything else to the command alone.
static void pass_on(int signal, int command) {
  switch (signal) {
    case SIGHUP: case SIGINT: case SIGQUIT: case SIGCONT: case SIGTSTP: case SIGTTIN: case SIGTTOU: case SIGWINCH:
      // A command that moved to another group leaves this one empty (ESRCH): then it is asked itself.
      if (call(SYS_kill, -command, signal, 0, 0) == 0) return;
  }
  call(SYS_kill, command, signal, 0, 0);
}

// Reaps whatever ended; 1 when the command did.
static int reap(int command, int *command_status) {
  int found = 0;
  for (;;) {
    int status = 0;
    long pid = call(SYS_wait4, -1, &status, WNOHANG | WALL, 0);
    if (pid == -EINTR) continue;
    if (pid <= 0) return found;
    if (pid == command) *command_status = status, found = 1;
  }
}

__attribute__((used)) _Noreturn void init_main(void) {
  // Nobody in the box may read this process, be it of the same user.
  call(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0);
  call(SYS_prctl, PR_SET_NAME, "init", 0, 0);
  // Without a pid namespace orphans would go past it.
  call(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0);
  // Blocked signals are kept for rt_sigtimedwait, for process 1 too (signal(7)); SIGCHLD must not be ignored or nothing can be reaped.
  static const uint64_t standard[4], all = ~(uint64_t)0;
  call(SYS_rt_sigaction, SIGCHLD, standard, 0, 8);
  call(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, 8);
  call(SYS_fcntl, HOST, F_SETFD, FD_CLOEXEC, 0);
  // Away from the host's terminal and session; it fails where the wall has done it.
  call(SYS_setsid, 0, 0, 0, 0);

  static struct message message;
  int came = receive_message(&message);
  if (came == 0) leave(125);
  struct failure failure = {0, STEP_MESSAGE};
  int command = came > 0 ? start(&message, &failure) : 0;
  if (!command) {
    tell(FAILED, failure.error, failure.step);
    leave(failure.step == STEP_EXECUTE && failure.error == ENOENT ? 127 : 126);
  }
  // The streams are the command's: a reader sees their end when the command closes them, not when this process ends.
  for (int descriptor = 0; descriptor <= 2; descriptor++) call(SYS_close, descriptor, 0, 0, 0);
  for (uint32_t i = 0; i < message.header.descriptors; i++) call(SYS_close, HOST + 1 + i, 0, 0, 0);
  call(SYS_munmap, message.memory, message.size, 0, 0);
  tell(STARTED, 0, 0);

  for (;;) {
    // A SIGCHLD that came before the first wait is still pending.
    long signal = call(SYS_rt_sigtimedwait, &all, 0, 0, 8);
    int status = 0;
    if (signal == SIGCHLD) {
      if (!reap(command, &status)) continue;
      // Nobody there to end what the command left behind: it stays below this process, where who clears the box finds it.
      if (tell(EXITED, status, 0) < 0)
        while (call(SYS_wait4, -1, 0, WALL, 0) >= 0) {}
      leave(status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff);
    }
    if (signal > 0) pass_on((int)signal, command);
  }
}
