// Mounts and namespaces of a program that may (mount(2), umount2(2), pivot_root(2), unshare(2), chroot(2)), in a mount namespace of its own.
#include "../check.h"
#include "../children.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <sys/sem.h>

#define NONE "none"
static long mounts(const char *from, const char *to, const char *type, unsigned long flags, const char *data) {
  return CALL(SYS_mount, from, to, type, flags, data);
}
static void put(const char *path, const char *text) {
  int f = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (write(f, text, strlen(text)) < 0) perror(path);
  close(f);
}
static int holds(const char *path, const char *text) {
  char b[100] = "";
  int f = open(path, O_RDONLY);
  if (f < 0) return 0;
  if (read(f, b, sizeof b - 1) < 0) b[0] = 0;
  close(f);
  return !strcmp(b, text);
}
static int is(const char *path) { return access(path, F_OK) == 0; }
static int listed(const char *point) {
  char line[1000], where[500];
  int found = 0;
  FILE *f = fopen("/proc/self/mounts", "r");
  while (f && fgets(line, sizeof line, f)) found += sscanf(line, "%*s %499s", where) == 1 && !strcmp(where, point);
  if (f) fclose(f);
  return found;
}

static int unprivileged(void) {
  if (setgid(4321) || setuid(4321)) return 1;
  if (mounts(NONE, "/tmp", "tmpfs", 0, 0) != -EPERM || CALL(SYS_umount2, "/tmp", 0) != -EPERM) return 2;
  if (CALL(SYS_unshare, CLONE_NEWNS) != -EPERM || CALL(SYS_unshare, CLONE_NEWUTS) != -EPERM) return 3;
  if (CALL(SYS_pivot_root, "/", "/") != -EPERM || CALL(SYS_chroot, "/") != -EPERM) return 4;
  if (CALL(SYS_unshare, CLONE_FS | CLONE_FILES)) return 5;
  return mounts(NONE, "/nowhere", "tmpfs", 0, 0) == -ENOENT ? 0 : 6;
}

static int apart(void) {
  if (unshare(CLONE_NEWNS)) return 1;
  if (mounts(NONE, "b", "tmpfs", 0, 0)) return 2;
  put("b/apart", "x");
  return is("b/apart") ? 0 : 3;
}

static int pivots(void) {
  if (unshare(CLONE_NEWNS)) return 1;
  if (mounts(NONE, "b", "tmpfs", 0, 0)) return 2;
  mkdir("b/old", 0700);
  put("b/inside", "here");
  if (CALL(SYS_pivot_root, "a", "a/x") != -EINVAL) return 3;
  if (CALL(SYS_pivot_root, "b", "a") != -EINVAL) return 4;
  if (CALL(SYS_pivot_root, "b", "b/old")) return 5;
  if (!holds("/inside", "here") || is("/tmp") || !is("/old/tmp")) return 6;
  if (CALL(SYS_umount2, "/old", 0) != -EBUSY) return 7;
  if (chdir("/") || umount2("/old", MNT_DETACH)) return 8;
  return !is("/old/tmp") && holds("/inside", "here") ? 0 : 9;
}
static int pivotsInPlace(void) {
  if (unshare(CLONE_NEWNS) || mounts(NONE, "b", "tmpfs", 0, 0)) return 1;
  put("b/inside", "here");
  if (chdir("b") || CALL(SYS_pivot_root, ".", ".")) return 2;
  if (umount2(".", MNT_DETACH) || chdir("/")) return 3;
  return holds("/inside", "here") && !is("/tmp") ? 0 : 4;
}
static int changesRoot(void) {
  mkdir("a/inner", 0755);
  put("a/inner/file", "inner");
  if (chroot("a/inner") || chdir("/")) return 1;
  char where[100];
  if (!getcwd(where, sizeof where) || strcmp(where, "/")) return 2;
  return holds("/../../file", "inner") && !is("/tmp") ? 0 : 3;
}
static int renames(void) {
  struct utsname u;
  if (unshare(CLONE_NEWUTS) || sethostname("apart", 5) || uname(&u)) return 1;
  return strcmp(u.nodename, "apart") || !holds("/proc/sys/kernel/hostname", "apart\n");
}
static int set;
static int objects(void) {
  if (unshare(CLONE_NEWIPC)) return 1;
  return CALL(SYS_semctl, set, 0, GETVAL, 0) == -EINVAL ? 0 : 2;
}

