import CLinux
import Linux
import SentryMemory

/// The bytes of a file in memory: an array while it is small, a memory file of the host once it is large or mapped, so that guests
/// map the very same pages.
final class MemoryContents {
  private let quota: MemoryQuota
  private var bytes: [UInt8] = []
  private var file: FileDescriptor?
  private var readOnlyFile: FileDescriptor?
  private(set) var size: Int64 = 0
  /// Pages of 4096 bytes that it takes.
  private(set) var pages: Int64 = 0
  /// Whether some page below `size` may not be there.
  private var hasHoles = false
  /// Larger files are memory files.
  private static var largest: Int64 { 256 << 10 }
  /// What tmpfs allows (MAX_LFS_FILESIZE).
  static var maximumSize: Int64 { .max }

  init(_ quota: MemoryQuota) { self.quota = quota }
  deinit { quota.release(pages: pages) }

  private static func pages(_ size: Int64) -> Int64 { size / 4096 + (size % 4096 == 0 ? 0 : 1) }

  // MARK: Bytes

  func read(_ buffer: inout GuestBuffer, at offset: Int64) throws(Errno) -> Int {
    guard offset < size else { return 0 }
    if let descriptor = file?.rawValue { return try HostBytes.read(descriptor, &buffer, at: offset) }
    let start = Int(offset)
    var guest = buffer
    defer { buffer = guest }
    let all = bytes
    // SAFETY: `start` is within `all`, which lives until the closure returns.
    return try unsafe all.span.withUnsafeBytes { (bytes) throws(Errno) -> Int in
      try unsafe guest.put(UnsafeRawBufferPointer(rebasing: bytes[start...]))
    }
  }

