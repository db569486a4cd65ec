// A wait that a clock's tick ends, wherever the tick meets it: before the wait has begun too. All other calls go on after a tick (SA_RESTART).
#define _GNU_SOURCE
#include "CLinux.h"

#include <ucontext.h>

static volatile sig_atomic_t ticks, alarms;

#if defined(__x86_64__)
long immure_ticked_ioctl(long descriptor, unsigned long request, void *argument);
extern const char immure_ticked_point[], immure_ticked_end[];
// Where a signal meets the call, the kernel takes the program back to it (ERESTARTSYS with SA_RESTART). From there, and from what stands
// before it, the handler goes on behind it.
__asm__(
    ".text\n.globl immure_ticked_ioctl\n.type immure_ticked_ioctl, @function\n"
    "immure_ticked_ioctl:\n  mov $16, %eax\n"
    ".globl immure_ticked_point\nimmure_ticked_point:\n  syscall\n"
    ".globl immure_ticked_end\nimmure_ticked_end:\n  ret\n.size immure_ticked_ioctl, . - immure_ticked_ioctl\n");

static void leave_wait(void *context) {
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  greg_t at = registers[REG_RIP];
  if (at < (greg_t)immure_ticked_ioctl || at > (greg_t)immure_ticked_point) return;
  registers[REG_RIP] = (greg_t)immure_ticked_end;
  registers[REG_RAX] = -EINTR;
}
#else
long immure_ticked_ioctl(long descriptor, unsigned long request, void *argument) {
  return immure_syscall(SYS_ioctl, descriptor, request, (unsigned long)argument, 0, 0, 0);
}
static void leave_wait(void *context) { (void)context; }
#endif

static void tick(int signal, siginfo_t *info, void *context) {
  (void)signal;
  // The timer's own, or sent by somebody (sigaction(2), si_code).
  if (info->si_code == SI_KERNEL) ticks = 1;
  else alarms = 1;
  leave_wait(context);
}

int immure_hear_ticks(void) {
  struct sigaction action = {.sa_sigaction = tick, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  sigfillset(&action.sa_mask);
  if (sigaction(SIGALRM, &action, 0) || sigprocmask(SIG_UNBLOCK, &alarm, 0)) return errno;
  return 0;
}

static int take(volatile sig_atomic_t *word) { return *word ? (*word = 0, 1) : 0; }
int immure_has_ticked(void) { return ticks; }
int immure_take_tick(void) { return take(&ticks); }
int immure_take_alarm(void) { return take(&alarms); }
