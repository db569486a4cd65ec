// Names beneath a directory's descriptor, and the older forms of newer calls; attributes of links and of descriptors.
#include "../check.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/xattr.h>

static struct stat seen(int folder, const char *name) {
  struct stat status = {0};
  fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW);
  return status;
}

static void making(int folder) {
  int file = CALL(SYS_creat, "made", 0640);
  check("creat", file >= 0);
  gives("creat: its mode", seen(AT_FDCWD, "made").st_mode, S_IFREG | 0640);
  gives("creat: for writing only", CALL(SYS_read, file, &file, 1), -EBADF);
  gives("creat: empties", write(file, "abc", 3) == 3 && close(CALL(SYS_creat, "made", 0)) == 0 && seen(AT_FDCWD, "made").st_size == 0, 1);
  gives("creat: a folder", CALL(SYS_creat, ".", 0600), -EISDIR);
  gives("creat: from nowhere", CALL(SYS_creat, NOWHERE, 0600), -EFAULT);
  close(file);

  gives("mkdirat", CALL(SYS_mkdirat, folder, "d", 0750), 0);
  gives("mkdirat: its mode", seen(folder, "d").st_mode, S_IFDIR | 0750);
  gives("mkdirat: again", CALL(SYS_mkdirat, folder, "d", 0750), -EEXIST);
  gives("mkdirat: from nowhere", CALL(SYS_mkdirat, folder, NOWHERE, 0750), -EFAULT);
  gives("mkdirat: no descriptor", CALL(SYS_mkdirat, 999, "e", 0750), -EBADF);
  gives("mkdirat: of no folder", CALL(SYS_mkdirat, (file = open("made", O_RDONLY)), "e", 0750), -ENOTDIR);
  gives("mkdirat: nothing", CALL(SYS_mkdirat, folder, "", 0750), -ENOENT);

  gives("mknodat: a file", CALL(SYS_mknodat, folder, "plain", S_IFREG | 0600, 0), 0);
  gives("mknodat: without a kind", CALL(SYS_mknodat, folder, "plain2", 0600, 0), 0);
  gives("mknodat: a pipe", CALL(SYS_mknodat, folder, "pipe", S_IFIFO | 0600, 0), 0);
  gives("mknodat: it is one", seen(folder, "pipe").st_mode, S_IFIFO | 0600);
  gives("mknodat: a folder", CALL(SYS_mknodat, folder, "no", S_IFDIR | 0600, 0), -EPERM);
  gives("mknodat: an odd kind", CALL(SYS_mknodat, folder, "no", 0170000, 0), -EINVAL);
  gives("mknodat: again", CALL(SYS_mknodat, folder, "pipe", S_IFIFO | 0600, 0), -EEXIST);
  gives("mknodat: no descriptor", CALL(SYS_mknodat, 999, "no", S_IFIFO | 0600, 0), -EBADF);
  gives("mknodat: from nowhere", CALL(SYS_mknodat, folder, NOWHERE, S_IFIFO | 0600, 0), -EFAULT);

  char text[16] = "";
  gives("symlinkat", CALL(SYS_symlinkat, "plain", folder, "link"), 0);
  gives("symlinkat: again", CALL(SYS_symlinkat, "plain", folder, "link"), -EEXIST);
  gives("symlinkat: to nothing", CALL(SYS_symlinkat, "", folder, "empty"), -ENOENT);
  gives("symlinkat: from nowhere", CALL(SYS_symlinkat, NOWHERE, folder, "no"), -EFAULT);
  gives("symlinkat: no descriptor", CALL(SYS_symlinkat, "plain", 999, "no"), -EBADF);
  gives("readlinkat", CALL(SYS_readlinkat, folder, "link", text, sizeof text), 5);
  check("readlinkat: its text", memcmp(text, "plain", 5) == 0);
  gives("readlinkat: cut", CALL(SYS_readlinkat, folder, "link", text, 2), 2);
  gives("readlinkat: no room", CALL(SYS_readlinkat, folder, "link", text, 0), -EINVAL);
  gives("readlinkat: to nowhere", CALL(SYS_readlinkat, folder, "link", NOWHERE, 8), -EFAULT);
  gives("readlinkat: no link", CALL(SYS_readlinkat, folder, "plain", text, sizeof text), -EINVAL);
  gives("readlinkat: no descriptor", CALL(SYS_readlinkat, 999, "link", text, sizeof text), -EBADF);
  int link = openat(folder, "link", O_PATH | O_NOFOLLOW);
  gives("readlinkat: of a descriptor", CALL(SYS_readlinkat, link, "", text, sizeof text), 5);
  close(link);

  gives("renameat", CALL(SYS_renameat, folder, "plain2", AT_FDCWD, "here"), 0);
  gives("renameat: it went", seen(AT_FDCWD, "here").st_nlink == 1 && seen(folder, "plain2").st_nlink == 0, 1);
  gives("renameat: not there", CALL(SYS_renameat, folder, "plain2", AT_FDCWD, "here"), -ENOENT);
  gives("renameat: no descriptor", CALL(SYS_renameat, 999, "plain", AT_FDCWD, "here"), -EBADF);
  gives("renameat: a file over a folder", CALL(SYS_renameat, AT_FDCWD, "here", folder, "d"), -EISDIR);
  gives("renameat: a folder over a file", CALL(SYS_renameat, folder, "d", AT_FDCWD, "here"), -ENOTDIR);
  gives("renameat: from nowhere", CALL(SYS_renameat, folder, NOWHERE, AT_FDCWD, "here"), -EFAULT);
  close(file);
}

