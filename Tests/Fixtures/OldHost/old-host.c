// old-host [--last NUMBER] [--no-notification] [--without NUMBER]... PROGRAM [ARGUMENT]...
//
// Runs a program on a Linux 5.9, or on one whose last call is another, as far as calls go.
//
// Later numbers have SECCOMP_RET_TRACE: without a tracer that is ENOSYS (seccomp(2)), and it gives way to the notification that the
// sentry's guests stand under, which an old kernel would hand over too: filters come before the kernel looks for the call.
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { LAST_OF_5_9 = 439, SECCOMP = 317, NEW_LISTENER = 8, MOST = 200 };

static struct sock_filter program[MOST];
static unsigned short length;

static void add(struct sock_filter instruction) {
  if (length < MOST) program[length++] = instruction;
}

int main(int count, char **words) {
  int at = 1, last = LAST_OF_5_9;
  if (count > 2 && !strcmp(words[1], "--last")) {
    last = atoi(words[2]);
    at = 3;
  }
  add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
  // x32's numbers are another matter.
  add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 2, 0));
  add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (unsigned)last, 0, 1));
  add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
  for (; at < count && words[at][0] == '-'; at++) {
    if (!strcmp(words[at], "--no-notification")) {
      add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SECCOMP, 0, 4));
      add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])));
      add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NEW_LISTENER, 0, 1));
      add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL));
      add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    } else if (!strcmp(words[at], "--without") && at + 1 < count) {
      add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)atoi(words[++at]), 0, 1));
      add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
    } else {
      fprintf(stderr, "old-host: unknown option %s\n", words[at]);
      return 2;
    }
  }
  add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  struct sock_fprog whole = {length, program};
  if (at >= count || length == MOST) return 2;
  // As root, and no_new_privs is not set: what runs within is to be as privileged as without.
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole) != 0) {
    perror("old-host: seccomp");
    return 2;
  }
  execvp(words[at], words + at);
  perror(words[at]);
  return 127;
}
