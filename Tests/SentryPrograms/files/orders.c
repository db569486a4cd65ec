// Which of several errors a call tells, and what it has done before: in the order in which the kernel looks (found by random calls).
#include "../check.h"
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define OUT_OF_REACH ((void *)(1UL << 63))

static void opening(void) {
  gives("a folder for direct access", CALL(SYS_open, "d", O_RDONLY | O_DIRECT), -EINVAL);
  gives("a FIFO for direct access", CALL(SYS_open, "p", O_RDWR | O_DIRECT), -EINVAL);
  int there = open("d", O_RDONLY), counting = eventfd(0, 0), ends[2];
  pipe(ends);
  gives("F_SETFL: a folder for direct access", CALL(SYS_fcntl, there, F_SETFL, O_DIRECT), -EINVAL);
  gives("F_SETFL: a counter", CALL(SYS_fcntl, counting, F_SETFL, O_DIRECT), -EINVAL);
  gives("F_SETFL: a pipe for packets", CALL(SYS_fcntl, ends[1], F_SETFL, O_DIRECT), 0);
  close(there), close(counting), close(ends[0]), close(ends[1]);
  gives("a file before a slash, where a link to itself is", CALL(SYS_open, "loop/", O_RDWR | O_CREAT, 0600), -EISDIR);
  gives("an unnamed file, through a link that is not followed", CALL(SYS_open, "dl", O_TMPFILE | O_RDWR | O_NOFOLLOW, 0600), -ENOTDIR);
  gives("an unnamed file, at a link to itself", CALL(SYS_open, "loop", O_TMPFILE | O_RDWR, 0600), -ELOOP);
  gives("an unnamed file, at a link to itself that is not followed", CALL(SYS_open, "loop", O_TMPFILE | O_RDWR | O_NOFOLLOW, 0600), -ENOTDIR);
  int file = open("dl", O_TMPFILE | O_RDWR, 0600);
  check("an unnamed file through a link", file >= 0);
  gives("its flags", fcntl(file, F_GETFL) & (O_TMPFILE | O_ACCMODE), O_TMPFILE | O_RDWR);
  close(file);
  gives("a descriptor of a path alone cannot be written out", CALL(SYS_sync_file_range, (file = open("a", O_PATH)), 0, 0, 1), -EBADF);
  fd_set ready;
  FD_ZERO(&ready);
  FD_SET(file, &ready);
  struct timeval now = {0, 0};
  gives("select finds it ready", select(file + 1, NULL, NULL, &ready, &now), 1);
  close(file);
}

static void status(int folder) {
  struct stat at;
  gives("fstatat of a descriptor takes any flag", CALL(SYS_newfstatat, folder, "", &at, AT_EMPTY_PATH | 1), 0);
  gives("without a path too", CALL(SYS_newfstatat, folder, NULL, &at, AT_EMPTY_PATH | 0x400), 0);
  gives("but not of the current folder", CALL(SYS_newfstatat, AT_FDCWD, "", &at, AT_EMPTY_PATH | 1), -EINVAL);
  gives("a wrong flag is told before a wrong path", CALL(SYS_newfstatat, AT_FDCWD, OUT_OF_REACH, &at, 1), -EINVAL);
  gives("also where it might be empty", CALL(SYS_newfstatat, folder, OUT_OF_REACH, &at, AT_EMPTY_PATH | 1), -EINVAL);
  gives("before an empty one", CALL(SYS_newfstatat, AT_FDCWD, "", &at, 1), -EINVAL);
  gives("a wrong flag is told before a wrong folder", CALL(SYS_newfstatat, 999, "a", &at, 1), -EINVAL);
  gives("fstatat takes statx's flags", CALL(SYS_newfstatat, AT_FDCWD, "a", &at, 0x6000), 0);
  char room[256];
  gives("statx of no descriptor", CALL(SYS_statx, 999, NULL, AT_EMPTY_PATH | 1, 0, room), -EBADF);
  gives("statx of a descriptor takes any flag", CALL(SYS_statx, folder, "", AT_EMPTY_PATH | 1, 0, room), 0);
  gives("but not both ways to synchronize", CALL(SYS_statx, folder, "", AT_EMPTY_PATH | 0x6000, 0, room), -EINVAL);
  gives("statx: a wrong flag is told before a wrong path", CALL(SYS_statx, AT_FDCWD, OUT_OF_REACH, 0x6000, 0, room), -EINVAL);
}