static void changing(int folder) {
  struct timeval times[2] = {{1000, 5}, {2000, 7}}, odd[2] = {{1000, 1000000}, {2000, 0}};
  gives("futimesat", CALL(SYS_futimesat, folder, "plain", times), 0);
  struct stat status = seen(folder, "plain");
  check("futimesat: as said", status.st_atim.tv_sec == 1000 && status.st_atim.tv_nsec == 5000 && status.st_mtim.tv_sec == 2000 && status.st_mtim.tv_nsec == 7000);
  gives("futimesat: too many microseconds", CALL(SYS_futimesat, folder, "plain", odd), -EINVAL);
  gives("futimesat: from nowhere", CALL(SYS_futimesat, folder, "plain", NOWHERE), -EFAULT);
  gives("futimesat: not there", CALL(SYS_futimesat, folder, "nothing", times), -ENOENT);
  gives("futimesat: no descriptor", CALL(SYS_futimesat, 999, "plain", times), -EBADF);

  // Linux has it since 6.6.
  long result = CALL(452, folder, "plain", 0604, 0);
  int is_there = result != -ENOSYS;
  check("fchmodat2", !is_there || (result == 0 && seen(folder, "plain").st_mode == (S_IFREG | 0604)));
  check("fchmodat2: flags", !is_there || CALL(452, folder, "plain", 0604, 1) == -EINVAL);
  check("fchmodat2: from nowhere", !is_there || CALL(452, folder, NOWHERE, 0604, 0) == -EFAULT);
  check("fchmodat2: not there", !is_there || CALL(452, folder, "nothing", 0604, 0) == -ENOENT);
  check("fchmodat2: no descriptor", !is_there || CALL(452, 999, "plain", 0604, 0) == -EBADF);

  int file = openat(folder, "plain", O_RDWR), path = openat(folder, "plain", O_PATH);
  char value[16], name[] = "user.a";
  gives("fsetxattr", CALL(SYS_fsetxattr, file, name, "12345", 5, 0), 0);
  gives("fgetxattr", CALL(SYS_fgetxattr, file, name, value, sizeof value), 5);
  gives("fgetxattr: its size", CALL(SYS_fgetxattr, file, name, 0, 0), 5);
  gives("fgetxattr: too little room", CALL(SYS_fgetxattr, file, name, value, 2), -ERANGE);
  gives("fgetxattr: to nowhere", CALL(SYS_fgetxattr, file, name, NOWHERE, 16), -EFAULT);
  gives("fgetxattr: not there", CALL(SYS_fgetxattr, file, "user.b", value, sizeof value), -ENODATA);
  gives("fgetxattr: no descriptor", CALL(SYS_fgetxattr, 999, name, value, sizeof value), -EBADF);
  gives("fgetxattr: a name from nowhere", CALL(SYS_fgetxattr, file, NOWHERE, value, sizeof value), -EFAULT);
  gives("fgetxattr: a place alone", CALL(SYS_fgetxattr, path, name, value, sizeof value), -EBADF);
  gives("flistxattr", CALL(SYS_flistxattr, file, value, sizeof value), sizeof name);
  check("flistxattr: its name", memcmp(value, name, sizeof name) == 0);
  gives("flistxattr: its size", CALL(SYS_flistxattr, file, 0, 0), sizeof name);
  gives("flistxattr: too little room", CALL(SYS_flistxattr, file, value, 2), -ERANGE);
  gives("flistxattr: no descriptor", CALL(SYS_flistxattr, 999, value, sizeof value), -EBADF);
  if (fchdir(folder)) return;
  gives("lgetxattr: of the link, not the file", CALL(SYS_lgetxattr, "link", name, value, sizeof value), -ENODATA);
  gives("lgetxattr: of a file", CALL(SYS_lgetxattr, "plain", name, value, sizeof value), 5);
  gives("lgetxattr: not there", CALL(SYS_lgetxattr, "nothing", name, value, sizeof value), -ENOENT);
  gives("llistxattr: a link has none", CALL(SYS_llistxattr, "link", value, sizeof value), 0);
  gives("llistxattr: of a file", CALL(SYS_llistxattr, "plain", value, sizeof value), sizeof name);
  gives("llistxattr: from nowhere", CALL(SYS_llistxattr, NOWHERE, value, sizeof value), -EFAULT);
  gives("lremovexattr: of a link", CALL(SYS_lremovexattr, "link", name), -EPERM);
  gives("lremovexattr", CALL(SYS_lremovexattr, "plain", name), 0);
  gives("lremovexattr: again", CALL(SYS_lremovexattr, "plain", name), -ENODATA);
  gives("fremovexattr: not there", CALL(SYS_fremovexattr, file, name), -ENODATA);
  gives("fremovexattr: no descriptor", CALL(SYS_fremovexattr, 999, name), -EBADF);
  gives("fremovexattr: from nowhere", CALL(SYS_fremovexattr, file, NOWHERE), -EFAULT);
  CALL(SYS_fsetxattr, file, name, "1", 1, 0);
  gives("fremovexattr", CALL(SYS_fremovexattr, file, name), 0);

  struct iovec parts[2] = {{"abc", 3}, {"de", 2}}, bad[2] = {{"abc", 3}, {NOWHERE, 2}};
  gives("pwritev", CALL(SYS_pwritev, file, parts, 2, 10, 0), 5);
  gives("pwritev: where it was said", seen(AT_FDCWD, "plain").st_size, 15);
  gives("pwritev: the place stays", lseek(file, 0, SEEK_CUR), 0);
  gives("pwritev: before the file", CALL(SYS_pwritev, file, parts, 2, -1L, -1L), -EINVAL);
  gives("pwritev: too many parts", CALL(SYS_pwritev, file, parts, 1025, 0, 0), -EINVAL);
  gives("pwritev: parts from nowhere", CALL(SYS_pwritev, file, NOWHERE, 1, 0, 0), -EFAULT);
  gives("pwritev: bytes from nowhere", CALL(SYS_pwritev, file, bad + 1, 1, 0, 0), -EFAULT);
  gives("pwritev: no descriptor", CALL(SYS_pwritev, 999, parts, 2, 0, 0), -EBADF);
  int ends[2];
  gives("pwritev: a pipe", pipe(ends) == 0 ? CALL(SYS_pwritev, ends[1], parts, 2, 0, 0) : 0, -ESPIPE);

  gives("sync", CALL(SYS_sync), 0);
  gives("syncfs", CALL(SYS_syncfs, file), 0);
  gives("syncfs: no descriptor", CALL(SYS_syncfs, 999), -EBADF);
  gives("syncfs: a place alone", CALL(SYS_syncfs, path), -EBADF);
  close(file), close(path);
}