// The root is within the place that is to become the root: the tree would hang from itself.
static int upsideDown(void) {
  if (mkdir("outer", 0755) || mounts(NONE, "outer", "tmpfs", 0, 0) || mkdir("outer/inner", 0755)) return 1;
  if (mkdir("outer/put", 0755) || mounts(NONE, "outer/inner", "tmpfs", 0, 0)) return 2;
  int outer = open("outer", O_RDONLY | O_DIRECTORY);
  if (chroot("outer/inner") || fchdir(outer)) return 3;
  long result = CALL(SYS_pivot_root, ".", "put");
  struct stat s;
  if (stat("put/../inner/..", &s)) return 4;
  return result == -EINVAL ? 0 : 5;
}
// What is mounted no more takes part in nothing. Linux says EINVAL, of late ENOENT where it is the place.
static int refuses(long result) { return result == -EINVAL || result == -ENOENT; }
static int detached(void) {
  if (mkdir("lost", 0755) || mkdir("elsewhere", 0755) || mounts(NONE, "lost", "tmpfs", 0, 0)) return 1;
  if (mkdir("lost/in", 0755)) return 2;
  int here = open(".", O_RDONLY | O_DIRECTORY), lost = open("lost", O_RDONLY | O_DIRECTORY);
  if (umount2("lost", MNT_DETACH) || fchdir(lost)) return 3;
  if (!refuses(mounts(NONE, "in", "tmpfs", 0, 0))) return 4;
  char place[32];
  snprintf(place, sizeof place, "/proc/self/fd/%d", here);
  if (!refuses(mounts(place, "in", 0, MS_BIND, 0))) return 5;
  fchdir(here);
  snprintf(place, sizeof place, "/proc/self/fd/%d/in", lost);
  if (mounts(place, "elsewhere", 0, MS_BIND, 0) != -EINVAL) return 6;
  if (mounts(NONE, "elsewhere", "tmpfs", 0, 0) || !refuses(mounts("elsewhere", place, 0, MS_MOVE, 0))) return 7;
  return umount2("elsewhere", 0) ? 8 : 0;
}

