// The calls that sequences are made of, each with how its arguments are made and what of its answer is the same on every machine.
#include "words.h"

PICK(open_access, 0, 0, 1, 2, 2, 3)
static void open_flags(Word *word) {
  static const long flags[] = {O_CREAT, O_CREAT, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW, O_CLOEXEC, O_NOCTTY, O_SYNC, 020200000};
  Word access;
  open_access(&access);
  bits(word, flags, COUNT_OF(flags));
  // Nobody at a FIFO's other end: to open it would be to wait.
  number(word, (word->value & 0xffffffff) | access.value | O_NONBLOCK | (one_in(16) ? 010000000 : 0));
}
// For creat(2), which cannot be told not to wait for a FIFO's other end.
static void no_fifo(Word *word) {
  struct stat status;
  path(word);
  if (stat((const char *)word->value, &status) == 0 && S_ISFIFO(status.st_mode)) say(word, 8, "8");
}
PICK(mode, 0, 0644, 0600, 0755, 0777, 0, 0444, 0222, 0111, 01777, 04755, 02755, 07777, 0100644, 0177777)
PICK(node_mode, 0, 0644, 0100644, 0010644, 0140644, 0040755, 0120777, 0170644)
BITS(at_flags, 0x100, 0x400, 0x1000, 0x800, 0x200)
PICK(unlink_flags, 0, 0, 0x200, 0x200, 0x100, 1)
PICK(rename_flags, 0, 0, 0, 1, 2, 3, 8)
PICK(access_mode, 0, 1, 2, 4, 7, 6, 8, -1)
PICK(whence, 0, 0, 1, 1, 2, 2, 3, 4, 5, -1)
PICK(user, 0, 1000, 1001, -1, 1, 65534, 65535)
PICK(group_count, 0, 1, 2, -1, 65537)
static void groups(Word *word) {
  if (stray(word)) return;
  unsigned *list = room(8);
  list[0] = 1000 + below(2), list[1] = below(2) ? -1U : 5;
  word->value = (long)list;
  snprintf(word->text, sizeof word->text, "{%u,%d}", list[0], (int)list[1]);
}
BITS(descriptor_flags, O_CLOEXEC, O_CLOEXEC, O_NONBLOCK, 1, 2)
static void nonblocking(Word *word) {
  descriptor_flags(word);
  number(word, word->value | O_NONBLOCK);
}
BITS(fallocate_mode, 1, 1, 2, 3, 8, 0x10, 0x20, 0x40)
PICK(lock, 5, 6, 4 | 8, 8, 0, 7, 16 | 5)
static long asked;
static void fcntl_command(Word *word) {
  static const long list[] = {0, 1030, 1, 2, 3, 4, 3, 4, 9, 10, 11, 15, 16, 1024, 1031, 1032, 1033, 1034, 7777};
  pick(word, list, COUNT_OF(list));
  asked = word->value;
}
static void fcntl_word(Word *word) {
  // No O_ASYNC; what does not block stays so.
  static const long list[] = {0, 1, 2, 3, 10, 20, O_NONBLOCK, O_NONBLOCK | O_APPEND, 4096, 65536, 1 << 20, -1, 63, 64};
  pick(word, list, COUNT_OF(list));
  if (asked == F_SETFL) number(word, (word->value & ~O_ASYNC) | O_NONBLOCK);
}
PICK(lock_command, 5, 6, 36, 37)
static void lock_at(Word *word) {
  if (stray(word)) return;
  struct flock *at = (struct flock *)(out + 2 * PAGE);
  memset(at, 0, sizeof *at);
  at->l_type = one_in(12) ? 9 : below(3), at->l_whence = one_in(12) ? 7 : below(3);
  static const long list[] = {0, 0, 1, 10, 100, -1, -10, 0x7fffffffffffffff};
  at->l_start = list[below(COUNT_OF(list))], at->l_len = list[below(COUNT_OF(list))];
  word->value = (long)at;
  snprintf(word->text, sizeof word->text, "{%d,%d,%ld,%ld}", at->l_type, at->l_whence, (long)at->l_start, (long)at->l_len);
}
PICK(any_request, 0x541b, 0x5421, 0x5450, 0x5451, 0x5401, 0x5413, 0x5402, 0x540f, 0x80045430, 0x5411, 0, 0xffffffff, 0x5460)
static void request(Word *word) {
  any_request(word);
  asked = word->value;
}
static void request_word(Word *word) {
  // FIONBIO: what does not block stays so.
  if (asked == 0x5421) return ints(word, 1, 0, 1);
  int_at(word);
}

