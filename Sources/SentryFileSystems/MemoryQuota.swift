import Linux

/// What the files of one memory file system may take.
final class MemoryQuota {
  let pages: Int64
  let inodes: Int64
  private(set) var usedPages: Int64 = 0
  private(set) var usedInodes: Int64 = 0

  init(bytes: UInt64, inodes: UInt64) {
    pages = Int64(clamping: bytes / 4096)
    self.inodes = Int64(clamping: inodes)
  }

  /// - Throws: ENOSPC. Giving back never throws.
  func charge(pages count: Int64) throws(Errno) {
    if count > 0, count > pages - usedPages { throw .noSpace }
    usedPages += count
  }
  /// What is there already, though it should not: shared mappings allocate behind our back.
  func correct(pages count: Int64) { usedPages += count }
  func release(pages count: Int64) { usedPages -= count }

  func addInode() throws(Errno) {
    if usedInodes >= inodes { throw .noSpace }
    usedInodes += 1
  }
  func removeInode() { usedInodes -= 1 }
}
