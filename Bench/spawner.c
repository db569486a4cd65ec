// Starts commands and times them from outside: fork to end, with each child's peak memory and processor time.
//
//   spawner ROUNDS ++ COMMAND [ARGUMENT…] ++ COMMAND …     one after the other, the order turned by one each round
//   spawner -p COUNT ++ COMMAND …                          COUNT of them at once
//
// Prints one JSON object a command. Small on purpose (static, no heap but the samples): a child's maximum resident set starts
// at what its parent had at the fork (getrusage(2)), so a large spawner would hide small children.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { MAX_COMMANDS = 16 };

struct sample {
  double wall, cpu;
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static double micros(struct timeval t) { return t.tv_sec * 1e6 + t.tv_usec; }

static void fail(const char *what) {
  perror(what);
  exit(2);
}

// The child is vforked; nothing is printed to where the results go.
static pid_t start(char **command, int null) {
  pid_t child = vfork();
  if (child < 0) fail("vfork");
  if (child == 0) {
    dup2(null, 0);
    dup2(null, 1);
    execvpe(command[0], command, environ);
    _exit(127);
  }
  return child;
}

static void report(int index, char **command, struct sample *samples, int count, long rss, int failures) {
  printf("{\"command\": %d, \"program\": \"%s\", \"count\": %d, \"failures\": %d, \"maxrss_kb\": %ld, \"wall_us\": [", index,
         command[0], count, failures, rss);
  for (int i = 0; i < count; i++) printf("%s%.0f", i ? ", " : "", samples[i].wall);
  printf("], \"cpu_us\": [");
  for (int i = 0; i < count; i++) printf("%s%.0f", i ? ", " : "", samples[i].cpu);
  printf("]}\n");
}

static struct sample *samples_for(int count) {
  void *memory = mmap(0, count * sizeof(struct sample), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("mmap");
  return memory;
}

static void interleaved(int rounds, char ***commands, int count, int null) {
  struct sample *samples[MAX_COMMANDS];
  long rss[MAX_COMMANDS] = {0};
  int failures[MAX_COMMANDS] = {0};
  for (int i = 0; i < count; i++) samples[i] = samples_for(rounds);
  for (int round = -1; round < rounds; round++) {  // the first is thrown away: it warms the page cache
    for (int turn = 0; turn < count; turn++) {
      int i = (turn + round + 1) % count, status;
      struct rusage usage;
      double before = now();
      pid_t child = start(commands[i], null);
      if (wait4(child, &status, 0, &usage) != child) fail("wait4");
      double wall = now() - before;
      if (round < 0) continue;
      samples[i][round] = (struct sample){wall, micros(usage.ru_utime) + micros(usage.ru_stime)};
      if (usage.ru_maxrss > rss[i]) rss[i] = usage.ru_maxrss;
      failures[i] += status != 0;
    }
  }
  for (int i = 0; i < count; i++) report(i, commands[i], samples[i], rounds, rss[i], failures[i]);
}

static void at_once(int count, char **command, int null) {
  struct sample *samples = samples_for(count);
  struct { pid_t pid; double start; } *running = mmap(0, count * 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (running == MAP_FAILED) fail("mmap");
  for (int i = 0; i < count; i++) {
    running[i].start = now();
    running[i].pid = start(command, null);
  }
  long rss = 0;
  int failures = 0;
  for (int done = 0; done < count; done++) {
    int status, i = 0;
    struct rusage usage;
    pid_t child = wait4(-1, &status, 0, &usage);
    if (child < 0) fail("wait4");
    double end = now();
    while (i < count && running[i].pid != child) i++;
    if (i == count) fail("wait4: an unknown child");
    samples[i] = (struct sample){end - running[i].start, micros(usage.ru_utime) + micros(usage.ru_stime)};
    if (usage.ru_maxrss > rss) rss = usage.ru_maxrss;
    failures += status != 0;
  }
  report(0, command, samples, count, rss, failures);
}

int main(int argc, char **argv) {
  int parallel = argc > 1 && !strcmp(argv[1], "-p");
  int number = argc > 1 + parallel ? atoi(argv[1 + parallel]) : 0;
  char **commands[MAX_COMMANDS];
  int count = 0;
  for (int i = 2 + parallel; i < argc; i++) {
    if (strcmp(argv[i], "++")) continue;
    argv[i] = 0;
    if (count == MAX_COMMANDS || !argv[i + 1]) break;
    commands[count++] = argv + i + 1;
  }
  if (number < 1 || !count || (parallel && count != 1)) {
    fputs("usage: spawner ROUNDS ++ COMMAND… ++ COMMAND… | spawner -p COUNT ++ COMMAND…\n", stderr);
    return 2;
  }
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) fail("/dev/null");
  if (parallel) at_once(number, commands[0], null);
  else interleaved(number, commands, count, null);
  // Not getrusage(2) of oneself: that keeps the maximum of what ran before exec.
  char text[4096] = "";
  int status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (status < 0 || read(status, text, sizeof text - 1) < 0) fail("/proc/self/status");
  char *high = strstr(text, "VmHWM:");
  printf("{\"spawner_maxrss_kb\": %ld}\n", high ? atol(high + 6) : -1);
  return 0;
}
