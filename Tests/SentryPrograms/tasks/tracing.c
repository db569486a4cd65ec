// ptrace(2): what strace and gdb do with it; process_vm_readv(2).
#include "../check.h"
#include <elf.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif
static int status;
static long trace(long request, pid_t pid, long address, void *data) { return CALL(SYS_ptrace, request, pid, address, data); }
static pid_t waits(pid_t pid) {
  status = 0;
  return CALL(SYS_wait4, pid, &status, __WALL, 0);
}
static int stopped(int signal) { return WIFSTOPPED(status) && status >> 8 == signal; }
static int happened(int event) { return status >> 8 == (SIGTRAP | event << 8); }
static const int callStop = SIGTRAP | 0x80;
static struct user_regs_struct registers;
static long number(pid_t pid) {
  memset(&registers, 0, sizeof registers);
  trace(PTRACE_GETREGS, pid, 0, &registers);
  return registers.orig_rax;
}

// Until it sleeps in a call (proc(5), state S).
static void sleeps(pid_t child) {
  char path[40], text[200];
  for (;;) {
    sprintf(path, "/proc/%d/stat", child);
    FILE *f = fopen(path, "r");
    text[0] = 0;
    if (f && !fgets(text, sizeof text, f)) text[0] = 0;
    if (f) fclose(f);
    char *end = strrchr(text, ')');
    if (!end || end[2] == 'S') return;
    usleep(1000);
  }
}

static volatile long word = 0x1234;
__attribute__((noinline)) static int traced(void) { return word == 0x4321 ? 7 : 8; }

static void asked(void) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, 0, 0)) _exit(99);
    if (CALL(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0) != -EPERM) _exit(98);
    kill(getpid(), SIGSTOP);
    _exit(traced());
  }
  gives("waits for the stop", waits(child), child);
  check("SIGSTOP", stopped(SIGSTOP));
  gives("only once", CALL(SYS_wait4, child, &status, __WALL | WNOHANG, 0), 0);
  siginfo_t info;
  gives("its signal", trace(PTRACE_GETSIGINFO, child, 0, &info), 0);
  check("is told", info.si_signo == SIGSTOP && info.si_pid == child);
  long seen = 0;
  gives("peek", trace(PTRACE_PEEKDATA, child, (long)&word, &seen), 0);
  check("what is there", seen == 0x1234);
  gives("peek at nothing", trace(PTRACE_PEEKDATA, child, 8, &seen), -EIO);
  gives("peek into nothing", trace(PTRACE_PEEKDATA, child, (long)&word, NOWHERE), -EFAULT);
  gives("poke", trace(PTRACE_POKEDATA, child, (long)&word, (void *)0x4321), 0);
  struct iovec near = {&seen, sizeof seen}, far = {(void *)&word, sizeof word};
  gives("process_vm_readv", CALL(SYS_process_vm_readv, child, &near, 1, &far, 1, 0), 8);
  check("has it", seen == 0x4321);
  seen = 0x4322;
  gives("process_vm_writev", CALL(SYS_process_vm_writev, child, &near, 1, &far, 1, 0), 8);
  gives("from nowhere", CALL(SYS_process_vm_readv, child, NOWHERE, 1, &far, 1, 0), -EFAULT);
  gives("with flags", CALL(SYS_process_vm_readv, child, &near, 1, &far, 1, 1), -EINVAL);
  gives("of nobody", CALL(SYS_process_vm_readv, 999999, &near, 1, &far, 1, 0), -ESRCH);
  trace(PTRACE_POKEDATA, child, (long)&word, (void *)0x4321);
  gives("no such request", trace(9999, child, 0, 0), -EIO);
  gives("options", trace(PTRACE_SETOPTIONS, child, 0, (void *)PTRACE_O_TRACESYSGOOD), 0);
  gives("no such options", trace(PTRACE_SETOPTIONS, child, 0, (void *)0x40000000), -EINVAL);
  gives("to its next call", trace(PTRACE_SYSCALL, child, 0, 0), 0);
  waits(child);
  check("stands before it", stopped(callStop));
  gives("exit_group", number(child), SYS_exit_group);
  gives("with what it was given", registers.rdi, 7);
  registers.rdi = 5;
  gives("other registers", trace(PTRACE_SETREGS, child, 0, &registers), 0);
  struct iovec set = {&registers, sizeof registers};
  gives("by set", trace(PTRACE_GETREGSET, child, NT_PRSTATUS, &set), 0);
  check("are there", registers.rdi == 5 && set.iov_len == sizeof registers);
  gives("on", trace(PTRACE_CONT, child, 0, 0), 0);
  gives("its end", waits(child), child);
  check("as it was changed", WIFEXITED(status) && WEXITSTATUS(status) == 5);
  gives("nobody now", waits(child), -ECHILD);
  gives("gone", trace(PTRACE_CONT, child, 0, 0), -ESRCH);
}

