// What the stub answers by itself: calls of sites that the sentry has led here (docs/sentry-platform.md, "Answers in the stub"). All of it
// is done by a guest's process from memory that is the guest's own or that it can only read: who corrupts it hurts itself.
#include <stddef.h>
#include <stdint.h>

#include "answers.h"

enum { SYS_open = 2, SYS_stat = 4, SYS_fstat = 5, SYS_lstat = 6, SYS_rt_sigprocmask = 14, SYS_pread64 = 17, SYS_access = 21 };
enum { SYS_futex = 202, SYS_openat = 257, SYS_newfstatat = 262, SYS_faccessat = 269 };
enum { ENOENT = 2, EINVAL = 22, NO_FOLLOW = 0x100, NO_AUTOMOUNT = 0x800, EMPTY_PATH = 0x1000 };
// Of open(2): whatever may make a file, or sees a link where others see nothing.
enum { O_CREAT = 0100, O_NOFOLLOW = 0400000, O_PATH = 010000000, O_TMPFILE = 020000000 };
enum { PAGE = 4096, STATUS = 8 * STATUS_WORDS };
#define END_OF_MEMORY 0x7ffffffff000ul

// The way in, at a fixed place (stub.ld): rax has the call's number, r11 where its syscall instruction stands. The caller's red zone is
// kept, and every register but rax, rcx and r11, which a system call changes too. What is not answered goes on to the instruction.
__asm__(
    ".section .text.answer,\"ax\"\n.globl answer\nanswer:\n  lea -128(%rsp), %rsp\n  push %r11\n  push %rax\n  push %rdi\n"
    "  push %rsi\n  push %rdx\n  push %r8\n  push %r9\n  push %r10\n  lea 192(%rsp), %r9\n  mov %rax, %r8\n  mov %r10, %rcx\n"
    "  call find_answer\n  pop %r10\n  pop %r9\n  pop %r8\n  pop %rdx\n  pop %rsi\n  pop %rdi\n  pop %rcx\n  pop %r11\n"
    "  lea 128(%rsp), %rsp\n  cmp $-4096, %rax\n  jne 1f\n  mov %ecx, %eax\n  jmp *%r11\n1:\n  add $2, %r11\n  jmp *%r11\n");

