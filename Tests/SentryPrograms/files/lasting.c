// What was told of files for good, asked for again and again from few places, while the files change.
#include "../check.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

// Places of the form that is led elsewhere.
#define SITE(name, number)                                                                                            \
  __attribute__((noinline)) static long name(long a, const void *b, const void *c, long d) {                          \
    long result;                                                                                                      \
    register long r10 __asm__("r10") = d;                                                                             \
    __asm__ volatile("mov $" #number ", %%eax\n\tsyscall" : "=a"(result) : "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory"); \
    return result;                                                                                                    \
  }
SITE(stat_, 4)
SITE(fstat_, 5)
SITE(lstat_, 6)
SITE(fstatat_, 262)
SITE(pread_, 17)
SITE(access_, 21)
SITE(faccessat_, 269)
SITE(open_, 2)
SITE(openat_, 257)

static struct stat seen;
static long size_of(const char *path) {
  long result = 0;
  for (int i = 0; i < 10; i++) {
    memset(&seen, 0, sizeof seen);
    result = stat_((long)path, &seen, NULL, 0);
  }
  return result ? result : (long)seen.st_size;
}
static long link_size(const char *path) {
  long result = 0;
  for (int i = 0; i < 10; i++) result = lstat_((long)path, &seen, NULL, 0);
  return result ? result : (long)seen.st_size;
}
static long at(const char *path, int flags) {
  long result = 0;
  for (int i = 0; i < 10; i++) result = fstatat_(AT_FDCWD, path, &seen, flags);
  return result;
}
static long descriptor_size(int number) {
  long result = 0;
  for (int i = 0; i < 10; i++) {
    result = fstat_(number, &seen, NULL, 0);
    struct stat other;
    if (fstatat_(number, "", &other, AT_EMPTY_PATH) != result || (result == 0 && memcmp(&seen, &other, sizeof seen))) return -1;
  }
  return result ? result : (long)seen.st_size;
}
static int make(const char *path, const char *text) {
  int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
  int done = write(file, text, strlen(text)) == (ssize_t)strlen(text);
  close(file);
  return done;
}
static void *reader(void *argument) {
  long *good = argument;
  for (int i = 0; i < 200; i++) {
    struct stat own;
    char bytes[16];
    long result = stat_((long)"/tmp/lasting/c", &own, NULL, 0);
    if (result != 0 && result != -ENOENT) *good = 0;
    if (result == 0 && own.st_size != 3 && own.st_size != 5 && own.st_size != 0) *good = 0;
    int file = (int)openat_(AT_FDCWD, "/tmp/lasting/a", O_RDONLY, 0);
    if (file < 0 || fstat_(file, &own, NULL, 0) != 0 || pread_(file, bytes, (void *)1, 0) != 1 || close(file)) *good = 0;
  }
  return NULL;
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "loop")) {
    long wrong = 0;
    int file = open(argv[0], O_RDONLY);
    static char bytes[4096];
    for (long i = atol(argv[2]); i > 0; i--) {
      wrong += stat_((long)argv[0], &seen, NULL, 0) != 0 || lstat_((long)argv[0], &seen, NULL, 0) != 0;
      wrong += fstatat_(AT_FDCWD, argv[0], &seen, 0) != 0 || fstat_(file, &seen, NULL, 0) != 0;
      wrong += access_((long)argv[0], (void *)F_OK, NULL, 0) != 0 || openat_(AT_FDCWD, "/none", (void *)O_RDONLY, 0) != -ENOENT;
      wrong += stat_((long)"/none/at/all", &seen, NULL, 0) != -ENOENT;
      wrong += pread_(file, bytes, (void *)4096, i % 1000) != 4096 || pread_(file, bytes, (void *)1, i % 1000) != 1;
    }
    return wrong != 0;
  }
  if (argc == 3 && !strcmp(argv[1], "mapped")) {
    // A file that was there before, written to through memory.
    int file = open(argv[2], O_RDWR), reading = open(argv[2], O_RDONLY);
    char one = 0;
    struct stat status;
    for (int i = 0; i < 30; i++) fstat_(reading, &status, NULL, 0), pread_(reading, &one, (void *)1, 0), read(reading, &one, 1);
    char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    check("mapped", file >= 0 && reading >= 0 && memory != MAP_FAILED);
    memory[0] = one == 'z' ? 'y' : 'z';
    char again = 0;
    check("what was written", pread_(reading, &again, (void *)1, 0) == 1 && again == memory[0]);
    return finish();
  }
  mkdir("/tmp/lasting", 0755);
  check("made", make("/tmp/lasting/a", "abc") && make("/tmp/lasting/b", "12345"));

  gives("a size", size_of("/tmp/lasting/a"), 3);
  check("it grows", make("/tmp/lasting/a", "abcd") && size_of("/tmp/lasting/a") == 4);
  check("its mode", chmod("/tmp/lasting/a", 0600) == 0 && size_of("/tmp/lasting/a") == 4 && (seen.st_mode & 07777) == 0600);
  check("its owner", chown("/tmp/lasting/a", 7, 8) == 0 && size_of("/tmp/lasting/a") == 4 && seen.st_uid == 7 && seen.st_gid == 8);
  gives("nothing there", size_of("/tmp/lasting/c"), -ENOENT);
  check("then something", make("/tmp/lasting/c", "xyz") && size_of("/tmp/lasting/c") == 3);
  check("renamed over", rename("/tmp/lasting/b", "/tmp/lasting/c") == 0 && size_of("/tmp/lasting/c") == 5);
  gives("the old name", size_of("/tmp/lasting/b"), -ENOENT);
  check("gone", unlink("/tmp/lasting/c") == 0 && size_of("/tmp/lasting/c") == -ENOENT);
  check("one more name", link("/tmp/lasting/a", "/tmp/lasting/d") == 0 && size_of("/tmp/lasting/d") == 4 && seen.st_nlink == 2);
  check("one less", unlink("/tmp/lasting/d") == 0 && size_of("/tmp/lasting/a") == 4 && seen.st_nlink == 1);

  check("a link", symlink("a", "/tmp/lasting/l") == 0 && size_of("/tmp/lasting/l") == 4 && link_size("/tmp/lasting/l") == 1);
  check("elsewhere", unlink("/tmp/lasting/l") == 0 && symlink("/tmp/lasting/none", "/tmp/lasting/l") == 0);
  gives("a link to nothing", size_of("/tmp/lasting/l"), -ENOENT);
  gives("the link itself", link_size("/tmp/lasting/l"), 17);
  gives("by flags", at("/tmp/lasting/l", 0), -ENOENT);
  gives("by flags, itself", at("/tmp/lasting/l", AT_SYMLINK_NOFOLLOW), 0);
  long result = 0;
  for (int i = 0; i < 10; i++) result = open_((long)"/tmp/lasting/l", (void *)O_RDONLY, NULL, 0);
  gives("opened", result, -ENOENT);
  gives("opened, no links", open_((long)"/tmp/lasting/l", (void *)(long)O_NOFOLLOW, NULL, 0), -ELOOP);
  int file = (int)openat_(AT_FDCWD, "/tmp/lasting/none", (void *)(long)(O_CREAT | O_RDWR), 0644);
  check("and made", file >= 0 && size_of("/tmp/lasting/l") == 0 && close(file) == 0);
  check("a folder goes", unlink("/tmp/lasting/none") == 0 && mkdir("/tmp/lasting/f", 0755) == 0 && make("/tmp/lasting/f/g", "1"));
  gives("in a folder", size_of("/tmp/lasting/f/g"), 1);
  check("moved", rename("/tmp/lasting/f", "/tmp/lasting/h") == 0 && size_of("/tmp/lasting/f/g") == -ENOENT && size_of("/tmp/lasting/h/g") == 1);
  check("closed", chmod("/tmp/lasting/h", 0) == 0);
  pid_t child = fork();
  if (child == 0) _exit(setresuid(1000, 1000, 1000) || size_of("/tmp/lasting/h/g") != -EACCES || size_of("/tmp/lasting/a") != 4);
  int status = 1;
  check("to others", waitpid(child, &status, 0) == child && status == 0 && size_of("/tmp/lasting/h/g") == 1);
  // Everybody may, but those of one group.
  check("open to all but a group", chown("/tmp/lasting/h", -1, 4321) == 0 && chmod("/tmp/lasting/h", 0705) == 0);
  gives("to root", size_of("/tmp/lasting/h/g"), 1);
  child = fork();
  if (child == 0) _exit(setresgid(4321, 4321, 4321) || setresuid(1000, 1000, 1000) || size_of("/tmp/lasting/h/g") != -EACCES);
  check("closed to the group", waitpid(child, &status, 0) == child && status == 0);

  for (int i = 0; i < 10; i++) result = access_((long)"/tmp/lasting/a", (void *)F_OK, NULL, 0);
  gives("access", result, 0);
  for (int i = 0; i < 10; i++) result = faccessat_(AT_FDCWD, "/tmp/lasting/zero", (void *)R_OK, 0);
  gives("no access", result, -ENOENT);
  gives("a bad mode", access_((long)"/tmp/lasting/a", (void *)8, NULL, 0), -EINVAL);
  gives("a slash after a file", size_of("/tmp/lasting/a/"), -ENOTDIR);
  gives("a file as a folder", size_of("/tmp/lasting/a/b"), -ENOTDIR);
  gives("an empty path", size_of(""), -ENOENT);
  check("a relative one", chdir("/tmp") == 0 && size_of("lasting/a") == 4 && chdir("/") == 0 && size_of("lasting/a") == -ENOENT);

  // Bad pointers.
  char *edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(edge + 4096, 4096);
  strcpy(edge, "/tmp/lasting/a");
  memset(edge + 64, '/', 4096 - 64);
  for (int i = 0; i < 10; i++) size_of(edge);
  gives("a path nowhere", stat_(8, &seen, NULL, 0), -EFAULT);
  gives("a path beyond", stat_(-8, &seen, NULL, 0), -EFAULT);
  gives("a path without an end", stat_((long)edge + 4090, &seen, NULL, 0), -EFAULT);
  gives("a status nowhere", stat_((long)edge, NOWHERE, NULL, 0), -EFAULT);
  gives("a null status", stat_((long)edge, NULL, NULL, 0), -EFAULT);
  gives("a status over the edge", stat_((long)edge, edge + 4096 - 100, NULL, 0), -EFAULT);
  gives("a status up to the edge", stat_((long)edge, edge + 4096 - 144, NULL, 0), 0);
  mprotect(edge, 4096, PROT_READ);
  gives("a status on what is only read", stat_((long)edge, edge + 1024, NULL, 0), -EFAULT);

  // Descriptors.
  int own = open(argv[0], O_RDONLY), other = open("/tmp/lasting/a", O_RDWR);
  long whole = descriptor_size(own);
  check("a program's size", whole > 1000 && whole == size_of(argv[0]));
  gives("another's", descriptor_size(other), 4);
  gives("written", write(other, "123456", 6), 6);
  gives("it has grown", descriptor_size(other), 6);
  check("cut", ftruncate(other, 2) == 0 && descriptor_size(other) == 2);
  check("put in place", dup2(other, own) == own && descriptor_size(own) == 2);
  check("closed descriptor", close(own) == 0 && descriptor_size(own) == -EBADF);
  own = open(argv[0], O_RDONLY);
  gives("opened again", descriptor_size(own), whole);
  child = fork();
  if (child == 0) {
    long good = descriptor_size(own) == whole && close(own) == 0 && descriptor_size(own) == -EBADF;
    _exit(!good);
  }
  check("closed in a child", waitpid(child, &status, 0) == child && status == 0 && descriptor_size(own) == whole);
  gives("a status nowhere of a descriptor", fstat_(own, NOWHERE, NULL, 0), -EFAULT);
  gives("a number below zero", descriptor_size(-1), -EBADF);
  check("close_range", syscall(436, own, own, 0) == 0 && descriptor_size(own) == -EBADF);

  // Bytes.
  own = open(argv[0], O_RDONLY);
  static char first[10000], again[10000];
  int good = read(own, first, sizeof first) == sizeof first;
  for (int round = 0; round < 4; round++) {
    for (long from = 0; from < 5000; from += 613) {
      memset(again, 'x', sizeof again);
      good = good && pread_(own, again, (void *)3000, from) == 3000 && !memcmp(again, first + from, 3000) && again[3000] == 'x';
      good = good && pread_(own, again, (void *)1, from) == 1 && again[0] == first[from] && again[1] == first[from + 1];
    }
  }
  check("the same bytes", good);
  for (int i = 0; i < 10; i++) result = pread_(own, again, (void *)4096, whole - 10);
  gives("at the end", result, 10);
  for (int i = 0; i < 10; i++) result = pread_(own, again, (void *)4096, whole);
  gives("past the end", result, 0);
  gives("before the beginning", pread_(own, again, (void *)1, -1), -EINVAL);
  gives("a buffer nowhere", pread_(own, NOWHERE, (void *)1, 0), -EFAULT);
  gives("a buffer nowhere, longer", pread_(own, NOWHERE, (void *)64, 0), -EFAULT);
  gives("a buffer that is only read", pread_(own, edge, (void *)1, 0), -EFAULT);
  int writing = open("/tmp/lasting/a", O_WRONLY);
  for (int i = 0; i < 10; i++) result = pread_(writing, again, (void *)1, 0);
  gives("a file only written to", result, -EBADF);
  gives("the position stays", lseek(own, 0, SEEK_CUR), 10000);
  for (int i = 0; i < 10; i++) result = pread_(other, again, (void *)4, 0);
  gives("before it is written", result, 2);
  check("bytes that change", pwrite(other, "zzzz", 4, 0) == 4 && pread_(other, again, (void *)4, 0) == 4 && !memcmp(again, "zzzz", 4));

  chmod("/tmp/lasting/a", 0644);
  pthread_t threads[3];
  long fine[3] = {1, 1, 1};
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, reader, &fine[i]);
  for (int i = 0; i < 100; i++) {
    good = good && make("/tmp/lasting/c", i & 1 ? "abc" : "abcde");
    good = good && (i % 3 || unlink("/tmp/lasting/c") == 0);
  }
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  check("beside threads", good && fine[0] && fine[1] && fine[2]);

  child = fork();
  if (child == 0) _exit(chroot("/tmp/lasting") || size_of("/a") != 4 || size_of("/tmp/lasting/a") != -ENOENT);
  check("another root", waitpid(child, &status, 0) == child && status == 0);
  gives("and the old one", size_of("/tmp/lasting/a"), 4);
  unlink("/tmp/lasting/a"), unlink("/tmp/lasting/c"), unlink("/tmp/lasting/l"), unlink("/tmp/lasting/h/g");
  check("left as it was", rmdir("/tmp/lasting/h") == 0 && rmdir("/tmp/lasting") == 0);
  gives("nothing is left", size_of("/tmp/lasting"), -ENOENT);
  return finish();
}
