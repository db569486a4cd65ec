// What the stub answers by itself: calls of sites that the sentry has led here (docs/sentry-platform.md, "Answers in the stub"). All of it
// is done by a guest's process from memory that is the guest's own or that it can only read: who corrupts it hurts itself.
#include <stddef.h>
#include <stdint.h>

#include "answers.h"

enum {
  SYS_read = 0, SYS_open = 2, SYS_close = 3, SYS_stat = 4, SYS_fstat = 5, SYS_lstat = 6, SYS_lseek = 8, SYS_mmap = 9, SYS_rt_sigaction = 13,
  SYS_rt_sigprocmask = 14, SYS_ioctl = 16, SYS_pread64 = 17, SYS_access = 21, SYS_getpid = 39, SYS_fcntl = 72, SYS_readlink = 89,
  SYS_getuid = 102, SYS_getgid = 104, SYS_geteuid = 107, SYS_getegid = 108, SYS_getppid = 110, SYS_getpgrp = 111, SYS_rt_sigpending = 127,
  SYS_openat = 257, SYS_newfstatat = 262, SYS_readlinkat = 267, SYS_faccessat = 269
};
enum { ENOENT = 2, EINVAL = 22, ENOTTY = 25, NO_FOLLOW = 0x100, NO_AUTOMOUNT = 0x800, EMPTY_PATH = 0x1000 };
enum { TCGETS = 0x5401, F_GETFD = 1, F_SETFD = 2, F_GETFL = 3, FD_CLOEXEC = 1 };
enum { KIND = 0170000, DIRECTORY = 0040000, REGULAR = 0100000, LINK = 0120000 };
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

// Whether bytes can be written; what they hold may be lost. The thread's mask takes eight, of two pages at once where they meet; the signals
// that wait for it take as few as are wanted.
static int can_write(char *at, size_t count, const char *stack) {
  if ((uintptr_t)at >= END_OF_MEMORY || count > END_OF_MEMORY - (uintptr_t)at) return 0;
  char *end = at + count;
  while (at < end) {
    char *stop = (char *)page_of(at) + PAGE;
    if (stop > end) stop = end;
    if (page_of(at) != page_of(stack)) {
      int meets = stop - at >= 4 && end - stop >= 4 && page_of(stop) != page_of(stack);
      long result = meets            ? call(SYS_rt_sigprocmask, 0, NULL, stop - 4, 8, NULL, 0)
                    : stop - at >= 8 ? call(SYS_rt_sigprocmask, 0, NULL, at, 8, NULL, 0)
                                     : call(SYS_rt_sigpending, (long)at, (void *)(stop - at), NULL, 0, NULL, 0);
      if (result != 0) return 0;
      if (meets) stop = end - stop > PAGE ? stop + PAGE : end;
    }
    at = stop;
  }
  return 1;
}

static void copy(volatile void *to, const volatile void *from, size_t count) {
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}
static void copy_status(char *to, const volatile uint64_t *from, int words) {
  volatile uint64_t *to_words = (volatile uint64_t *)to;
  for (int i = 0; i < STATUS_WORDS; i++) to_words[i] = i < words ? from[i] : 0;
}

static int holds(uint64_t generation) { return generation && ANSWERS_BOARD->generation == generation; }
static unsigned mode_of(const volatile uint64_t *status) { return (unsigned)status[3]; }

// What is told of a descriptor, read while the sentry did not write it, though other threads of the process may be closing it.
struct told {
  volatile struct answered_descriptor *entry;
  uint64_t sequence, generation, size, tag, position;
  unsigned number, file, flags, mode;
};
// Whether nothing else was told, and nothing taken back, since it was read.
static int is_told(const struct told *told) {
  const volatile struct answered_descriptor *entry = told->entry;
  uint32_t epoch = ANSWERS_PAGE->epoch;
  return epoch && entry->epoch == epoch && entry->number == told->number && entry->sequence == told->sequence;
}
static int find(unsigned number, struct told *told) {
  volatile struct answered_descriptor *entry = &ANSWERS_PAGE->descriptor[number % DESCRIPTORS];
  told->entry = entry, told->number = number, told->sequence = entry->sequence;
  told->generation = entry->generation, told->size = entry->size, told->file = entry->file, told->flags = entry->flags;
  told->mode = mode_of(entry->status);
  // The tag first: it changes before the position does in any other way than by `move`.
  told->tag = entry->tag, told->position = entry->position;
  return told->sequence && is_told(told) && told->position != CLOSED;
}
static int still_holds(const struct told *told) { return is_told(told) && holds(told->generation); }

static long status_of_descriptor(unsigned number, char *to, const char *stack) {
  struct told told;
  if (!find(number, &told) || !holds(told.generation) || !can_write(to, STATUS, stack)) return UNANSWERED;
  copy_status(to, told.entry->status, TOLD_STATUS_WORDS);
  // What changed meanwhile is asked for again.
  return still_holds(&told) ? 0 : UNANSWERED;
}

static unsigned place_of(unsigned file, uint64_t index) { return (unsigned)((uint64_t)file * 31 + index) % PIECES; }

