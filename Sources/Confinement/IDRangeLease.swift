import CLinux
package import Linux

/// A sandbox's own range of 65536 ids on the host, held as a link `ids/SLOT` in the state root whose target is the sandbox's
/// folder: made by one atomic call, so no two live sandboxes share a range, and void as soon as the folder is gone.
package struct IDRangeLease: Equatable {
  package static let size: UInt32 = 65536
  /// Above every id that distributions and directories give out (systemd's UIDS-GIDS page), below 2^32 - 2^16.
  package static let first: UInt32 = 0x2000_0000
  package static let slots = Int((UInt32.max - 0xffff - first) / size)

  package let base: UInt32
  private let folder: String
  private let link: String

  /// Takes a range for the sandbox whose folder is `directory`, the one it has already if it has one.
  package static func take(for directory: String) throws(SystemError) -> IDRangeLease {
    let folder = leases(of: directory)
    var slot = firstSlot(directory)
    for _ in 0..<slots {
      let link = folder + "/\(slot)"
      do throws(SystemError) {
        try File.symlink(directory, at: link)
        return IDRangeLease(base: first + UInt32(slot) * size, folder: folder, link: link)
      } catch  where error.errno == .noEntry {
        try File.makeDirectories(folder, mode: 0o700)
        continue
      } catch  where error.errno == .exists {
        // Gone between the two calls: the next round of the loop finds another, this one stays free.
        let holder = (try? File.readLink(link)) ?? ""
        if holder == directory { return IDRangeLease(base: first + UInt32(slot) * size, folder: folder, link: link) }
        if !holder.isEmpty && !File.exists(holder) {
          try dropStale(link, holder, folder)
          continue
        }
      }
      slot = (slot + 1) % slots
    }
    throw SystemError("id range", "all \(slots) ranges are in use", .noSpace)
  }

  /// Gives back the range that the sandbox whose folder is `directory` holds, if any.
  package static func release(for directory: String) {
    let folder = leases(of: directory)
    var slot = firstSlot(directory)
    // Others may have been between when it was taken and be gone now: a few empty slots are passed over.
    var empty = 0
    while empty < 8 {
      let link = folder + "/\(slot)"
      if let holder = try? File.readLink(link) {
        if holder == directory {
          // Removed already by another command that ends the same sandbox: as well.
          try? File.remove(link)
          return
        }
      } else {
        empty += 1
      }
      slot = (slot + 1) % slots
    }
  }

  package func release() {
    // Removed already by another command that ends the same sandbox: as well.
    try? File.remove(link)
  }

  /// Two commands may find the same stale link: the second must not remove what the first put in its place.
  private static func dropStale(_ link: String, _ holder: String, _ folder: String) throws(SystemError) {
    let lock = try File.open(folder, O_RDONLY | O_DIRECTORY)
    _ = try File.lock(lock.rawValue)
    if (try? File.readLink(link)) == holder { try File.remove(link) }
    _ = consume lock
  }

  /// ROOT/ids for ROOT/sandboxes/ID.
  private static func leases(of directory: String) -> String {
    let parent = File.parent(of: directory) ?? "/"
    return (File.parent(of: parent) ?? "") + "/ids"
  }

  /// FNV-1a of the folder's name: the same sandbox looks in the same place, different ones rarely do.
  private static func firstSlot(_ directory: String) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in directory.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return Int(hash % UInt64(slots))
  }
}