// struct linux_dirent: inode, offset, length, name; the kind in the last byte.
static void listing(int folder) {
  char block[4096];
  long size = CALL(SYS_getdents, folder, block, sizeof block);
  check("getdents", size > 0);
  int found = 0, links = 0;
  for (long at = 0; at < size;) {
    unsigned short length;
    memcpy(&length, block + at + 16, 2);
    found++;
    if (strcmp(block + at + 18, "link") == 0) links += block[at + length - 1] == DT_LNK;
    at += length;
  }
  // ".", "..", d, plain, pipe, link.
  gives("getdents: all", found, 6);
  gives("getdents: a link is one", links, 1);
  gives("getdents: the end", CALL(SYS_getdents, folder, block, sizeof block), 0);
  lseek(folder, 0, SEEK_SET);
  gives("getdents: too little room", CALL(SYS_getdents, folder, block, 8), -EINVAL);
  gives("getdents: to nowhere", CALL(SYS_getdents, folder, NOWHERE, 4096), -EFAULT);
  gives("getdents: no descriptor", CALL(SYS_getdents, 999, block, sizeof block), -EBADF);
  gives("getdents: no folder", CALL(SYS_getdents, openat(folder, "plain", O_RDONLY), block, sizeof block), -ENOTDIR);
}

int main(void) {
  char base[] = "/tmp/names-XXXXXX";
  umask(0);
  if (!mkdtemp(base) || chdir(base) || mkdir("f", 0755)) return 2;
  int folder = open("f", O_RDONLY | O_DIRECTORY);
  making(folder);
  changing(folder);
  listing(folder);
  return finish();
}