static void attributes(void) {
  gives("a name space that is not there, of it", CALL(SYS_fsetxattr, AT_FDCWD, "other.a", "x", 1, 0), -EOPNOTSUPP);
  gives("of no descriptor", CALL(SYS_fsetxattr, -1, "other.a", "x", 1, 0), -EBADF);
  gives("fgetxattr of it", CALL(SYS_fgetxattr, AT_FDCWD, "other.a", NULL, 0), -EOPNOTSUPP);
}

static void linking(int folder) {
  gives("linkat of the current folder, to where nothing can be", CALL(SYS_linkat, AT_FDCWD, "", AT_FDCWD, "a/b", AT_EMPTY_PATH), -ENOTDIR);
  gives("linkat of it", CALL(SYS_linkat, AT_FDCWD, "", AT_FDCWD, "new", AT_EMPTY_PATH), -EPERM);
  gives("linkat of no path without the flag", CALL(SYS_linkat, AT_FDCWD, "", AT_FDCWD, "new", 0), -ENOENT);
  pid_t child = fork();
  if (child == 0) {
    int failed = failures;
    // Nobody in particular: without a capability, and not who opened `folder`.
    if (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000)) _exit(99);
    int own = open("a", O_RDONLY), first = own;
    gives("it is one's own after ids that may not be", CALL(SYS_setresuid, 0, 0, 0) == -EPERM && CALL(SYS_linkat, own, "", AT_FDCWD, "a/b", AT_EMPTY_PATH) == -ENOTDIR, 1);
    gives("and after those that one has", CALL(SYS_setresuid, 1000, 1000, 1000) == 0 && CALL(SYS_linkat, own, "", AT_FDCWD, "a/b", AT_EMPTY_PATH) == -ENOTDIR, 1);
    gives("but not after the same by setuid", CALL(SYS_setuid, 1000) == 0 && CALL(SYS_linkat, own, "", AT_FDCWD, "a/b", AT_EMPTY_PATH) == -ENOENT, 1);
    own = open("a", O_RDONLY);
    close(first);
    gives("linkat of a file that another opened", CALL(SYS_linkat, folder, "", AT_FDCWD, "a/b", AT_EMPTY_PATH), -ENOENT);
    gives("also where the path is not empty", CALL(SYS_linkat, folder, "e", AT_FDCWD, "a/b", AT_EMPTY_PATH), -ENOENT);
    gives("linkat of what one has opened", CALL(SYS_linkat, own, "", AT_FDCWD, "a/b", AT_EMPTY_PATH), -ENOTDIR);
    gives("somebody else's folder is told before where it may not be", CALL(SYS_linkat, AT_FDCWD, "d", AT_FDCWD, "new", 0), -EPERM);
    gives("the mode of a link is told before whose it is", CALL(452, AT_FDCWD, "dl", 0600, AT_SYMLINK_NOFOLLOW), -EOPNOTSUPP);
    gives("a FIFO that is cut must be one's to write", CALL(SYS_open, "p", O_RDONLY | O_TRUNC | O_NONBLOCK), -EACCES);
    _exit(failures != failed);
  }
  int left;
  waitpid(child, &left, 0);
  gives("nobody in particular", left, 0);
}

