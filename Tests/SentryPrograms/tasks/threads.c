// Threads and signals: cancellation, set*id of all threads, signals for one thread, for any, and for one that waits for it.
#include "../check.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static int ends[2];
static volatile sig_atomic_t caught;
static volatile pid_t by;
static void count(int signal) {
  (void)signal;
  caught++;
  by = syscall(SYS_gettid);
}
static void wait_ms(int ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
  while (nanosleep(&t, &t)) {}
}
static volatile pid_t tid;
// Until the thread that said its number sleeps: in its next call.
static void asleep(void) {
  char path[64], state = 0;
  while (state != 'S' && state != 'D') {
    sched_yield();
    if (!tid) continue;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%*d (%*[^)]) %c", &state) != 1) state = 0;
    if (file) fclose(file);
  }
}
static void *reads(void *result) {
  char byte;
  tid = syscall(SYS_gettid);
  *(long *)result = CALL(SYS_read, ends[0], &byte, 1);
  return result;
}
static void *reads_cancellable(void *unused) {
  char byte;
  (void)unused;
  tid = syscall(SYS_gettid);
  read(ends[0], &byte, 1);
  return 0;
}
static void *waits(void *unused) {
  (void)unused;
  uint64_t set = 1ull << (SIGUSR2 - 1);
  struct timespec t = {5, 0};
  tid = syscall(SYS_gettid);
  return (void *)CALL(SYS_rt_sigtimedwait, &set, 0, &t, 8);
}
static void *ids(void *unused) {
  (void)unused;
  wait_ms(50);
  return (void *)(long)getuid();
}
int main(void) {
  if (pipe(ends)) return 2;
  struct sigaction action = {.sa_handler = count};
  sigaction(SIGUSR1, &action, 0);
  pthread_t thread;
  void *value;
  long result = 0;

  pthread_create(&thread, 0, reads_cancellable, 0);
  asleep();
  gives("cancel a reader", pthread_cancel(thread), 0);
  pthread_join(thread, &value);
  check("it was cancelled", value == PTHREAD_CANCELED);

  tid = 0;
  pthread_create(&thread, 0, reads, &result);
  asleep();
  gives("a signal for that thread", pthread_kill(thread, SIGUSR1), 0);
  pthread_join(thread, 0);
  gives("ends its read", result, -EINTR);
  check("was handled there", caught == 1 && by == tid);

  // Everybody but the reader blocks it: it is for the reader, also from another process.
  tid = 0;
  pthread_create(&thread, 0, reads, &result);
  asleep();
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &set, 0);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    kill(getppid(), SIGUSR1);
    _exit(0);
  }
  pthread_join(thread, 0);
  gives("a signal for the process", result, -EINTR);
  check("was handled where it was not blocked", caught == 2 && by == tid);
  waitpid(pid, 0, 0);
  pthread_sigmask(SIG_UNBLOCK, &set, 0);

  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &set, 0);
  pthread_create(&thread, 0, waits, 0);
  wait_ms(30);
  kill(getpid(), SIGUSR2);
  pthread_join(thread, &value);
  gives("a thread that waits for it", (long)value, SIGUSR2);

  // Stops and goes on, one thread in a call, one at work.
  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    pthread_create(&thread, 0, reads, &result);
    wait_ms(30);
    pthread_join(thread, 0);
    _exit(result == 1 ? 0 : 1);
  }
  wait_ms(60);
  kill(pid, SIGSTOP);
  int status = 0;
  waitpid(pid, &status, WUNTRACED);
  check("stopped", WIFSTOPPED(status));
  write(ends[1], "x", 1);
  kill(pid, SIGCONT);
  waitpid(pid, &status, 0);
  check("read on", WIFEXITED(status) && WEXITSTATUS(status) == 0);

  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    pthread_create(&thread, 0, ids, 0);
    if (setuid(1000)) _exit(1);
    pthread_join(thread, &value);
    _exit((long)value == 1000 ? 0 : 2);
  }
  waitpid(pid, &status, 0);
  check("setuid of all threads", WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return finish();
}
