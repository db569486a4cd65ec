// The functions that a command and its children run, in the order of their first calls.
//
//   link-order ADDRESSES COMMAND [ARGUMENT…]     ADDRESSES: hexadecimal, ascending, one a line (from the map of the link)
//
// A breakpoint stands on every address of the static executable and goes away when it is hit; children inherit them. Prints the
// addresses. Processes that run another program are let go.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 1 << 18 };
static unsigned long address[MOST];
static unsigned char original[MOST], seen[MOST];
static int count;

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

// 1 where the trap was a breakpoint of ours: told once, taken away, and the instruction is run.
static int hit(pid_t pid) {
  struct user_regs_struct registers;
  if (ptrace(PTRACE_GETREGS, pid, 0, &registers)) return 0;
  int i = find(registers.rip - 1);
  if (i < 0) return 0;
  if (!seen[i]) printf("%lx\n", address[i]);
  seen[i] = 1;
  unsigned long place = address[i] & ~7UL, shift = (address[i] & 7) * 8;
  unsigned long bytes = ptrace(PTRACE_PEEKTEXT, pid, place, 0);
  bytes = (bytes & ~(0xffUL << shift)) | (unsigned long)original[i] << shift;
  ptrace(PTRACE_POKETEXT, pid, place, bytes);
  registers.rip--;
  ptrace(PTRACE_SETREGS, pid, 0, &registers);
  return 1;
}

int main(int argc, char **argv) {
  FILE *list = argc > 2 ? fopen(argv[1], "r") : 0;
  if (!list) {
    fputs("usage: link-order ADDRESSES COMMAND…\n", stderr);
    return 2;
  }
  while (count < MOST && fscanf(list, "%lx", &address[count]) == 1) count++;
  fclose(list);
  pid_t first = fork();
  if (first == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    execv(argv[2], argv + 2);
    _exit(127);
  }
  int status, armed = 0, code = 1;
  waitpid(first, &status, 0);
  ptrace(PTRACE_SETOPTIONS, first, 0,
         PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
  ptrace(PTRACE_CONT, first, 0, 0);
  for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0;) {
    if (!WIFSTOPPED(status)) {
      if (pid == first) code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
      continue;
    }
    int number = WSTOPSIG(status), event = status >> 16;
    if (event == PTRACE_EVENT_EXEC) {
      if (pid != first || armed) {
        ptrace(PTRACE_DETACH, pid, 0, 0);
        continue;
      }
      arm(pid);
      armed = 1;
    }
    int ours = event || number == SIGSTOP || (number == SIGTRAP && hit(pid));
    ptrace(PTRACE_CONT, pid, 0, ours ? 0 : number);
  }
  return code;
}
