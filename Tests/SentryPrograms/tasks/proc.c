// /proc: what it says of oneself agrees with what calls say.
#include "../check.h"
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

static char text[65536];
static const char *contents(const char *path) {
  int file = open(path, O_RDONLY);
  if (file < 0) return text[0] = 0, text;
  ssize_t count = 0, more;
  while (count < (ssize_t)sizeof text - 1 && (more = read(file, text + count, sizeof text - 1 - count)) > 0) count += more;
  text[count] = 0;
  close(file);
  return text;
}
static long field(const char *name) {
  const char *at = strstr(contents("/proc/self/status"), name);
  return at ? strtol(at + strlen(name), 0, 10) : -1;
}
static int holds(const char *path, const char *wanted) { return strstr(contents(path), wanted) != 0; }
static int listed(const char *folder, const char *name) {
  DIR *directory = opendir(folder);
  int found = 0;
  struct dirent *entry;
  while (directory && (entry = readdir(directory))) found |= !strcmp(entry->d_name, name);
  if (directory) closedir(directory);
  return found;
}

static void *waits(void *lock) {
  pthread_mutex_lock(lock);
  return 0;
}

static long thread_links(void) {
  struct stat s;
  return stat("/proc/self/task", &s) ? -1 : (long)s.st_nlink;
}

// A thread that has only just been joined may be counted still.
static void count_threads(void) {
  pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_t thread;
  gives("links of one thread", thread_links(), 3);
  pthread_mutex_lock(&lock);
  pthread_create(&thread, 0, waits, &lock);
  gives("links of two", thread_links(), 4);
  gives("Threads of two", field("\nThreads:"), 2);
  pthread_mutex_unlock(&lock);
  pthread_join(thread, 0);
}

// What the program was told of itself: on its stack, and by /proc/self/auxv.
static int is_told(void) {
  unsigned long words[128] = {0};
  int file = open("/proc/self/auxv", O_RDONLY);
  long n = read(file, words, sizeof words);
  close(file);
  int told = 0;
  for (int i = 0; i + 1 < n / 8 && words[i]; i += 2)
    if (words[i] == AT_ENTRY || words[i] == AT_PHDR || words[i] == AT_RANDOM || words[i] == AT_BASE || words[i] == AT_UID)
      told += getauxval(words[i]) == words[i + 1];
  return told == 5;
}
// Wherever the stack ends: with strings of many lengths above it.
static void auxiliary(const char *self) {
  int bad = 0;
  static char filler[4096];
  for (int i = 0; i < 32; i++) {
    memset(filler, 'x', i * 127);
    filler[i * 127] = 0;
    pid_t child = fork();
    if (child == 0) {
      execl(self, self, "auxv", filler, (char *)0);
      _exit(99);
    }
    int status;
    waitpid(child, &status, 0);
    if (status) bad++;
  }
  gives("auxv", bad, 0);
}

