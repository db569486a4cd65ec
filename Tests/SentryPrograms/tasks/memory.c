// Memory: what the host's kernel does for the caller's own pages, under either policy.
#include "../check.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define PAGE 4096L

int main(void) {
  char *pages = mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  check("mmap", pages != MAP_FAILED);
  gives("mmap: nothing", CALL(SYS_mmap, 0, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), -EINVAL);
  gives("mmap: neither shared nor private", CALL(SYS_mmap, 0, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), -EINVAL);
  gives("mmap: no descriptor", CALL(SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE, 999, 0), -EBADF);
  memset(pages, 7, 4 * PAGE);

  unsigned char there[4] = {0};
  gives("mincore", CALL(SYS_mincore, pages, 4 * PAGE, there), 0);
  check("mincore: all", (there[0] & there[1] & there[2] & there[3] & 1) == 1);
  gives("mincore: between pages", CALL(SYS_mincore, pages + 1, PAGE, there), -EINVAL);
  gives("mincore: to nowhere", CALL(SYS_mincore, pages, PAGE, NOWHERE), -EFAULT);
  gives("mincore: nothing mapped", CALL(SYS_mincore, 0, PAGE, there), -ENOMEM);

  gives("madvise: not wanted", CALL(SYS_madvise, pages, PAGE, MADV_DONTNEED), 0);
  gives("madvise: empty again", pages[0], 0);
  gives("madvise: the next stays", pages[PAGE], 7);
  gives("madvise: odd advice", CALL(SYS_madvise, pages, PAGE, 9999), -EINVAL);
  gives("madvise: between pages", CALL(SYS_madvise, pages + 1, PAGE, MADV_DONTNEED), -EINVAL);
  gives("madvise: nothing mapped", CALL(SYS_madvise, PAGE, PAGE, MADV_DONTNEED), -ENOMEM);

  gives("mlock", CALL(SYS_mlock, pages, PAGE), 0);
  gives("mlock: nothing mapped", CALL(SYS_mlock, PAGE, PAGE), -ENOMEM);
  gives("munlock", CALL(SYS_munlock, pages, PAGE), 0);
  gives("munlock: nothing mapped", CALL(SYS_munlock, PAGE, PAGE), -ENOMEM);
  gives("mlock2: when touched", CALL(SYS_mlock2, pages, PAGE, 1), 0);
  gives("mlock2: flags", CALL(SYS_mlock2, pages, PAGE, 2), -EINVAL);
  gives("mlockall: flags", CALL(SYS_mlockall, 0), -EINVAL);
  gives("mlockall: flags alone", CALL(SYS_mlockall, MCL_ONFAULT), -EINVAL);
  gives("munlockall", CALL(SYS_munlockall), 0);

  gives("msync: private", CALL(SYS_msync, pages, PAGE, MS_SYNC), 0);
  gives("msync: both ways", CALL(SYS_msync, pages, PAGE, MS_SYNC | MS_ASYNC), -EINVAL);
  gives("msync: flags", CALL(SYS_msync, pages, PAGE, 8), -EINVAL);
  gives("msync: between pages", CALL(SYS_msync, pages + 1, PAGE, MS_SYNC), -EINVAL);
  gives("msync: nothing mapped", CALL(SYS_msync, PAGE, PAGE, MS_SYNC), -ENOMEM);

  char *larger = mremap(pages, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
  check("mremap: larger", larger != MAP_FAILED && larger[3 * PAGE] == 7 && larger[4 * PAGE] == 0);
  gives("mremap: smaller", CALL(SYS_mremap, larger, 64 * PAGE, 2 * PAGE, 0) == (long)larger, 1);
  gives("mremap: to nothing", CALL(SYS_mremap, larger, PAGE, 0, 0), -EINVAL);
  gives("mremap: flags", CALL(SYS_mremap, larger, PAGE, PAGE, 0x100), -EINVAL);
  gives("mremap: between pages", CALL(SYS_mremap, larger + 1, PAGE, PAGE, 0), -EINVAL);
  gives("mremap: nothing mapped", CALL(SYS_mremap, PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE), -EFAULT);
  gives("mprotect", CALL(SYS_mprotect, larger, PAGE, PROT_READ), 0);
  gives("mprotect: an odd right", CALL(SYS_mprotect, larger, PAGE, 0x100), -EINVAL);
  gives("mprotect: between pages", CALL(SYS_mprotect, larger + 1, PAGE, PROT_READ), -EINVAL);
  gives("mprotect: nothing mapped", CALL(SYS_mprotect, PAGE, PAGE, PROT_READ), -ENOMEM);
  gives("a call's result cannot go there", CALL(SYS_read, open("/dev/zero", O_RDONLY), larger, 1), -EFAULT);
  gives("munmap", CALL(SYS_munmap, larger, 2 * PAGE), 0);
  gives("munmap: again", CALL(SYS_munmap, larger, 2 * PAGE), 0);
  gives("munmap: nothing", CALL(SYS_munmap, larger, 0), -EINVAL);
  gives("munmap: between pages", CALL(SYS_munmap, larger + 1, PAGE), -EINVAL);

  gives("membarrier: what there is", CALL(SYS_membarrier, 0, 0, 0) & 1, 1);
  gives("membarrier: of all", CALL(SYS_membarrier, 1, 0, 0), 0);
  gives("membarrier: an odd command", CALL(SYS_membarrier, 1 << 30, 0, 0), -EINVAL);
  gives("membarrier: flags", CALL(SYS_membarrier, 1, 0x100, 0), -EINVAL);
  return finish();
}
