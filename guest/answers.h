// What sentry and stub share to have calls answered in the guest's own process. The sentry's side: StubAnswers.swift, AnswerBoard.swift.
#pragma once
#include <stdint.h>

enum { UNANSWERED = -4096, STATUS_WORDS = 18, TOLD_STATUS_WORDS = 15 };

// An open file, at the place of its number modulo DESCRIPTORS.
struct answered_descriptor {
  // Holds with the page's epoch and the board's generation only.
  uint32_t epoch, number;
  uint64_t generation;
  // By which the board knows its bytes; 0 where it has none. `flags`: of open(2), and the two below.
  uint32_t file, flags;
  // Bytes of the whole file.
  uint64_t size;
  // struct stat without the three words at its end, which are 0.
  uint64_t status[TOLD_STATUS_WORDS];
  uint64_t reserved[2];
  // Another one each time that something is told here, 0 while it is written: by it a thread sees that all it read belongs together.
  uint64_t sequence;
  // Where read(2) goes on, as long as this process alone has the open file: until the sentry takes it back, which it does by a tag of 0.
  // Both change together (cmpxchg16b).
  uint64_t tag, position;
};
enum { DESCRIPTORS = 20 };
// TELLS_END: there is nothing past `size`. CLOSABLE: nobody but the process notices when it is closed; it then has the position CLOSED.
#define CLOSES_ON_EXEC (1u << 31)
#define TELLS_END (1u << 30)
#define CLOSABLE (1u << 29)
#define CLOSED (1ul << 63)

// One of each address space, private: written by the sentry from afar, and by the stub before the program starts.
struct answers_page {
  // 0: nothing here holds.
  uint32_t epoch;
  // Each with 1 added; 0 is unknown.
  uint32_t process, parent, user, effective_user, group, effective_group, process_group;
  // An address in memory of the program where an empty path was found.
  const char *empty;
  // Signals that have had no action since the program began, 1 for signal 1: said under `defaults_epoch`.
  uint64_t defaults;
  uint32_t defaults_epoch, reserved;
  // Where a page for trampolines is wanted; 0 where none is.
  uint64_t wanted;
  uint64_t more[8];
  // The stub's: where trampolines may be written, 0 where there is none; bytes of each. The page that it made last because it was wanted.
  uint64_t area[2], area_size, far;
  // How many descriptors were ever closed here.
  uint64_t closes;
  uint64_t rest[11];
  struct answered_descriptor descriptor[DESCRIPTORS];
};
#define ANSWERS_PAGE ((volatile struct answers_page *)0x500000010000)
_Static_assert(__builtin_offsetof(struct answers_page, area) == 0x80, "the sentry writes what is below");
_Static_assert(__builtin_offsetof(struct answers_page, descriptor) == 0x100, "descriptors begin here");
_Static_assert(__builtin_offsetof(struct answered_descriptor, sequence) == 168, "StubAnswers.swift counts with it");
_Static_assert(__builtin_offsetof(struct answered_descriptor, tag) == 176, "StubAnswers.swift counts with it");
_Static_assert(sizeof(struct answers_page) == 4096, "a page");

// What a path from the root leads to, for everybody alike. `sequence` is odd while it is written.
struct answered_path {
  uint64_t sequence, generation, hash;
  // 0 or -ENOENT.
  int32_t result;
  // Bytes; `kind` is 1 where a last link was not followed.
  uint16_t length, kind;
  uint64_t status[STATUS_WORDS];
  char path[336];
};
// Four kilobytes of a file that everybody may read.
struct answered_piece {
  uint64_t sequence, generation, file, index;
};
enum { PATHS = 1024, LONGEST_PATH = 255, PIECES = 512, PIECE = 4096, LONGEST_READ = 65536 };

// One of each sandbox, shared, written by the sentry alone: its file is sealed against everybody else's writing.
struct answers_board {
  // Whatever was said under another one may have changed; 0: nothing holds any more.
  uint64_t generation;
  uint64_t reserved[511];
  struct answered_path path[PATHS];
  struct answered_piece piece[PIECES];
  uint8_t bytes[PIECES][PIECE];
};
#define ANSWERS_BOARD ((const volatile struct answers_board *)0x500000100000)
_Static_assert(sizeof(struct answered_path) == 512, "AnswerBoard.swift counts with it");
_Static_assert(sizeof(struct answers_board) == 0x285000, "AnswerBoard.swift counts with it");
