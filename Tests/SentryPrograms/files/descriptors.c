// Descriptors and locks.
#include "../check.h"
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct flock range(int type, long start, long length) {
  struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
  return lock;
}
static long set(int file, int command, int type, long start, long length) {
  struct flock lock = range(type, start, length);
  return CALL(SYS_fcntl, file, command, &lock);
}

int main(void) {
  char name[] = "/tmp/descriptors-XXXXXX";
  int file = mkstemp(name);
  if (file < 0) return 2;
  int copy = CALL(SYS_dup, file);
  check("dup", copy > file);
  write(file, "abc", 3);
  gives("shares the place", CALL(SYS_lseek, copy, 0L, SEEK_CUR), 3);
  gives("dup of nothing", CALL(SYS_dup, 999), -EBADF);
  gives("dup2", CALL(SYS_dup2, file, 50), 50);
  gives("dup2 to itself", CALL(SYS_dup2, file, file), file);
  gives("dup2 of nothing to itself", CALL(SYS_dup2, 999, 999), -EBADF);
  gives("dup2 beyond the limit", CALL(SYS_dup2, file, 100000000), -EBADF);
  gives("dup2 to less than nothing", CALL(SYS_dup2, file, -1), -EBADF);
  gives("dup3", CALL(SYS_dup3, file, 51, O_CLOEXEC), 51);
  gives("closes on exec", CALL(SYS_fcntl, 51, F_GETFD), FD_CLOEXEC);
  gives("dup3 to itself", CALL(SYS_dup3, file, file, 0), -EINVAL);
  gives("dup3 with odd flags", CALL(SYS_dup3, file, 52, 1), -EINVAL);
  gives("close", CALL(SYS_close, 50), 0);
  gives("twice", CALL(SYS_close, 50), -EBADF);
  gives("F_DUPFD", CALL(SYS_fcntl, file, F_DUPFD, 60), 60);
  gives("F_DUPFD_CLOEXEC", CALL(SYS_fcntl, file, F_DUPFD_CLOEXEC, 60), 61);
  gives("F_DUPFD below nothing", CALL(SYS_fcntl, file, F_DUPFD, -1), -EINVAL);
  gives("F_DUPFD beyond the limit", CALL(SYS_fcntl, file, F_DUPFD, 100000000), -EINVAL);
  gives("F_SETFD", CALL(SYS_fcntl, 60, F_SETFD, FD_CLOEXEC), 0);
  gives("F_GETFD", CALL(SYS_fcntl, 60, F_GETFD), FD_CLOEXEC);
  gives("F_GETFL", CALL(SYS_fcntl, file, F_GETFL) & ~0100000, O_RDWR);
  gives("F_SETFL", CALL(SYS_fcntl, file, F_SETFL, O_APPEND | O_NONBLOCK | O_WRONLY), 0);
  gives("sets what may be set", CALL(SYS_fcntl, copy, F_GETFL) & ~0100000, O_RDWR | O_APPEND | O_NONBLOCK);
  gives("F_SETFL back", CALL(SYS_fcntl, file, F_SETFL, 0), 0);
  gives("an odd command", CALL(SYS_fcntl, file, 9999, 0), -EINVAL);
  gives("of nothing", CALL(SYS_fcntl, 999, F_GETFD), -EBADF);
  gives("close_range on exec", CALL(436, 60, 61, 4), 0);
  gives("sets it", CALL(SYS_fcntl, 61, F_GETFD), FD_CLOEXEC);
  gives("close_range", CALL(436, 50, ~0u, 0), 0);
  gives("closes", CALL(SYS_fcntl, 61, F_GETFD), -EBADF);
  gives("close_range the wrong way", CALL(436, 5, 4, 0), -EINVAL);
  gives("close_range with odd flags", CALL(436, 5, 6, 1), -EINVAL);

  int other = open(name, O_RDWR), reader = open(name, O_RDONLY);
  gives("flock", CALL(SYS_flock, file, LOCK_EX), 0);
  gives("again", CALL(SYS_flock, copy, LOCK_EX | LOCK_NB), 0);
  gives("of another opening", CALL(SYS_flock, other, LOCK_SH | LOCK_NB), -EAGAIN);
  gives("shared", CALL(SYS_flock, file, LOCK_SH), 0);
  gives("with others", CALL(SYS_flock, other, LOCK_SH | LOCK_NB), 0);
  gives("an odd kind", CALL(SYS_flock, file, 77), -EINVAL);
  gives("of nothing", CALL(SYS_flock, 999, LOCK_SH), -EBADF);
  gives("unlock", CALL(SYS_flock, file, LOCK_UN), 0);
  gives("upgraded", CALL(SYS_flock, other, LOCK_EX | LOCK_NB), 0);
  close(other);
  gives("closing unlocks", CALL(SYS_flock, file, LOCK_EX | LOCK_NB), 0);
  flock(file, LOCK_UN);
  other = open(name, O_RDWR);

  gives("a range", set(file, F_SETLK, F_WRLCK, 10, 10), 0);
  gives("of a reader for writing", set(reader, F_SETLK, F_WRLCK, 0, 1), -EBADF);
  gives("before the file", set(file, F_SETLK, F_WRLCK, -5, 1), -EINVAL);
  gives("of an odd kind", set(file, F_SETLK, 7, 0, 1), -EINVAL);
  gives("from nowhere", CALL(SYS_fcntl, file, F_SETLK, NOWHERE), -EFAULT);
  struct flock asked = range(F_WRLCK, 0, 0);
  gives("one's own is in nobody's way", CALL(SYS_fcntl, file, F_GETLK, &asked), 0);
  gives("so there is none", asked.l_type, F_UNLCK);
  int pipes[2], up[2];
  if (pipe(pipes) || pipe(up)) return 2;
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    gives("a child has no locks", set(other, F_SETLK, F_RDLCK, 15, 1), -EAGAIN);
    gives("beside it", set(other, F_SETLK, F_WRLCK, 20, 5), 0);
    struct flock lock = range(F_WRLCK, 0, 0);
    gives("asks", CALL(SYS_fcntl, other, F_GETLK, &lock), 0);
    check("who has it", lock.l_type == F_WRLCK && lock.l_start == 10 && lock.l_len == 10 && lock.l_pid == getppid());
    check("tells", write(pipes[1], "x", 1) == 1);
    gives("waits for it", set(other, F_SETLKW, F_WRLCK, 12, 1), 0);
    check("is told", read(up[0], &lock, 1) == 1);
    _exit(finish());
  }
  char byte;
  int told = read(pipes[0], &byte, 1) == 1;
  // The child comes to wait; whether it does already changes nothing. What both print would come in any order.
  long inTheWay = set(file, F_SETLK, F_WRLCK, 22, 1), given = set(file, F_SETLK, F_UNLCK, 12, 3);
  int goesOn = write(up[1], "x", 1) == 1, status;
  check("the child's checks", waitpid(child, &status, 0) == child && status == 0);
  check("told", told);
  gives("the child's is in the way", inTheWay, -EAGAIN);
  gives("a part is given back", given, 0);
  check("went on", goesOn);
  gives("its locks went with it", set(file, F_SETLK, F_WRLCK, 0, 0), 0);
  close(open(name, O_RDONLY));
  fflush(stdout);
  child = fork();
  if (child == 0) {
    gives("any close gives all back", set(other, F_SETLK, F_WRLCK, 0, 0), 0);
    _exit(finish());
  }
  check("the child's checks", waitpid(child, &status, 0) == child && status == 0);

  // Two that wait for each other.
  set(file, F_SETLK, F_WRLCK, 0, 1);
  fflush(stdout);
  child = fork();
  if (child == 0) {
    if (set(other, F_SETLK, F_WRLCK, 1, 1)) _exit(3);
    if (write(pipes[1], "x", 1) != 1) _exit(4);
    long got = set(other, F_SETLKW, F_WRLCK, 0, 1);
    _exit(got == 0 ? 0 : got == -EDEADLK ? 1 : 2);
  }
  check("told", read(pipes[0], &byte, 1) == 1);
  long got = set(file, F_SETLKW, F_WRLCK, 1, 1);
  set(file, F_SETLK, F_UNLCK, 0, 0);
  waitpid(child, &status, 0);
  check("one of them is told", (got == -EDEADLK) != (WEXITSTATUS(status) == 1) && WEXITSTATUS(status) < 2);

  gives("an open file's own", set(file, F_OFD_SETLK, F_WRLCK, 0, 10), 0);
  gives("is in the way of another opening", set(other, F_OFD_SETLK, F_RDLCK, 5, 1), -EAGAIN);
  struct flock own = range(F_WRLCK, 0, 0);
  own.l_pid = 1;
  gives("with a process", CALL(SYS_fcntl, file, F_OFD_SETLK, &own), -EINVAL);
  own.l_pid = 0;
  gives("asked", CALL(SYS_fcntl, other, F_OFD_GETLK, &own), 0);
  gives("is nobody's", own.l_pid, -1);
  close(file);
  close(copy);
  gives("the last close gives it back", set(other, F_OFD_SETLK, F_WRLCK, 0, 0), 0);
  unlink(name);
  return finish();
}