  func write(_ buffer: inout GuestBuffer, at offset: Int64) throws(Errno) -> Int {
    let count = buffer.remaining
    if count == 0 { return 0 }
    let end = try makeRoom(offset, count)
    if let descriptor = file?.rawValue {
      defer { settle(descriptor) }
      return try HostBytes.write(descriptor, &buffer, at: offset)
    }
    let before = bytes.count
    if Int(end) > before { bytes.append(contentsOf: repeatElement(0, count: Int(end) - before)) }
    var guest = buffer
    defer { buffer = guest }
    var done = 0
    defer {
      // What the guest didn't give isn't there.
      let kept = max(before, Int(offset) + done)
      if bytes.count > kept, done < count { bytes.removeLast(bytes.count - (done == 0 ? before : kept)) }
      fit()
    }
    var failure: Errno?
    unsafe bytes.withUnsafeMutableBytes { bytes in
      do throws(Errno) {
        done = try unsafe guest.take(into: UnsafeMutableRawBufferPointer(rebasing: bytes[Int(offset)..<Int(end)]))
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return done
  }

  func bytes(at offset: Int64, count: Int) throws(Errno) -> [UInt8] {
    guard offset < size, count > 0 else { return [] }
    let count = Int(min(Int64(count), size - offset))
    if let descriptor = file?.rawValue { return try HostBytes.bytes(descriptor, at: offset, count: count) }
    return Array(bytes[Int(offset)..<Int(offset) + count])
  }

  func store(_ new: [UInt8], at offset: Int64) throws(Errno) -> Int {
    if new.isEmpty { return 0 }
    let end = try makeRoom(offset, new.count)
    if let descriptor = file?.rawValue {
      defer { settle(descriptor) }
      return try HostBytes.store(descriptor, new, at: offset)
    }
    if Int(end) > bytes.count { bytes.append(contentsOf: repeatElement(0, count: Int(end) - bytes.count)) }
    bytes.replaceSubrange(Int(offset)..<Int(end), with: new)
    fit()
    return new.count
  }

  /// Charges what a write may take at most, and makes a large file a memory file.
  /// - Returns: the end of the write.
  /// - Throws: EFBIG, ENOSPC.
  private func makeRoom(_ offset: Int64, _ count: Int) throws(Errno) -> Int64 {
    let (end, overflow) = offset.addingReportingOverflow(Int64(count))
    guard !overflow else { throw .fileTooBig }
    if file == nil, end > Self.largest { try becomeFile() }
    try expect(end, offset)
    if offset > size { hasHoles = true }
    return end
  }

  /// Whether the pages of a range that may have to be made can be had.
  /// - Throws: ENOSPC.
  private func expect(_ end: Int64, _ offset: Int64) throws(Errno) {
    let new = min(Self.pages(end) - offset / 4096, Self.pages(max(end, size)) - pages)
    if new <= 0 || file != nil && !hasHoles && end <= size { return }
    try quota.charge(pages: new)
    quota.release(pages: new)
  }

  /// The array's size and pages after a change.
  private func fit() {
    size = Int64(bytes.count)
    account(Self.pages(size))
  }

  private func settle(_ descriptor: Int32) {
    // Of a descriptor of our own fstat(2) does not fail.
    guard let status = try? HostFiles.status(descriptor) else { return }
    size = Int64(status.st_size)
    account(Int64(status.st_blocks) / 8)
  }

  private func account(_ now: Int64) {
    quota.correct(pages: now - pages)
    pages = now
  }

  // MARK: Size

  func truncate(to newSize: Int64) throws(Errno) {
    if file == nil, newSize <= Self.largest {
      try expect(newSize, size)
      let count = Int(newSize)
      if count < bytes.count {
        bytes.removeLast(bytes.count - count)
        if count == 0 { bytes = [] }
      } else {
        bytes.append(contentsOf: repeatElement(0, count: count - bytes.count))
      }
      fit()
      return
    }
    let descriptor = try becomeFile()
    if newSize > size { hasHoles = true }
    try HostFiles.truncate(descriptor, newSize)
    settle(descriptor)
  }

  /// fallocate(2).
  func allocate(_ mode: Int32, _ offset: Int64, _ length: Int64) throws(Errno) {
    // FALLOC_FL_KEEP_SIZE and PUNCH_HOLE, as tmpfs has them.
    guard mode == 0 || mode == 1 || mode == 3 else { throw .notSupported }
    if mode < 2 { try expect(offset &+ length, offset) }
    let descriptor = try becomeFile()
    if mode == 3 { hasHoles = true }
    defer { settle(descriptor) }
    // In pieces: a signal, as the sentry's own ticks are, makes tmpfs give up the whole of one, and a long one would never end.
    var done: Int64 = 0
    while done < length {
      let piece = mode == 3 ? length : min(length - done, 1 << 20)
      do throws(Errno) {
        try HostFiles.allocate(descriptor, mode, offset &+ done, piece)
        done += piece
      } catch  where error == .interrupted {}
    }
  }

  /// lseek(2) with SEEK_DATA (3) and SEEK_HOLE (4).
  /// - Throws: ENXIO.
  func seek(_ offset: Int64, _ whence: Int32) throws(Errno) -> Int64 {
    guard offset >= 0, offset < size else { throw .noSuchDevice }
    if let descriptor = file?.rawValue { return try HostFiles.seek(descriptor, offset, whence) }
    return whence == 3 ? offset : size
  }

  // MARK: The host's file

  /// - Returns: a descriptor that lives as long as the contents.
  @discardableResult
  private func becomeFile() throws(Errno) -> Int32 {
    if let descriptor = file?.rawValue { return descriptor }
    let made: FileDescriptor
    do throws(SystemError) { made = try MemoryFile.create("file", executable: true) } catch { throw error.errno }
    let descriptor = made.rawValue
    _ = try HostBytes.store(descriptor, bytes, at: 0)
    file = consume made
    bytes = []
    settle(descriptor)
    return descriptor
  }

  func hostDescriptor(writable: Bool) throws(Errno) -> Int32 {
    let descriptor = try becomeFile()
    if writable { return descriptor }
    if let known = readOnlyFile?.rawValue { return known }
    let made = try HostFiles.reopen(descriptor, O_RDONLY)
    let number = made.rawValue
    readOnlyFile = consume made
    return number
  }

  // MARK: Seals: the host's own, whose kernel knows of writable mappings

  func seals() throws(Errno) -> Int32 {
    Int32(
      truncatingIfNeeded: try HostFiles.answer(
        systemCall(Int(SYS_fcntl), word(try becomeFile()), UInt(F_GET_SEALS)))) | (sealsMode ? Self.modeSeal : 0)
  }
  /// F_SEAL_EXEC: the bits of who may execute it stay. The host's file has a mode of its own, so this one is kept here.
  private(set) var sealsMode = false
  private static let modeSeal: Int32 = 0x20

  /// - Parameter isExecutable: what may be executed is not written any more once its mode is sealed (memfd_add_seals of mm/memfd.c).
  func addSeals(_ seals: Int32, isExecutable: Bool) throws(Errno) {
    let sealsMode = seals & Self.modeSeal != 0
    let kept = seals & ~Self.modeSeal | (sealsMode && isExecutable ? 0x1e : 0)
    try HostFiles.answer(systemCall(Int(SYS_fcntl), word(try becomeFile()), UInt(F_ADD_SEALS), word(kept)))
    if sealsMode { self.sealsMode = true }
  }

  /// Shared mappings may have taken pages.
  var currentPages: Int64 {
    if let descriptor = file?.rawValue { settle(descriptor) }
    return pages
  }
}