static void polls(Word *word) {
  if (stray(word)) return;
  struct pollfd *list = (struct pollfd *)out;
  char *text = word->text + sprintf(word->text, "[");
  for (int i = 0; i < 4; i++) {
    static const short events[] = {POLLIN, POLLOUT, POLLIN | POLLOUT, 0, 0x7fff, POLLPRI, 0x2000};
    list[i].fd = one_in(8) ? (one_in(2) ? -1 : 62) : below(14), list[i].events = events[below(COUNT_OF(events))], list[i].revents = 0x55;
    text += sprintf(text, "%d:%x,", list[i].fd, list[i].events);
  }
  sprintf(text, "]");
  word->value = (long)list;
}
PICK(poll_count, 0, 1, 2, 3, 4, 4, 4, 65, -1)
static void zero_time(Word *word) {
  if (stray(word)) return;
  room(16);
  say(word, (long)(in + in_used - 16), "{0,0}");
}
// Not NULL, which would be to wait.
static void some_time(Word *word) {
  zero_time(word);
  if (word->value == 0) say(word, 8, "8");
}
PICK(select_count, 0, 1, 8, 8, 16, 16, 63, 64, -1, 1025)
static void select_set(Word *word) {
  if (one_in(2)) return say(word, 0, "NULL");
  if (stray(word)) return;
  static int next;
  uint64_t *at = (uint64_t *)(out + PAGE + 256 * (next++ & 3));
  memset(at, 0, 160);
  for (int i = below(4); i > 0; i--) *at |= 1UL << below(12);
  word->value = (long)at;
  snprintf(word->text, sizeof word->text, "fds %#lx", *at);
}
PICK(epoll_operation, 1, 1, 1, 1, 2, 3, 3, 0, 4)
static void epoll_event(Word *word) {
  if (stray(word)) return;
  static const unsigned events[] = {1, 4, 5, 0x80000001, 0x40000005, 0xc0000005, 0x10000001, 0x10000005, 0x2000, 0, 0x20000001};
  struct { uint32_t events; uint64_t data; } __attribute__((packed)) *at = room(12);
  at->events = events[below(COUNT_OF(events))], at->data = 0x1111111100000000 + below(8);
  word->value = (long)at;
  snprintf(word->text, sizeof word->text, "{%#x,%ld}", at->events, (long)(at->data & 15));
}
PICK(event_count, 1, 1, 2, 4, 8, 0, -1, 0x7fffffff)
PICK(zero, 0)
PICK(signal_number, 10, 12, 17, 18, 23, 28, 34, 35, 36, 63, 64, 0, 65, -1, 9, 19)
PICK(sent_signal, 0, 0, 10, 10, 12, 17, 18, 23, 34, 34, 64, 65, -1, 1, 2, 15)
PICK(how, 0, 1, 2, 2, 3)
static volatile long delivered;
static void count(int signal) { (void)signal, delivered++; }
__attribute__((naked)) static void restore(void) { __asm__ volatile("mov $15, %eax; syscall"); }
static void action(Word *word) {
  if (one_in(6)) return say(word, 0, "NULL");
  if (stray(word)) return;
  // The kernel's struct sigaction: handler, flags, restorer, mask.
  unsigned long *at = room(32);
  static const unsigned long flags[] = {0, 0x10000000, 0x40000000, 0x80000000, 4, 2, 1, 0x10000000};
  long kind = below(4);
  at[0] = kind < 2 ? (unsigned long)kind : (unsigned long)count;
  at[1] = flags[below(COUNT_OF(flags))] | flags[below(COUNT_OF(flags))] | 0x4000000;
  at[2] = (unsigned long)restore;
  if (one_in(3)) at[3] = 1UL << (9 + below(4));
  word->value = (long)at;
  snprintf(word->text, sizeof word->text, "{%s,%#lx,%#lx}", kind < 2 ? kind ? "IGN" : "DFL" : "count", at[1], at[3]);
}
PICK(process, 0, 0, -100, 999999, -999999, -2147483648L)
static void self(Word *word) {
  static long own;
  if (one_in(4)) {
    static const long odd[] = {999999, -999999, 0x7fffffff, 1L << 33};
    return pick(word, odd, COUNT_OF(odd));
  }
  own = syscall(SYS_getpid);
  say(word, own, "self");
}
PICK(resource, 1, 3, 4, 5, 6, 7, 8, 10, 12, 13, 14, 15, 16, -1)
static void limit_at(Word *word) {
  if (one_in(2)) return say(word, 0, "NULL");
  if (stray(word)) return;
  static const long list[] = {0, 20, 64, 64, 4096, 100000, -1};
  long *at = room(16);
  at[0] = list[below(COUNT_OF(list))], at[1] = list[below(COUNT_OF(list))];
  word->value = (long)at;
  snprintf(word->text, sizeof word->text, "{%ld,%ld}", at[0], at[1]);
}
PICK(family, 1, 1, 1, 1, 1, 2, 10, 0, 46, -1)
static void socket_type(Word *word) {
  static const long list[] = {1, 1, 2, 2, 5, 3, 0, 6, 11, 1 | O_CLOEXEC, 2 | 0x100};
  pick(word, list, COUNT_OF(list));
  number(word, word->value | O_NONBLOCK);
}
PICK(protocol, 0, 0, 0, 1, 6, 17, -1)
BITS(message_flags, 0x40, 0x4000, 2, 0x20, 0x80, 0x100, 0x40000000, 4)
PICK(level, 1, 1, 1, 1, 6, 0, 41, 99)
PICK(option, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 15, 16, 17, 18, 19, 20, 21, 30, 38, 39, 59, 99)
PICK(shutdown_how, 0, 1, 2, 3, -1)
PICK(backlog, 0, 1, 5, 128, -1)
static int control_file;
static void message(Word *word) {
  if (stray(word)) return;
  struct msghdr *at = room(sizeof *at);
  Word list, name;
  vector(&list);
  at->msg_iov = (void *)list.value, at->msg_iovlen = one_in(20) ? 1025 : below(5);
  if (one_in(4)) address(&name), at->msg_name = (void *)name.value, at->msg_namelen = one_in(3) ? 8 : 110;
  char *text = word->text + snprintf(word->text, 40, "{%.24s/%ld", list.text, (long)at->msg_iovlen);
  if (one_in(3)) {
    // A descriptor, well said or not.
    long *control = (long *)(out + 3 * PAGE);
    control_file = below(12);
    static const long lengths[] = {20, 20, 20, 20, 16, 24, 19, 15, 0, -1, 4096};
    control[0] = lengths[below(COUNT_OF(lengths))];
    ((int *)control)[2] = one_in(8) ? 7 : 1, ((int *)control)[3] = one_in(8) ? below(5) : 1, ((int *)control)[4] = control_file;
    at->msg_control = control, at->msg_controllen = one_in(6) ? below(40) : 24;
    text += sprintf(text, " c%ld,%d,%d", control[0], control_file, (int)at->msg_controllen);
  }
  sprintf(text, "}");
  word->value = (long)at;
}
BITS(splice_flags, 1, 2, 4, 8, 16)
static void splice_without_wait(Word *word) {
  splice_flags(word);
  number(word, word->value | 2);
}
BITS(watch_mask, 1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x100, 0x200, 0x400, 0x800, 0xfff, 0x1000000, 0x2000000, 0x20000000, 0x80000000, 0x10000000)
PICK(clock_number, 0, 1, 1, 7, 12, 100)
PICK(timer_flags, 0, 0, 1, 2, 4)
PICK(memory_length, 4096, 4096, 8192, 20480, 1, 5000, 0, -1, 1L << 47)
PICK(protection, 0, 1, 1, 3, 3, 3, 2, 0x1000003)
PICK(map_flags, 0x12, 0x11, 0x12, 0x11, 0x32, 0x31, 0x02, 0x10, 0x13)
static void region_at(Word *word) {
  long page = below(REGION_PAGES);
  int odd = one_in(16);
  word->value = (long)region + page * PAGE + (odd ? 100 : 0);
  snprintf(word->text, sizeof word->text, "R+%ld%s", page, odd ? ".100" : "");
}
static void region_length(Word *word) {
  memory_length(word);
  // Not past the region's end: what lies there is the program's.
  if (word->value > 5 * PAGE && word->value > 0) number(word, -1);
}
PICK(map_offset, 0, 0, 0, 4096, 8192, 100, -4096)
PICK(advice, 0, 1, 2, 3, 4, 9, 10, 16, 17, 99)
BITS(sync_flags, 1, 2, 4, 4)
PICK(file_advice, 0, 1, 2, 3, 4, 5, 6, -1)
static void attribute(Word *word) {
  if (stray(word)) return;
  static const char *const names[] = {"user.a", "user.b", "user.", "trusted.a", "security.a", "system.a", "user", "", "other.a"};
  long index = below(COUNT_OF(names));
  char *at = room(strlen(names[index]) + 1);
  strcpy(at, names[index]);
  word->value = (long)at;
  snprintf(word->text, sizeof word->text, "\"%s\"", names[index]);
}
PICK(attribute_length, 0, 1, 8, 100, 65536, 65537, -1)
PICK(attribute_flags, 0, 0, 1, 2, 3, 4)
BITS(statx_flags, 0x100, 0x1000, 0x2000, 0x4000, 0x800)
PICK(statx_mask, 0x7ff, 0x7ff, 0, 0xfff, 0x80000000)
PICK(mask_bits, 0, 022, 077, 0777, -1)
PICK(close_flags, 4, 4, 2, 1, 0)
PICK(high, 12, 20, 40, 0, 5, -1)
// Not PR_SET_TIMERSLACK: of an hour, a sleep of nothing lasts one.
PICK(prctl_option, 1, 2, 3, 4, 7, 8, 15, 16, 23, 24, 27, 28, 30, 30, 36, 37, 38, 39, 47, 9999)
static void prctl_word(Word *word) {
  if (one_in(2)) return small(word);
  buffer(word);
}
PICK(priority_which, 0, 0, 1, 2, 3, -1)
BITS(create_flags, 1, 2, 8, 16)
BITS(random_flags, 1, 2, 4)
PICK(seal_free, 0, 1, 2)

