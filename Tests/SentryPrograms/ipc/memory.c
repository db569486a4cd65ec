// System V shared memory: shmget(2), shmop(2), shmctl(2).
#include "../check.h"
#include "../children.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <time.h>

static int id;
static struct shmid_ds d;
static long stat(void) { return CALL(SYS_shmctl, id, IPC_STAT, &d); }
static long attach(void *at, int flags) { return CALL(SYS_shmat, id, at, flags); }
static int failed(long address) { return address < 0 && address > -4096; }

static void getting(void) {
  key_t key = 0x5f000000 + (getpid() & 0xffff);
  gives("no such key", CALL(SYS_shmget, key, 4096, 0), -ENOENT);
  gives("no size", CALL(SYS_shmget, key, 0, IPC_CREAT | 0600), -EINVAL);
  gives("no such size", CALL(SYS_shmget, key, -1UL, IPC_CREAT | 0600), -EINVAL);
  id = CALL(SYS_shmget, key, 10000, IPC_CREAT | IPC_EXCL | 0640);
  check("made", id >= 0);
  gives("it is there", CALL(SYS_shmget, key, 10000, IPC_CREAT | IPC_EXCL | 0640), -EEXIST);
  gives("by its key", CALL(SYS_shmget, key, 0, 0), id);
  gives("too large", CALL(SYS_shmget, key, 10001, 0), -EINVAL);
  gives("stat", stat(), 0);
  check("as it was made", d.shm_segsz == 10000 && (d.shm_perm.mode & 0777) == 0640 && d.shm_nattch == 0);
  check("whose", d.shm_cpid == getpid() && d.shm_perm.cuid == geteuid() && d.shm_atime == 0);
  check("when", d.shm_ctime <= time(0) && d.shm_ctime > time(0) - 100);
  gives("stat into nothing", CALL(SYS_shmctl, id, IPC_STAT, NOWHERE), -EFAULT);
  d.shm_perm.mode = 0600;
  gives("set", CALL(SYS_shmctl, id, IPC_SET, &d), 0);
  stat();
  gives("is set", d.shm_perm.mode & 0777, 0600);
  gives("no such command", CALL(SYS_shmctl, id, 99, &d), -EINVAL);
  gives("remove", CALL(SYS_shmctl, id, IPC_RMID, 0), 0);
  gives("gone", stat(), -EINVAL);
  gives("by key too", CALL(SYS_shmget, key, 0, 0), -ENOENT);
  gives("nothing to attach", attach(0, 0), -EINVAL);
  gives("no such segment", CALL(SYS_shmat, -1, 0, 0), -EINVAL);
  struct shminfo info;
  check("IPC_INFO", CALL(SYS_shmctl, 0, IPC_INFO, &info) >= 0);
  check("limits", info.shmmin == 1 && info.shmmni == 4096);
}

static int writer(void) {
  long at = attach(0, 0);
  if (failed(at)) return 1;
  *(volatile int *)(at + 8000) = 77;
  return stat() || d.shm_nattch != 3;
}
static sigjmp_buf back;
static void fault(int signal) { siglongjmp(back, signal); }

static int executes(void) {
  execl("/proc/self/exe", "program", "child", (char *)0);
  return 1;
}

