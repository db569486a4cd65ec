// Two processes beside the first one's thread, all asleep: one in a call of the sentry's, one in the host's kernel. Says so.
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void *sleep_for_ever(void *argument) {
  for (;;) pause();
  return argument;
}

int main(void) {
  char byte;
  int ends[2];
  if (pipe(ends)) return 1;
  for (int i = 0; i < 2; i++)
    if (fork() == 0) {
      write(ends[1], "s", 1);
      if (i == 0) read(0, &byte, 1);
      for (;;) pause();
    }
  pthread_t thread;
  if (pthread_create(&thread, NULL, sleep_for_ever, NULL)) return 1;
  for (int i = 0; i < 2; i++)
    if (read(ends[0], &byte, 1) != 1) return 1;
  puts("asleep");
  fflush(stdout);
  return read(0, &byte, 1) != 0;
}