// What is shown of an answer.
static uint64_t hash(const char *bytes, long count) {
  uint64_t sum = 14695981039346656037ULL;
  for (long i = 0; i < count; i++) sum = (sum ^ (unsigned char)bytes[i]) * 1099511628211ULL;
  return sum;
}
static char shown[160];
typedef void Show(long result, const Word *words);
static void show_out(long result, const Word *words) {
  (void)result, (void)words;
  sprintf(shown, " #%08lx", (long)(hash(out, OUT_PAGES * PAGE) & 0xffffffff));
}
static void show_status_at(const struct stat *status) {
  if ((char *)status < out || (char *)(status + 1) > out + OUT_PAGES * PAGE) return;
  sprintf(shown, " {%o,%lu,%u,%u,%ld}", status->st_mode, (unsigned long)status->st_nlink, status->st_uid % 65534, status->st_gid % 65534,
    S_ISREG(status->st_mode) ? (long)status->st_size : 0L);
}
static void show_status(long result, const Word *words) { if (!result) show_status_at((void *)words[1].value); }
static void show_status_by_folder(long result, const Word *words) { if (!result) show_status_at((void *)words[2].value); }
static void show_statx(long result, const Word *words) {
  char *at = (char *)words[4].value;
  if (result || at < out || at + 256 > out + OUT_PAGES * PAGE) return;
  // mask, mode, links, user, group, size of struct statx.
  sprintf(shown, " {%x,%o,%u,%u,%u,%ld}", *(unsigned *)at & 0x73f, *(unsigned short *)(at + 28), *(unsigned *)(at + 16), *(unsigned *)(at + 20) % 65534, *(unsigned *)(at + 24) % 65534,
    S_ISREG(*(unsigned short *)(at + 28)) ? *(long *)(at + 40) : 0L);
}
// What two descriptors lead to, where there are some.
static void show_pair(long result, const Word *words) { if (!result) show_out(result, words); }
// The names in a folder, in whatever order.
static void show_entries(long result, const Word *words) {
  uint64_t sum = 0;
  char *at = (char *)words[1].value;
  for (long place = 0; place < result;) {
    unsigned short size = *(unsigned short *)(at + place + 16);
    sum += hash(at + place + 18, strlen(at + place + 19) + 1);
    if (!size) break;
    place += size;
  }
  sprintf(shown, " names %08lx", (long)(sum & 0xffffffff));
}
static void show_delivered(long result, const Word *words) {
  (void)result, (void)words;
  sprintf(shown, " handled %ld", delivered);
}

