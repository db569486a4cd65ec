// Where the executable's own code and constants lie.
#include "CLinux.h"

// The linker's words: the ELF header, with which the first segment begins, and the end of the code. Nothing between them is written to:
// relocated data comes after the code (GNU ld, gold and lld).
extern const char first_byte[] __asm__("__executable_start") __attribute__((weak, visibility("hidden")));
extern const char code_end[] __asm__("etext") __attribute__((weak, visibility("hidden")));

void immure_release_image(void) {
  unsigned long start = (unsigned long)first_byte & ~4095UL, end = (unsigned long)code_end & ~4095UL;
  // Gaps between segments are ENOMEM, and all the rest is given back all the same (madvise(2)).
  if (start && start < end) immure_syscall(SYS_madvise, start, end - start, MADV_DONTNEED, 0, 0, 0);
}
