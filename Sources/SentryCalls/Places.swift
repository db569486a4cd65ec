import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentryTasks

/// AT_* flags of the calls that take a directory and a path (openat(2), linux/fcntl.h).
enum PathFlags {
  static let currentDirectory: Int32 = -100
  static let noFollow: Int32 = 0x100
  static let removeDirectory: Int32 = 0x200
  static let effectiveAccess: Int32 = 0x200
  static let follow: Int32 = 0x400
  static let noAutomount: Int32 = 0x800
  static let emptyPath: Int32 = 0x1000
  static let synchronization: Int32 = 0x6000
}

/// The paths that calls name.
extension Task {
  /// - Throws: EFAULT, ENAMETOOLONG.
  func text(_ address: GuestAddress) throws(Errno) -> [UInt8] { try memory.string(address) }

  /// Where a relative path begins; nil is the current directory.
  /// - Throws: EBADF, ENOTDIR.
  func start(_ directory: GuestWord, _ path: [UInt8]) throws(Errno) -> Path? {
    // An empty path is none before the directory is looked at (getname of fs/namei.c).
    if path.isEmpty { throw .noEntry }
    return try start(directory, isAbsolute: path.first == UInt8(ascii: "/"))
  }
  private func start(_ directory: GuestWord, isAbsolute: Bool) throws(Errno) -> Path? {
    if directory.int32 == PathFlags.currentDirectory || isAbsolute { return nil }
    let file = try descriptors.file(directory.int32)
    guard let place = file.path else { throw .notDirectory }
    return place
  }

  /// What a call names by a directory, a path and AT_* flags.
  /// - Parameter flags: AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH are looked at.
  /// - Parameter takesNull: with AT_EMPTY_PATH a null pointer is an empty path, as statx(2) and fstatat(2) have it.
  func place(_ directory: GuestWord, _ address: GuestAddress, flags: Int32 = 0, takesNull: Bool = false) throws(Errno)
    -> Path
  {
    if flags & PathFlags.emptyPath != 0 {
      let path = takesNull && address.isNull ? [] : try text(address)
      if path.isEmpty {
        if directory.int32 == PathFlags.currentDirectory { return paths.current }
        guard let place = try descriptors.file(directory.int32).path else { throw .invalid }
        return place
      }
      return try walk.find(path, from: try start(directory, path), followsLast: flags & PathFlags.noFollow == 0)
    }
    return try find(directory, address, followsLast: flags & PathFlags.noFollow == 0)
  }

  /// A path that was walked lately is compared where it was read; others become an array and are walked.
  private func find(_ directory: GuestWord, _ address: GuestAddress, followsLast: Bool) throws(Errno) -> Path {
    var walked: [UInt8] = []
    let walk = walk
    let known = try unsafe withUnsafeTemporaryAllocation(byteCount: 256, alignment: 8) {
      (bytes) throws(Errno) -> Path? in
      // Never past the end of a page: the next one may not be there.
      let room = min(256, 4096 - Int(address.bits & 4095))
      let count = try unsafe memory.read(address, into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<room]))
      // SAFETY: `count` bytes were read into the allocation.
      let text = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<count])
      guard let end = unsafe text.firstIndex(of: 0) else { return nil }
      let path = unsafe UnsafeRawBufferPointer(rebasing: text[..<end])
      if unsafe path.isEmpty { throw .noEntry }
      let from = try unsafe start(directory, isAbsolute: path[0] == UInt8(ascii: "/"))
      let place: Path?
      do throws(Errno) { place = try unsafe walk.known(path, from: from, followsLast: followsLast) } catch {
        // That there is nothing is known too.
        if error == .noEntry {
          asked(for: unsafe path.assumingMemoryBound(to: UInt8.self).span, followsLast: followsLast)
        }
        throw error
      }
      if let place {
        asked(for: unsafe path.assumingMemoryBound(to: UInt8.self).span, followsLast: followsLast)
        return place
      }
      walked = unsafe [UInt8](path)
      return nil
    }
    if let known { return known }
    if walked.isEmpty { walked = try text(address) }
    defer { asked(for: walked, followsLast: followsLast) }
    return try walk.find(walked, from: try start(directory, walked), followsLast: followsLast)
  }

  /// Of a descriptor, for calls like fchmod(2): not one that was opened with O_PATH.
  func place(of descriptor: GuestWord) throws(Errno) -> Path {
    let file = try descriptors.file(descriptor.int32)
    guard file.flags & OpenFlags.path == 0 else { throw .badDescriptor }
    guard let place = file.path else { throw .invalid }
    return place
  }
}

extension Call {
  /// The directory of calls that have none.
  static var here: GuestWord { GuestWord(UInt64(bitPattern: Int64(PathFlags.currentDirectory))) }
}
