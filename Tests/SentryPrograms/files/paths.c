// Names: walked, made, taken away, moved, linked.
#include "../check.h"
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

static long make(const char *path, const char *text) {
  int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
  if (file < 0) return -errno;
  long wrote = write(file, text, strlen(text));
  close(file);
  return wrote;
}
static int has(const char *path, const char *text) {
  char bytes[64] = {0};
  int file = open(path, O_RDONLY);
  if (file < 0) return 0;
  long count = read(file, bytes, sizeof bytes - 1);
  close(file);
  return count == (long)strlen(text) && !strcmp(bytes, text);
}
static long how(int folder, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
  struct open_how how = {flags, mode, resolve};
  long file = CALL(SYS_openat2, folder, path, &how, sizeof how);
  if (file >= 0) close(file);
  return file >= 0 ? 0 : file;
}
static int count(const char *path) {
  DIR *folder = opendir(path);
  int found = 0;
  if (!folder) return -1;
  while (readdir(folder)) found++;
  closedir(folder);
  return found;
}

int main(void) {
  char base[] = "/tmp/paths-XXXXXX";
  if (!mkdtemp(base) || chdir(base)) return 2;
  umask(022);

  gives("mkdir", CALL(SYS_mkdir, "a", 0777), 0);
  gives("mkdir of what is there", CALL(SYS_mkdir, "a", 0777), -EEXIST);
  gives("mkdir with a slash", CALL(SYS_mkdir, "a/b//", 0777), 0);
  gives("mkdir below nothing", CALL(SYS_mkdir, "x/y", 0777), -ENOENT);
  gives("mkdir of a bad pointer", CALL(SYS_mkdir, NOWHERE, 0777), -EFAULT);
  gives("mkdir of an empty path", CALL(SYS_mkdir, "", 0777), -ENOENT);
  gives("mkdir of a dot", CALL(SYS_mkdir, ".", 0777), -EEXIST);
  gives("write", make("a/f", "one"), 3);
  gives("below a file", CALL(SYS_mkdir, "a/f/g", 0777), -ENOTDIR);
  gives("a file with a slash", CALL(SYS_open, "a/f/", O_RDONLY), -ENOTDIR);
  gives("creat with a slash", CALL(SYS_open, "a/new/", O_CREAT | O_WRONLY, 0644), -EISDIR);
  gives("exclusive", CALL(SYS_open, "a/f", O_CREAT | O_EXCL | O_WRONLY, 0644), -EEXIST);
  gives("a directory is not written", CALL(SYS_open, "a", O_WRONLY), -EISDIR);
  gives("a directory is not created", CALL(SYS_open, "a", O_CREAT, 0644), -EISDIR);
  gives("O_DIRECTORY of a file", CALL(SYS_open, "a/f", O_DIRECTORY), -ENOTDIR);
  char name[300];
  memset(name, 'n', sizeof name);
  name[256] = 0;
  gives("a name of 256 bytes", CALL(SYS_mkdir, name, 0777), -ENAMETOOLONG);
  name[255] = 0;
  gives("a name of 255 bytes", CALL(SYS_mkdir, name, 0777), 0);
  gives("rmdir of it", CALL(SYS_rmdir, name), 0);
  static char path[5000];
  memset(path, '/', sizeof path - 1);
  gives("a path of 5000 bytes", CALL(SYS_open, path, O_RDONLY), -ENAMETOOLONG);
  check("dots and slashes", has("./a//./b/../../a/f", "one"));

  gives("symlink", CALL(SYS_symlink, "f", "a/l"), 0);
  gives("symlink to nothing", CALL(SYS_symlink, "gone", "a/dangling"), 0);
  gives("symlink of an empty text", CALL(SYS_symlink, "", "a/empty"), -ENOENT);
  gives("symlink over a name", CALL(SYS_symlink, "f", "a/l"), -EEXIST);
  check("through a link", has("a/l", "one"));
  char text[16] = {0};
  gives("readlink", CALL(SYS_readlink, "a/l", text, sizeof text), 1);
  gives("readlink, cut", CALL(SYS_readlink, "a/dangling", text, 2L), 2);
  gives("readlink of a file", CALL(SYS_readlink, "a/f", text, sizeof text), -EINVAL);
  gives("readlink without room", CALL(SYS_readlink, "a/l", text, 0L), -EINVAL);
  gives("readlink to nowhere", CALL(SYS_readlink, "a/l", NOWHERE, 4L), -EFAULT);
  gives("O_NOFOLLOW", CALL(SYS_open, "a/l", O_RDONLY | O_NOFOLLOW), -ELOOP);
  gives("creation through a dangling link", make("a/dangling", "two"), 3);
  check("is where it leads", has("a/gone", "two"));
  gives("exclusive creation does not follow", CALL(SYS_open, "a/dangling", O_CREAT | O_EXCL | O_WRONLY, 0644), -EEXIST);
  symlink("loop", "loop");
  gives("a loop", CALL(SYS_open, "loop", O_RDONLY), -ELOOP);
  char from[16], to[16];
  symlink("a", "c0");
  for (int index = 1; index <= 41; index++) {
    sprintf(from, "c%d", index - 1);
    sprintf(to, "c%d", index);
    symlink(from, to);
  }
  struct stat status;
  gives("forty links", CALL(SYS_stat, "c39", &status), 0);
  gives("forty-one links", CALL(SYS_stat, "c40", &status), -ELOOP);
  symlink("a/", "slashed");
  gives("a link that ends in a slash", CALL(SYS_lstat, "slashed/", &status), 0);
  check("is the directory", S_ISDIR(status.st_mode));
  gives("rmdir of a link", CALL(SYS_rmdir, "slashed"), -ENOTDIR);
  gives("rmdir through a link", CALL(SYS_rmdir, "slashed/"), -ENOTDIR);
  gives("unlink through a link", CALL(SYS_unlink, "slashed/"), -ENOTDIR);
  gives("mkdir of a link", CALL(SYS_mkdir, "slashed/", 0755), -EEXIST);
  gives("mkdir of a dangling link", CALL(SYS_mkdir, "c41/", 0755), -EEXIST);
  gives("mkdir of a file with a slash", CALL(SYS_mkdir, "a/f/", 0755), -EEXIST);
  gives("rename of a link with a slash", CALL(SYS_rename, "slashed/", "z"), -ENOTDIR);

  gives("link", CALL(SYS_link, "a/f", "hard"), 0);
  stat("hard", &status);
  gives("two names", status.st_nlink, 2);
  gives("link of a directory", CALL(SYS_link, "a", "hard2"), -EPERM);
  gives("link over a name", CALL(SYS_link, "a/f", "hard"), -EEXIST);
  gives("link of a link", CALL(SYS_linkat, AT_FDCWD, "a/l", AT_FDCWD, "linked", 0), 0);
  lstat("linked", &status);
  check("is a link itself", S_ISLNK(status.st_mode));
  gives("link that follows", CALL(SYS_linkat, AT_FDCWD, "a/l", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW), 0);
  check("is the file", has("followed", "one"));
  gives("linkat with odd flags", CALL(SYS_linkat, AT_FDCWD, "a/l", AT_FDCWD, "no", 1), -EINVAL);

  gives("rename", CALL(SYS_rename, "hard", "a/b/moved"), 0);
  check("moved", has("a/b/moved", "one"));
  gives("rename of nothing", CALL(SYS_rename, "hard", "x"), -ENOENT);
  gives("rename below itself", CALL(SYS_rename, "a", "a/b/c"), -EINVAL);
  gives("rename over what it is in", CALL(SYS_rename, "a/b", "a"), -ENOTEMPTY);
  gives("rename of a file over a directory", CALL(SYS_rename, "a/f", "a/b"), -EISDIR);
  gives("rename of a directory over a file", CALL(SYS_rename, "a/b", "a/f"), -ENOTDIR);
  gives("rename to another name of the same file", CALL(SYS_rename, "followed", "a/f"), 0);
  check("keeps both", has("followed", "one") && has("a/f", "one"));
  gives("rename of a dot", CALL(SYS_rename, "a/.", "z"), -EBUSY);
  gives("mkdir", CALL(SYS_mkdir, "full", 0755), 0);
  make("full/x", "x");
  gives("rename over a full directory", CALL(SYS_rename, "a", "full"), -ENOTEMPTY);
  gives("noreplace", CALL(SYS_renameat2, AT_FDCWD, "a/f", AT_FDCWD, "full/x", 1), -EEXIST);
  gives("exchange", CALL(SYS_renameat2, AT_FDCWD, "a/b", AT_FDCWD, "full/x", 2), 0);
  check("exchanged", has("a/b", "x") && has("full/x/moved", "one"));
  gives("exchange with nothing", CALL(SYS_renameat2, AT_FDCWD, "a/b", AT_FDCWD, "nothing", 2), -ENOENT);
  gives("both flags", CALL(SYS_renameat2, AT_FDCWD, "a/b", AT_FDCWD, "nothing", 3), -EINVAL);
  int inside = open("full/x", O_RDONLY | O_DIRECTORY);
  gives("a directory moves with what is open", CALL(SYS_rename, "full/x", "elsewhere"), 0);
  gives("openat within it", CALL(SYS_faccessat, inside, "moved", R_OK), 0);
  gives("its parent", CALL(SYS_faccessat, inside, "../elsewhere/moved", R_OK), 0);
  gives("openat below a file", CALL(SYS_openat, open("a/f", O_RDONLY), "x", O_RDONLY), -ENOTDIR);
  gives("openat of no descriptor", CALL(SYS_openat, 999, "x", O_RDONLY), -EBADF);
  check("an absolute path needs none", CALL(SYS_openat, 999, "/", O_RDONLY) >= 0);

  gives("rmdir of a full one", CALL(SYS_rmdir, "elsewhere"), -ENOTEMPTY);
  gives("rmdir of a dot", CALL(SYS_rmdir, "elsewhere/."), -EINVAL);
  gives("rmdir of two dots", CALL(SYS_rmdir, "elsewhere/.."), -ENOTEMPTY);
  gives("rmdir of a file", CALL(SYS_rmdir, "a/f"), -ENOTDIR);
  gives("unlink of a directory", CALL(SYS_unlink, "a"), -EISDIR);
  gives("unlink with a slash", CALL(SYS_unlink, "a/f/"), -ENOTDIR);
  gives("unlinkat with odd flags", CALL(SYS_unlinkat, AT_FDCWD, "a/f", 1), -EINVAL);
  gives("rmdir of the root", CALL(SYS_rmdir, "/"), -EBUSY);
  int held = open("elsewhere/moved", O_RDONLY);
  gives("unlink of what is open", CALL(SYS_unlink, "elsewhere/moved"), 0);
  gives("it can still be read", read(held, text, 3), 3);
  gives("and is gone", CALL(SYS_access, "elsewhere/moved", F_OK), -ENOENT);
  gives("unlinkat of a directory", CALL(SYS_unlinkat, AT_FDCWD, "elsewhere", AT_REMOVEDIR), 0);
  gives("openat in a removed directory", CALL(SYS_openat, inside, "new", O_CREAT | O_RDWR, 0644), -ENOENT);
  gives("fstat of it", CALL(SYS_fstat, inside, &status), 0);
  gives("it has no names", status.st_nlink, 0);

  gives("chdir", CALL(SYS_chdir, "a"), 0);
  static char where[4096];
  check("getcwd", CALL(SYS_getcwd, where, sizeof where) == (long)strlen(base) + 3 && !strcmp(where + strlen(base), "/a"));
  gives("getcwd without room", CALL(SYS_getcwd, where, 4L), -ERANGE);
  gives("chdir to a file", CALL(SYS_chdir, "f"), -ENOTDIR);
  gives("chdir to nothing", CALL(SYS_chdir, "nothing"), -ENOENT);
  gives("fchdir to nothing", CALL(SYS_fchdir, 999), -EBADF);
  gives("fchdir to a file", CALL(SYS_fchdir, held), -ENOTDIR);
  gives("chdir up", CALL(SYS_chdir, ".."), 0);
  mkdir("lost", 0755);
  chdir("lost");
  rmdir("../lost");
  gives("getcwd of what is gone", CALL(SYS_getcwd, where, sizeof where), -ENOENT);
  gives("creation there", CALL(SYS_open, "x", O_CREAT | O_WRONLY, 0644), -ENOENT);
  gives("back", CALL(SYS_chdir, base), 0);

  int folder = open("a", O_PATH | O_DIRECTORY);
  gives("openat2", how(folder, "f", O_RDONLY, 0, 0), 0);
  gives("beneath, up", how(folder, "../a/f", O_RDONLY, 0, RESOLVE_BENEATH), -EXDEV);
  gives("beneath, down and up", how(folder, "./f", O_RDONLY, 0, RESOLVE_BENEATH), 0);
  gives("beneath, absolute", how(folder, "/tmp", O_RDONLY, 0, RESOLVE_BENEATH), -EXDEV);
  symlink("/f", "a/rooted");
  symlink("../../../../../f", "a/upwards");
  gives("in root, absolute link", how(folder, "rooted", O_RDONLY, 0, RESOLVE_IN_ROOT), 0);
  gives("in root, absolute", how(folder, "/f", O_RDONLY, 0, RESOLVE_IN_ROOT), 0);
  gives("in root, far up", how(folder, "upwards", O_RDONLY, 0, RESOLVE_IN_ROOT), 0);
  gives("no links", how(folder, "l", O_RDONLY, 0, RESOLVE_NO_SYMLINKS), -ELOOP);
  gives("odd flags", how(folder, "f", 1ULL << 40, 0, 0), -EINVAL);
  gives("a mode without creation", how(folder, "f", O_RDONLY, 0644, 0), -EINVAL);
  gives("odd resolve", how(folder, "f", O_RDONLY, 0, 1 << 20), -EINVAL);
  struct open_how wide = {O_RDONLY, 0, 0};
  gives("a short structure", CALL(SYS_openat2, folder, "f", &wide, 16L), -EINVAL);
  gives("O_PATH cannot be read", CALL(SYS_read, folder, text, 1L), -EBADF);
  gives("nor chmodded", CALL(SYS_fchmod, folder, 0755), -EBADF);

  int nameless = open("a", O_TMPFILE | O_RDWR, 0600);
  check("O_TMPFILE", nameless >= 0);
  gives("without a name", fstat(nameless, &status) ? -1 : (long)status.st_nlink, 0);
  gives("O_TMPFILE to read only", CALL(SYS_open, "a", O_TMPFILE | O_RDONLY, 0600), -EINVAL);

  int before = count("a");
  for (int index = 0; index < 300; index++) {
    sprintf(from, "a/n%d", index);
    make(from, "");
  }
  gives("all names are listed", count("a") - before, 300);
  DIR *list = opendir("a");
  int removed = 0;
  for (struct dirent *entry; (entry = readdir(list));)
    if (entry->d_name[0] == 'n') removed += unlinkat(dirfd(list), entry->d_name, 0) == 0;
  closedir(list);
  gives("also while they are removed", removed, 300);
  char small[24];
  int listed = open("a", O_RDONLY | O_DIRECTORY);
  gives("getdents64 without room", CALL(SYS_getdents64, listed, small, 8L), -EINVAL);
  gives("getdents64 of a file", CALL(SYS_getdents64, held, small, sizeof small), -ENOTDIR);
  gives("getdents64 to nowhere", CALL(SYS_getdents64, listed, NOWHERE, 4096L), -EFAULT);
  check("nothing was lost", CALL(SYS_getdents64, listed, where, sizeof where) > 100);
  gives("the end", CALL(SYS_getdents64, listed, where, sizeof where), 0);
  check("from the beginning again", lseek(listed, 0, SEEK_SET) == 0 && CALL(SYS_getdents64, listed, where, sizeof where) > 0);
  long got = CALL(SYS_read, listed, where, 10L);
  check("read of a directory", got == -EISDIR || got == -EINVAL);

  gives("a FIFO", CALL(SYS_mknod, "fifo", S_IFIFO | 0644, 0), 0);
  gives("is one", stat("fifo", &status) ? -1 : (long)(status.st_mode & S_IFMT), S_IFIFO);
  gives("mknod of a directory", CALL(SYS_mknod, "dir", S_IFDIR | 0755, 0), -EPERM);
  gives("mknod of a file", CALL(SYS_mknod, "plain", 0644, 0), 0);
  gives("mknod of a socket", CALL(SYS_mknod, "socket", S_IFSOCK | 0644, 0), 0);
  gives("which cannot be opened", CALL(SYS_open, "socket", O_RDONLY), -ENXIO);

  chdir("/");
  char clean[64];
  sprintf(clean, "rm -rf %s", base);
  if (access("/bin/sh", X_OK) == 0 && system(clean)) return 2;
  return finish();
}
