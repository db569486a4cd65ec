// What a hostile program may try against answers of the stub: each in a child, after which the parent's calls still tell the truth. Not
// for Linux: the addresses are the stub's (guest/answers.h, guest/stub.ld).
#include "../check.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PAGE_OF_ANSWERS ((volatile uint32_t *)0x500000010000)
#define STUB ((unsigned char *)0x500000000000)

__attribute__((noinline)) static long process(void) {
  long result;
  __asm__ volatile("mov $39, %%eax\n\tsyscall" : "=a"(result) : : "rcx", "r11", "memory");
  return result;
}
__attribute__((noinline)) static long user(void) {
  long result;
  __asm__ volatile("mov $102, %%eax\n\tsyscall" : "=a"(result) : : "rcx", "r11", "memory");
  return result;
}
static int agree(void) {
  for (int i = 0; i < 10; i++)
    if (process() != CALL(SYS_getpid) || user() != CALL(SYS_getuid)) return 0;
  return 1;
}

static const unsigned char call[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};

// Where process() goes to.
static unsigned char *trampoline(void) {
  unsigned char *at = (unsigned char *)process;
  for (int i = 0; i < 64; i++, at++) {
    int distance;
    memcpy(&distance, at + 1, 4);
    if (at[0] == 0xe9 && at[5] == 0x0f && at[6] == 0x05) return at + 5 + distance;
  }
  return NULL;
}