static inline long call(long n, long a, const volatile void *b, const volatile void *c, long d, const volatile void *e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = (long)e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

static uintptr_t page_of(const volatile void *at) { return (uintptr_t)at & ~(uintptr_t)(PAGE - 1); }

// A bad pointer must end in EFAULT, not in a fault: the kernel looks. The page that the stack pointer is in is there. A mask with no such
// `how` is read before it is refused (kernel/signal.c).
static int can_read(uintptr_t page, const char *stack) {
  return page == page_of(stack) || call(SYS_rt_sigprocmask, -1, (void *)page, NULL, 8, NULL, 0) == -EINVAL;
}

// Whether bytes can be written; what they hold may be lost. Fewer than eight stay: adding nothing to their word tells as well.
static int can_write(char *at, size_t count, const char *stack) {
  if ((uintptr_t)at >= END_OF_MEMORY || count > END_OF_MEMORY - (uintptr_t)at) return 0;
  char *end = at + count;
  while (at < end) {
    uintptr_t page = page_of(at);
    char *stop = end < (char *)page + PAGE ? end : (char *)page + PAGE;
    if (page != page_of(stack)) {
      if (stop - at >= 8) {
        if (call(SYS_rt_sigprocmask, 0, NULL, at, 8, NULL, 0) != 0) return 0;
      } else {
        // FUTEX_WAKE_OP_PRIVATE: or with 0, wake none.
        void *word = (void *)((uintptr_t)at & ~(uintptr_t)3);
        if (call(SYS_futex, (long)word, (void *)(long)133, NULL, 0, word, 2l << 28) < 0) return 0;
      }
    }
    at = stop;
  }
  return 1;
}

static void copy(volatile void *to, const volatile void *from, size_t count) {
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}
static void copy_status(char *to, const volatile uint64_t *from) {
  volatile uint64_t *words = (volatile uint64_t *)to;
  for (int i = 0; i < STATUS_WORDS; i++) words[i] = from[i];
}

static const volatile struct answered_descriptor *descriptor(unsigned number) {
  const volatile struct answers_page *page = ANSWERS_PAGE;
  const volatile struct answered_descriptor *entry = &page->descriptor[number % DESCRIPTORS];
  return page->epoch && entry->epoch == page->epoch && entry->number == number ? entry : NULL;
}
static int holds(uint64_t generation) { return generation && ANSWERS_BOARD->generation == generation; }

static long status_of_descriptor(unsigned number, char *to, const char *stack) {
  const volatile struct answered_descriptor *entry = descriptor(number);
  if (!entry || !holds(entry->generation) || !can_write(to, STATUS, stack)) return UNANSWERED;
  copy_status(to, entry->status);
  // What changed meanwhile is asked for again.
  return entry == descriptor(number) && holds(entry->generation) ? 0 : UNANSWERED;
}

static long read_at(unsigned number, char *to, size_t count, uint64_t offset, const char *stack) {
  const volatile struct answered_descriptor *entry = descriptor(number);
  if (!entry || !entry->file || !holds(entry->generation) || offset >= entry->size) return UNANSWERED;
  if (count > entry->size - offset) count = entry->size - offset;
  // Of more than two pieces the sentry's copy costs no more than these looks.
  if (count == 0 || count > PIECE || !can_write(to, count, stack)) return UNANSWERED;
  const volatile struct answers_board *board = ANSWERS_BOARD;
  for (size_t done = 0; done < count;) {
    uint64_t index = (offset + done) / PIECE, within = (offset + done) % PIECE;
    unsigned place = (unsigned)(entry->file * 31 + index) % PIECES;
    const volatile struct answered_piece *piece = &board->piece[place];
    uint64_t sequence = piece->sequence;
    if (sequence & 1 || piece->file != entry->file || piece->index != index || !holds(piece->generation)) return UNANSWERED;
    size_t length = PIECE - within < count - done ? PIECE - within : count - done;
    copy(to + done, &board->bytes[place][within], length);
    if (piece->sequence != sequence) return UNANSWERED;
    done += length;
  }
  return entry == descriptor(number) && holds(entry->generation) ? (long)count : UNANSWERED;
}

// Gives what the path leads to, 0 or -ENOENT, with the status where it is asked for.
static long look_up(const char *path, unsigned kind, char *to, const char *stack) {
  const volatile struct answers_board *board = ANSWERS_BOARD;
  // FNV-1a.
  uint64_t hash = 0xcbf29ce484222325 ^ kind;
  unsigned length = 0;
  for (uintptr_t page = 1;; length++) {
    if (length > LONGEST_PATH || (uintptr_t)path >= END_OF_MEMORY - LONGEST_PATH) return UNANSWERED;
    if (page_of(path + length) != page) {
      page = page_of(path + length);
      if (!can_read(page, stack)) return UNANSWERED;
    }
    unsigned char byte = ((const volatile unsigned char *)path)[length];
    if (!byte) break;
    if (length == 0 && byte != '/') return UNANSWERED;
    hash = (hash ^ byte) * 0x100000001b3;
  }
  if (length == 0) return UNANSWERED;
  const volatile struct answered_path *entry = &board->path[(hash ^ hash >> 32) % PATHS];
  uint64_t sequence = entry->sequence;
  if (sequence & 1 || entry->hash != hash || entry->length != length || entry->kind != kind || !holds(entry->generation))
    return UNANSWERED;
  for (unsigned i = 0; i < length; i++)
    if (entry->path[i] != ((const volatile char *)path)[i]) return UNANSWERED;
  long result = entry->result;
  if (result == 0 && to) {
    if (!can_write(to, STATUS, stack)) return UNANSWERED;
    copy_status(to, entry->status);
  }
  return entry->sequence == sequence && holds(entry->generation) ? result : UNANSWERED;
}

static long status_of_path(const char *path, unsigned kind, char *to, const char *stack) {
  return to ? look_up(path, kind, to, stack) : UNANSWERED;
}

// open(2) of what is there is the sentry's.
static long open_nothing(const char *path, unsigned flags, const char *stack) {
  if (flags & (O_CREAT | O_NOFOLLOW | O_PATH | O_TMPFILE)) return UNANSWERED;
  return look_up(path, 0, NULL, stack) == -ENOENT ? -ENOENT : UNANSWERED;
}
static long access_to(const char *path, unsigned mode, const char *stack) {
  if (mode & ~7u) return UNANSWERED;
  long result = look_up(path, 0, NULL, stack);
  return result == -ENOENT || (result == 0 && mode == 0) ? result : UNANSWERED;
}

// Gives a call's value, or UNANSWERED.
__attribute__((used)) long find_answer(long a, long b, long c, long d, long number, const char *stack) {
  const volatile struct answers_page *page = ANSWERS_PAGE;
  if (!page->epoch) return UNANSWERED;
  switch (number) {
  case SYS_fstat: return status_of_descriptor((unsigned)a, (char *)b, stack);
  case SYS_newfstatat: {
    const char *path = (const char *)b;
    if ((int)d == EMPTY_PATH && path == page->empty && path && !*(const volatile char *)path)
      return status_of_descriptor((unsigned)a, (char *)c, stack);
    if ((int)d & ~(NO_FOLLOW | NO_AUTOMOUNT)) return UNANSWERED;
    return status_of_path(path, d & NO_FOLLOW ? 1 : 0, (char *)c, stack);
  }
  case SYS_stat: return status_of_path((const char *)a, 0, (char *)b, stack);
  case SYS_lstat: return status_of_path((const char *)a, 1, (char *)b, stack);
  case SYS_pread64: return d < 0 ? UNANSWERED : read_at((unsigned)a, (char *)b, (size_t)c, (uint64_t)d, stack);
  case SYS_open: return open_nothing((const char *)a, (unsigned)b, stack);
  case SYS_openat: return open_nothing((const char *)b, (unsigned)c, stack);
  case SYS_access: return access_to((const char *)a, (unsigned)b, stack);
  case SYS_faccessat: return access_to((const char *)b, (unsigned)c, stack);
  default: return UNANSWERED;
  }
}