static char *self;
// The calls of a child that executes this program again, as strace sees them.
static void executing(void) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    raise(SIGSTOP);
    execl(self, self, "call", (char *)0);
    _exit(99);
  }
  waitpid(child, &status, WUNTRACED);
  check("stopped by itself", WIFSTOPPED(status));
  gives("seize", trace(PTRACE_SEIZE, child, 0, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC)), 0);
  gives("twice", trace(PTRACE_SEIZE, child, 0, 0), -EPERM);
  waits(child);
  check("group stop", status >> 8 == (SIGSTOP | PTRACE_EVENT_STOP << 8));
  trace(PTRACE_LISTEN, child, 0, 0);
  kill(child, SIGCONT);
  waits(child);
  check("is over", happened(PTRACE_EVENT_STOP));
  int sawExec = 0, ended = 0, order = 0, calls[64], count = 0, bad = 0;
  long last = 0;
  for (int step = 0; step < 400 && !ended; step++) {
    trace(PTRACE_SYSCALL, child, 0, WIFSTOPPED(status) && status >> 8 == SIGCONT ? (void *)SIGCONT : 0);
    if (waits(child) != child) break;
    if (WIFEXITED(status)) ended = 1;
    else if (happened(PTRACE_EVENT_EXEC)) {
      unsigned long message = 0;
      trace(PTRACE_GETEVENTMSG, child, 0, &message);
      sawExec += message == (unsigned long)child;
      order = 1;
    } else if (stopped(callStop)) {
      struct __ptrace_syscall_info i;
      long size = trace(PTRACE_GET_SYSCALL_INFO, child, sizeof i, &i);
      if (i.op == PTRACE_SYSCALL_INFO_ENTRY) {
        last = i.entry.nr;
        if (size != 80 || number(child) != last) bad++;
        if (order > 1 && count < 64) calls[count++] = last;
      } else if (i.op == PTRACE_SYSCALL_INFO_EXIT) {
        if (order == 1) {
          // execve's own end comes behind the event.
          check("execve's end", number(child) == SYS_execve && i.exit.rval == 0 && size == 33);
          check("at the program's first instruction", registers.rip > 0x1000 && *(unsigned char *)&registers.rsp % 16 == 0);
          order = 2;
        }
      } else bad++;
    }
  }
  check("the program was executed once", sawExec == 1);
  check("every call is told rightly", bad == 0);
  int first = -1, others = 0;
  for (int i = 0; i < count; i++) {
    if (calls[i] == SYS_getppid && first < 0) first = i;
    if (calls[i] > 400) others++;
  }
  check("its calls", first >= 0 && calls[first + 1] == SYS_gettid);
  check("and nobody else's", others == 0);
  check("ended", ended && WEXITSTATUS(status) == 3);
}

