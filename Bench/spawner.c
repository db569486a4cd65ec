// Starts commands and times them from outside: fork to end, with each child's peak memory and processor time.
//
//   spawner ROUNDS ++ COMMAND [ARGUMENT…] ++ COMMAND …     one after the other, the order turned by one each round
//   spawner -p COUNT ++ COMMAND …                          COUNT of them at once
//   spawner -j WORKERS ROUNDS ++ COMMAND …                 ROUNDS by each of so many workers at once; a word % is bench-N, its own
//
// `+> COMMAND` after a command belongs to the same turn and is timed apart; `+| COMMAND` too, once everything that the turn left
// running has ended. A first word @PATH is a mount namespace to start the command in. Prints one JSON object a command. Small on purpose (static, no heap but the samples): a child's maximum resident set starts
// at what its parent had at the fork (getrusage(2)), so a large spawner would hide small children.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { MAX_COMMANDS = 32 };
static char **commands[MAX_COMMANDS];
static char kinds[MAX_COMMANDS];  // '+' begins a turn, '>' and '|' go on with it
static int count;

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
    int elsewhere = **command == '@';
    if (elsewhere) {
      int place = open(*command + 1, O_RDONLY | O_CLOEXEC);
      if (place < 0 || setns(place, CLONE_NEWNS)) _exit(126);
    }
    execvpe(command[elsewhere], command + elsewhere, environ);
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

// What a turn left running is this process's to wait for (PR_SET_CHILD_SUBREAPER).
static void wait_for_orphans(void) {
  while (wait4(-1, 0, 0, 0) > 0) {}
}

static void interleaved(int rounds, int null) {
  struct sample *samples[MAX_COMMANDS];
  long rss[MAX_COMMANDS] = {0};
  int failures[MAX_COMMANDS] = {0}, first[MAX_COMMANDS], turns = 0;
  for (int i = 0; i < count; i++) {
    samples[i] = samples_for(rounds);
    if (kinds[i] == '+') first[turns++] = i;
  }
  for (int round = -1; round < rounds; round++) {  // the first is thrown away: it warms the page cache
    for (int turn = 0; turn < turns; turn++) {
      int begin = first[(turn + round + 1) % turns];
      for (int i = begin; i < count && (i == begin || kinds[i] != '+'); i++) {
        int status;
        struct rusage usage;
        if (kinds[i] == '|') wait_for_orphans();
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
  }
  for (int i = 0; i < count; i++) report(i, commands[i], samples[i], rounds, rss[i], failures[i]);
}

// One row: how long all of it took, as "all_us".
static void workers(int workers, int rounds, char **command, int null) {
  double before = now();
  for (int worker = 0; worker < workers; worker++) {
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child) continue;
    char number[32];
    int failures = 0, status;
    snprintf(number, sizeof number, "bench-%d", worker);
    for (char **word = command; *word; word++)
      if (!strcmp(*word, "%")) *word = number;
    for (int round = 0; round < rounds; round++) {
      pid_t started = start(command, null);
      if (wait4(started, &status, 0, 0) != started) fail("wait4");
      failures += status != 0;
    }
    _exit(failures > 255 ? 255 : failures);
  }
  int failures = 0, status;
  for (int worker = 0; worker < workers; worker++) {
    if (wait4(-1, &status, 0, 0) < 0) fail("wait4");
    failures += WIFEXITED(status) ? WEXITSTATUS(status) : rounds;
  }
  printf("{\"program\": \"%s\", \"count\": %d, \"failures\": %d, \"all_us\": %.0f}\n", *command, workers * rounds, failures,
         now() - before);
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
  int parallel = argc > 1 && !strcmp(argv[1], "-p"), crew = 0, at = 1 + parallel;
  if (argc > 2 && !strcmp(argv[1], "-j")) {
    crew = atoi(argv[2]);
    at = 3;
  }
  int number = argc > at ? atoi(argv[at]) : 0;
  for (int i = at + 1; i < argc; i++) {
    if (argv[i][0] != '+' || !argv[i][1] || !strchr("+>|", argv[i][1]) || argv[i][2]) continue;
    kinds[count] = argv[i][1];
    argv[i] = 0;
    if (count == MAX_COMMANDS || !argv[i + 1]) break;
    commands[count++] = argv + i + 1;
  }
  if (number < 1 || !count || kinds[0] != '+' || ((parallel || crew) && count != 1)) {
    fputs("usage: spawner ROUNDS ++ COMMAND… | spawner -p COUNT ++ COMMAND… | spawner -j WORKERS ROUNDS ++ COMMAND…\n", stderr);
    return 2;
  }
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) fail("/dev/null");
  if (!parallel && !crew && prctl(PR_SET_CHILD_SUBREAPER, 1)) fail("prctl");
  if (parallel) at_once(number, commands[0], null);
  else if (crew) workers(crew, number, commands[0], null);
  else interleaved(number, null);
  // Not getrusage(2) of oneself: that keeps the maximum of what ran before exec.
  char text[4096] = "";
  int status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (status < 0 || read(status, text, sizeof text - 1) < 0) fail("/proc/self/status");
  char *high = strstr(text, "VmHWM:");
  printf("{\"spawner_maxrss_kb\": %ld}\n", high ? atol(high + 6) : -1);
  return 0;
}