static void attaching(void) {
  id = shmget(IPC_PRIVATE, 10000, 0600);
  long one = attach(0, 0);
  check("attached", !failed(one) && one % 4096 == 0);
  char *m = (char *)one;
  int zero = 1;
  for (int i = 0; i < 10000; i++) zero &= m[i] == 0;
  check("zero", zero);
  strcpy(m, "shared");
  long two = attach(0, SHM_RDONLY);
  check("twice", !failed(two) && two != one && !strcmp((char *)two, "shared"));
  signal(SIGSEGV, fault);
  int got = sigsetjmp(back, 1);
  if (!got) *(volatile char *)two = 1;
  gives("for reading only", got, SIGSEGV);
  signal(SIGSEGV, SIG_DFL);
  gives("and never for more", CALL(SYS_mprotect, two, 4096, PROT_READ | PROT_WRITE), -EACCES);
  gives("into a system call", CALL(SYS_getcwd, two, 4096), -EFAULT);
  stat();
  gives("two", d.shm_nattch, 2);
  check("who and when", d.shm_lpid == getpid() && d.shm_atime > 0);
  gives("shmdt", shmdt((void *)two), 0);
  gives("not there", CALL(SYS_shmdt, two), -EINVAL);
  // The child has what its parent has, and once more.
  pid_t pid = forked(writer);
  gives("a child", ended(pid), 0);
  gives("what it wrote", *(int *)(m + 8000), 77);
  stat();
  gives("one again", d.shm_nattch, 1);
  gives("a program that executes", ended(forked(executes)), 7);
  stat();
  gives("has nothing of it", d.shm_nattch, 1);
  void *place = mmap(0, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  gives("over something", attach(place, 0), -EINVAL);
  gives("with SHM_REMAP", attach(place, SHM_REMAP), (long)place);
  gives("SHM_REMAP nowhere", attach(0, SHM_REMAP), -EINVAL);
  gives("between pages", attach((char *)place + 100, 0), -EINVAL);
  gives("rounded", attach((char *)place + 0x5010, SHM_RND | SHM_REMAP), (long)place + 0x5000);
  stat();
  gives("three", d.shm_nattch, 3);
  munmap(place, 65536);
  stat();
  gives("unmapped is detached", d.shm_nattch, 1);
  gives("SHM_LOCK", CALL(SYS_shmctl, id, SHM_LOCK, 0), 0);
  gives("SHM_UNLOCK", CALL(SYS_shmctl, id, SHM_UNLOCK, 0), 0);
  gives("remove", CALL(SYS_shmctl, id, IPC_RMID, 0), 0);
  gives("it stays", stat(), 0);
  check("marked", d.shm_perm.mode & 01000 && d.shm_perm.__ipc_perm_key == IPC_PRIVATE);
  check("its bytes too", !strcmp(m, "shared"));
  long three = attach(0, 0);
  check("attached still", !failed(three));
  shmdt((void *)three);
  shmdt(m);
  gives("with the last it goes", stat(), -EINVAL);
}

static int asAnother(void) {
  if (setgid(4321) || setuid(4321)) return 1;
  if (stat() != -EACCES || attach(0, 0) != -EACCES || attach(0, SHM_RDONLY) != -EACCES) return 2;
  return CALL(SYS_shmctl, id, IPC_RMID, 0) == -EPERM ? 0 : 3;
}
static int mayRead(void) {
  if (setgid(4321) || setuid(4321)) return 1;
  if (attach(0, 0) != -EACCES) return 2;
  return failed(attach(0, SHM_RDONLY)) ? 3 : 0;
}

// Blocks of shared words between processes, as PostgreSQL and Apache have them.
static int counts(void) {
  volatile int *m = (int *)attach(0, 0);
  for (int i = 0; i < 1000; i++) __atomic_fetch_add(m, 1, __ATOMIC_SEQ_CST);
  return 0;
}

int main(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[1], "child")) return 7;
  getting();
  attaching();
  id = shmget(IPC_PRIVATE, 1 << 20, 0600);
  pid_t pids[4];
  for (int i = 0; i < 4; i++) pids[i] = forked(counts);
  for (int i = 0; i < 4; i++) ended(pids[i]);
  gives("all counted", *(int *)attach(0, 0), 4000);
  if (geteuid() == 0) {
    gives("another user", ended(forked(asAnother)), 0);
    stat();
    d.shm_perm.mode = 0604;
    CALL(SYS_shmctl, id, IPC_SET, &d);
    gives("who may read", ended(forked(mayRead)), 0);
    char line[300];
    int found = 0;
    FILE *f = fopen("/proc/sysvipc/shm", "r");
    while (f && fgets(line, sizeof line, f)) {
      int key, seen, perms;
      long size;
      if (sscanf(line, "%d %d %o %ld", &key, &seen, &perms, &size) == 4 && seen == id) found = perms == 0604 && size == 1 << 20;
    }
    if (f) fclose(f);
    check("/proc/sysvipc/shm", found);
  }
  CALL(SYS_shmctl, id, IPC_RMID, 0);
  return finish();
}