// Bytes of an open file from before its end.
static long bytes_at(const struct told *told, char *to, size_t count, uint64_t offset, const char *stack) {
  if (!told->file || !holds(told->generation) || offset >= told->size) return UNANSWERED;
  if (count > told->size - offset) count = told->size - offset;
  if (count == 0 || count > LONGEST_READ) return UNANSWERED;
  const volatile struct answers_board *board = ANSWERS_BOARD;
  // Before the buffer is looked at, which costs more: most often none of it is there, or all.
  const volatile struct answered_piece *first = &board->piece[place_of(told->file, offset / PIECE)];
  if (first->file != told->file || first->index != offset / PIECE || !can_write(to, count, stack)) return UNANSWERED;
  for (size_t done = 0; done < count;) {
    uint64_t index = (offset + done) / PIECE, within = (offset + done) % PIECE;
    unsigned place = place_of(told->file, index);
    const volatile struct answered_piece *piece = &board->piece[place];
    uint64_t sequence = piece->sequence;
    if (sequence & 1 || piece->file != told->file || piece->index != index || !holds(piece->generation)) return UNANSWERED;
    size_t length = PIECE - within < count - done ? PIECE - within : count - done;
    copy(to + done, &board->bytes[place][within], length);
    if (piece->sequence != sequence) return UNANSWERED;
    done += length;
  }
  return still_holds(told) ? (long)count : UNANSWERED;
}

static long read_at(unsigned number, char *to, size_t count, uint64_t offset, const char *stack) {
  struct told told;
  return find(number, &told) ? bytes_at(&told, to, count, offset, stack) : UNANSWERED;
}

// An open file whose position is this process's to move: nobody else has it, and it was opened for reading.
static int find_movable(unsigned number, struct told *told) {
  return find(number, told) && (told->mode & KIND) == REGULAR && told->tag && holds(told->generation);
}
// Moves a position that is still what it was, and still ours: a handler or another thread may have moved it, the sentry may have taken it
// back. A tag is given once only, so whatever was read with it is what was told with it.
static int move(const struct told *told, uint64_t to) {
  unsigned char moved;
  uint64_t tag = told->tag, from = told->position;
  __asm__ volatile("lock cmpxchg16b %1\n\tsete %0"
                   : "=q"(moved), "+m"(*(volatile unsigned __int128 *)&told->entry->tag), "+a"(tag), "+d"(from)
                   : "b"(tag), "c"(to)
                   : "cc", "memory");
  return moved;
}

static long read_on(unsigned number, char *to, size_t count, const char *stack) {
  struct told told;
  if (!find_movable(number, &told)) return UNANSWERED;
  if (told.position >= told.size) {
    if (!(told.flags & TELLS_END)) return UNANSWERED;
    if ((uintptr_t)to > END_OF_MEMORY || count > END_OF_MEMORY - (uintptr_t)to) return UNANSWERED;
    return move(&told, told.position) && holds(told.generation) ? 0 : UNANSWERED;
  }
  long done = bytes_at(&told, to, count, told.position, stack);
  return done != UNANSWERED && move(&told, told.position + (uint64_t)done) ? done : UNANSWERED;
}

// Within the file: what else lseek(2) may say is the sentry's.
static long seek(unsigned number, int64_t offset, unsigned whence) {
  struct told told;
  if (!find_movable(number, &told)) return UNANSWERED;
  uint64_t target = (uint64_t)offset + (whence == 1 ? told.position : whence == 2 ? told.size : 0);
  if (whence > 2 || told.position > told.size || target > told.size) return UNANSWERED;
  return move(&told, target) && holds(told.generation) ? (long)target : UNANSWERED;
}

// The sentry learns of it at this process's next call, whatever that is, before it looks at it.
static long shut(unsigned number) {
  volatile struct answers_page *page = ANSWERS_PAGE;
  struct told told;
  if (!find_movable(number, &told) || !(told.flags & CLOSABLE) || !move(&told, CLOSED)) return UNANSWERED;
  __asm__ volatile("lock incq %0" : "+m"(page->closes) : : "cc", "memory");
  return 0;
}

// fcntl(2) about flags that stay as they are. Those of an open file are anybody's who has it.
static long control(unsigned number, unsigned command, unsigned argument) {
  struct told told;
  if (!find(number, &told)) return UNANSWERED;
  unsigned flags = told.flags, closes = flags & CLOSES_ON_EXEC ? FD_CLOEXEC : 0;
  switch (command) {
  case F_GETFD: return closes;
  case F_SETFD: return (argument & FD_CLOEXEC) == closes ? 0 : UNANSWERED;
  case F_GETFL: return told.tag ? (long)(flags & ~(CLOSES_ON_EXEC | TELLS_END | CLOSABLE)) : UNANSWERED;
  default: return UNANSWERED;
  }
}
// Files and directories are no terminals.
static long terminal_of(unsigned number, unsigned request) {
  struct told told;
  return request == TCGETS && find(number, &told) && !(told.flags & O_PATH) ? -ENOTTY : UNANSWERED;
}

