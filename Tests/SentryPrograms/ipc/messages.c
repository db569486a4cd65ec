// System V message queues: msgget(2), msgop(2), msgctl(2).
#include "../check.h"
#include "../children.h"
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <time.h>

struct message { long type; char text[9000]; };
static int id;
static struct message m;
static struct msqid_ds d;

static long send(long type, const char *text, int flags) {
  static struct message out;
  out.type = type;
  strcpy(out.text, text);
  return CALL(SYS_msgsnd, id, &out, strlen(text), flags);
}
static long receive(long room, long type, int flags) {
  memset(&m, 0, sizeof m);
  return CALL(SYS_msgrcv, id, &m, room, type, flags);
}
static int got(long type, const char *text) { return m.type == type && !strcmp(m.text, text); }

static void getting(void) {
  key_t key = 0x60000000 + (getpid() & 0xffff);
  gives("no such key", CALL(SYS_msgget, key, 0), -ENOENT);
  id = CALL(SYS_msgget, key, IPC_CREAT | IPC_EXCL | 0640);
  check("made", id >= 0);
  gives("it is there", CALL(SYS_msgget, key, IPC_CREAT | IPC_EXCL | 0640), -EEXIST);
  gives("by its key", CALL(SYS_msgget, key, 0), id);
  gives("stat", CALL(SYS_msgctl, id, IPC_STAT, &d), 0);
  check("as it was made", d.msg_qnum == 0 && d.msg_qbytes == 16384 && (d.msg_perm.mode & 0777) == 0640);
  check("nobody yet", d.msg_lspid == 0 && d.msg_stime == 0 && d.msg_ctime > time(0) - 100);
  d.msg_perm.mode = 0600;
  d.msg_qbytes = 100;
  gives("set", CALL(SYS_msgctl, id, IPC_SET, &d), 0);
  CALL(SYS_msgctl, id, IPC_STAT, &d);
  check("is set", (d.msg_perm.mode & 0777) == 0600 && d.msg_qbytes == 100);
  gives("stat into nothing", CALL(SYS_msgctl, id, IPC_STAT, NOWHERE), -EFAULT);
  gives("no such command", CALL(SYS_msgctl, id, 99, &d), -EINVAL);
  gives("remove", CALL(SYS_msgctl, id, IPC_RMID, 0), 0);
  gives("gone", CALL(SYS_msgctl, id, IPC_STAT, &d), -EINVAL);
  gives("no such queue", send(1, "x", 0), -EINVAL);
  struct msginfo info;
  check("IPC_INFO", CALL(SYS_msgctl, 0, IPC_INFO, &info) >= 0);
  check("limits", info.msgmax == 8192 && info.msgmnb == 16384);
}

static void moving(void) {
  id = msgget(IPC_PRIVATE, 0600);
  gives("no message", receive(10, 0, IPC_NOWAIT), -ENOMSG);
  gives("bad type", send(0, "x", 0), -EINVAL);
  gives("worse type", send(-1, "x", 0), -EINVAL);
  gives("too long", CALL(SYS_msgsnd, id, &m, 8193, 0), -EINVAL);
  gives("from nowhere", CALL(SYS_msgsnd, id, NOWHERE, 1, 0), -EFAULT);
  gives("empty", send(5, "", 0), 0);
  gives("three", send(3, "three", 0), 0);
  gives("one", send(1, "one", 0), 0);
  gives("another three", send(3, "again", 0), 0);
  CALL(SYS_msgctl, id, IPC_STAT, &d);
  check("counted", d.msg_qnum == 4 && d.msg_cbytes == 13 && d.msg_lspid == getpid() && d.msg_stime > 0);
  gives("no such type", receive(10, 2, IPC_NOWAIT), -ENOMSG);
  gives("by type", receive(10, 3, 0), 5);
  check("the first of them", got(3, "three"));
  gives("too little room", receive(2, 3, 0), -E2BIG);
  gives("cut", receive(2, 3, MSG_NOERROR), 2);
  check("what fits", got(3, "ag"));
  gives("the least up to", receive(10, -4, 0), 3);
  check("is one", got(1, "one"));
  send(7, "seven", 0);
  gives("another than", receive(10, 5, MSG_EXCEPT), 5);
  check("is seven", got(7, "seven"));
  gives("the first", receive(10, 0, 0), 0);
  check("is empty", got(5, ""));
  gives("less than no room", receive(-1, 0, 0), -EINVAL);
  CALL(SYS_msgctl, id, IPC_STAT, &d);
  check("empty now", d.msg_qnum == 0 && d.msg_cbytes == 0 && d.msg_lrpid == getpid());
  m.type = 1;
  gives("half", CALL(SYS_msgsnd, id, &m, 8192, 0), 0);
  gives("all", CALL(SYS_msgsnd, id, &m, 8192, 0), 0);
  gives("full", send(1, "x", IPC_NOWAIT), -EAGAIN);
  gives("room again", receive(8192, 0, 0), 8192);
  gives("fits", send(1, "x", IPC_NOWAIT), 0);
  CALL(SYS_msgctl, id, IPC_RMID, 0);
}

