// guest/stub: the program behind every name that a guest of the sentry wall executes. The host's kernel runs it with the guest's
// arguments and environment already on its stack; it asks the sentry what to load, maps it and jumps. As the first process of the
// guests' pid namespace it is the keeper: starts programs when told, reaps orphans. The protocol: docs/sentry-platform.md.
//
// Freestanding, x86-64, at a fixed address of its own and without data: it is sealed where it lies. All it does is done by a
// guest's process with a guest's powers; nothing here is trusted to have happened.
#include <stddef.h>
#include <stdint.h>

#include "answers.h"

enum {
  SYS_close = 3, SYS_mmap = 9, SYS_mprotect = 10, SYS_munmap = 11, SYS_pause = 34, SYS_fork = 57, SYS_execve = 59, SYS_wait4 = 61, SYS_setsid = 112,
  SYS_exit_group = 231, SYS_close_range = 436, SYS_mseal = 462
};
// Numbers that no kernel has: the filter hands them to the sentry like every call that it does not know (StubCall.swift).
enum { HELLO = 0x494d00, KEEPER_NEXT = 0x494d01, KEEPER_REAPED = 0x494d02, LAUNCH_FETCH = 0x494d03, LAUNCH_FAILED = 0x494d04 };
enum role { ROLE_LOAD = 1, ROLE_KEEPER = 2 };
enum { PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, PROT_GROWSDOWN = 0x01000000 };
enum { MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20, MAP_NORESERVE = 0x4000, MAP_FIXED_NOREPLACE = 0x100000 };
enum { AT_PHDR = 3, AT_PHENT = 4, AT_PHNUM = 5, AT_BASE = 7, AT_ENTRY = 9, AT_UID = 11, AT_EUID = 12, AT_GID = 13, AT_EGID = 14, AT_SECURE = 23 };
enum { WNOHANG = 1, WALL = 0x40000000, PAGE = 4096 };
enum { SEGMENTS = 48, STRINGS = 8192, EXECUTABLE_STACK = 1, ANSWERS = 2 };
enum { AREA = 16384, LOWEST = 65536 };

// What the sentry writes (ELFPlan.swift); little-endian, no padding.
struct segment {
  uint64_t address, offset, file_size, memory_size;
  uint32_t protection, object;
};
struct object {
  uint64_t start, length, alignment, entry, headers;
  // `fixed`: at the address that the file names, else anywhere.
  uint32_t descriptor, fixed;
};
struct plan {
  uint32_t objects, segments, prefix, flags;
  uint32_t user, effective_user, group, effective_group;
  uint32_t header_count, secure;
  // What the stub may answer from (answers.h).
  uint32_t board, reserved;
  struct object object[2];
  // From here on the sentry writes what there is, and nothing behind it.
  struct segment segment[SEGMENTS];
  // `prefix` strings that stand in argv[0]'s place: interpreters of scripts, their arguments, the script.
  char strings[STRINGS];
};

