// Sequences of random calls, valid and not: what each answers is printed. Natively and in the sentry they must answer the same.
//
//     random [--jail FOLDER] FIRST COUNT LENGTH
//
// Each sequence is a process of its own with a folder of its own, one of two as an ordinary user; the number of the sequence is its seed.
#include "calls.h"
#include "jail.h"
#include <ftw.h>
#include <sys/resource.h>
#include <time.h>

// What a sequence has said so far; read by its parent once it has ended, however it did.
static struct {
  volatile long calls;
  volatile long used;
  char text[1 << 20];
} *said;

static void tell(const char *text) {
  long length = strlen(text);
  if (said->used + length >= (long)sizeof said->text) _exit(95);
  memcpy(said->text + said->used, text, length);
  said->used += length;
}

static void nothing(int signal) { (void)signal; }

// Something of every kind to begin with, the same for all.
static void furnish(void) {
  char text[5000];
  for (int i = 0; i < 5000; i++) text[i] = (char)('0' + i % 75);
  int file = open("a", O_RDWR | O_CREAT, 0644);
  must(write(file, text, 100), "a");
  must(mkdir("d", 0755), "d");
  must(mkdir("d/e", 0755), "d/e");
  int other = open("d/f", O_RDWR | O_CREAT, 0600);
  must(write(other, text, 5000), "d/f");
  must(symlink("a", "l"), "l");
  must(symlink("d", "dl"), "dl");
  must(symlink("loop", "loop"), "loop");
  must(link("a", "h"), "h");
  must(mknod("p", S_IFIFO | 0644, 0), "p");
  int ends[2];
  must(pipe2(ends, O_NONBLOCK), "pipe");
  if (chance() & 1) must(write(ends[1], text, 300), "pipe");
  must(socketpair(AF_UNIX, (chance() & 1 ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0, ends), "pair");
  must(syscall(SYS_epoll_create1, 0), "epoll");
  must(syscall(SYS_eventfd2, 3, O_NONBLOCK), "eventfd");
  if (chance() & 1) must(open("d", O_RDONLY | O_DIRECTORY), "folder");
}

static const Row *choose(int is_user) {
  static long total;
  if (!total) for (long i = 0; i < COUNT_OF(rows); i++) total += rows[i].weight;
  for (;;) {
    long at = below(total), i = 0;
    while (at >= rows[i].weight) at -= rows[i++].weight;
    if (is_user || !(rows[i].flags & USER)) return &rows[i];
  }
}

static void one(const Row *row) {
  Word words[6];
  char line[700], *end = line;
  in_used = 0;
  shown[0] = 0;
  memset(out, 0xa5, OUT_PAGES * PAGE);
  end += sprintf(end, "%ld %s(", said->calls, row->name);
  for (int i = 0; i < 6 && row->makers[i]; i++) {
    row->makers[i](&words[i]);
    end += sprintf(end, "%s%s", i ? ", " : "", words[i].text);
  }
  for (int i = 0; i < 6; i++) if (!row->makers[i]) words[i].value = 0;
  sprintf(end, ")");
  tell(line);
  // musl's syscall() changes nothing of the words.
  long result = syscall(row->number, words[0].value, words[1].value, words[2].value, words[3].value, words[4].value, words[5].value);
  if (result == -1 && errno) result = -errno;
  if (row->show && (result >= 0 || row->show == show_out)) row->show(result, words);
  if (result > 0 && row->flags & (SIGN | ENTRIES)) sprintf(line, " = some%s\n", shown);
  else sprintf(line, " = %ld%s\n", result, shown);
  tell(line);
  said->calls++;
}

static void sequence(long number, long length) {
  said->calls = said->used = 0;
  state = (uint64_t)number * 0x9e3779b97f4a7c15ULL + 88172645463325252ULL;
  for (int i = 0; i < 4; i++) chance();
  int is_user = number & 1;
  // A group of its own: what is done to it is done to nobody else.
  setsid();
  for (int i = 1; i < 65; i++) if (i != SIGKILL && i != SIGSTOP && i != SIGALRM && (i < 32 || i > 34)) signal(i, SIG_DFL);
  sigset_t free;
  sigemptyset(&free);
  sigprocmask(SIG_SETMASK, &free, NULL);
  umask(022);
  struct rlimit files = {64, 64}, size = {1 << 20, 1 << 20}, processes = {200, 200}, cores = {0, 0};
  setrlimit(RLIMIT_NOFILE, &files);
  setrlimit(RLIMIT_FSIZE, &size);
  setrlimit(RLIMIT_CORE, &cores);
  setrlimit(RLIMIT_NPROC, &processes);
  if (is_user) {
    must(syscall(SYS_setgroups, 0, NULL), "groups");
    must(syscall(SYS_setresgid, 1000, 1000, 1000), "group");
    must(syscall(SYS_setresuid, 1000, 1000, 1000), "user");
  }
  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  for (int i = 0; i < 64; i++) close(i);
  arenas();
  names();
  furnish();
  while (said->calls < length) {
    errno = 0;
    one(choose(is_user));
  }
  _exit(0);
}

static int drop(const char *path, const struct stat *status, int kind, struct FTW *walk) {
  (void)status, (void)kind, (void)walk;
  return remove(path), 0;
}

int main(int argc, char **argv) {
  if (argc > 2 && !strcmp(argv[1], "--jail")) {
    enter(argv[2]);
    argv += 2, argc -= 2;
  }
  if (argc < 4) return 2;
  keep_capabilities();
  long first = atol(argv[1]), count = atol(argv[2]), length = atol(argv[3]);
  said = mmap(NULL, sizeof *said, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGCHLD);
  sigprocmask(SIG_BLOCK, &ends, NULL);
  struct sigaction wakes = {.sa_handler = nothing};
  sigaction(SIGALRM, &wakes, NULL);
  for (long number = first; number < first + count; number++) {
    char folder[40];
    snprintf(folder, sizeof folder, "/tmp/%ld", number);
    must(mkdir(folder, 0777), folder);
    must(chmod(folder, 0777), folder);
    must(chdir(folder), folder);
    fflush(stdout);
    pid_t child = fork();
    must(child, "fork");
    if (child == 0) sequence(number, length);
    int status, rounds = 0;
    long seen = -1;
    while (waitpid(child, &status, WNOHANG) == 0) {
      // Nothing is asked that would wait. What does all the same is a difference, and long in coming on a slow machine.
      struct timespec patience = {10, 0};
      sigtimedwait(&ends, NULL, &patience);
      if (said->calls == seen) kill(child, ++rounds > 2 ? SIGKILL : SIGALRM);
      else rounds = 0;
      seen = said->calls;
    }
    printf("= %ld\n%.*s", number, (int)said->used, said->text);
    printf("- %s %d\n", WIFSIGNALED(status) ? "ended by" : "left with", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    must(chdir("/"), "/");
    nftw(folder, drop, 32, FTW_DEPTH | FTW_PHYS);
  }
  return 0;
}