int main(void) {
  if (geteuid() != 0) {
    check("for root only", 1);
    return finish();
  }
  if (unshare(CLONE_NEWNS) || mount(0, "/", 0, MS_REC | MS_PRIVATE, 0)) {
    check("a mount namespace of its own", 0);
    return finish();
  }
  char folder[] = "/tmp/mounts-XXXXXX";
  check("a folder", mkdtemp(folder) && chdir(folder) == 0);
  gives("tmpfs", mounts(NONE, folder, "tmpfs", 0, "mode=755,size=1m"), 0);
  chdir("/");
  chdir(folder);
  struct stat s;
  struct statfs f;
  stat(".", &s);
  gives("its mode", s.st_mode, S_IFDIR | 0755);
  statfs(".", &f);
  check("its size", f.f_type == 0x01021994 && f.f_blocks * f.f_bsize == 1 << 20);
  gives("listed", listed(folder), 1);
  mkdir("a", 0755);
  mkdir("b", 0755);
  mkdir("a/x", 0755);
  put("a/file", "one");
  put("other", "two");
  gives("no such type", mounts(NONE, "b", "nosuchfs", 0, 0), -ENODEV);
  gives("no type", mounts(NONE, "b", 0, 0, 0), -EINVAL);
  gives("no place", mounts(NONE, "nowhere", "tmpfs", 0, 0), -ENOENT);
  gives("a place nowhere", mounts(NONE, NOWHERE, "tmpfs", 0, 0), -EFAULT);
  gives("on a file", mounts(NONE, "other", "tmpfs", 0, 0), -ENOTDIR);
  gives("bad options", mounts(NONE, "b", "tmpfs", 0, "nosuchoption=1"), -EINVAL);
  gives("bind", mounts("a", "b", 0, MS_BIND, 0), 0);
  check("the same", holds("b/file", "one"));
  put("b/new", "new");
  check("both ways", holds("a/new", "new"));
  gives("read-only", mounts(0, "b", 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0), 0);
  gives("there", CALL(SYS_open, "b/file", O_WRONLY), -EROFS);
  check("not here", (close(open("a/file", O_WRONLY)), holds("a/file", "one")));
  gives("a file on a file", mounts("a/file", "other", 0, MS_BIND, 0), 0);
  check("covered", holds("other", "one"));
  gives("a file on a folder", mounts("a/file", "a/x", 0, MS_BIND, 0), -ENOTDIR);
  gives("a folder on a file", mounts("a", "other", 0, MS_BIND, 0), -ENOTDIR);
  gives("away", CALL(SYS_umount2, "other", 0), 0);
  check("uncovered", holds("other", "two"));
  gives("no mount", CALL(SYS_umount2, "other", 0), -EINVAL);
  gives("no such file", CALL(SYS_umount2, "nothing", 0), -ENOENT);
  gives("bad flags", CALL(SYS_umount2, "b", 0x100), -EINVAL);
  int held = open("b/file", O_RDONLY);
  gives("in use", CALL(SYS_umount2, "b", 0), -EBUSY);
  gives("lazily", CALL(SYS_umount2, "b", MNT_DETACH), 0);
  char c;
  check("read on", read(held, &c, 1) == 1 && c == 'o');
  close(held);
  check("gone", !is("b/file"));
  gives("remount no mount", mounts(0, "b", 0, MS_REMOUNT | MS_BIND, 0), -EINVAL);
  gives("private no mount", mounts(0, "b", 0, MS_PRIVATE, 0), -EINVAL);
  gives("within", mounts(NONE, "a/x", "tmpfs", MS_NOEXEC | MS_NODEV, 0), 0);
  put("a/x/deep", "deep");
  gives("bind without", mounts("a", "b", 0, MS_BIND, 0), 0);
  check("what is mounted within is not there", is("b/x") && !is("b/x/deep"));
  gives("off", CALL(SYS_umount2, "b", 0), 0);
  gives("bind with", mounts("a", "b", 0, MS_BIND | MS_REC, 0), 0);
  check("is there", holds("b/x/deep", "deep"));
  gives("it has a mount in it", CALL(SYS_umount2, "b", 0), -EBUSY);
  gives("all of it", CALL(SYS_umount2, "b", MNT_DETACH), 0);
  check("the first is left", holds("a/x/deep", "deep"));
  mkdir("moved", 0755);
  gives("move", mounts("a/x", "moved", 0, MS_MOVE, 0), 0);
  check("is there now", holds("moved/deep", "deep") && !is("a/x/deep"));
  gives("move what is no mount", mounts("a", "b", 0, MS_MOVE, 0), -EINVAL);
  mkdir("moved/in", 0755);
  gives("move into itself", mounts("moved", "moved/in", 0, MS_MOVE, 0), -ELOOP);
  gives("one on the other", mounts(NONE, "moved", "tmpfs", 0, 0), 0);
  check("covers", !is("moved/deep"));
  gives("the upper one", CALL(SYS_umount2, "moved", 0), 0);
  check("the lower again", holds("moved/deep", "deep"));
  gives("proc", mounts("proc", "b", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0), 0);
  check("with processes", is("b/self/status") && is("b/1"));
  gives("and off", CALL(SYS_umount2, "b", 0), 0);
  gives("remove what is mounted on", CALL(SYS_unlinkat, AT_FDCWD, "moved", AT_REMOVEDIR), -EBUSY);
  gives("another namespace", child(apart), 0);
  check("is another", !is("b/apart"));
  gives("pivot_root", child(pivots), 0);
  gives("pivot_root in place", child(pivotsInPlace), 0);
  gives("chroot", child(changesRoot), 0);
  gives("pivot_root to what the root is in", child(upsideDown), 0);
  gives("what is mounted no more", child(detached), 0);
  check("the parent's root is as it was", is("/tmp"));
  struct utsname before, after;
  uname(&before);
  gives("names", child(renames), 0);
  uname(&after);
  check("the parent's are as they were", !strcmp(before.nodename, after.nodename));
  set = semget(IPC_PRIVATE, 1, 0600);
  gives("objects", child(objects), 0);
  semctl(set, 0, IPC_RMID);
  gives("what is not shared", CALL(SYS_unshare, 0x20), -EINVAL);
  gives("setns of a file", CALL(SYS_setns, open("other", O_RDONLY), 0), -EINVAL);
  gives("setns of nothing", CALL(SYS_setns, 999, 0), -EBADF);
  chdir("/");
  gives("without privileges", child(unprivileged), 0);
  umount2(folder, MNT_DETACH);
  gives("nothing is left", rmdir(folder), 0);
  return finish();
}
