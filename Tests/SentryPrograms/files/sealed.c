// Memory files and their seals.
#include "../check.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

int main(void) {
  char bytes[16];
  int file = CALL(SYS_memfd_create, "name", MFD_ALLOW_SEALING | MFD_CLOEXEC);
  check("memfd_create", file >= 0);
  gives("closes on exec", fcntl(file, F_GETFD), FD_CLOEXEC);
  gives("write", CALL(SYS_write, file, "bytes", 5L), 5);
  gives("no seals yet", CALL(SYS_fcntl, file, F_GET_SEALS), 0);
  struct stat status;
  gives("no names", fstat(file, &status) ? -1 : (long)status.st_nlink, 0);
  char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  check("mapped", map != MAP_FAILED && !memcmp(map, "bytes", 5));
  gives("not sealed while it is mapped", CALL(SYS_fcntl, file, F_ADD_SEALS, F_SEAL_WRITE), -EBUSY);
  munmap(map, 4096);
  gives("sealed against sizes", CALL(SYS_fcntl, file, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK), 0);
  gives("no more bytes", CALL(SYS_ftruncate, file, 100L), -EPERM);
  gives("no fewer", CALL(SYS_ftruncate, file, 1L), -EPERM);
  gives("a write within", CALL(SYS_pwrite64, file, "B", 1L, 0L), 1);
  gives("sealed against writing", CALL(SYS_fcntl, file, F_ADD_SEALS, F_SEAL_WRITE), 0);
  gives("a write", CALL(SYS_pwrite64, file, "C", 1L, 0L), -EPERM);
  check("a writable mapping", mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED && errno == EPERM);
  gives("a read", CALL(SYS_pread64, file, bytes, 5L, 0L), 5);
  check("its bytes", !memcmp(bytes, "Bytes", 5));
  gives("no further seal", CALL(SYS_fcntl, file, F_ADD_SEALS, F_SEAL_SEAL), 0);
  gives("after that one", CALL(SYS_fcntl, file, F_ADD_SEALS, F_SEAL_WRITE), -EPERM);
  gives("all seals", CALL(SYS_fcntl, file, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
  int plain = CALL(SYS_memfd_create, "", 0);
  gives("without leave to seal", CALL(SYS_fcntl, plain, F_GET_SEALS), F_SEAL_SEAL);
  gives("odd flags", CALL(SYS_memfd_create, "x", ~0u), -EINVAL);
  gives("a name from nowhere", CALL(SYS_memfd_create, NOWHERE, 0), -EFAULT);
  char name[300];
  memset(name, 'n', sizeof name);
  name[299] = 0;
  gives("a long name", CALL(SYS_memfd_create, name, 0), -EINVAL);
  name[249] = 0;
  check("one that just fits", CALL(SYS_memfd_create, name, 0) >= 0);
  int other = open("/tmp", O_TMPFILE | O_RDWR, 0600);
  gives("a directory has no seals", CALL(SYS_fcntl, open("/tmp", O_RDONLY), F_GET_SEALS), -EINVAL);
  (void)other;
  return finish();
}
