// splice(2) and tee(2).
#include "../check.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

// Into a stream socket that has no room.
static void full_socket(void) {
  int p[2], s[2];
  static char b[4096];
  long filled = 0, count;
  pipe(p);
  socketpair(AF_UNIX, SOCK_STREAM, 0, s);
  while ((count = send(s[0], b, sizeof b, MSG_DONTWAIT)) > 0) filled += count;
  check("it is full", filled > 0 && errno == EAGAIN);
  write(p[1], "last", 4);
  fcntl(s[0], F_SETFL, O_NONBLOCK);
  gives("no waiting for room", CALL(SYS_splice, p[0], 0, s[0], 0, 4, 0), -EAGAIN);
  fcntl(s[0], F_SETFL, 0);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    while (filled > 0 && (count = read(s[1], b, filled < 4096 ? filled : 4096)) > 0) filled -= count;
    _exit(!(read(s[1], b, 5) == 4 && memcmp(b, "last", 4) == 0));
  }
  gives("waits for room", CALL(SYS_splice, p[0], 0, s[0], 0, 4, 0), 4);
  int status = -1;
  waitpid(pid, &status, 0);
  gives("what went", status, 0);
}

int main(void) {
  int p[2], q[2];
  char b[64] = "";
  pipe(p);
  pipe(q);
  int file = open("/tmp/splice-file", O_CREAT | O_TRUNC | O_RDWR, 0600);
  write(file, "0123456789", 10);
  off_t at = 2;
  gives("file to pipe", CALL(SYS_splice, file, &at, p[1], 0, 4, 0), 4);
  gives("where it goes on", at, 6);
  gives("tee", CALL(SYS_tee, p[0], q[1], 100, 0), 4);
  gives("the copy", read(q[0], b, sizeof b), 4);
  check("is the same", memcmp(b, "2345", 4) == 0);
  gives("pipe to pipe", CALL(SYS_splice, p[0], 0, q[1], 0, 3, 0), 3);
  at = 20;
  gives("pipe to file", CALL(SYS_splice, q[0], 0, file, &at, 100, 0), 3);
  gives("where that goes on", at, 23);
  gives("what is there", pread(file, b, sizeof b, 20), 3);
  check("is what went", memcmp(b, "234", 3) == 0);
  lseek(file, 8, SEEK_SET);
  gives("by the position", CALL(SYS_splice, file, 0, p[1], 0, 100, 0), 15);
  gives("which moves", lseek(file, 0, SEEK_CUR), 23);
  gives("all of it", read(p[0], b, sizeof b), 16);
  gives("nothing, and no waiting", CALL(SYS_splice, p[0], 0, file, 0, 1, 2), -EAGAIN);
  gives("no pipe", CALL(SYS_splice, file, 0, file, 0, 1, 0), -EINVAL);
  gives("its own pipe", CALL(SYS_splice, p[0], 0, p[1], 0, 1, 0), -EINVAL);
  gives("a position of a pipe", CALL(SYS_splice, p[0], &at, file, 0, 1, 0), -ESPIPE);
  gives("bad flags", CALL(SYS_splice, p[0], 0, file, 0, 1, 0x100), -EINVAL);
  gives("the wrong end", CALL(SYS_splice, p[1], 0, file, 0, 1, 0), -EBADF);
  gives("nobody", CALL(SYS_splice, 999, 0, p[1], 0, 1, 0), -EBADF);
  gives("tee of a file", CALL(SYS_tee, file, p[1], 1, 0), -EINVAL);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    usleep(20000);
    write(p[1], "late", 4);
    _exit(0);
  }
  gives("waits for bytes", CALL(SYS_splice, p[0], 0, q[1], 0, 100, 0), 4);
  waitpid(pid, 0, 0);
  close(p[1]);
  gives("the end", CALL(SYS_splice, p[0], 0, q[1], 0, 1, 0), 0);
  full_socket();
  close(file);
  unlink("/tmp/splice-file");
  return finish();
}