// Of the user's two processes one may not be made more important, and the other is made less all the same.
static void priorities(void) {
  int ready[2], go[2];
  char byte = 0;
  if (pipe(ready) || pipe(go)) return check("pipes", 0);
  pid_t child = fork();
  if (child == 0) {
    struct rlimit none = {0, 0};
    setpriority(PRIO_PROCESS, 0, 0);
    if (setrlimit(RLIMIT_NICE, &none) || setresgid(4321, 4321, 4321) || setresuid(4321, 4321, 4321)) _exit(99);
    int failed = failures;
    pid_t other = fork();
    if (other == 0) write(ready[1], "", 1), read(go[0], &byte, 1), _exit(0);
    read(ready[0], &byte, 1);
    gives("one is made less important", CALL(SYS_setpriority, PRIO_PROCESS, 0, 9), 0);
    gives("all of a user's", CALL(SYS_setpriority, PRIO_USER, 0, 4), -EACCES);
    gives("is the other's", CALL(SYS_getpriority, PRIO_PROCESS, other), 16);
    gives("but not one's own", CALL(SYS_getpriority, PRIO_PROCESS, 0), 11);
    write(go[1], "", 1);
    waitpid(other, NULL, 0);
    _exit(failures != failed);
  }
  int left;
  waitpid(child, &left, 0);
  gives("priorities", left, 0);
  close(ready[0]), close(ready[1]), close(go[0]), close(go[1]);
}

static void dumping(void) {
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_DUMPABLE, 1);
    gives("dumpable", prctl(PR_GET_DUMPABLE), 1);
    syscall(SYS_setfsuid, 1000);
    _exit(prctl(PR_GET_DUMPABLE) == 1);
  }
  int left;
  waitpid(child, &left, 0);
  gives("not after another user of files", left, 0);
}

static void counting(void) {
  int counter = eventfd(3, EFD_NONBLOCK);
  uint64_t value;
  gives("a counter that cannot be stored", CALL(SYS_read, counter, NOWHERE, 8), -EFAULT);
  gives("is taken all the same", CALL(SYS_read, counter, &value, 8), -EAGAIN);
  close(counter);
}

// What a child of its own ends by.
static int ends_by(void (*does)(void)) {
  pid_t child = fork();
  if (child == 0) does(), _exit(0);
  int left;
  waitpid(child, &left, 0);
  return WIFSIGNALED(left) ? WTERMSIG(left) : -WEXITSTATUS(left);
}
static int full[2], broken[2], file;
static void splices_to_nobody(void) { splice(full[0], NULL, broken[1], NULL, 1, SPLICE_F_NONBLOCK); }
static void sends_to_nobody(void) { syscall(SYS_sendfile, broken[1], file, NULL, 1); }

static void splicing(void) {
  int empty[2];
  if (pipe2(full, O_NONBLOCK) || pipe2(empty, O_NONBLOCK) || pipe2(broken, O_NONBLOCK)) return check("pipes", 0);
  check("bytes", write(full[1], "x", 1) == 1);
  close(broken[0]);
  gives("an empty pipe is told before one that nobody reads", CALL(SYS_splice, empty[0], NULL, broken[1], NULL, 1, SPLICE_F_NONBLOCK), -EAGAIN);
  gives("bytes for nobody", ends_by(splices_to_nobody), 13);
  file = open("a", O_RDONLY);
  gives("a file's end for nobody", ends_by(sends_to_nobody), 13);
  int counter = eventfd(0, EFD_NONBLOCK);
  gives("a counter takes no pages, not of an empty pipe either", CALL(SYS_splice, empty[0], NULL, counter, NULL, 1, SPLICE_F_NONBLOCK), -EINVAL);
  gives("random bytes for where none can be", CALL(SYS_getrandom, OUT_OF_REACH, 0, 0), -EFAULT);
}

int main(void) {
  char own[] = "/tmp/orders-XXXXXX";
  if (mkdir("/tmp", 01777) && errno != EEXIST) return 2;
  if (!mkdtemp(own) || chdir(own) || chmod(".", 0755)) return 2;
  umask(022);
  close(open("a", O_RDWR | O_CREAT, 0644));
  if (mkdir("d", 0755) || symlink("d", "dl") || symlink("loop", "loop") || mknod("p", S_IFIFO | 0644, 0)) return 2;
  int folder = open("d", O_RDONLY | O_DIRECTORY);
  opening();
  status(folder);
  attributes();
  linking(folder);
  priorities();
  dumping();
  counting();
  splicing();
  unlink("a"), unlink("dl"), unlink("loop"), unlink("p"), rmdir("d");
  if (chdir("/") == 0) rmdir(own);
  return finish();
}
