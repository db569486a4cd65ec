// Walks through ".." while other threads move and exchange the folders on their way: none ends outside of the root. In a root of its own, or in a
// folder that is the argument, above which "canary" says "outside" where a walk must not come.
#include "../check.h"
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>

#define UP "../../../../../../../../../../"
enum { ROUNDS = 1000, WALKERS = 2 };
static int top;
static volatile int walking = WALKERS;
static volatile long moved, ended, wrong;

static void put(const char *path, const char *text) {
  int f = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (write(f, text, strlen(text)) < 0) perror(path);
  close(f);
}

static void look(int f) {
  char text[16] = "";
  if (f < 0) return;
  if (read(f, text, sizeof text - 1) < 0) text[0] = 0;
  close(f);
  __sync_fetch_and_add(strcmp(text, "inside") ? &wrong : &ended, 1);
}
static int within(int folder, const char *path, unsigned long resolve) {
  struct open_how how = {.flags = O_RDONLY, .resolve = resolve};
  return syscall(SYS_openat2, folder, path, &how, sizeof how);
}

static void *walk(void *none) {
  (void)none;
  // A current folder of its own; where that may not be had they share one, which moves them all the more.
  (void)!unshare(CLONE_FS);
  // On until some have met some, however the threads take turns.
  for (int round = 0; round < ROUNDS || ((moved < 100 || ended < 100) && round < 100 * ROUNDS); round++) {
    look(openat(top, "a/b/c/../../../canary", O_RDONLY));
    look(openat(top, "a/b/c/" UP "canary", O_RDONLY));
    look(openat(top, "a/up/canary", O_RDONLY));
    int deep = openat(top, round & 1 ? "a/b/c" : "d/e/b/c", O_PATH | O_DIRECTORY);
    if (deep < 0) continue;
    look(openat(deep, UP "canary", O_RDONLY));
    look(within(deep, UP "canary", RESOLVE_IN_ROOT));
    // Nothing lies beneath, so wherever it ends it has left.
    int beneath = within(deep, "../canary", RESOLVE_BENEATH);
    if (beneath >= 0) wrong++;
    if (fchdir(deep) == 0) look(open(UP "canary", O_RDONLY));
    char where[4096];
    if (getcwd(where, sizeof where) && strstr(where, "granted")) wrong++;
    close(deep);
  }
  __sync_fetch_and_sub(&walking, 1);
  return 0;
}

static void *move(void *exchanges) {
  while (walking) {
    int done = exchanges ? syscall(SYS_renameat2, top, "a", top, "d", 2) : renameat(top, "a/b", top, "d/e/b");
    if (done == 0) moved++;
    if (!exchanges) renameat(top, "d/e/b", top, "a/b");
  }
  return 0;
}

int main(int count, char **words) {
  umask(022);
  if (count < 2) {
    char base[] = "renames.XXXXXX";
    if (!mkdtemp(base) || chdir(base)) return 2;
    put("canary", "outside");
    if (mkdir("granted", 0755) || chroot("granted") || chdir("/")) return 2;
  } else if (chdir(words[1])) {
    return 2;
  }
  put("canary", "inside");
  mkdir("a", 0755), mkdir("a/b", 0755), mkdir("a/b/c", 0755), mkdir("d", 0755), mkdir("d/e", 0755), mkdir("a/e", 0755);
  if (symlink(UP, "a/up") || (top = open(".", O_PATH | O_DIRECTORY)) < 0) return 2;
  pthread_t threads[WALKERS + 2];
  for (int i = 0; i < WALKERS; i++) pthread_create(&threads[i], 0, walk, 0);
  for (int i = 0; i < 2; i++) pthread_create(&threads[WALKERS + i], 0, move, i ? &top : 0);
  for (int i = 0; i < WALKERS + 2; i++) pthread_join(threads[i], 0);
  check("folders were moved", moved >= 100);
  check("walks ended within", ended >= 100);
  check("none ended outside", wrong == 0);
  return finish();
}