// A debugger's breakpoint and steps, in a program that was executed under PTRACE_TRACEME.
static void breaking(void) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    execl(self, self, "traced", (char *)0);
    _exit(99);
  }
  waits(child);
  check("SIGTRAP behind execve", stopped(SIGTRAP));
  long place = (long)traced, code = 0;
  gives("its text", trace(PTRACE_PEEKTEXT, child, place, &code), 0);
  check("is the program's", !memcmp(&code, (void *)traced, 8));
  gives("breakpoint", trace(PTRACE_POKETEXT, child, place, (void *)((code & ~0xffL) | 0xcc)), 0);
  gives("on", trace(PTRACE_CONT, child, 0, 0), 0);
  waits(child);
  check("hit", stopped(SIGTRAP));
  number(child);
  check("there", (long)registers.rip == place + 1);
  siginfo_t info;
  trace(PTRACE_GETSIGINFO, child, 0, &info);
  check("by an instruction", info.si_code == SI_KERNEL || info.si_code == TRAP_BRKPT);
  registers.rip = place;
  trace(PTRACE_SETREGS, child, 0, &registers);
  trace(PTRACE_POKETEXT, child, place, (void *)code);
  gives("step", trace(PTRACE_SINGLESTEP, child, 0, 0), 0);
  waits(child);
  check("one instruction", stopped(SIGTRAP));
  number(child);
  check("further", (long)registers.rip > place && (long)registers.rip < place + 16);
  gives("let go", trace(PTRACE_DETACH, child, 0, 0), 0);
  gives("its end", waits(child), child);
  check("its own", WIFEXITED(status) && WEXITSTATUS(status) == 8);
}

// Signals are told before they come, and may be taken away or made others.
static volatile int heard;
static void hears(int signal) { heard = signal; }
static void signalling(void) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    signal(SIGUSR1, hears);
    signal(SIGUSR2, hears);
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGUSR1);
    if (heard != 0) _exit(1);
    raise(SIGUSR1);
    if (heard != SIGUSR2) _exit(2);
    kill(getpid(), SIGKILL);
  }
  waits(child);
  check("told", stopped(SIGUSR1));
  trace(PTRACE_CONT, child, 0, 0);
  waits(child);
  check("told again", stopped(SIGUSR1));
  gives("no signal", trace(PTRACE_CONT, child, 0, (void *)99), -EIO);
  trace(PTRACE_CONT, child, 0, (void *)SIGUSR2);
  waits(child);
  check("SIGKILL is not told", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

// One that sleeps in a call is stopped there, and goes on sleeping.
static void attaching(void) {
  int ends[2];
  pipe(ends);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    char c;
    close(ends[1]);
    _exit(read(ends[0], &c, 1) == 1 ? c : 99);
  }
  gives("itself", trace(PTRACE_ATTACH, getpid(), 0, 0), -EPERM);
  gives("nobody", trace(PTRACE_ATTACH, 999999, 0, 0), -ESRCH);
  gives("not traced", trace(PTRACE_CONT, child, 0, 0), -ESRCH);
  sleeps(child);
  gives("attach", trace(PTRACE_ATTACH, child, 0, 0), 0);
  waits(child);
  check("SIGSTOP", stopped(SIGSTOP));
  gives("in its call", number(child), SYS_read);
  gives("running ones have no registers", trace(PTRACE_CONT, child, 0, 0), 0);
  gives("as said", trace(PTRACE_GETREGS, child, 0, &registers), -ESRCH);
  write(ends[1], "\5", 1);
  waits(child);
  check("read what came", WIFEXITED(status) && WEXITSTATUS(status) == 5);

  pipe(ends);
  child = fork();
  if (child == 0) {
    char c;
    close(ends[1]);
    _exit(read(ends[0], &c, 1) == 1 ? c : 99);
  }
  sleeps(child);
  gives("seize", trace(PTRACE_SEIZE, child, 0, 0), 0);
  gives("interrupt", trace(PTRACE_INTERRUPT, child, 0, 0), 0);
  waits(child);
  check("stopped", happened(PTRACE_EVENT_STOP));
  gives("detach", trace(PTRACE_DETACH, child, 0, 0), 0);
  write(ends[1], "\6", 1);
  waits(child);
  check("reads on", WIFEXITED(status) && WEXITSTATUS(status) == 6);
}

