// Threads of one process that map files and close them, whose numbers the others take at once: nobody closes another's.
#include "../check.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

enum { THREADS = 6, ROUNDS = 150 };
static int unopened, unmapped, unclosed, strange;

static void *work(void *argument) {
  char name[40], byte = (char)('a' + (long)argument);
  snprintf(name, sizeof name, "/tmp/closers-%d-%ld", getpid(), (long)argument);
  int file = open(name, O_RDWR | O_CREAT, 0600);
  if (file < 0 || write(file, &byte, 1) != 1 || close(file)) __sync_fetch_and_add(&unopened, 1);
  for (int i = 0; i < ROUNDS; i++) {
    file = open(name, O_RDONLY);
    if (file < 0) __sync_fetch_and_add(&unopened, 1);
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);
    if (page == MAP_FAILED) __sync_fetch_and_add(&unmapped, 1);
    else if (*page != byte || munmap(page, 4096)) __sync_fetch_and_add(&strange, 1);
    if (close(file)) __sync_fetch_and_add(&unclosed, 1);
  }
  unlink(name);
  return NULL;
}

int main(void) {
  pthread_t threads[THREADS];
  for (long i = 0; i < THREADS; i++) if (pthread_create(&threads[i], NULL, work, (void *)i)) return 2;
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  gives("files that cannot be opened", unopened, 0);
  gives("or mapped", unmapped, 0);
  gives("or are others'", strange, 0);
  gives("or cannot be closed", unclosed, 0);
  return finish();
}
