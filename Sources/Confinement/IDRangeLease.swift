import CLinux
package import Linux

/// A sandbox's own range of 65536 ids on the host. The table has 256 bytes for each range: the path of the sandbox's folder that holds
/// it, or zeros. It is read and written under its lock, so no two live sandboxes share a range; an entry is void once its folder is
/// gone. (A file of its own for each lease would cost a new inode, which is most of a millisecond on ext4.) One table in /run serves every
/// state root of the machine, for two of them must not give out the same ids; it is empty after a restart, as no box outlives one.
package struct IDRangeLease: Equatable {
  package static let size: UInt32 = 65536
  /// Above every id that distributions and directories give out (systemd's UIDS-GIDS page), below 2^32 - 2^16.
  package static let first: UInt32 = 0x2000_0000
  package static let slots = Int((UInt32.max - 0xffff - first) / size)

  package let base: UInt32
  private let directory: String

  private static let shared = "/run/immure/id-ranges"
  private static let entrySize = 256
  /// Entries looked at in one read.
  private static let window = 16
  /// How many free entries are passed over while looking for the one to give back: those before it may have been
  /// freed since.
  private static let gap = 64

  /// Takes a range for the sandbox whose folder is `directory`, the one it has already if it has one. The folder's path has at most 256
  /// bytes: ENAMETOOLONG.
  package static func take(for directory: String) throws(SystemError) -> IDRangeLease {
    let table = try openToTake(directory)
    let name = try entry(directory)
    var slot = firstSlot(name)
    var seen = 0
    while seen < slots {
      let entries = try read(table.rawValue, at: slot)
      for holder in entries {
        if holder == name || holder.isEmpty || !File.exists(String(decoding: holder, as: UTF8.self)) {
          if holder != name { try write(table.rawValue, at: slot, name) }
          return IDRangeLease(base: first + UInt32(slot) * size, directory: directory)
        }
        slot += 1
      }
      seen += entries.count
      if slot >= slots { slot = 0 }
    }
    throw SystemError("id range", "all \(slots) ranges are in use", .noSpace)
  }

  /// Gives back the range that the sandbox whose folder is `directory` holds, if any.
  package static func release(for directory: String) throws(SystemError) {
    for path in [shared, ownTable(directory)] {
      do throws(SystemError) {
        try release(directory, table: File.open(path, O_RDWR | O_NOFOLLOW))
      } catch  where error.errno == .noEntry || error.errno == .accessDenied {
        // No table, or root's: then a sandbox of this user holds nothing in it.
      }
    }
  }

  private static func release(_ directory: String, table: consuming FileDescriptor) throws(SystemError) {
    _ = try File.lock(table.rawValue)
    let name = try entry(directory)
    var slot = firstSlot(name)
    var free = 0
    while free < gap {
      for holder in try read(table.rawValue, at: slot) {
        if holder == name { return try write(table.rawValue, at: slot, []) }
        if holder.isEmpty { free += 1 }
        slot += 1
      }
      if slot >= slots { slot = 0 }
    }
  }

  package func release() throws(SystemError) { try IDRangeLease.release(for: directory) }

  /// ROOT/id-ranges for ROOT/sandboxes/ID: where /run cannot be written.
  private static func ownTable(_ directory: String) -> String {
    (File.parent(of: File.parent(of: directory) ?? "/") ?? "") + "/id-ranges"
  }

  /// Locked until it is closed.
  private static func openToTake(_ directory: String) throws(SystemError) -> FileDescriptor {
    let creating = O_RDWR | O_NOFOLLOW | O_CREAT
    let table: FileDescriptor
    do throws(SystemError) {
      if !File.exists(shared) { try File.makeDirectories(File.parent(of: shared) ?? "/", mode: 0o700) }
      table = try File.open(shared, creating, mode: 0o600)
    } catch
      where error.errno == .readOnlyFileSystem || error.errno == .accessDenied || error.errno == .noEntry
    {
      table = try File.open(ownTable(directory), creating, mode: 0o600)
    }
    _ = try File.lock(table.rawValue)
    return table
  }

  private static func entry(_ directory: String) throws(SystemError) -> [UInt8] {
    let name = Array(directory.utf8)
    guard !name.isEmpty, name.count <= entrySize else { throw SystemError("id range", directory, .nameTooLong) }
    return name
  }

  /// The names in the entries from `slot` on, as many as one read gives; those after the file's end are free.
  private static func read(_ table: Int32, at slot: Int) throws(SystemError) -> [[UInt8]] {
    let count = min(window, slots - slot)
    let bytes = try File.read(table, atMost: count * entrySize, at: slot * entrySize)
    return (0..<count).map { index in
      let start = min(index * entrySize, bytes.count)
      return Array(bytes[start..<min(start + entrySize, bytes.count)].prefix { $0 != 0 })
    }
  }

  private static func write(_ table: Int32, at slot: Int, _ name: [UInt8]) throws(SystemError) {
    let bytes = name + [UInt8](repeating: 0, count: entrySize - name.count)
    try File.writeAll(table, bytes, at: UInt64(slot * entrySize))
  }

  /// FNV-1a of the folder's path: the same sandbox looks in the same place, different ones rarely do.
  private static func firstSlot(_ name: [UInt8]) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in name { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return Int(hash % UInt64(slots))
  }
}
