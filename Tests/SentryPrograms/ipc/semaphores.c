// System V semaphores: semget(2), semop(2), semctl(2).
#include "../check.h"
#include "../children.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <time.h>

union semun { int val; struct semid_ds *buf; unsigned short *array; struct seminfo *info; };

static int id;
static long op(int number, int change, int flags) {
  struct sembuf b = {number, change, flags};
  return CALL(SYS_semop, id, &b, 1);
}
static long control(int number, int command, union semun u) { return CALL(SYS_semctl, id, number, command, u); }
static long value(int number) { return control(number, GETVAL, (union semun){0}); }

static void getting(void) {
  key_t key = 0x5e000000 + (getpid() & 0xffff);
  gives("no such key", CALL(SYS_semget, key, 1, 0), -ENOENT);
  gives("too few", CALL(SYS_semget, key, 0, IPC_CREAT | 0600), -EINVAL);
  gives("less than none", CALL(SYS_semget, key, -1, IPC_CREAT | 0600), -EINVAL);
  gives("too many", CALL(SYS_semget, key, 40000, IPC_CREAT | 0600), -EINVAL);
  long one = CALL(SYS_semget, key, 3, IPC_CREAT | IPC_EXCL | 0640);
  check("made", one >= 0);
  gives("it is there", CALL(SYS_semget, key, 3, IPC_CREAT | IPC_EXCL | 0640), -EEXIST);
  gives("by its key", CALL(SYS_semget, key, 0, 0), one);
  gives("with fewer", CALL(SYS_semget, key, 2, IPC_CREAT | 0600), one);
  gives("with more", CALL(SYS_semget, key, 4, 0), -EINVAL);
  struct semid_ds d;
  id = one;
  gives("stat", control(0, IPC_STAT, (union semun){.buf = &d}), 0);
  check("as it was made", d.sem_nsems == 3 && (d.sem_perm.mode & 0777) == 0640 && d.sem_otime == 0);
  check("whose", d.sem_perm.uid == geteuid() && d.sem_perm.cgid == getegid());
  check("when", d.sem_ctime <= time(0) && d.sem_ctime > time(0) - 100);
  gives("stat into nothing", control(0, IPC_STAT, (union semun){.buf = NOWHERE}), -EFAULT);
  d.sem_perm.mode = 0600;
  gives("set", control(0, IPC_SET, (union semun){.buf = &d}), 0);
  control(0, IPC_STAT, (union semun){.buf = &d});
  gives("is set", d.sem_perm.mode & 0777, 0600);
  gives("remove", control(0, IPC_RMID, (union semun){0}), 0);
  gives("gone", control(0, IPC_STAT, (union semun){.buf = &d}), -EINVAL);
  gives("by key too", CALL(SYS_semget, key, 0, 0), -ENOENT);
  gives("no such set", CALL(SYS_semctl, -1, 0, GETVAL, 0), -EINVAL);
  long other = CALL(SYS_semget, IPC_PRIVATE, 1, 0600), third = CALL(SYS_semget, IPC_PRIVATE, 1, 0600);
  check("private ones differ", other >= 0 && third >= 0 && other != third && other != one);
  CALL(SYS_semctl, other, 0, IPC_RMID, 0);
  CALL(SYS_semctl, third, 0, IPC_RMID, 0);
}

static void values(void) {
  id = semget(IPC_PRIVATE, 3, 0600);
  unsigned short all[3] = {5, 6, 7}, got[3];
  gives("zero first", value(1), 0);
  gives("SETVAL", control(1, SETVAL, (union semun){.val = 4}), 0);
  gives("GETVAL", value(1), 4);
  gives("who", control(1, GETPID, (union semun){0}), getpid());
  gives("too large", control(1, SETVAL, (union semun){.val = 32768}), -ERANGE);
  gives("negative", control(1, SETVAL, (union semun){.val = -1}), -ERANGE);
  gives("no such one", control(3, SETVAL, (union semun){.val = 1}), -EINVAL);
  gives("no such one to get", value(-1), -EINVAL);
  gives("SETALL", control(0, SETALL, (union semun){.array = all}), 0);
  gives("GETALL", control(0, GETALL, (union semun){.array = got}), 0);
  check("all of them", !memcmp(all, got, sizeof all));
  gives("from nothing", control(0, SETALL, (union semun){.array = NOWHERE}), -EFAULT);
  gives("no such command", control(0, 99, (union semun){0}), -EINVAL);
  struct seminfo info;
  check("IPC_INFO", control(0, IPC_INFO, (union semun){.info = &info}) >= 0);
  check("limits", info.semmsl == 32000 && info.semopm == 500 && info.semvmx == 32767);
  gives("down", op(0, -5, 0), 0);
  gives("is zero", op(0, 0, 0), 0);
  gives("not now", op(0, -1, IPC_NOWAIT), -EAGAIN);
  gives("not zero", op(1, 0, IPC_NOWAIT), -EAGAIN);
  gives("past the end", op(3, 1, 0), -EFBIG);
  gives("beyond its range", op(1, 32767, 0), -ERANGE);
  gives("none", CALL(SYS_semop, id, all, 0), -EINVAL);
  gives("too many", CALL(SYS_semop, id, all, 501), -E2BIG);
  gives("operations nowhere", CALL(SYS_semop, id, NOWHERE, 1), -EFAULT);
  struct sembuf two[2] = {{1, -2, 0}, {2, -100, IPC_NOWAIT}};
  gives("both or none", CALL(SYS_semop, id, two, 2), -EAGAIN);
  gives("none", value(1), 6);
  two[1].sem_op = -7;
  gives("both", CALL(SYS_semop, id, two, 2), 0);
  check("both changed", value(1) == 4 && value(2) == 0);
  struct timespec t = {0, 20000000};
  struct sembuf wait = {0, -1, 0};
  gives("a time", CALL(SYS_semtimedop, id, &wait, 1, &t), -EAGAIN);
  t.tv_nsec = 1000000000;
  gives("a bad time", CALL(SYS_semtimedop, id, &wait, 1, &t), -EINVAL);
  gives("a time nowhere", CALL(SYS_semtimedop, id, &wait, 1, NOWHERE), -EFAULT);
  struct semid_ds d;
  control(0, IPC_STAT, (union semun){.buf = &d});
  check("operated", d.sem_otime > 0);
  control(0, IPC_RMID, (union semun){0});
  gives("operate on none", op(0, 1, 0), -EINVAL);
}

