// A sandbox of its own that works on while another one is attacked or attacks: round after round with files, pipes, processes and memory, a
// byte of output for each, until its input ends.
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int round_of(int number) {
  char text[64], back[64];
  int ends[2], status = 1;
  memset(text, 'a' + number % 26, sizeof text);
  int file = open("/tmp/round", O_CREAT | O_TRUNC | O_RDWR, 0600);
  if (file < 0 || write(file, text, sizeof text) != sizeof text || pipe(ends)) return 2;
  pid_t pid = fork();
  if (pid < 0) return 3;
  if (pid == 0) _exit(write(ends[1], text, sizeof text) != sizeof text);
  if (read(ends[0], back, sizeof back) != sizeof back || memcmp(text, back, sizeof back)) return 4;
  if (waitpid(pid, &status, 0) != pid || status) return 5;
  char *page = mmap(0, 4096, PROT_READ, MAP_PRIVATE, file, 0);
  if (page == MAP_FAILED || memcmp(page, text, sizeof text) || munmap(page, 4096)) return 6;
  if (close(file) || close(ends[0]) || close(ends[1]) || unlink("/tmp/round")) return 7;
  return 0;
}

int main(void) {
  struct pollfd input = {0, POLLIN, 0};
  for (int i = 0; poll(&input, 1, 2) == 0; i++) {
    int failed = round_of(i);
    if (failed) return failed;
    if (write(1, ".", 1) != 1) return 8;
  }
  return 0;
}