int main(int argc, char **argv) {
  if (argc == 3) return !is_told();
  auxiliary("/proc/self/exe");
  char number[32], path[64], link[4096];
  snprintf(number, sizeof number, "%d", getpid());
  ssize_t length = readlink("/proc/self", link, sizeof link);
  check("self", length == (ssize_t)strlen(number) && !memcmp(link, number, length));
  gives("Pid", field("\nPid:"), getpid());
  gives("Tgid", field("\nTgid:"), getpid());
  gives("PPid", field("\nPPid:"), getppid());
  gives("Uid", field("\nUid:"), getuid());
  gives("Threads", field("\nThreads:"), 1);
  count_threads();
  check("VmRSS", field("\nVmRSS:") > 0);
  check("listed", listed("/proc", number) && listed("/proc/self/task", number));
  check("not listed", !listed("/proc", "4194303"));
  gives("nobody", CALL(SYS_open, "/proc/4194303/status", O_RDONLY), -ENOENT);
  gives("no such name", CALL(SYS_open, "/proc/self/nonsense", O_RDONLY), -ENOENT);
  gives("written", CALL(SYS_open, "/proc/self/nonsense", O_WRONLY | O_CREAT, 0600), -ENOENT);
  prctl(PR_SET_NAME, "a (name)");
  check("comm", !strcmp(contents("/proc/self/comm"), "a (name)\n"));
  int file = open("/proc/self/comm", O_WRONLY);
  check("comm written", write(file, "other", 5) == 5 && holds("/proc/self/comm", "other"));
  close(file);
  int pid = 0, parent = 0, group = 0, session = 0;
  char state = 0;
  sscanf(contents("/proc/self/stat"), "%d (other) %c %d %d %d", &pid, &state, &parent, &group, &session);
  check("stat", pid == getpid() && state == 'R' && parent == getppid() && group == getpgrp() && session == getsid(0));
  int fields = 1;
  for (char *at = text; *at; at++) fields += *at == ' ';
  gives("stat's fields", fields, 52);
  check("cmdline", !strcmp(contents("/proc/self/cmdline"), argv[0]));
  setenv("X", "y", 1);
  check("environ", strchr(contents("/proc/self/environ"), '=') != 0);
  length = readlink("/proc/self/cwd", link, sizeof link - 1);
  link[length > 0 ? length : 0] = 0;
  char here[4096];
  check("cwd", getcwd(here, sizeof here) && !strcmp(here, link));
  struct stat one, two;
  check("exe", !stat("/proc/self/exe", &one) && S_ISREG(one.st_mode) && one.st_mode & 0100);
  check("root", !stat("/proc/self/root", &one) && !stat("/", &two) && one.st_ino == two.st_ino);
  check("a file beneath root", !stat("/proc/self/root/proc/self/stat", &one));
  char name[] = "/tmp/sentry-proc-XXXXXX";
  int made = mkstemp(name);
  check("a file", made >= 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", made);
  length = readlink(path, link, sizeof link - 1);
  link[length > 0 ? length : 0] = 0;
  check("its link", !strcmp(link, name));
  check("its stat", !stat(path, &one) && !fstat(made, &two) && one.st_ino == two.st_ino);
  write(made, "content", 7);
  int again = open(path, O_RDONLY);
  check("opened anew, at its beginning", again >= 0 && read(again, here, 7) == 7 && !memcmp(here, "content", 7));
  snprintf(number, sizeof number, "%d", made);
  check("listed in fd", listed("/proc/self/fd", number));
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", made);
  check("fdinfo", holds(path, "pos:\t7\n"));
  unlink(name);
  snprintf(path, sizeof path, "/proc/self/fd/%d", made);
  length = readlink(path, link, sizeof link - 1);
  link[length > 0 ? length : 0] = 0;
  check("removed", strstr(link, " (deleted)") != 0);
  char *page = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  snprintf(here, sizeof here, "%lx-%lx r-xp", (unsigned long)page, (unsigned long)page + 4096);
  check("maps", page != MAP_FAILED && holds("/proc/self/maps", here));
  check("maps: the stack", holds("/proc/self/maps", "[stack]"));
  // More than one read of the kernel's gives.
  char *many = mmap(0, 600 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < 600; i += 2) mprotect(many + i * 4096, 4096, PROT_READ);
  int seen_of_many = 0;
  const char *maps = contents("/proc/self/maps");
  for (int i = 0; i < 600; i += 2) {
    snprintf(here, sizeof here, "%lx-", (unsigned long)many + i * 4096);
    seen_of_many += strstr(maps, here) != 0;
  }
  check("maps: all", many != MAP_FAILED && seen_of_many == 300);
  munmap(many, 600 * 4096);
  file = open("/proc/self/mem", O_RDONLY);
  long value = 0x1234567, seen = 0;
  check("mem", pread(file, &seen, sizeof seen, (off_t)(uintptr_t)&value) == sizeof seen && seen == value);
  gives("mem: nothing there", CALL(SYS_pread64, file, &seen, sizeof seen, 8L), -EIO);
  close(file);
  check("limits", holds("/proc/self/limits", "Max open files "));
  check("mounts", holds("/proc/self/mounts", " /proc proc ") && holds("/proc/mounts", " / "));
  check("mountinfo", holds("/proc/self/mountinfo", " - proc proc "));
  check("cgroup", holds("/proc/self/cgroup", ":"));
  check("meminfo", holds("/proc/meminfo", "MemTotal:") && holds("/proc/meminfo", "MemAvailable:"));
  check("cpuinfo", holds("/proc/cpuinfo", "processor"));
  check("stat of the machine", holds("/proc/stat", "cpu ") && holds("/proc/stat", "btime "));
  double up = 0, idle = -1;
  check("uptime", sscanf(contents("/proc/uptime"), "%lf %lf", &up, &idle) == 2 && up >= 0 && idle >= 0);
  double loads[3];
  check("loadavg", sscanf(contents("/proc/loadavg"), "%lf %lf %lf", loads, loads + 1, loads + 2) == 3);
  check("filesystems", holds("/proc/filesystems", "nodev\tproc"));
  check("version", !strncmp(contents("/proc/version"), "Linux version ", 14));
  check("pid_max", atol(contents("/proc/sys/kernel/pid_max")) >= 32768);
  check("overcommit", contents("/proc/sys/vm/overcommit_memory")[0] != 0);
  check("ngroups_max", atol(contents("/proc/sys/kernel/ngroups_max")) == 65536);
  check("cpus online", contents("/sys/devices/system/cpu/online")[0] == '0');
  struct statfs system;
  check("statfs", !statfs("/proc", &system) && system.f_type == 0x9fa0);
  check("statfs of sys", !statfs("/sys", &system) && system.f_type == 0x62656572);

  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    setuid(1000);
    prctl(PR_SET_DUMPABLE, 1);
    for (;;) pause();
  }
  usleep(30000);
  snprintf(path, sizeof path, "/proc/%d", child);
  check("a child", !stat(path, &one) && one.st_uid == 1000);
  snprintf(path, sizeof path, "/proc/%d/stat", child);
  sscanf(contents(path), "%d (other) %c %d", &pid, &state, &parent);
  check("sleeps", pid == child && state == 'S' && parent == getpid());
  kill(child, SIGSTOP);
  waitpid(child, 0, WUNTRACED);
  sscanf(contents(path), "%d (other) %c %d", &pid, &state, &parent);
  check("is stopped", state == 'T');
  pid_t other = fork();
  if (other == 0) {
    setuid(1001);
    snprintf(path, sizeof path, "/proc/%d/maps", child);
    long opened = CALL(SYS_open, path, O_RDONLY);
    long first = opened < 0 ? opened : CALL(SYS_read, opened, here, 1);
    snprintf(path, sizeof path, "/proc/%d/fd/0", child);
    long second = CALL(SYS_readlink, path, here, sizeof here);
    snprintf(path, sizeof path, "/proc/%d/status", child);
    long third = CALL(SYS_open, path, O_RDONLY);
    _exit(first == -EACCES && second == -EACCES && third >= 0 ? 0 : 1);
  }
  int status = -1;
  waitpid(other, &status, 0);
  check("another user looks not into it", status == 0);
  kill(child, SIGKILL);
  snprintf(path, sizeof path, "/proc/%d/status", child);
  file = open(path, O_RDONLY);
  waitpid(child, 0, 0);
  gives("after its end", CALL(SYS_read, file, here, 1), -ESRCH);
  gives("gone", CALL(SYS_open, path, O_RDONLY), -ENOENT);
  return finish();
}
