// Arguments of random calls: each maker chooses a word and says how it is printed. One seed, one sequence: nothing else is asked for chance.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define PAGE 4096L
#define COUNT_OF(list) ((long)(sizeof(list) / sizeof *(list)))

// xorshift64*; the state is never 0.
static uint64_t state;
static uint64_t chance(void) {
  state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
  return state * 2685821657736338717ULL;
}
static long below(long bound) { return (long)((chance() >> 33) % (uint64_t)bound); }
static int one_in(long bound) { return below(bound) == 0; }

// What calls read lies in `in`, what they write in `out`; behind each is a page that nobody has.
#define IN_PAGES 4
#define OUT_PAGES 4
#define REGION_PAGES 16
static char *in, *out, *region;
static long in_used;

static char *arena(uintptr_t at, long pages) {
  char *start = mmap((void *)at, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (start != (char *)at || mprotect(start + PAGE, pages * PAGE, PROT_READ | PROT_WRITE)) _exit(99);
  return start + PAGE;
}
static void arenas(void) {
  in = arena(0x100000000, IN_PAGES);
  out = arena(0x110000000, OUT_PAGES);
  region = (char *)0x120000000;
  if (mmap(region, REGION_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != region) _exit(99);
}
static void *room(long bytes) {
  char *at = in + in_used;
  in_used += (bytes + 7) & ~7L;
  if (in_used > IN_PAGES * PAGE) _exit(98);
  memset(at, 0, bytes);
  return at;
}

typedef struct {
  long value;
  char text[56];
} Word;
typedef void Maker(Word *word);

static void say(Word *word, long value, const char *text) {
  word->value = value;
  snprintf(word->text, sizeof word->text, "%s", text);
}
static void number(Word *word, long value) {
  word->value = value;
  snprintf(word->text, sizeof word->text, value > -4096 && value < 4096 ? "%ld" : "%#lx", value);
}
static void pick(Word *word, const long *list, long count) { number(word, list[below(count)]); }
#define PICK(name, ...) \
  static void name(Word *word) { static const long list[] = {__VA_ARGS__}; pick(word, list, COUNT_OF(list)); }
// Any union of some bits, mostly of few.
static void bits(Word *word, const long *list, long count) {
  long value = 0;
  for (long left = below(4); left > 0; left--) value |= list[below(count)];
  if (one_in(40)) value |= 1L << below(32);
  number(word, value);
}
#define BITS(name, ...) \
  static void name(Word *word) { static const long list[] = {__VA_ARGS__}; bits(word, list, COUNT_OF(list)); }

// A pointer that is none, now and then.
static int stray(Word *word) {
  if (!one_in(24)) return 0;
  static const struct { long value; const char *text; } none[] = {
    {0, "NULL"}, {8, "8"}, {-1, "-1"}, {(long)0x8000000000000000ULL, "1<<63"}, {0x7ffffffff000, "TASK_END"}, {0x120000000 - 4096, "HOLE"}};
  long index = below(COUNT_OF(none));
  say(word, none[index].value, none[index].text);
  return 1;
}
static void where(Word *word, char *at) {
  word->value = (long)at;
  long offset = at >= out ? at - out : at - in;
  snprintf(word->text, sizeof word->text, "%s+%ld", at >= out ? "OUT" : "IN", offset);
}

static void none(Word *word) { number(word, 0); }
static void wild(Word *word) {
  switch (below(6)) {
  case 0: return number(word, (long)chance());
  case 1: return number(word, -below(8));
  case 2: return number(word, 1L << below(64));
  case 3: return number(word, (1L << below(63)) - 1);
  default: return number(word, below(16));
  }
}
static void small(Word *word) { number(word, one_in(12) ? -1 - below(3) : below(10)); }

// Descriptors: mostly those that a sequence may have.
static void descriptor(Word *word) {
  if (one_in(20)) {
    static const long odd[] = {-1, -100, 63, 64, 1000, 0x7fffffff, 0x100000003, -2147483648L};
    return pick(word, odd, COUNT_OF(odd));
  }
  number(word, below(one_in(3) ? 24 : 12));
}
static void folder(Word *word) {
  if (one_in(4)) return descriptor(word);
  number(word, -100);
}

static char long_name[300], long_path[5000];
static const char *const paths[] = {
  "a", "a", "b", "c", "d", "d/e", "d/f", "d/e/g", "l", "dl", "dl/f", "h", "loop", "none", "p", "p2", "s", "x", "y",
  ".", "..", "", "/", "d/", "a/", "l/", "dl/", "./a", "d/../a", "d/./f", "d//f", "a/b", "none/x", "/tmp", "../..", "d/e/../../d/f", "loop/x", "gone", "d/g", "e",
};
static void path(Word *word) {
  if (stray(word)) return;
  const char *chosen = paths[below(COUNT_OF(paths))];
  const char *shown = chosen;
  if (one_in(60)) chosen = long_name, shown = "NAME*256";
  else if (one_in(60)) chosen = long_name + 1, shown = "NAME*255";
  else if (one_in(60)) chosen = long_path, shown = "PATH*4200";
  else if (one_in(80)) chosen = long_path + 105, shown = "PATH*4095";
  else if (one_in(80)) chosen = long_path + 104, shown = "PATH*4096";
  long length = strlen(chosen) + 1;
  char *at = room(length);
  memcpy(at, chosen, length);
  word->value = (long)at;
  snprintf(word->text, sizeof word->text, "\"%s\"", shown);
}
static void names(void) {
  memset(long_name, 'n', 256);
  for (int i = 0; i < 4200; i++) long_path[i] = i % 100 == 99 ? '/' : 'm';
}

static void buffer(Word *word) {
  if (stray(word)) return;
  static const long offsets[] = {0, 0, 0, 0, 0, 1, 4095, OUT_PAGES * PAGE - 8, OUT_PAGES * PAGE};
  where(word, out + offsets[below(COUNT_OF(offsets))]);
}
static void content(Word *word) {
  if (stray(word)) return;
  static const long offsets[] = {0, 0, 0, 0, 0, 1, 4095};
  long offset = offsets[below(COUNT_OF(offsets))];
  for (long i = 0; i < PAGE; i++) out[offset + i] = (char)('A' + (i + offset) % 26);
  where(word, out + offset);
}
PICK(length, 0, 1, 2, 4, 7, 8, 16, 30, 64, 100, 128, 256, 1000, 4096, 5000, 8192)
static void any_length(Word *word) {
  static const long odd[] = {-1, 0x7fffffff, 0x80000000, 0x7ffff000, -2147483648L, 1L << 62, (long)(1UL << 63), 65536};
  if (one_in(16)) pick(word, odd, COUNT_OF(odd));
  else length(word);
}
static void offset(Word *word) {
  static const long list[] = {0, 0, 1, 5, 100, 4095, 4096, 4097, 8192, 70000, 1 << 20, (1 << 20) + 1, 1L << 32, 1L << 40, 0x7fffffffffffffff, -1, -4096, (long)(1UL << 63)};
  pick(word, list, COUNT_OF(list) - (one_in(3) ? 0 : 8));
}
// A pointer to an offset that the call may change.
static void offset_at(Word *word) {
  if (!one_in(3)) return say(word, 0, "NULL");
  Word chosen;
  offset(&chosen);
  long *at = (long *)(out + 2 * PAGE);
  *at = chosen.value;
  word->value = (long)at;
  snprintf(word->text, sizeof word->text, "&%.40s", chosen.text);
}
static void ints(Word *word, long a, long b, int count) {
  int *at = (int *)(out + 2 * PAGE + 64);
  at[0] = (int)a, at[1] = (int)b;
  word->value = (long)at;
  snprintf(word->text, sizeof word->text, count == 1 ? "&%d" : "&{%d,%d}", (int)a, (int)b);
}
static void int_at(Word *word) {
  if (stray(word)) return;
  Word chosen;
  small(&chosen);
  ints(word, chosen.value, 0, 1);
}
static void length_at(Word *word) {
  if (stray(word)) return;
  static const long list[] = {0, 1, 2, 3, 4, 8, 12, 16, 110, 128, -1};
  ints(word, list[below(COUNT_OF(list))], 0, 1);
}
static void vector(Word *word) {
  if (stray(word)) return;
  struct iovec *list = room(4 * sizeof *list);
  char *text = word->text;
  text += sprintf(text, "[");
  long at = 0;
  for (int i = 0; i < 4; i++) {
    static const long sizes[] = {0, 1, 8, 100, 1000, 3000};
    long size = sizes[below(COUNT_OF(sizes))];
    list[i].iov_base = out + at, list[i].iov_len = size;
    if (one_in(40)) list[i].iov_base = (void *)8;
    if (one_in(60)) list[i].iov_len = -1;
    text += sprintf(text, "%s%ld,", list[i].iov_base == (void *)8 ? "!" : "", (long)list[i].iov_len);
    at += size;
  }
  sprintf(text, "]");
  for (long i = 0; i < 3 * PAGE; i++) out[i] = (char)('a' + i % 26);
  word->value = (long)list;
}
PICK(vectors, 0, 1, 2, 3, 4, 4, 4, -1, 1025, 1024L << 32)

// struct timespec and timeval: nothing that could pass or expire while a sequence runs.
static void time_at(Word *word) {
  if (one_in(5)) return say(word, 0, "NULL");
  if (stray(word)) return;
  static const long seconds[] = {0, 0, 0, 0, -1}, parts[] = {0, 0, 0, 1, 999, 999999, 1000000, 999999999, 1000000000, -1};
  long *at = room(16);
  at[0] = seconds[below(COUNT_OF(seconds))], at[1] = parts[below(COUNT_OF(parts))];
  // Nothing to sleep through: a time-out is none, or not valid.
  if (at[0] == 0 && at[1] > 0 && at[1] <= 999999) at[1] = 0;
  if (at[0] == 0 && at[1] == 999999999) at[1] = 1;
  word->value = (long)at;
  snprintf(word->text, sizeof word->text, "{%ld,%ld}", at[0], at[1]);
}
static void times_at(Word *word) {
  if (one_in(5)) return say(word, 0, "NULL");
  if (stray(word)) return;
  static const long parts[] = {0, 1, 999999, 1000000, 999999999, 1000000000, 0x3fffffff, 0x3ffffffe, -1};
  long *at = room(32);
  at[0] = below(3) * 1000, at[1] = parts[below(COUNT_OF(parts))], at[2] = below(3) * 1000, at[3] = parts[below(COUNT_OF(parts))];
  word->value = (long)at;
  snprintf(word->text, sizeof word->text, "{%ld,%ld,%ld,%ld}", at[0], at[1], at[2], at[3]);
}
// struct itimerspec and itimerval: disarmed, or far away, or wrong.
static void interval_at(Word *word) {
  if (stray(word)) return;
  static const long seconds[] = {0, 0, 1000, 100000, -1}, parts[] = {0, 0, 0, 999999, 1000000000, -1};
  long *at = room(32);
  at[0] = seconds[below(3)], at[1] = parts[below(COUNT_OF(parts))], at[2] = seconds[below(COUNT_OF(seconds))], at[3] = parts[below(COUNT_OF(parts))];
  if (at[2] == 0 && at[3] == 999999) at[3] = 0;
  word->value = (long)at;
  snprintf(word->text, sizeof word->text, "{%ld,%ld,%ld,%ld}", at[0], at[1], at[2], at[3]);
}
static void set_at(Word *word) {
  if (one_in(6)) return say(word, 0, "NULL");
  if (stray(word)) return;
  uint64_t *at = room(8);
  for (int i = below(4); i > 0; i--) *at |= 1UL << below(64);
  // The one that wakes a sequence from a call that would last (random.c).
  *at &= ~(1UL << (SIGALRM - 1));
  word->value = (long)at;
  snprintf(word->text, sizeof word->text, "set %#lx", *at);
}
PICK(set_size, 8, 8, 8, 8, 8, 8, 8, 0, 4, 16, 128)
static void address(Word *word) {
  if (stray(word)) return;
  struct sockaddr_un *at = room(128);
  static const char *const places[] = {"s", "s2", "none/s", "a", "d", "", "\0one", "\0two", "p"};
  long index = below(COUNT_OF(places));
  at->sun_family = one_in(15) ? below(12) : AF_UNIX;
  if (index == 6 || index == 7) memcpy(at->sun_path, places[index], 5);
  else strcpy(at->sun_path, places[index]);
  word->value = (long)at;
  snprintf(word->text, sizeof word->text, "{%d,%s%s}", at->sun_family, index == 6 || index == 7 ? "@" : "", places[index][0] ? places[index] : places[index] + 1);
}
// Not 2: the kernel chooses a name by chance then.
PICK(bound_length, 0, 1, 3, 6, 6, 6, 16, 110, 110, 110, 111, 128, 129, -1)
PICK(address_length, 0, 1, 2, 3, 6, 6, 6, 16, 110, 110, 110, 111, 128, 129, -1)
