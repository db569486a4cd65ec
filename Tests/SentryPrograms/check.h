// A list of checks: one line each, "ok" or "FAIL". A program passes natively on Linux first; what it prints in the sentry must be the same.
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int failures;

static void check(const char *name, int holds) {
  printf("%s %s\n", holds ? "ok" : "FAIL", name);
  fflush(stdout);
  if (!holds) failures++;
}

// A raw system call: its result, or -errno.
#define CALL(...) ({ long checked_ = syscall(__VA_ARGS__); checked_ < 0 ? (long)-errno : checked_; })

// The call gives this, else the line tells what it gave.
__attribute__((unused)) static void gives(const char *name, long got, long wanted) {
  if (got == wanted) return check(name, 1);
  printf("FAIL %s: %ld, wanted %ld\n", name, got, wanted);
  fflush(stdout);
  failures++;
}

// An address that nothing is mapped at.
#define NOWHERE ((void *)8)

static int finish(void) { return failures ? 1 : 0; }