// Children of tracees are traced with them.
static void following(void) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    pid_t own = fork();
    if (own == 0) _exit(4);
    int s;
    waitpid(own, &s, 0);
    _exit(WEXITSTATUS(s) + 10);
  }
  waits(child);
  trace(PTRACE_SETOPTIONS, child, 0, (void *)(PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXIT));
  trace(PTRACE_CONT, child, 0, 0);
  waits(child);
  check("fork is told", happened(PTRACE_EVENT_FORK));
  unsigned long message = 0;
  trace(PTRACE_GETEVENTMSG, child, 0, &message);
  pid_t own = message;
  gives("its child", waits(own), own);
  check("stops", stopped(SIGSTOP));
  trace(PTRACE_CONT, child, 0, 0);
  trace(PTRACE_CONT, own, 0, 0);
  gives("the child's end is near", waits(own), own);
  check("told", happened(PTRACE_EVENT_EXIT));
  trace(PTRACE_GETEVENTMSG, own, 0, &message);
  gives("with its status", message, 4 << 8);
  trace(PTRACE_CONT, own, 0, 0);
  gives("the child's end", waits(own), own);
  check("its status", WIFEXITED(status) && WEXITSTATUS(status) == 4);
  for (int i = 0; i < 4; i++) {
    waits(child);
    if (!WIFSTOPPED(status)) break;
    trace(PTRACE_CONT, child, 0, stopped(SIGCHLD) ? (void *)SIGCHLD : 0);
  }
  check("its parent heard of it too", WIFEXITED(status) && WEXITSTATUS(status) == 14);
}

// Tracees outlive their tracer, but for those that are to end with it.
static void leaving(int option, int wanted) {
  int ends[2], back[2];
  pipe(ends);
  pipe(back);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    char c;
    close(ends[1]);
    close(back[0]);
    long n = read(ends[0], &c, 1);
    write(back[1], n == 1 ? &c : "x", 1);
    _exit(0);
  }
  close(back[1]);
  pid_t tracer = fork();
  if (tracer == 0) {
    close(ends[1]);
    _exit(ptrace(PTRACE_SEIZE, child, 0, option) ? 1 : 0);
  }
  int s;
  waitpid(tracer, &s, 0);
  check("the tracer has gone", WIFEXITED(s) && WEXITSTATUS(s) == 0);
  char c = 0;
  write(ends[1], "y", 1);
  long n = read(back[0], &c, 1);
  check(wanted ? "its tracee goes on" : "its tracee is ended", wanted ? n == 1 && c == 'y' : n == 0);
  waitpid(child, &s, 0);
}

static int another(pid_t pid) {
  if (setgid(1) || setuid(1)) return 9;
  long word;
  struct iovec near = {&word, 8}, far = {&word, 8};
  return (trace(PTRACE_ATTACH, pid, 0, 0) != -EPERM) | (CALL(SYS_process_vm_readv, pid, &near, 1, &far, 1, 0) != -EPERM) << 1;
}
static void forbidden(void) {
  pid_t me = getpid();
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) _exit(another(me));
  waitpid(child, &status, 0);
  gives("another user", WEXITSTATUS(status), 0);
}

int main(int count, char **arguments) {
  if (count > 1 && !strcmp(arguments[1], "traced")) return traced();
  if (count > 1) {
    syscall(SYS_getppid);
    syscall(SYS_gettid);
    return 3;
  }
  self = "/proc/self/exe";
  asked();
  executing();
  breaking();
  signalling();
  attaching();
  following();
  leaving(0, 1);
  leaving(PTRACE_O_EXITKILL, 0);
  forbidden();
  return finish();
}
