// Bytes: read, written, placed, cut, copied, mapped.
#include "../check.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

static long size(int file) {
  struct stat status;
  return fstat(file, &status) ? -errno : (long)status.st_size;
}

int main(void) {
  char name[] = "/tmp/data-XXXXXX";
  int file = mkstemp(name);
  if (file < 0) return 2;
  static char bytes[1 << 20], back[1 << 20];
  for (size_t index = 0; index < sizeof bytes; index++) bytes[index] = (char)(index * 31 + index / 251);

  gives("write", CALL(SYS_write, file, "hello", 5L), 5);
  gives("read at the end", CALL(SYS_read, file, back, 10L), 0);
  gives("pread", CALL(SYS_pread64, file, back, 10L, 1L), 4);
  check("its bytes", !memcmp(back, "ello", 4));
  gives("lseek to the beginning", CALL(SYS_lseek, file, 0L, SEEK_SET), 0);
  gives("read", CALL(SYS_read, file, back, 3L), 3);
  gives("lseek tells the place", CALL(SYS_lseek, file, 0L, SEEK_CUR), 3);
  gives("lseek from the end", CALL(SYS_lseek, file, -1L, SEEK_END), 4);
  gives("lseek before the beginning", CALL(SYS_lseek, file, -6L, SEEK_END), -EINVAL);
  gives("lseek of an odd kind", CALL(SYS_lseek, file, 0L, 77), -EINVAL);
  gives("lseek of no descriptor", CALL(SYS_lseek, 999, 0L, 0), -EBADF);
  gives("read to nowhere", CALL(SYS_read, file, NOWHERE, 1L), -EFAULT);
  gives("write from nowhere", CALL(SYS_write, file, NOWHERE, 8L), -EFAULT);
  gives("the file is as it was", size(file), 5);
  gives("read of nothing", CALL(SYS_read, file, NOWHERE, 0L), 0);
  gives("read of more than there can be", CALL(SYS_read, file, back, -1L), -EFAULT);
  gives("write of more than there can be", CALL(SYS_write, file, back, 1L << 47), -EFAULT);
  gives("pread before the file", CALL(SYS_pread64, file, back, 1L, -1L), -EINVAL);
  gives("pwrite before the file", CALL(SYS_pwrite64, file, back, 1L, -1L), -EINVAL);
  gives("read of no descriptor", CALL(SYS_read, 999, back, 1L), -EBADF);
  int reader = open(name, O_RDONLY), writer = open(name, O_WRONLY);
  gives("write to what is read only", CALL(SYS_write, reader, "x", 1L), -EBADF);
  gives("read of what is written only", CALL(SYS_read, writer, back, 1L), -EBADF);

  gives("pwrite far out", CALL(SYS_pwrite64, file, "end", 3L, 100000L), 3);
  gives("the size", size(file), 100003);
  memset(back, 1, 100);
  gives("the hole", CALL(SYS_pread64, file, back, 100L, 5000L), 100);
  check("is zeros", back[0] == 0 && back[99] == 0);
  gives("many bytes", CALL(SYS_pwrite64, file, bytes, sizeof bytes, 4096L), sizeof bytes);
  gives("and back", CALL(SYS_pread64, file, back, sizeof back, 4096L), sizeof back);
  check("the same", !memcmp(bytes, back, sizeof bytes));
  gives("the size then", size(file), 4096 + (long)sizeof bytes);

  int appender = open(name, O_WRONLY | O_APPEND);
  lseek(appender, 0, SEEK_SET);
  gives("append", CALL(SYS_write, appender, "tail", 4L), 4);
  gives("at the end", CALL(SYS_lseek, appender, 0L, SEEK_CUR), 4096 + (long)sizeof bytes + 4);
  gives("pwrite of an appender", CALL(SYS_pwrite64, appender, "more", 4L, 0L), 4);
  gives("is at the end too", size(file), 4096 + (long)sizeof bytes + 8);

  gives("ftruncate", CALL(SYS_ftruncate, file, 10L), 0);
  gives("ftruncate to more", CALL(SYS_ftruncate, file, 20L), 0);
  gives("reads", CALL(SYS_pread64, file, back, 100L, 0L), 20);
  check("zeros behind the cut", back[10] == 0 && back[19] == 0 && back[0] == 'h');
  gives("ftruncate to less than nothing", CALL(SYS_ftruncate, file, -1L), -EINVAL);
  gives("ftruncate of a reader", CALL(SYS_ftruncate, reader, 1L), -EINVAL);
  gives("truncate", CALL(SYS_truncate, name, 5L), 0);
  gives("truncate of a directory", CALL(SYS_truncate, "/tmp", 5L), -EISDIR);
  gives("truncate of nothing", CALL(SYS_truncate, "/tmp/nothing-there", 5L), -ENOENT);
  gives("size after it", size(file), 5);
  gives("fallocate", CALL(SYS_fallocate, file, 0, 0L, 300000L), 0);
  gives("its size", size(file), 300000);
  gives("fallocate that keeps the size", CALL(SYS_fallocate, file, 1, 0L, 400000L), 0);
  gives("its size", size(file), 300000);
  pwrite(file, bytes, 65536, 0);
  gives("a hole", CALL(SYS_fallocate, file, 3, 4096L, 8192L), 0);
  gives("in it", CALL(SYS_pread64, file, back, 4096L, 4096L), 4096);
  check("are zeros", back[0] == 0 && back[4095] == 0);
  gives("fallocate of nothing", CALL(SYS_fallocate, file, 0, 0L, 0L), -EINVAL);
  gives("fallocate before the file", CALL(SYS_fallocate, file, 0, -1L, 5L), -EINVAL);
  gives("fallocate of a reader", CALL(SYS_fallocate, reader, 0, 0L, 5L), -EBADF);
  gives("data where there is some", CALL(SYS_lseek, file, 0L, SEEK_DATA), 0);
  gives("a hole at the end at last", CALL(SYS_lseek, file, 299999L, SEEK_HOLE) > 0, 1);
  gives("data beyond the end", CALL(SYS_lseek, file, 300000L, SEEK_DATA), -ENXIO);

  struct iovec parts[3] = {{"ab", 2}, {NULL, 0}, {"cde", 3}};
  lseek(file, 0, SEEK_SET);
  gives("writev", CALL(SYS_writev, file, parts, 3), 5);
  char one[2], two[9];
  struct iovec room[2] = {{one, 2}, {two, 3}};
  lseek(file, 0, SEEK_SET);
  gives("readv", CALL(SYS_readv, file, room, 2), 5);
  check("in order", !memcmp(one, "ab", 2) && !memcmp(two, "cde", 3));
  gives("readv of too many", CALL(SYS_readv, file, room, 1025), -EINVAL);
  gives("readv of bad parts", CALL(SYS_readv, file, NOWHERE, 1), -EFAULT);
  gives("readv of none", CALL(SYS_readv, file, room, 0), 0);
  room[1].iov_len = (size_t)-1;
  gives("readv of a negative length", CALL(SYS_readv, file, room, 2), -EINVAL);
  room[1].iov_len = 3;
  gives("preadv", CALL(SYS_preadv, file, room, 2, 1L, 0L), 5);
  check("from there", !memcmp(one, "bc", 2));
  gives("preadv2 at the place", CALL(SYS_preadv2, file, room, 2, -1L, -1L, 0), 5);
  gives("preadv2 with odd flags", CALL(SYS_preadv2, file, room, 2, 0L, 0L, 1 << 20), -EOPNOTSUPP);
  gives("pwritev2 that appends", CALL(SYS_pwritev2, file, parts, 3, 0L, 0L, 0x10), 5);
  gives("at the end", size(file), 300005);
  gives("pwritev2 that is to last", CALL(SYS_pwritev2, file, parts, 3, 300000L, 0L, 4), 5);

  char other[] = "/tmp/data-XXXXXX";
  int target = mkstemp(other);
  long offset = 1;
  gives("sendfile", CALL(SYS_sendfile, target, file, &offset, 4L), 4);
  gives("its offset", offset, 5);
  gives("sendfile at the place", (lseek(file, 0, SEEK_SET), CALL(SYS_sendfile, target, file, NULL, 1000000L)), 300005);
  gives("all of it", size(target), 300009);
  gives("sendfile from nowhere", CALL(SYS_sendfile, target, file, NOWHERE, 4L), -EFAULT);
  gives("sendfile to a reader", CALL(SYS_sendfile, reader, file, NULL, 4L), -EBADF);
  int64_t in = 0, out = 10;
  gives("copy_file_range", CALL(SYS_copy_file_range, file, &in, target, &out, 100L, 0), 100);
  check("its offsets", in == 100 && out == 110);
  gives("copy_file_range with flags", CALL(SYS_copy_file_range, file, &in, target, &out, 100L, 1), -EINVAL);
  in = 0, out = 50;
  gives("over itself", CALL(SYS_copy_file_range, file, &in, file, &out, 100L, 0), -EINVAL);
  in = 1 << 30;
  gives("beyond the end", CALL(SYS_copy_file_range, file, &in, target, &out, 100L, 0), 0);

  ftruncate(file, 8192);
  pwrite(file, "mapped", 6, 0);
  char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  check("a shared mapping", map != MAP_FAILED && !memcmp(map, "mapped", 6));
  if (map != MAP_FAILED) {
    memcpy(map + 4096, "written", 7);
    gives("is read", CALL(SYS_pread64, reader, back, 7L, 4096L), 7);
    check("as written", !memcmp(back, "written", 7));
    pwrite(file, "WRIT", 4, 4096);
    check("a write is seen", !memcmp(map + 4096, "WRITten", 7));
    munmap(map, 8192);
  }
  map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, reader, 0);
  check("a private mapping", map != MAP_FAILED && !memcmp(map + 4096, "WRITten", 7));
  if (map != MAP_FAILED) {
    map[0] = 'M';
    pread(file, back, 1, 0);
    check("is nobody else's", back[0] == 'm');
    munmap(map, 8192);
  }
  check("a reader is not mapped for writing",
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0) == MAP_FAILED && errno == EACCES);
  map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, reader, 0);
  check("nor made writable later", map != MAP_FAILED && mprotect(map, 4096, PROT_READ | PROT_WRITE) && errno == EACCES);
  check("a writer is not mapped", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, writer, 0) == MAP_FAILED && errno == EACCES);

  gives("fsync", CALL(SYS_fsync, file), 0);
  gives("fdatasync", CALL(SYS_fdatasync, file), 0);
  gives("fsync of no descriptor", CALL(SYS_fsync, 999), -EBADF);
  gives("fadvise", CALL(SYS_fadvise64, file, 0L, 0L, 4), 0);
  gives("fadvise of an odd kind", CALL(SYS_fadvise64, file, 0L, 0L, 77), -EINVAL);
  gives("sync_file_range", CALL(SYS_sync_file_range, file, 0L, 0L, 7), 0);
  gives("readahead", CALL(SYS_readahead, reader, 0L, 100L), 0);

  int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDONLY), full = open("/dev/full", O_RDWR);
  gives("null takes all", CALL(SYS_write, null, bytes, 100000L), 100000);
  gives("null gives nothing", CALL(SYS_read, null, back, 10L), 0);
  memset(back, 1, 100);
  gives("zero", CALL(SYS_read, zero, back, 100L), 100);
  check("gives zeros", back[0] == 0 && back[99] == 0);
  gives("full", CALL(SYS_write, full, "x", 1L), -ENOSPC);
  int random = open("/dev/urandom", O_RDONLY);
  memset(back, 0, 64);
  gives("random", CALL(SYS_read, random, back, 64L), 64);
  int set = 0;
  for (int index = 0; index < 64; index++) set += back[index] != 0;
  check("is something", set > 32);
  map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
  check("zero is mapped", map != MAP_FAILED && map[7] == 0 && (map[7] = 1));

  unlink(name);
  unlink(other);
  return finish();
}
