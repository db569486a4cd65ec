// The functions that commands and their children run, in the order of their first calls.
//
//   link-order ADDRESSES ++ COMMAND [ARGUMENT…] ++ COMMAND …     ADDRESSES: hexadecimal, ascending, one a line (from the map of the link)
//
// The commands are paths of one static executable, and run one after the other; what one leaves running is followed on. A breakpoint
// stands on every address of it and goes away when it is hit; children inherit them, and who runs the executable anew gets them anew.
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

static void arm(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  int memory = open(path, O_RDWR | O_CLOEXEC);
  if (memory < 0) { perror(path); exit(1); }
  for (int i = 0; i < count; i++)
    if (pread(memory, &original[i], 1, address[i]) != 1 || pwrite(memory, "\xcc", 1, address[i]) != 1) { perror(path); exit(1); }
  close(memory);
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
  FILE *list = argc > 3 && !strcmp(argv[2], "++") ? fopen(argv[1], "r") : 0;
  struct stat executable;
  if (!list || stat(argv[3], &executable)) {
    fputs("usage: link-order ADDRESSES ++ COMMAND… ++ COMMAND…\n", stderr);
    return 2;
  }
  alarm(60);
  while (count < MOST && fscanf(list, "%lx", &address[count]) == 1) count++;
  fclose(list);
  int status, command = 0, next = 3;
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
    if (number == (SIGTRAP | 0x80)) keep_code(pid);
    int ours = event || number == SIGSTOP || number == (SIGTRAP | 0x80) || (number == SIGTRAP && hit(pid, command));
    ptrace(PTRACE_SYSCALL, pid, 0, ours ? 0 : number);
  }
}
