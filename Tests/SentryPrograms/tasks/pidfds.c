// Processes as descriptors: pidfd_open, pidfd_send_signal, pidfd_getfd, waitid of one; scheduling of threads by number.
#include "../check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define OPEN 434
#define SEND 424
#define GETFD 438

static volatile sig_atomic_t caught, told;
static void on_signal(int number, siginfo_t *info, void *context) {
  (void)context;
  caught = number;
  told = info->si_value.sival_int;
}

static int ready(int fd, int wait) {
  struct pollfd poll_ = {fd, POLLIN, 0};
  return poll(&poll_, 1, wait) == 1 ? poll_.revents : 0;
}

int main(void) {
  int held[2], told_ends[2];
  if (pipe(held) || pipe(told_ends)) return 2;
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    char byte;
    close(held[1]);
    read(held[0], &byte, 1);
    _exit(7);
  }
  gives("open: flags", CALL(OPEN, child, 1), -EINVAL);
  gives("open: 0", CALL(OPEN, 0, 0), -EINVAL);
  gives("open: negative", CALL(OPEN, -1, 0), -EINVAL);
  gives("open: nobody", CALL(OPEN, 0x3fffffff, 0), -ESRCH);
  int fd = CALL(OPEN, child, 0), own = CALL(OPEN, getpid(), O_NONBLOCK), soft = CALL(OPEN, child, O_NONBLOCK);
  check("open", fd >= 0 && own >= 0 && soft >= 0);
  gives("close-on-exec", fcntl(fd, F_GETFD), FD_CLOEXEC);
  gives("no flags", fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  gives("non-blocking", fcntl(own, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  char byte;
  gives("read", CALL(SYS_read, fd, &byte, 1), -EINVAL);
  gives("write", CALL(SYS_write, fd, &byte, 1), -EINVAL);
  gives("seek", CALL(SYS_lseek, fd, 0, 0), -ESPIPE);
  gives("not ready while it lives", ready(fd, 0), 0);

  gives("send: a pipe", CALL(SEND, held[0], SIGTERM, 0, 0), -EBADF);
  gives("send: closed", CALL(SEND, 99, SIGTERM, 0, 0), -EBADF);
  gives("send: flags", CALL(SEND, fd, SIGTERM, 0, 0x100), -EINVAL);
  gives("send: no signal", CALL(SEND, fd, 65, 0, 0), -EINVAL);
  gives("send: 0", CALL(SEND, fd, 0, 0, 0), 0);
  gives("send: a bad record", CALL(SEND, fd, SIGTERM, NOWHERE, 0), -EFAULT);
  siginfo_t info = {0};
  info.si_signo = SIGUSR1;
  info.si_code = SI_QUEUE;
  info.si_value.sival_int = 42;
  gives("send: another signal's record", CALL(SEND, fd, SIGTERM, &info, 0), -EINVAL);
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  sigaction(SIGUSR1, &action, 0);
  gives("send: to itself", CALL(SEND, own, SIGUSR1, 0, 0), 0);
  check("it came", caught == SIGUSR1);
  caught = 0;
  gives("send: to itself with a value", CALL(SEND, own, SIGUSR1, &info, 0), 0);
  check("its value", caught == SIGUSR1 && told == 42);
  info.si_code = SI_USER;
  // What proc shows of itself: where there is none mounted, its own descriptor does.
  char path[32];
  snprintf(path, sizeof path, "/proc/%d", getpid());
  int place = open(path, O_RDONLY | O_DIRECTORY);
  caught = 0;
  gives("send: by a folder of proc", CALL(SEND, place < 0 ? own : place, SIGUSR1, 0, 0), 0);
  check("it came by that", caught == SIGUSR1);
  gives("send: a place alone", CALL(SEND, open(path, O_PATH), SIGUSR1, 0, 0), -EBADF);
  close(place);
  gives("send: a forged sender", CALL(SEND, fd, SIGUSR1, &info, 0), -EPERM);

  fflush(stdout);
  pid_t alone = fork();
  if (alone == 0) {
    caught = 0;
    setpgid(0, 0);
    gives("kill: its own group, with a handler", CALL(SYS_kill, 0, SIGUSR1), 0);
    check("it came once more", caught == SIGUSR1);
    _exit(0);
  }
  waitpid(alone, 0, 0);
  gives("getfd: flags", CALL(GETFD, fd, 0, 1), -EINVAL);
  gives("getfd: a pipe", CALL(GETFD, held[0], 0, 0), -EBADF);
  gives("getfd: nothing there", CALL(GETFD, own, 99, 0), -EBADF);
  int copy = CALL(GETFD, own, told_ends[1], 0);
  struct stat one, two;
  check("getfd: the same file", copy >= 0 && fstat(copy, &one) == 0 && fstat(told_ends[1], &two) == 0 && one.st_ino == two.st_ino);
  gives("getfd: close-on-exec", fcntl(copy, F_GETFD), FD_CLOEXEC);

  siginfo_t end = {0};
  gives("wait: a pipe", CALL(SYS_waitid, P_PIDFD, held[0], &end, WEXITED, 0), -EBADF);
  gives("wait: closed", CALL(SYS_waitid, P_PIDFD, 99, &end, WEXITED, 0), -EBADF);
  gives("wait: oneself", CALL(SYS_waitid, P_PIDFD, own, &end, WEXITED | WNOHANG, 0), -ECHILD);
  gives("wait: not yet", CALL(SYS_waitid, P_PIDFD, fd, &end, WEXITED | WNOHANG, 0), 0);
  gives("wait: nobody came", end.si_pid, 0);
  gives("wait: non-blocking", CALL(SYS_waitid, P_PIDFD, soft, &end, WEXITED, 0), -EAGAIN);
  int other = dup(fd);
  close(held[1]);
  gives("ready at its end", ready(fd, -1) & POLLIN, POLLIN);
  gives("a zombie takes signals", CALL(SEND, fd, SIGTERM, 0, 0), 0);
  gives("a zombie's descriptor", CALL(GETFD, fd, 0, 0), -ESRCH);
  gives("wait: left as it is", CALL(SYS_waitid, P_PIDFD, other, &end, WEXITED | WNOWAIT, 0), 0);
  check("its status", end.si_pid == child && end.si_status == 7 && end.si_code == CLD_EXITED);
  gives("wait", CALL(SYS_waitid, P_PIDFD, fd, &end, WEXITED, 0), 0);
  gives("wait: again", CALL(SYS_waitid, P_PIDFD, fd, &end, WEXITED, 0), -ECHILD);
  gives("send: gone", CALL(SEND, fd, 0, 0, 0), -ESRCH);
  gives("open: gone", CALL(OPEN, child, 0), -ESRCH);
  gives("still ready", ready(fd, 0) & POLLIN, POLLIN);
  gives("close", close(fd), 0);
  gives("wait: closed", CALL(SYS_waitid, P_PIDFD, fd, &end, WEXITED, 0), -EBADF);

  unsigned char mask[128] = {0};
  check("affinity", CALL(SYS_sched_getaffinity, 0, sizeof mask, mask) > 0);
  gives("affinity: nobody", CALL(SYS_sched_getaffinity, -1, sizeof mask, mask), -ESRCH);
  gives("affinity: none", CALL(SYS_sched_setaffinity, 0, sizeof mask, (unsigned char[128]){0}), -EINVAL);
  gives("affinity: set for nobody", CALL(SYS_sched_setaffinity, -1, sizeof mask, mask), -ESRCH);
  gives("affinity: a bad pointer", CALL(SYS_sched_setaffinity, 0, sizeof mask, NOWHERE), -EFAULT);
  gives("affinity: too short", CALL(SYS_sched_getaffinity, 0, 0, mask), -EINVAL);
  unsigned char first[128] = {0}, seen[128] = {0};
  for (int at = 0; at < 1024; at++)
    if (mask[at / 8] >> at % 8 & 1) {
      first[at / 8] = 1 << at % 8;
      break;
    }
  gives("affinity: one", CALL(SYS_sched_setaffinity, 0, sizeof first, first), 0);
  CALL(SYS_sched_getaffinity, 0, sizeof seen, seen);
  check("affinity: as set", memcmp(first, seen, sizeof seen) == 0);
  fflush(stdout);
  child = fork();
  if (child == 0) _exit(CALL(SYS_sched_getaffinity, 0, sizeof seen, seen) < 0 || memcmp(first, seen, sizeof seen) != 0);
  int status = -1;
  waitpid(child, &status, 0);
  gives("affinity: a child has it", status, 0);
  gives("affinity: all", CALL(SYS_sched_setaffinity, 0, sizeof mask, mask), 0);

  int folder = open("/", O_RDONLY | O_DIRECTORY);
  gives("notify: nothing asked for", CALL(SYS_fcntl, folder, F_NOTIFY, DN_MULTISHOT), 0);
  gives("notify: a pipe", CALL(SYS_fcntl, held[0], F_NOTIFY, DN_MULTISHOT), 0);
  gives("notify: of a pipe's changes", CALL(SYS_fcntl, held[0], F_NOTIFY, DN_CREATE), -ENOTDIR);
  return finish();
}
