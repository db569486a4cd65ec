// The same call again and again, with a start that is the same: steady CALL TIMES FILE. What it prints is how many calls did what they should.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int count, char **words) {
  if (count != 4) return 2;
  const char *call = words[1], *file = words[3];
  long times = atol(words[2]), good = 0;
  char bytes[64];
  struct stat status;
  int to_read = open(file, O_RDONLY), null = open("/dev/null", O_WRONLY), own = open("/tmp/own", O_RDWR | O_CREAT, 0600);
  if (to_read < 0 || null < 0 || own < 0 || write(own, bytes, sizeof bytes) != sizeof bytes) return 3;
  for (long i = 0; i < times; i++) {
    if (!strcmp(call, "read")) good += read(to_read, bytes, 1) == 1;
    if (!strcmp(call, "pread")) good += pread(to_read, bytes, sizeof bytes, 8) == sizeof bytes;
    if (!strcmp(call, "read-own")) good += pread(own, bytes, sizeof bytes, 0) == sizeof bytes;
    if (!strcmp(call, "write-null")) good += write(null, bytes, sizeof bytes) == sizeof bytes;
    if (!strcmp(call, "write-own")) good += pwrite(own, bytes, sizeof bytes, 0) == sizeof bytes;
    if (!strcmp(call, "stat")) good += stat(file, &status) == 0;
    if (!strcmp(call, "fstat")) good += fstat(to_read, &status) == 0;
    if (!strcmp(call, "open")) {
      int made = open(file, O_RDONLY);
      good += made >= 0 && close(made) == 0;
    }
  }
  printf("%ld\n", good);
  return 0;
}
