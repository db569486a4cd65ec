// What files are: modes, owners, times, attributes.
#include "../check.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

struct parts { uint32_t mask, block; uint64_t attributes; uint32_t links, user, group; uint16_t mode, pad; uint64_t inode, size; };

int main(void) {
  char base[] = "/tmp/status-XXXXXX";
  if (!mkdtemp(base) || chdir(base)) return 2;
  struct stat status, other;
  gives("umask", CALL(SYS_umask, 027), 022);
  umask(022);
  gives("umask again", CALL(SYS_umask, 022), 022);
  int file = open("f", O_CREAT | O_RDWR, 0666);
  gives("fstat", CALL(SYS_fstat, file, &status), 0);
  gives("mode", status.st_mode, S_IFREG | 0644);
  gives("links", status.st_nlink, 1);
  gives("size", status.st_size, 0);
  gives("stat", CALL(SYS_stat, "f", &other), 0);
  check("the same file", status.st_ino == other.st_ino && status.st_dev == other.st_dev);
  write(file, "0123456789", 10);
  gives("newfstatat", CALL(SYS_newfstatat, AT_FDCWD, "f", &status, 0), 0);
  gives("its size", status.st_size, 10);
  gives("of a descriptor", CALL(SYS_newfstatat, file, "", &status, AT_EMPTY_PATH), 0);
  gives("of an empty path", CALL(SYS_newfstatat, file, "", &status, 0), -ENOENT);
  gives("odd flags", CALL(SYS_newfstatat, AT_FDCWD, "f", &status, 1), -EINVAL);
  gives("to nowhere", CALL(SYS_newfstatat, AT_FDCWD, "f", NOWHERE, 0), -EFAULT);
  gives("a path from nowhere", CALL(SYS_newfstatat, AT_FDCWD, NOWHERE, &status, 0), -EFAULT);
  gives("fstat of no descriptor", CALL(SYS_fstat, 999, &status), -EBADF);
  static union { struct parts parts; char bytes[256]; } x;
  gives("statx", CALL(SYS_statx, AT_FDCWD, "f", 0, 0x7ff, &x), 0);
  check("tells the same", x.parts.size == 10 && x.parts.mode == (S_IFREG | 0644) && x.parts.inode == other.st_ino);
  check("and what it tells", (x.parts.mask & 0x7ff) == 0x7ff);
  gives("statx of a descriptor", CALL(SYS_statx, file, "", AT_EMPTY_PATH, 0x7ff, &x), 0);
  gives("statx with odd flags", CALL(SYS_statx, AT_FDCWD, "f", 1, 0x7ff, &x), -EINVAL);
  gives("statx with both kinds of synchronization", CALL(SYS_statx, AT_FDCWD, "f", 0x6000, 0x7ff, &x), -EINVAL);
  gives("statx with a reserved mask", CALL(SYS_statx, AT_FDCWD, "f", 0, 0x80000000u, &x), -EINVAL);
  gives("statx to nowhere", CALL(SYS_statx, AT_FDCWD, "f", 0, 0x7ff, NOWHERE), -EFAULT);
  mkdir("d", 0777);
  stat("d", &status);
  gives("a directory's mode", status.st_mode, S_IFDIR | 0755);
  stat("/dev/null", &status);
  gives("a device", status.st_rdev, 0x103);

  gives("chmod", CALL(SYS_chmod, "f", 0600), 0);
  gives("fchmod", CALL(SYS_fchmod, file, 06755), 0);
  fstat(file, &status);
  gives("all twelve bits", status.st_mode, S_IFREG | 06755);
  gives("fchmodat", CALL(SYS_fchmodat, AT_FDCWD, "f", 0644), 0);
  gives("chmod of nothing", CALL(SYS_chmod, "nothing", 0644), -ENOENT);
  gives("chown", CALL(SYS_chown, "f", 12, 34), 0);
  gives("fchown of the group", CALL(SYS_fchown, file, -1, 35), 0);
  fstat(file, &status);
  check("owners", status.st_uid == 12 && status.st_gid == 35);
  chmod("f", 06755);
  gives("chown again", CALL(SYS_lchown, "f", 0, 0), 0);
  fstat(file, &status);
  gives("takes set-id bits away", status.st_mode & 07777, 0755);
  symlink("f", "l");
  gives("owner of a link", CALL(SYS_fchownat, AT_FDCWD, "l", 7, 8, AT_SYMLINK_NOFOLLOW), 0);
  lstat("l", &status);
  fstat(file, &other);
  check("is the link's own", status.st_uid == 7 && other.st_uid == 0);
  gives("fchownat of a descriptor", CALL(SYS_fchownat, file, "", 0, 0, AT_EMPTY_PATH), 0);
  gives("fchownat with odd flags", CALL(SYS_fchownat, AT_FDCWD, "f", 0, 0, 1), -EINVAL);

  struct timespec times[2] = {{5, 6}, {7, 8}};
  gives("utimensat", CALL(SYS_utimensat, AT_FDCWD, "f", times, 0), 0);
  stat("f", &status);
  check("sets both", status.st_atim.tv_sec == 5 && status.st_atim.tv_nsec == 6 && status.st_mtim.tv_sec == 7 && status.st_mtim.tv_nsec == 8);
  times[0].tv_nsec = UTIME_OMIT;
  times[1].tv_sec = 9;
  gives("one left out", CALL(SYS_utimensat, AT_FDCWD, "f", times, 0), 0);
  stat("f", &status);
  check("stays", status.st_atim.tv_sec == 5 && status.st_mtim.tv_sec == 9);
  times[0].tv_nsec = UTIME_NOW;
  gives("one now", CALL(SYS_utimensat, file, NULL, times, 0), 0);
  fstat(file, &status);
  check("is now", status.st_atim.tv_sec > 1000000000 && status.st_mtim.tv_sec == 9);
  times[0].tv_nsec = 1000000000;
  gives("too many nanoseconds", CALL(SYS_utimensat, AT_FDCWD, "f", times, 0), -EINVAL);
  gives("times from nowhere", CALL(SYS_utimensat, AT_FDCWD, "f", NOWHERE, 0), -EFAULT);
  gives("of nothing", CALL(SYS_utimensat, AT_FDCWD, "nothing", NULL, 0), -ENOENT);
  struct timeval micro[2] = {{1, 2}, {3, 4}};
  gives("utimes", CALL(SYS_utimes, "f", micro), 0);
  stat("f", &status);
  check("in microseconds", status.st_atim.tv_nsec == 2000 && status.st_mtim.tv_sec == 3);
  micro[0].tv_usec = 1000000;
  gives("too many microseconds", CALL(SYS_utimes, "f", micro), -EINVAL);
  long both[2] = {11, 12};
  gives("utime", CALL(SYS_utime, "f", both), 0);
  stat("f", &status);
  check("in seconds", status.st_atim.tv_sec == 11 && status.st_mtim.tv_sec == 12);
  write(file, "x", 1);
  fstat(file, &status);
  check("a write is now", status.st_mtim.tv_sec > 1000000000);

  gives("access", CALL(SYS_access, "f", R_OK | W_OK), 0);
  chmod("f", 0644);
  gives("nobody executes it", CALL(SYS_access, "f", X_OK), -EACCES);
  gives("an odd mode", CALL(SYS_access, "f", 8), -EINVAL);
  gives("of nothing", CALL(SYS_access, "nothing", F_OK), -ENOENT);
  gives("faccessat2", CALL(439, AT_FDCWD, "f", R_OK, AT_EACCESS), 0);
  gives("faccessat2 with odd flags", CALL(439, AT_FDCWD, "f", R_OK, 1), -EINVAL);
  gives("faccessat2 of a dangling link", (symlink("gone", "g"), CALL(439, AT_FDCWD, "g", F_OK, AT_SYMLINK_NOFOLLOW)), 0);

  struct statfs system;
  gives("statfs", CALL(SYS_statfs, "f", &system), 0);
  gives("names", system.f_namelen, 255);
  gives("fstatfs", CALL(SYS_fstatfs, file, &system), 0);
  gives("statfs of nothing", CALL(SYS_statfs, "nothing", &system), -ENOENT);
  gives("statfs to nowhere", CALL(SYS_statfs, "f", NOWHERE), -EFAULT);

  char value[64];
  long has = CALL(SYS_setxattr, "f", "user.one", "first", 5L, 0);
  gives("setxattr", has, 0);
  gives("getxattr", CALL(SYS_getxattr, "f", "user.one", value, sizeof value), 5);
  check("its value", !memcmp(value, "first", 5));
  gives("its size", CALL(SYS_getxattr, "f", "user.one", NULL, 0L), 5);
  gives("without room", CALL(SYS_getxattr, "f", "user.one", value, 3L), -ERANGE);
  gives("of another name", CALL(SYS_getxattr, "f", "user.two", value, sizeof value), -ENODATA);
  gives("of no kind", CALL(SYS_getxattr, "f", "strange.two", value, sizeof value), -EOPNOTSUPP);
  gives("of an empty name", CALL(SYS_getxattr, "f", "", value, sizeof value), -ERANGE);
  gives("created twice", CALL(SYS_fsetxattr, file, "user.one", "x", 1L, XATTR_CREATE), -EEXIST);
  gives("replaced", CALL(SYS_fsetxattr, file, "user.one", "x", 1L, XATTR_REPLACE), 0);
  gives("replaced where there is none", CALL(SYS_fsetxattr, file, "user.two", "x", 1L, XATTR_REPLACE), -ENODATA);
  gives("odd flags", CALL(SYS_fsetxattr, file, "user.two", "x", 1L, 8), -EINVAL);
  gives("too long", CALL(SYS_fsetxattr, file, "user.two", "x", 65537L, 0), -E2BIG);
  gives("of a link", CALL(SYS_lsetxattr, "l", "user.two", "x", 1L, 0), -EPERM);
  gives("listxattr", CALL(SYS_listxattr, "f", value, sizeof value), 9);
  check("its names", !memcmp(value, "user.one", 9));
  gives("removexattr", CALL(SYS_removexattr, "f", "user.one"), 0);
  gives("twice", CALL(SYS_removexattr, "f", "user.one"), -ENODATA);
  gives("POSIX lists are empty", CALL(SYS_getxattr, "f", "security.selinux", value, sizeof value), -ENODATA);

  // As somebody else.
  mkdir("closed", 0700);
  mkdir("shared", 0777);
  chmod("shared", 01777);
  mkdir("open", 0755);
  close(open("closed/f", O_CREAT, 0666));
  close(open("shared/mine", O_CREAT | O_WRONLY, 0666));
  chmod(base, 0755);
  if (setgid(1000) || setuid(1000)) return 2;
  gives("a closed directory", CALL(SYS_open, "closed/f", O_RDONLY), -EACCES);
  gives("is not listed", CALL(SYS_open, "closed", O_RDONLY), -EACCES);
  gives("another's file is not written", CALL(SYS_open, "f", O_WRONLY), -EACCES);
  gives("nor cut", CALL(SYS_open, "f", O_RDONLY | O_TRUNC), -EACCES);
  gives("but read", (file = CALL(SYS_open, "f", O_RDONLY)) >= 0, 1);
  gives("another's directory takes no names", CALL(SYS_mkdir, "open/x", 0755), -EACCES);
  gives("nor gives them", CALL(SYS_unlink, "f"), -EACCES);
  gives("a sticky one takes them", CALL(SYS_mkdir, "shared/x", 0755), 0);
  gives("but gives only one's own", CALL(SYS_unlink, "shared/mine"), -EPERM);
  gives("rename of another's", CALL(SYS_rename, "shared/mine", "shared/yours"), -EPERM);
  gives("rmdir of one's own", CALL(SYS_rmdir, "shared/x"), 0);
  gives("chmod of another's", CALL(SYS_chmod, "f", 0777), -EPERM);
  gives("chown", CALL(SYS_chown, "f", 1000, -1), -EPERM);
  gives("utimes of another's", CALL(SYS_utimensat, AT_FDCWD, "f", times, 0), -EINVAL);
  times[0].tv_nsec = 1;
  gives("times of another's", CALL(SYS_utimensat, AT_FDCWD, "f", times, 0), -EPERM);
  gives("now for another's", CALL(SYS_utimensat, AT_FDCWD, "f", NULL, 0), -EACCES);
  gives("truncate of another's", CALL(SYS_truncate, "f", 0L), -EACCES);
  gives("xattr of another's", CALL(SYS_setxattr, "f", "user.x", "x", 1L, 0), -EACCES);
  gives("trusted ones", CALL(SYS_getxattr, "f", "trusted.x", value, 1L), -ENODATA);
  gives("O_NOATIME of another's", CALL(SYS_open, "f", O_RDONLY | O_NOATIME), -EPERM);
  gives("a device", CALL(SYS_mknod, "shared/device", S_IFCHR | 0666, 0x103), -EPERM);
  gives("chroot", CALL(SYS_chroot, "shared"), -EPERM);
  gives("chdir into a closed one", CALL(SYS_chdir, "closed"), -EACCES);
  gives("access", CALL(SYS_access, "f", W_OK), -EACCES);
  close(open("shared/own", O_CREAT | O_WRONLY, 0640));
  gives("one's own is changed", CALL(SYS_chmod, "shared/own", 0400), 0);
  gives("and obeyed", CALL(SYS_open, "shared/own", O_WRONLY), -EACCES);
  gives("its creator may write what is made unwritable", (file = CALL(SYS_open, "shared/odd", O_CREAT | O_RDWR, 0000)) >= 0, 1);
  return finish();
}