enum {
  PLAIN = 0,
  // Of a result that is no error only that it is none.
  SIGN = 1,
  // A size that file systems differ in.
  ENTRIES = 2,
  // For the sequences of an ordinary user only.
  USER = 4,
};
typedef struct {
  int number;
  const char *name;
  Maker *makers[6];
  int flags;
  Show *show;
  int weight;
} Row;

static const Row rows[] = {
  {SYS_openat, "openat", {folder, path, open_flags, mode}, 0, 0, 12},
  {SYS_open, "open", {path, open_flags, mode}, 0, 0, 4},
  {SYS_creat, "creat", {no_fifo, mode}, 0, 0, 1},
  {SYS_read, "read", {descriptor, buffer, any_length}, 0, show_out, 8},
  {SYS_write, "write", {descriptor, content, length}, 0, 0, 10},
  {SYS_pread64, "pread64", {descriptor, buffer, any_length, offset}, 0, show_out, 3},
  {SYS_pwrite64, "pwrite64", {descriptor, content, length, offset}, 0, 0, 3},
  {SYS_readv, "readv", {descriptor, vector, vectors}, 0, show_out, 3},
  {SYS_writev, "writev", {descriptor, vector, vectors}, 0, 0, 3},
  {SYS_preadv, "preadv", {descriptor, vector, vectors, offset}, 0, show_out, 1},
  {SYS_pwritev, "pwritev", {descriptor, vector, vectors, offset}, 0, 0, 1},
  {SYS_lseek, "lseek", {descriptor, offset, whence}, 0, 0, 4},
  {SYS_close, "close", {descriptor}, 0, 0, 4},
  {SYS_close_range, "close_range", {descriptor, high, close_flags}, 0, 0, 1},
  {SYS_dup, "dup", {descriptor}, 0, 0, 3},
  {SYS_dup2, "dup2", {descriptor, descriptor}, 0, 0, 2},
  {SYS_dup3, "dup3", {descriptor, descriptor, descriptor_flags}, 0, 0, 2},
  {SYS_fcntl, "fcntl", {descriptor, fcntl_command, fcntl_word}, 0, 0, 4},
  {SYS_fcntl, "fcntl", {descriptor, lock_command, lock_at}, 0, show_out, 3},
  {SYS_flock, "flock", {descriptor, lock}, 0, 0, 2},
  {SYS_ioctl, "ioctl", {descriptor, request, request_word}, 0, 0, 3},
  {SYS_stat, "stat", {path, buffer}, 0, show_status, 2},
  {SYS_lstat, "lstat", {path, buffer}, 0, show_status, 2},
  {SYS_fstat, "fstat", {descriptor, buffer}, 0, show_status, 2},
  {SYS_newfstatat, "newfstatat", {folder, path, buffer, at_flags}, 0, show_status_by_folder, 3},
  {SYS_statx, "statx", {folder, path, statx_flags, statx_mask, buffer}, 0, show_statx, 3},
  {SYS_access, "access", {path, access_mode}, 0, 0, 1},
  {SYS_faccessat2, "faccessat2", {folder, path, access_mode, at_flags}, 0, 0, 2},
  {SYS_getdents64, "getdents64", {descriptor, buffer, any_length}, ENTRIES, show_entries, 3},
  {SYS_mkdirat, "mkdirat", {folder, path, mode}, 0, 0, 3},
  {SYS_mknodat, "mknodat", {folder, path, node_mode, zero}, 0, 0, 2},
  {SYS_unlinkat, "unlinkat", {folder, path, unlink_flags}, 0, 0, 4},
  {SYS_unlink, "unlink", {path}, 0, 0, 1},
  {SYS_rmdir, "rmdir", {path}, 0, 0, 2},
  {SYS_rename, "rename", {path, path}, 0, 0, 2},
  {SYS_renameat2, "renameat2", {folder, path, folder, path, rename_flags}, 0, 0, 3},
  {SYS_linkat, "linkat", {folder, path, folder, path, at_flags}, 0, 0, 3},
  {SYS_symlinkat, "symlinkat", {path, folder, path}, 0, 0, 3},
  {SYS_readlinkat, "readlinkat", {folder, path, buffer, any_length}, 0, show_out, 2},
  {SYS_truncate, "truncate", {path, offset}, 0, 0, 2},
  {SYS_ftruncate, "ftruncate", {descriptor, offset}, 0, 0, 3},
  {SYS_fallocate, "fallocate", {descriptor, fallocate_mode, offset, offset}, 0, 0, 3},
  {SYS_fchmodat, "fchmodat", {folder, path, mode}, 0, 0, 2},
  {452, "fchmodat2", {folder, path, mode, at_flags}, 0, 0, 1},
  {SYS_fchmod, "fchmod", {descriptor, mode}, 0, 0, 1},
  {SYS_fchownat, "fchownat", {folder, path, user, user, at_flags}, 0, 0, 2},
  {SYS_fchown, "fchown", {descriptor, user, user}, 0, 0, 1},
  {SYS_utimensat, "utimensat", {folder, path, times_at, at_flags}, 0, 0, 2},
  {SYS_chdir, "chdir", {path}, 0, 0, 1},
  {SYS_fchdir, "fchdir", {descriptor}, 0, 0, 1},
  {SYS_getcwd, "getcwd", {buffer, length}, 0, 0, 1},
  {SYS_umask, "umask", {mask_bits}, 0, 0, 1},
  {SYS_fsync, "fsync", {descriptor}, 0, 0, 1},
  {SYS_fadvise64, "fadvise64", {descriptor, offset, offset, file_advice}, 0, 0, 1},
  {SYS_readahead, "readahead", {descriptor, offset, length}, 0, 0, 1},
  {SYS_sync_file_range, "sync_file_range", {descriptor, offset, offset, small}, 0, 0, 1},
  {SYS_sendfile, "sendfile", {descriptor, descriptor, offset_at, length}, 0, show_out, 3},
  {SYS_copy_file_range, "copy_file_range", {descriptor, offset_at, descriptor, none, length, seal_free}, 0, show_out, 2},
  {SYS_splice, "splice", {descriptor, none, descriptor, none, length, splice_without_wait}, 0, 0, 3},
  {SYS_tee, "tee", {descriptor, descriptor, length, splice_without_wait}, 0, 0, 2},
  {SYS_setxattr, "setxattr", {path, attribute, content, attribute_length, attribute_flags}, 0, 0, 1},
  {SYS_fsetxattr, "fsetxattr", {descriptor, attribute, content, attribute_length, attribute_flags}, 0, 0, 1},
  {SYS_getxattr, "getxattr", {path, attribute, buffer, attribute_length}, 0, show_out, 1},
  {SYS_listxattr, "listxattr", {path, buffer, attribute_length}, 0, show_out, 1},
  {SYS_removexattr, "removexattr", {path, attribute}, 0, 0, 1},
  {SYS_pipe2, "pipe2", {buffer, nonblocking}, 0, show_out, 3},
  {SYS_eventfd2, "eventfd2", {small, nonblocking}, 0, 0, 2},
  {SYS_epoll_create1, "epoll_create1", {descriptor_flags}, 0, 0, 2},
  {SYS_epoll_ctl, "epoll_ctl", {descriptor, epoll_operation, descriptor, epoll_event}, 0, 0, 5},
  {SYS_epoll_pwait, "epoll_pwait", {descriptor, buffer, event_count, zero, set_at, set_size}, 0, show_out, 5},
  {SYS_poll, "poll", {polls, poll_count, zero}, 0, show_out, 4},
  {SYS_ppoll, "ppoll", {polls, poll_count, some_time, set_at, set_size}, 0, show_out, 1},
  {SYS_select, "select", {select_count, select_set, select_set, select_set, some_time}, 0, show_out, 2},
  {SYS_timerfd_create, "timerfd_create", {clock_number, nonblocking}, 0, 0, 2},
  {SYS_timerfd_settime, "timerfd_settime", {descriptor, timer_flags, interval_at, none}, 0, 0, 2},
  {SYS_signalfd4, "signalfd4", {descriptor, set_at, set_size, nonblocking}, 0, 0, 2},
  {SYS_inotify_init1, "inotify_init1", {nonblocking}, 0, 0, 1},
  {SYS_inotify_add_watch, "inotify_add_watch", {descriptor, path, watch_mask}, 0, 0, 3},
  {SYS_inotify_rm_watch, "inotify_rm_watch", {descriptor, small}, 0, 0, 1},
  {SYS_memfd_create, "memfd_create", {path, create_flags}, 0, 0, 2},
  {SYS_socket, "socket", {family, socket_type, protocol}, 0, 0, 3},
  {SYS_socketpair, "socketpair", {family, socket_type, protocol, buffer}, 0, show_pair, 3},
  {SYS_bind, "bind", {descriptor, address, bound_length}, 0, 0, 3},
  {SYS_listen, "listen", {descriptor, backlog}, 0, 0, 2},
  {SYS_connect, "connect", {descriptor, address, address_length}, 0, 0, 3},
  {SYS_accept4, "accept4", {descriptor, buffer, length_at, nonblocking}, 0, 0, 2},
  {SYS_shutdown, "shutdown", {descriptor, shutdown_how}, 0, 0, 1},
  {SYS_getsockname, "getsockname", {descriptor, buffer, length_at}, 0, show_out, 2},
  {SYS_getpeername, "getpeername", {descriptor, buffer, length_at}, 0, show_out, 2},
  {SYS_setsockopt, "setsockopt", {descriptor, level, option, int_at, length}, 0, 0, 2},
  {SYS_getsockopt, "getsockopt", {descriptor, level, option, buffer, length_at}, 0, 0, 2},
  {SYS_sendto, "sendto", {descriptor, content, length, message_flags, address, address_length}, 0, 0, 3},
  {SYS_recvfrom, "recvfrom", {descriptor, buffer, length, message_flags, none, none}, 0, show_out, 3},
  {SYS_sendmsg, "sendmsg", {descriptor, message, message_flags}, 0, 0, 4},
  {SYS_recvmsg, "recvmsg", {descriptor, message, message_flags}, 0, show_out, 4},
  {SYS_mmap, "mmap", {region_at, region_length, protection, map_flags, descriptor, map_offset}, SIGN, 0, 6},
  {SYS_munmap, "munmap", {region_at, region_length}, 0, 0, 1},
  {SYS_mprotect, "mprotect", {region_at, region_length, protection}, 0, 0, 1},
  {SYS_msync, "msync", {region_at, region_length, sync_flags}, 0, 0, 1},
  {SYS_madvise, "madvise", {region_at, region_length, advice}, 0, 0, 1},
  {SYS_rt_sigaction, "rt_sigaction", {signal_number, action, none, set_size}, 0, 0, 3},
  {SYS_rt_sigprocmask, "rt_sigprocmask", {how, set_at, none, set_size}, 0, show_delivered, 2},
  {SYS_kill, "kill", {self, sent_signal}, USER, show_delivered, 2},
  {SYS_tkill, "tkill", {self, sent_signal}, USER, show_delivered, 1},
  {SYS_tgkill, "tgkill", {self, self, sent_signal}, USER, show_delivered, 1},
  {SYS_rt_sigpending, "rt_sigpending", {buffer, set_size}, 0, show_out, 1},
  {SYS_getuid, "getuid", {none}, 0, 0, 1},
  {SYS_geteuid, "geteuid", {none}, 0, 0, 1},
  {SYS_setresuid, "setresuid", {user, user, user}, 0, 0, 1},
  {SYS_setresgid, "setresgid", {user, user, user}, 0, 0, 1},
  {SYS_setreuid, "setreuid", {user, user}, 0, 0, 1},
  {SYS_setuid, "setuid", {user}, 0, 0, 1},
  {SYS_setfsuid, "setfsuid", {user}, 0, 0, 1},
  {SYS_setgroups, "setgroups", {group_count, groups}, 0, 0, 1},
  {SYS_getresuid, "getresuid", {buffer, buffer, buffer}, 0, show_out, 1},
  {SYS_prctl, "prctl", {prctl_option, prctl_word, zero, zero, zero}, 0, show_out, 1},
  {SYS_getpriority, "getpriority", {priority_which, zero}, 0, 0, 1},
  {SYS_setpriority, "setpriority", {priority_which, zero, small}, 0, 0, 1},
  {SYS_prlimit64, "prlimit64", {zero, resource, limit_at, buffer}, 0, 0, 2},
  {SYS_getsid, "getsid", {process}, SIGN, 0, 1},
  {SYS_getpgid, "getpgid", {process}, SIGN, 0, 1},
  {SYS_setpgid, "setpgid", {zero, process}, 0, 0, 1},
  {SYS_wait4, "wait4", {process, none, wild, none}, 0, 0, 1},
  {SYS_getitimer, "getitimer", {small, buffer}, 0, 0, 1},
  {SYS_clock_getres, "clock_getres", {clock_number, none}, 0, 0, 1},
  {SYS_clock_nanosleep, "clock_nanosleep", {clock_number, timer_flags, time_at, none}, 0, 0, 1},
  {SYS_nanosleep, "nanosleep", {time_at, none}, 0, 0, 1},
  {SYS_sched_getscheduler, "sched_getscheduler", {process}, 0, 0, 1},
  {SYS_getrandom, "getrandom", {buffer, length, random_flags}, 0, 0, 1},
  {SYS_uname, "uname", {buffer}, 0, 0, 1},
};