static void handler(int signal) { (void)signal; }
static int awaits(void) {
  long n = receive(100, 9, 0);
  return n == 4 && got(9, "nine") ? 0 : n < 0 ? -n : 1;
}
static int awaitsRoom(void) {
  struct message *big = calloc(1, sizeof *big);
  big->type = 2;
  return -CALL(SYS_msgsnd, id, big, 8192, 0);
}
static int interrupted(void) {
  struct sigaction a = {.sa_handler = handler, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &a, 0);
  send(11, "ready", 0);
  return -receive(100, 9, 0);
}
// A child sleeps in its call (proc(5), state S and the call it is in, where that is told).
static int sleeps(pid_t child) {
  char path[40], text[200] = "";
  sprintf(path, "/proc/%d/stat", child);
  FILE *f = fopen(path, "r");
  if (f) {
    if (!fgets(text, sizeof text, f)) text[0] = 0;
    fclose(f);
  }
  char *end = strrchr(text, ')');
  return end && end[2] == 'S';
}

static void waiting(void) {
  id = msgget(IPC_PRIVATE, 0600);
  pid_t one = forked(awaits);
  while (!sleeps(one)) usleep(1000);
  send(8, "other", 0);
  send(9, "nine", 0);
  gives("the one it waits for", ended(one), 0);
  receive(100, 8, 0);
  memset(&m, 0, sizeof m);
  m.type = 1;
  CALL(SYS_msgsnd, id, &m, 8192, 0);
  CALL(SYS_msgsnd, id, &m, 8192, 0);
  one = forked(awaitsRoom);
  while (!sleeps(one)) usleep(1000);
  receive(8192, 1, 0);
  gives("room came", ended(one), 0);
  receive(8192, 1, 0);
  receive(8192, 2, 0);
  one = forked(interrupted);
  receive(100, 11, 0);
  while (!sleeps(one)) usleep(1000);
  kill(one, SIGUSR1);
  gives("a signal, whatever SA_RESTART says", ended(one), EINTR);
  one = forked(awaits);
  while (!sleeps(one)) usleep(1000);
  CALL(SYS_msgctl, id, IPC_RMID, 0);
  gives("removed meanwhile", ended(one), EIDRM);
}

static int asAnother(void) {
  if (setgid(4321) || setuid(4321)) return 1;
  if (send(1, "x", 0) != -EACCES || receive(1, 0, IPC_NOWAIT) != -EACCES) return 2;
  if (CALL(SYS_msgctl, id, IPC_STAT, &d) != -EACCES) return 3;
  return CALL(SYS_msgctl, id, IPC_RMID, 0) == -EPERM ? 0 : 4;
}
static int maySend(void) {
  if (setgid(4321) || setuid(4321)) return 1;
  if (send(1, "x", 0) != 0) return 2;
  return receive(10, 0, IPC_NOWAIT) == -EACCES ? 0 : 3;
}

int main(void) {
  getting();
  moving();
  waiting();
  if (geteuid() == 0) {
    id = msgget(IPC_PRIVATE, 0600);
    gives("another user", ended(forked(asAnother)), 0);
    CALL(SYS_msgctl, id, IPC_STAT, &d);
    d.msg_perm.mode = 0602;
    CALL(SYS_msgctl, id, IPC_SET, &d);
    gives("who may send", ended(forked(maySend)), 0);
    char line[300];
    int found = 0;
    FILE *f = fopen("/proc/sysvipc/msg", "r");
    while (f && fgets(line, sizeof line, f)) {
      int key, seen, perms, bytes, count;
      if (sscanf(line, "%d %d %o %d %d", &key, &seen, &perms, &bytes, &count) == 5 && seen == id)
        found = perms == 0602 && bytes == 1 && count == 1;
    }
    if (f) fclose(f);
    check("/proc/sysvipc/msg", found);
    CALL(SYS_msgctl, id, IPC_RMID, 0);
  }
  return finish();
}
