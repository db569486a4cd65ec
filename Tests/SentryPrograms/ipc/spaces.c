// System V's objects in namespaces of their own (unshare(2), CLONE_NEWIPC), and very many of them.
#include "../check.h"
#include "../children.h"
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>

static int set, ends[2], others[2];
static long add(int change) {
  struct sembuf one = {0, (short)change, SEM_UNDO};
  return CALL(SYS_semop, set, &one, 1);
}
static int leaves(void) {
  char byte;
  if (add(3) || CALL(SYS_semctl, set, 0, GETVAL, 0) != 3) return 1;
  if (unshare(CLONE_NEWIPC)) return 2;
  if (CALL(SYS_semctl, set, 0, GETVAL, 0) != -EINVAL) return 3;
  write(ends[1], "x", 1);
  read(others[0], &byte, 1);
  return 0;
}
static void undone(void) {
  char byte;
  set = semget(IPC_PRIVATE, 1, 0600);
  if (pipe(ends) || pipe(others)) exit(2);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) _exit(leaves());
  read(ends[0], &byte, 1);
  gives("who leaves a namespace sets its semaphores back", CALL(SYS_semctl, set, 0, GETVAL, 0), 0);
  write(others[1], "x", 1);
  int status;
  waitpid(pid, &status, 0);
  gives("and is in another one", status, 0);
  gives("its end changes nothing more", CALL(SYS_semctl, set, 0, GETVAL, 0), 0);
  semctl(set, 0, IPC_RMID);
}

static int fills(void) {
  if (unshare(CLONE_NEWIPC)) return 1;
  for (int i = 0; i < 2100; i++)
    if (CALL(SYS_shmget, IPC_PRIVATE, 4096, 0600) < 0) return 2;
  return 0;
}

static int full(void) {
  if (unshare(CLONE_NEWIPC)) return 1;
  static int ids[32000];
  for (int i = 0; i < 32000; i++)
    if ((ids[i] = CALL(SYS_semget, IPC_PRIVATE, 1, 0600)) < 0) return 2;
  if (CALL(SYS_semget, IPC_PRIVATE, 1, 0600) != -ENOSPC) return 3;
  // Past the last index, where a free one has to be found among all.
  for (int i = 0; i < 1000; i++) {
    if (CALL(SYS_semctl, ids[i], 0, IPC_RMID, 0)) return 4;
    int made = CALL(SYS_semget, IPC_PRIVATE, 1, 0600);
    if (made < 0 || made == ids[i] || CALL(SYS_semctl, ids[i], 0, GETVAL, 0) != -EINVAL) return 5;
    ids[i] = made;
  }
  return CALL(SYS_semctl, ids[999], 0, GETVAL, 0) == 0 ? 0 : 6;
}

static int waits(void) {
  struct sembuf one = {0, 1, SEM_UNDO};
  if (CALL(SYS_semop, set, &one, 1)) return 1;
  pause();
  return 0;
}
static void all(void) {
  enum { COUNT = 8000, PROCESSES = 24 };
  static unsigned short values[COUNT];
  pid_t pids[PROCESSES];
  set = CALL(SYS_semget, IPC_PRIVATE, COUNT, 0600);
  fflush(stdout);
  for (int i = 0; i < PROCESSES; i++)
    if ((pids[i] = fork()) == 0) _exit(waits());
  struct sembuf none = {0, -PROCESSES, 0};
  gives("all have changed it", CALL(SYS_semop, set, &none, 1), 0);
  for (int i = 0; i < COUNT; i++) values[i] = 7;
  gives("all values", CALL(SYS_semctl, set, 0, SETALL, values), 0);
  for (int i = 0; i < PROCESSES; i++) kill(pids[i], SIGKILL);
  for (int i = 0; i < PROCESSES; i++) waitpid(pids[i], 0, 0);
  gives("nothing of it is undone", CALL(SYS_semctl, set, 0, GETVAL, 0), 7);
  gives("nor here", CALL(SYS_semctl, set, COUNT - 1, GETVAL, 0), 7);
  semctl(set, 0, IPC_RMID);
}

static void interrupted(int signal) { (void)signal; }
static void sleepers(void) {
  set = semget(IPC_PRIVATE, 1, 0600);
  struct sigaction action = {.sa_handler = interrupted};
  sigaction(SIGALRM, &action, 0);
  struct sembuf one = {0, -1, 0};
  long seen = -EINTR;
  ualarm(500, 500);
  for (int i = 0; i < 200 && seen == -EINTR; i++) seen = CALL(SYS_semop, set, &one, 1);
  ualarm(0, 0);
  gives("very many that a signal ended", seen, -EINTR);
  gives("none of them waits", CALL(SYS_semctl, set, 0, GETNCNT, 0), 0);
  semctl(set, 0, IPC_RMID);
}

int main(void) {
  undone();
  gives("segments", child(fills), 0);
  gives("go with their namespace", child(fills), 0);
  gives("a full table", child(full), 0);
  all();
  sleepers();
  // A pointer to nowhere before a size that is none.
  gives("a message from nowhere", CALL(SYS_msgsnd, 0, NOWHERE, -1L, 0), -EFAULT);
  return finish();
}