static void scribble(void) {
  for (int i = 0; i < 1024; i++) PAGE_OF_ANSWERS[i] = 0xffffffff;
  for (int i = 0; i < 10; i++) process(), user();
  setpgid(0, 0);
  for (int i = 0; i < 10; i++) process(), user();
}
static void unmap(void) {
  munmap((void *)PAGE_OF_ANSWERS, 4096);
  CALL(SYS_getuid);
  process();
}
static void replace(void) {
  mmap((void *)PAGE_OF_ANSWERS, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  for (int i = 0; i < 10; i++) process(), user();
}
// What all guests read, no guest writes.
static void take_board(void) {
  char *board = (char *)0x500000100000;
  if (mprotect(board, 4096, PROT_READ | PROT_WRITE) == 0) *(volatile long *)board = 0;
  mremap(board, 0x285000, 4096, 0);
  munmap(board, 0x285000);
  stat("/bin", &(struct stat){0});
}
static void take_trampolines(void) {
  unsigned char *at = trampoline();
  if (at) munmap((void *)((uintptr_t)at & ~4095ul), 4096);
  process();
}
// Areas that are none, in the middle of things or nowhere.
static void lie(void) {
  uint64_t lies[] = {8, (uintptr_t)STUB, (uintptr_t)process & ~4095ul, 0xffffffffff600000, 0x7fffffffffff, ~0ul, ~0ul - 8};
  for (unsigned i = 0; i < sizeof lies / sizeof *lies; i++) {
    if (fork() == 0) {
      volatile uint64_t *areas = (uint64_t *)(PAGE_OF_ANSWERS + 32);
      areas[0] = areas[1] = lies[i];
      areas[2] = ~0ul;
      unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      memcpy(code, call, sizeof call);
      mprotect(code, 4096, PROT_READ | PROT_EXEC);
      for (int n = 0; n < 3; n++) ((long (*)(void))code)();
      _exit(0);
    }
    wait(NULL);
  }
}
// A position that the process may move, anywhere, while the sentry asks for it in every way.
__attribute__((noinline)) static long by_site(long number, long a, long b, long c) {
  long result;
  switch (number) {
  case SYS_read: __asm__ volatile("xor %%eax, %%eax\n\tsyscall\n\tcmp $-4096, %%rax" : "=a"(result) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory", "cc"); break;
  case SYS_fstat: __asm__ volatile("mov $5, %%eax\n\tsyscall" : "=a"(result) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory"); break;
  default: __asm__ volatile("mov $8, %%eax\n\tsyscall" : "=a"(result) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory"); break;
  }
  return result;
}
static const char *own;
static volatile uint64_t *entry_of(int file) { return (uint64_t *)PAGE_OF_ANSWERS + 32 + file % 20 * 24; }
static int warm(void) {
  int file = open(own, O_RDONLY);
  struct stat status;
  char bytes[8];
  for (int i = 0; i < 30; i++) by_site(SYS_fstat, file, (long)&status, 0), by_site(SYS_lseek, file, i, SEEK_SET), by_site(SYS_read, file, (long)bytes, 1);
  return file;
}
static void misplace(void) {
  uint64_t lies[] = {~0ul, 1ul << 63, ~0ul >> 1, (~0ul >> 1) - 1, 1ul << 40, 4096, 0};
  for (unsigned i = 0; i < sizeof lies / sizeof *lies; i++)
    for (int way = 0; way < 8; way++) {
      int file = warm();
      volatile uint64_t *entry = entry_of(file);
      char bytes[64];
      entry[23] = lies[i];
      if (way == 6) ((volatile uint64_t *)PAGE_OF_ANSWERS)[20]++, entry[23] = 1ul << 63;
      if (way == 7) entry[22] = lies[i], entry[3] = lies[i], entry[2] = lies[i];
      by_site(SYS_read, file, (long)bytes, sizeof bytes);
      by_site(SYS_lseek, file, (long)lies[i], SEEK_CUR);
      if (way != 6) entry[23] = lies[i];
      if (way == 0) CALL(SYS_read, file, bytes, sizeof bytes);
      if (way == 1) CALL(SYS_lseek, file, (long)lies[i], SEEK_CUR), CALL(SYS_lseek, file, (long)lies[i], SEEK_END);
      if (way == 2) close(dup(file));
      if (way == 3 && fork() == 0) _exit(read(file, bytes, 8) < 0);
      if (way == 4) by_site(SYS_read, file, (long)bytes, ~0l), CALL(SYS_sendfile, 1, file, NULL, 0);
      if (way == 5) CALL(SYS_fcntl, file, F_SETFL, O_NONBLOCK);
      // Said to be closed, often; at last there is no page.
      if (way == 6 && i == 6) munmap((void *)PAGE_OF_ANSWERS, 4096), CALL(SYS_read, file, bytes, sizeof bytes), _exit(0);
      CALL(SYS_read, file, bytes, sizeof bytes);
      close(file);
    }
}
// A page for trampolines wherever it hurts, and one that is said to be there.
static void want(void) {
  uint64_t lies[] = {(uintptr_t)STUB, (uintptr_t)PAGE_OF_ANSWERS, 0xffffffffff600000, ~0ul, 1, (uintptr_t)lies & ~4095ul, 0x500000100000};
  for (unsigned i = 0; i < sizeof lies / sizeof *lies; i++) {
    volatile uint64_t *page = (volatile uint64_t *)PAGE_OF_ANSWERS;
    if (fork() == 0) {
      alarm(5);
      int file = open(own, O_RDONLY);
      struct stat status;
      char bytes[8];
      for (int n = 0; n < 60; n++) {
        page[7] = page[19] = lies[i];
        by_site(SYS_fstat, file, (long)&status, 0), by_site(SYS_lseek, file, 0, SEEK_END), by_site(SYS_read, file, (long)bytes, 1);
        // Whatever the sentry asked for, it is said to be there.
        page[19] = page[7];
      }
      _exit(0);
    }
    wait(NULL);
  }
}
static int place;
static void jump(void) {
  uint64_t junk = (uint64_t)place * 0x9e3779b97f4a7c15;
  __asm__ volatile("mov %0, %%r11\n\tmov %1, %%rax\n\tmov %1, %%rcx\n\tmov %0, %%rdx\n\tcall *%2" : : "r"(junk), "r"((uint64_t)(place % 400)), "r"(STUB + 0x200 + place) : "rax", "rcx", "rdx", "rdi", "rsi", "r8", "r9", "r10", "r11", "memory");
}

static void attempt(const char *name, void (*body)(void)) {
  pid_t child = fork();
  if (child == 0) {
    alarm(5);
    agree();
    body();
    _exit(0);
  }
  int status = 0;
  check(name, waitpid(child, &status, 0) == child && agree());
}

int main(int argc, char **argv) {
  own = argv[argc - 1];
  check("its own calls", agree() && trampoline());
  attempt("another page's words", scribble);
  attempt("no page", unmap);
  attempt("a page that cannot be written", replace);
  attempt("no trampolines", take_trampolines);
  attempt("areas elsewhere", lie);
  attempt("positions elsewhere", misplace);
  attempt("pages of trampolines elsewhere", want);
  attempt("no board", take_board);
  gives("a board that is written", CALL(SYS_mprotect, 0x500000100000, 4096, PROT_READ | PROT_WRITE), -EACCES);
  // The kernel lets only those write a private page who have one: what all read stays what it was.
  gives("a page of its own there", CALL(SYS_madvise, 0x500000100000, 4096, MADV_DONTNEED), 0);
  struct stat one, other;
  int same = 1;
  for (int i = 0; i < 10; i++) same = same && stat("/bin", &one) == 0 && stat("/bin/.", &other) == 0 && one.st_ino == other.st_ino;
  check("paths are what they were", same);
  int lives = 1;
  for (place = 0; place < 600; place += 1 + place % 5) {
    pid_t child = fork();
    if (child == 0) {
      alarm(5);
      // Wherever it comes to, it says nothing.
      close(1);
      jump();
      _exit(0);
    }
    int status = 0;
    lives = lives && waitpid(child, &status, 0) == child;
  }
  check("jumps into the midst of it", lives && agree());

  // Text that two processes write to is nobody's to change.
  unsigned char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memcpy(shared, call, sizeof call);
  pid_t child = fork();
  if (child == 0) {
    long (*code)(void) = (long (*)(void))shared;
    for (int i = 0; i < 10; i++)
      if (code() != CALL(SYS_getpid)) _exit(1);
    _exit(0);
  }
  int status = 1;
  check("shared text", waitpid(child, &status, 0) == child && status == 0 && !memcmp(shared, call, sizeof call));
  check("shared text in the parent", ((long (*)(void))shared)() == CALL(SYS_getpid));
  return finish();
}