// Gives what the path leads to, 0 or -ENOENT, with the status where it is asked for, and the mode.
static long look_up(const char *path, unsigned kind, char *to, unsigned *mode, const char *stack) {
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
  *mode = mode_of(entry->status);
  if (result == 0 && to) {
    if (!can_write(to, STATUS, stack)) return UNANSWERED;
    copy_status(to, entry->status, STATUS_WORDS);
  }
  return entry->sequence == sequence && holds(entry->generation) ? result : UNANSWERED;
}

static long status_of_path(const char *path, unsigned kind, char *to, const char *stack) {
  unsigned mode;
  return to ? look_up(path, kind, to, &mode, stack) : UNANSWERED;
}

// open(2) of what is there is the sentry's.
static long open_nothing(const char *path, unsigned flags, const char *stack) {
  unsigned mode;
  if (flags & (O_CREAT | O_NOFOLLOW | O_PATH | O_TMPFILE)) return UNANSWERED;
  return look_up(path, 0, NULL, &mode, stack) == -ENOENT ? -ENOENT : UNANSWERED;
}
// Of what is there: whether everybody may read it, or search it. Executing depends on more than the mode.
static long access_to(const char *path, unsigned wanted, const char *stack) {
  unsigned mode;
  if (wanted & ~7u) return UNANSWERED;
  long result = look_up(path, 0, NULL, &mode, stack);
  unsigned rights = (mode & 0444) == 0444 ? 4 : 0;
  if ((mode & KIND) == DIRECTORY && (mode & 0111) == 0111) rights |= 1;
  return result == -ENOENT || (result == 0 && !(wanted & ~rights)) ? result : UNANSWERED;
}
// readlink(2) of what is no link: realpath(3) asks so of each directory on its way.
static long link_at(const char *path, int size, const char *stack) {
  unsigned mode;
  if (size <= 0) return UNANSWERED;
  long result = look_up(path, 1, NULL, &mode, stack);
  return result == 0 ? (mode & KIND) == LINK ? UNANSWERED : -EINVAL : result;
}

// What was never told an action has none: rt_sigaction(2) that only asks.
static long action_of(unsigned signal, const void *action, char *to, size_t size, const char *stack) {
  const volatile struct answers_page *page = ANSWERS_PAGE;
  if (action || size != 8 || signal - 1 > 63 || page->defaults_epoch != page->epoch || !(page->defaults >> (signal - 1) & 1)) return UNANSWERED;
  if (!to) return 0;
  if (!can_write(to, 32, stack)) return UNANSWERED;
  for (int i = 0; i < 4; i++) ((volatile uint64_t *)to)[i] = 0;
  return 0;
}

// An id, which is told with 1 added.
static long known(uint32_t id) { return id ? (long)(id - 1) : UNANSWERED; }

// Call sites without room for a jump to anywhere have their trampolines where their own bytes lead (CallSite.swift). Not where the stack grows to.
static void make_room(volatile struct answers_page *page, const char *stack) {
  enum { READ_EXECUTE = 5, PRIVATE_ANONYMOUS_NORESERVE_FIXED_NOREPLACE = 0x104022 };
  uint64_t at = page->wanted;
  page->wanted = 0;
  if ((uintptr_t)stack - at < 1ul << 30) return;
  long made = call(SYS_mmap, (long)at, (void *)PAGE, (void *)READ_EXECUTE, PRIVATE_ANONYMOUS_NORESERVE_FIXED_NOREPLACE, (void *)-1, 0);
  if (made == (long)at) page->far = at;
}

// Gives a call's value, or UNANSWERED.
__attribute__((used)) long find_answer(long a, long b, long c, long d, long number, const char *stack) {
  volatile struct answers_page *page = ANSWERS_PAGE;
  if (!page->epoch) return UNANSWERED;
  if (page->wanted) make_room(page, stack);
  switch (number) {
  case SYS_read: return read_on((unsigned)a, (char *)b, (size_t)c, stack);
  case SYS_close: return shut((unsigned)a);
  case SYS_lseek: return seek((unsigned)a, b, (unsigned)c);
  case SYS_fcntl: return control((unsigned)a, (unsigned)b, (unsigned)c);
  case SYS_ioctl: return terminal_of((unsigned)a, (unsigned)b);
  case SYS_rt_sigaction: return action_of((unsigned)a, (const void *)b, (char *)c, (size_t)d, stack);
  case SYS_readlink: return link_at((const char *)a, (int)c, stack);
  case SYS_readlinkat: return link_at((const char *)b, (int)d, stack);
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
  // Of sites that take the number from elsewhere; others have a trampoline that reads the word.
  case SYS_getpid: return known(page->process);
  case SYS_getppid: return known(page->parent);
  case SYS_getuid: return known(page->user);
  case SYS_geteuid: return known(page->effective_user);
  case SYS_getgid: return known(page->group);
  case SYS_getegid: return known(page->effective_group);
  case SYS_getpgrp: return known(page->process_group);
  case SYS_faccessat: return access_to((const char *)b, (unsigned)c, stack);
  default: return UNANSWERED;
  }
}