static inline long call6(long n, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#define call(n, a, b, c) call6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)

// The gap leaves room for the words that a script's interpreters put before the arguments.
__asm__(
    ".section .text.start,\"ax\"\n.globl _start\n_start:\n  xor %ebp, %ebp\n  mov %rsp, %rdi\n  lea -1024(%rsp), %rsp\n"
    "  and $-16, %rsp\n  call stub_main\n  hlt\n");

extern char __ehdr_start[], stub_end[];

// Without a sentry no call is answered any more, exit_group(2) neither: it then sleeps until it is killed.
static _Noreturn void leave(int code) {
  for (;;) {
    call(SYS_exit_group, code, 0, 0);
    call(SYS_pause, 0, 0, 0);
  }
}
// As the kernel ends a program whose image cannot be mapped: by a signal.
static _Noreturn void crash(void) {
  for (;;) __asm__ volatile("hlt");
}
static int failed(long result) { return result < 0 && result > -4096; }
static void clear(char *from, char *to) {
  for (volatile char *at = from; at < (volatile char *)to; at++) *at = 0;
}
static uint64_t up(uint64_t address, uint64_t unit) { return (address + unit - 1) & ~(unit - 1); }

// Where the object's addresses begin: 0 for one at the addresses that it names, else the start of a reserved range.
static uint64_t reserve(const struct object *object) {
  if (object->fixed) return 0;
  uint64_t unit = object->alignment > PAGE ? object->alignment : PAGE;
  uint64_t length = object->length + (unit - PAGE);
  long at = call6(SYS_mmap, 0, (long)length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (failed(at)) crash();
  uint64_t start = up((uint64_t)at, unit);
  uint64_t end = start + object->length, reserved = (uint64_t)at + length;
  if (start > (uint64_t)at) call(SYS_munmap, at, start - (uint64_t)at, 0);
  if (reserved > end) call(SYS_munmap, end, reserved - end, 0);
  return start - object->start;
}

static void map(const struct segment *segment, const struct object *object, uint64_t bias) {
  uint64_t address = bias + segment->address;
  uint64_t within = address & (PAGE - 1);
  uint64_t file_end = address + segment->file_size, memory_end = address + segment->memory_size;
  int fixed = object->fixed ? MAP_FIXED_NOREPLACE : MAP_FIXED;
  uint64_t anonymous = address - within;
  if (segment->file_size) {
    long at = call6(SYS_mmap, (long)(address - within), (long)(segment->file_size + within), segment->protection,
                    MAP_PRIVATE | fixed, object->descriptor, (long)(segment->offset - within));
    if (at != (long)(address - within)) crash();
    anonymous = up(file_end, PAGE);
    // The rest of the last page is the program's from here on, also past the segment: loaders count on it.
    if (segment->memory_size > segment->file_size && segment->protection & PROT_WRITE)
      clear((char *)file_end, (char *)anonymous);
  }
  if (up(memory_end, PAGE) > anonymous) {
    long at = call6(SYS_mmap, (long)anonymous, (long)(up(memory_end, PAGE) - anonymous), segment->protection,
                    MAP_PRIVATE | MAP_ANONYMOUS | fixed, -1, 0);
    if (at != (long)anonymous) crash();
  }
}

// Puts the strings of the plan in argv[0]'s place, below which the stack is free. Gives the new top of the stack.
static uint64_t *prefix(uint64_t *top, const struct plan *plan) {
  if (!plan->prefix) return top;
  long memory = call6(SYS_mmap, 0, STRINGS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (failed(memory)) crash();
  volatile char *to = (char *)memory;
  const char *from = plan->strings;
  for (unsigned left = plan->prefix; left; from++)
    if (!(*to++ = *from)) left--;
  uint64_t arguments = top[0];
  unsigned more = plan->prefix - 1;
  if (more & 1) {
    // Calling conventions want the top at a multiple of 16: everything moves one word down.
    uint64_t *end = top + 1 + arguments + 1;
    while (*end++) {}
    while (*end) end += 2;
    end += 2;
    for (volatile uint64_t *word = top; word < end; word++) word[-1] = word[0];
    top--;
  }
  top -= more;
  top[0] = arguments + more;
  char *cursor = (char *)memory;
  for (unsigned i = 0; i < plan->prefix; i++) {
    top[1 + i] = (uint64_t)cursor;
    while (*cursor++) {}
  }
  return top;
}

static void set(uint64_t *vector, uint64_t kind, uint64_t value) {
  for (; vector[0]; vector += 2)
    if (vector[0] == kind) vector[1] = value;
}

static _Noreturn void enter(uint64_t *top, uint64_t entry) {
  __asm__ volatile(
      "mov %0, %%rsp\n  mov %1, %%r11\n  xor %%eax, %%eax\n  xor %%ebx, %%ebx\n  xor %%ecx, %%ecx\n  xor %%edx, %%edx\n"
      "  xor %%esi, %%esi\n  xor %%edi, %%edi\n  xor %%ebp, %%ebp\n  xor %%r8d, %%r8d\n  xor %%r9d, %%r9d\n"
      "  xor %%r10d, %%r10d\n  xor %%r12d, %%r12d\n  xor %%r13d, %%r13d\n  xor %%r14d, %%r14d\n  xor %%r15d, %%r15d\n"
      "  jmp *%%r11"
      :
      : "a"(top), "d"(entry));
  __builtin_unreachable();
}

// Memory for answers without the sentry. Where it cannot be had every call goes the long way.
static void prepare_answers(const struct plan *plan) {
  volatile struct answers_page *page = ANSWERS_PAGE;
  long board = call6(SYS_mmap, (long)ANSWERS_BOARD, sizeof(struct answers_board), PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE,
                     plan->board, 0);
  call(SYS_close, plan->board, 0, 0);
  if (board != (long)ANSWERS_BOARD) return;
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  long at = call6(SYS_mmap, (long)page, PAGE, PROT_READ | PROT_WRITE, flags | MAP_FIXED_NOREPLACE, -1, 0);
  if (at != (long)page) return;
  // Beside what is mapped from here on, and below a program that names its addresses.
  at = call6(SYS_mmap, 0, AREA, PROT_READ | PROT_EXEC, flags, -1, 0);
  if (!failed(at)) page->area[0] = (uint64_t)at;
  const struct object *program = &plan->object[0];
  if (program->fixed && program->start >= LOWEST + AREA) {
    uint64_t below = (program->start & ~(uint64_t)(PAGE - 1)) - AREA;
    at = call6(SYS_mmap, (long)below, AREA, PROT_READ | PROT_EXEC, flags | MAP_FIXED_NOREPLACE, -1, 0);
    if (at == (long)below) page->area[1] = below;
  }
  page->area_size = AREA;
}

static _Noreturn void load(uint64_t *top, const struct plan *plan) {
  uint64_t bias[2] = {0, 0};
  for (unsigned i = 0; i < plan->objects; i++) bias[i] = reserve(&plan->object[i]);
  for (unsigned i = 0; i < plan->segments; i++) {
    const struct segment *segment = &plan->segment[i];
    map(segment, &plan->object[segment->object], bias[segment->object]);
  }
  for (unsigned i = 0; i < plan->objects; i++) call(SYS_close, plan->object[i].descriptor, 0, 0);
  if (plan->flags & ANSWERS) prepare_answers(plan);
  top = prefix(top, plan);
  uint64_t *vector = top + 1 + top[0] + 1;
  while (*vector++) {}
  const struct object *program = &plan->object[0];
  unsigned last = plan->objects - 1;
  set(vector, AT_PHDR, bias[0] + program->headers);
  set(vector, AT_PHENT, 56);
  set(vector, AT_PHNUM, plan->header_count);
  set(vector, AT_BASE, last ? bias[1] + plan->object[1].start : 0);
  set(vector, AT_ENTRY, bias[0] + program->entry);
  set(vector, AT_UID, plan->user);
  set(vector, AT_EUID, plan->effective_user);
  set(vector, AT_GID, plan->group);
  set(vector, AT_EGID, plan->effective_group);
  set(vector, AT_SECURE, plan->secure);
  if (plan->flags & EXECUTABLE_STACK)
    call(SYS_mprotect, (uint64_t)top & ~(uint64_t)(PAGE - 1), PAGE, PROT_READ | PROT_WRITE | PROT_EXEC | PROT_GROWSDOWN);
  // Linux 6.10; without it a guest can only take its own loader away.
  call(SYS_mseal, __ehdr_start, up((uint64_t)(stub_end - __ehdr_start), PAGE), 0);
  enter(top, bias[last] + plan->object[last].entry);
}

// Runs a program: its path, arguments and environment come from the sentry as counts and strings.
static _Noreturn void launch(long size) {
  call(SYS_setsid, 0, 0, 0);
  long words = call6(SYS_mmap, 0, size * 9 + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (failed(words)) leave(126);
  char **vector = (char **)words;
  // A pointer for each byte is more than enough, as each string has a NUL.
  char *block = (char *)words + size * 8 + 64;
  if (failed(call(LAUNCH_FETCH, block, size, 0))) leave(126);
  uint32_t counts[2] = {((uint32_t *)block)[0], ((uint32_t *)block)[1]};
  char *cursor = block + 8, *path = cursor;
  while (*cursor++) {}
  char **vectors[2];
  for (unsigned v = 0; v < 2; v++) {
    vectors[v] = vector;
    for (unsigned i = 0; i < counts[v]; i++) {
      *vector++ = cursor;
      while (*cursor++) {}
    }
    *vector++ = NULL;
  }
  call(LAUNCH_FAILED, call(SYS_execve, path, vectors[0], vectors[1]), 0, 0);
  leave(127);
}

static _Noreturn void keep(void) {
  // Whatever the sentry had open and not close-on-exec: no guest may begin with it.
  call(SYS_close_range, 0, ~0u, 0);
  for (;;) {
    int status = 0;
    long ended = call6(SYS_wait4, -1, (long)&status, WNOHANG | WALL, 0, 0, 0);
    if (ended > 0) {
      call(KEEPER_REAPED, ended, status, 0);
      continue;
    }
    long size = call(KEEPER_NEXT, 0, 0, 0);
    if (size < 0) leave(0);
    if (size > 0 && call(SYS_fork, 0, 0, 0) == 0) launch(size);
  }
}

__attribute__((used)) _Noreturn void stub_main(uint64_t *top) {
  struct plan plan;
  long role = call(HELLO, &plan, sizeof plan, 0);
  if (role == ROLE_KEEPER) keep();
  if (role != ROLE_LOAD) leave(127);
  load(top, &plan);
}
