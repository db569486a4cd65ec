// The functions that commands and their children run, in the order of their first calls, and the variables that they change.
//
//   link-order FUNCTIONS VARIABLES ++ COMMAND [ARGUMENT…] ++ COMMAND …     both: hexadecimal addresses, ascending, one a line (from the
//                                                                         map of the link)
//
// The commands are paths of one static executable, and run one after the other; what one leaves running is followed on. A breakpoint
// stands on every function of it and goes away when it is hit; children inherit them, and who runs the executable anew gets them anew.
// Variables are compared with what they were at exec when a process ends or runs another program.
// Prints "COMMAND ADDRESS", the command counted from 0. Processes that run another program are let go. Ends with 1 where a command
// fails, and after a minute in any case.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 1 << 18 };
static unsigned long address[MOST];
static unsigned char original[MOST];
static int count, seen[MOST];
static unsigned long variable[MOST];
static int variables, changed[MOST];
static unsigned char *at_exec;

static int read_list(const char *path, unsigned long *list) {
  FILE *file = fopen(path, "r");
  int read = 0;
  if (!file) { perror(path); exit(1); }
  while (read < MOST && fscanf(file, "%lx", &list[read]) == 1) read++;
  fclose(file);
  return read;
}

static int find(unsigned long wanted) {
  int low = 0, high = count - 1;
  while (low <= high) {
    int middle = (low + high) / 2;
    if (address[middle] == wanted) return middle;
    if (address[middle] < wanted) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

// From the first variable to the last, as they are now: in memory of the caller's to free; 0 where they are not mapped.
static unsigned char *contents(int memory) {
  size_t size = variable[variables - 1] - variable[0];
  unsigned char *bytes = malloc(size + 1);
  if (bytes && pread(memory, bytes, size, variable[0]) == (ssize_t)size) return bytes;
  free(bytes);
  return 0;
}

static void arm(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  int memory = open(path, O_RDWR | O_CLOEXEC);
  if (memory < 0) { perror(path); exit(1); }
  for (int i = 0; i < count; i++)
    if (pread(memory, &original[i], 1, address[i]) != 1 || pwrite(memory, "\xcc", 1, address[i]) != 1) { perror(path); exit(1); }
  if (variables && !at_exec) at_exec = contents(memory);
  close(memory);
}

// What the process has changed, as it is about to end or to run another program.
static void compare(pid_t pid, int command) {
  char path[64];
  struct user_regs_struct registers;
  if (!at_exec || ptrace(PTRACE_GETREGS, pid, 0, &registers)) return;
  unsigned long call = registers.orig_rax;
  if (call != SYS_exit_group && call != SYS_execve && call != SYS_execveat) return;
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  int memory = open(path, O_RDONLY | O_CLOEXEC);
  if (memory < 0) return;
  unsigned char *now = contents(memory);
  close(memory);
  for (int i = 0; now && i + 1 < variables; i++) {
    unsigned long offset = variable[i] - variable[0];
    if (changed[i] > command || !memcmp(now + offset, at_exec + offset, variable[i + 1] - variable[i])) continue;
    printf("%d %lx\n", command, variable[i]);
    changed[i] = command + 1;
  }
  free(now);
}

static int runs(pid_t pid, const struct stat *executable) {
  char path[64];
  struct stat status;
  snprintf(path, sizeof path, "/proc/%d/exe", pid);
  return !stat(path, &status) && status.st_dev == executable->st_dev && status.st_ino == executable->st_ino;
}

// 1 where the trap was a breakpoint of ours: told once a command, taken away, and the instruction is run.
static int hit(pid_t pid, int command) {
  struct user_regs_struct registers;
  if (ptrace(PTRACE_GETREGS, pid, 0, &registers)) return 0;
  int i = find(registers.rip - 1);
  if (i < 0) return 0;
  if (seen[i] <= command) printf("%d %lx\n", command, address[i]);
  seen[i] = command + 1;
  unsigned long place = address[i] & ~7UL, shift = (address[i] & 7) * 8;
  unsigned long bytes = ptrace(PTRACE_PEEKTEXT, pid, place, 0);
  bytes = (bytes & ~(0xffUL << shift)) | (unsigned long)original[i] << shift;
  ptrace(PTRACE_POKETEXT, pid, place, bytes);
  registers.rip--;
  ptrace(PTRACE_SETREGS, pid, 0, &registers);
  return 1;
}

// The executable gives its code back from time to time (CodeMappings.releaseOwn), and the breakpoints with it: here it keeps both.
static void keep_code(pid_t pid) {
  struct user_regs_struct registers;
  if (ptrace(PTRACE_GETREGS, pid, 0, &registers)) return;
  unsigned long begin = registers.rdi, end = begin + registers.rsi;
  if (registers.orig_rax != SYS_madvise || registers.rdx != MADV_DONTNEED || begin > address[0] || end <= address[0]) return;
  registers.orig_rax = -1;
  ptrace(PTRACE_SETREGS, pid, 0, &registers);
}

static pid_t start(char **command) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    close(null);
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    execv(command[0], command);
    _exit(127);
  }
  waitpid(child, 0, 0);
  ptrace(PTRACE_SETOPTIONS, child, 0,
         PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
  ptrace(PTRACE_SYSCALL, child, 0, 0);
  return child;
}

int main(int argc, char **argv) {
  struct stat executable;
  if (argc < 5 || strcmp(argv[3], "++") || stat(argv[4], &executable)) {
    fputs("usage: link-order FUNCTIONS VARIABLES ++ COMMAND… ++ COMMAND…\n", stderr);
    return 2;
  }
  alarm(60);
  count = read_list(argv[1], address);
  variables = read_list(argv[2], variable);
  int status, command = 0, next = 4;
  pid_t first = 0;
  while (1) {
    if (!first && next < argc) {
      int end = next;
      while (end < argc && strcmp(argv[end], "++")) end++;
      argv[end] = 0;
      first = start(argv + next);
      next = end + 1;
    }
    pid_t pid = waitpid(-1, &status, __WALL);
    if (pid < 0) return 0;
    if (!WIFSTOPPED(status)) {
      if (pid != first) continue;
      if (status) {
        fprintf(stderr, "command %d ended with %d\n", command, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        return 1;
      }
      first = 0;
      command++;
      continue;
    }
    int number = WSTOPSIG(status), event = status >> 16;
    if (event == PTRACE_EVENT_EXEC) {
      if (!runs(pid, &executable)) {
        ptrace(PTRACE_DETACH, pid, 0, 0);
        continue;
      }
      arm(pid);
    }
    if (number == (SIGTRAP | 0x80)) {
      keep_code(pid);
      compare(pid, command);
    }
    int ours = event || number == SIGSTOP || number == (SIGTRAP | 0x80) || (number == SIGTRAP && hit(pid, command));
    ptrace(PTRACE_SYSCALL, pid, 0, ours ? 0 : number);
  }
}