static void awaitCount(int command, int number) {
  while (control(0, command, (union semun){0}) != number) usleep(1000);
}

static void handler(int signal) { (void)signal; }
static int waitsDown(void) { return -op(0, -1, 0); }
static int waitsZero(void) { return -op(0, 0, 0); }
static int caught(void) {
  struct sigaction a = {.sa_handler = handler, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &a, 0);
  return -op(0, -1, 0);
}
static int undoes(void) { return op(0, 3, SEM_UNDO) || op(0, -1, SEM_UNDO); }
static int undoesLess(void) { return op(0, -2, SEM_UNDO) != 0; }
static int isKilled(void) {
  op(0, 5, SEM_UNDO);
  raise(SIGKILL);
  return 0;
}
static int forgets(void) { return op(0, 3, SEM_UNDO) || control(0, SETVAL, (union semun){.val = 1}); }
static int executes(void) {
  op(0, 2, SEM_UNDO);
  execl("/proc/self/exe", "program", "child", (char *)0);
  return 1;
}

static void waiting(void) {
  id = semget(IPC_PRIVATE, 1, 0600);
  pid_t one = forked(waitsDown);
  awaitCount(GETNCNT, 1);
  gives("nobody waits for zero", control(0, GETZCNT, (union semun){0}), 0);
  pid_t two = forked(waitsDown);
  awaitCount(GETNCNT, 2);
  gives("up by two", op(0, 2, 0), 0);
  gives("the first", ended(one), 0);
  gives("the second", ended(two), 0);
  gives("taken", value(0), 0);
  op(0, 1, 0);
  one = forked(waitsZero);
  awaitCount(GETZCNT, 1);
  op(0, -1, 0);
  gives("zero came", ended(one), 0);
  one = forked(caught);
  awaitCount(GETNCNT, 1);
  kill(one, SIGUSR1);
  gives("a signal, whatever SA_RESTART says", ended(one), EINTR);
  gives("it waits no more", control(0, GETNCNT, (union semun){0}), 0);
  gives("what was undone", ended(forked(undoes)), 0);
  gives("is as before", value(0), 0);
  control(0, SETVAL, (union semun){.val = 2});
  gives("down and undone", ended(forked(undoesLess)), 0);
  gives("up again", value(0), 2);
  gives("killed", ended(forked(isKilled)), 1000 + SIGKILL);
  gives("undone too", value(0), 2);
  gives("SETVAL forgets", ended(forked(forgets)), 0);
  gives("and nothing is undone", value(0), 1);
  gives("through exec", ended(forked(executes)), 7);
  gives("undone after it", value(0), 1);
  one = forked(waitsZero);
  awaitCount(GETZCNT, 1);
  control(0, IPC_RMID, (union semun){0});
  gives("removed meanwhile", ended(one), EIDRM);
}

static int asAnother(void) {
  if (setgid(4321) || setuid(4321)) return 1;
  struct semid_ds d;
  union semun u = {.buf = &d};
  if (control(0, IPC_STAT, u) != -EACCES || value(0) != -EACCES || op(0, 1, 0) != -EACCES) return 2;
  if (op(0, 0, IPC_NOWAIT) != -EACCES) return 3;
  return control(0, IPC_RMID, u) == -EPERM ? 0 : 4;
}
static int mayRead(void) {
  if (setgid(4321) || setuid(4321)) return 1;
  if (value(0) != 0 || op(0, 0, IPC_NOWAIT) != 0) return 2;
  return op(0, 1, 0) == -EACCES ? 0 : 3;
}

int main(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[1], "child")) return 7;
  getting();
  values();
  waiting();
  if (geteuid() == 0) {
    id = semget(IPC_PRIVATE, 1, 0600);
    gives("another user", ended(forked(asAnother)), 0);
    struct semid_ds d;
    control(0, IPC_STAT, (union semun){.buf = &d});
    d.sem_perm.mode = 0604;
    control(0, IPC_SET, (union semun){.buf = &d});
    gives("who may read", ended(forked(mayRead)), 0);
    char line[200];
    int found = 0;
    FILE *f = fopen("/proc/sysvipc/sem", "r");
    while (f && fgets(line, sizeof line, f)) {
      int key, seen, perms, count;
      if (sscanf(line, "%d %d %o %d", &key, &seen, &perms, &count) == 4 && seen == id) found = perms == 0604 && count == 1;
    }
    if (f) fclose(f);
    check("/proc/sysvipc/sem", found);
    control(0, IPC_RMID, (union semun){0});
  }
  return finish();
}
