import CLinux
import Linux

/// A sandbox's own user id on the host, held as a link SLOT in one folder for the whole machine whose target is the sandbox's
/// folder: made by one atomic call, so no two live sandboxes share an id, and void as soon as the folder is gone.
struct JailUser: Equatable {
  /// Above what distributions and directories give out, and apart from the container wall's ranges and the workers' ids.
  static let first: UInt32 = 0x1000_0000
  static let slots: UInt32 = 0x10_0000

  let id: UInt32
  private let link: String

  init(id: UInt32, link: String) {
    self.id = id
    self.link = link
  }

  static func isOne(_ id: UInt32) -> Bool { id >= first && id - first < slots }

  /// Takes an id for the sandbox whose folder is `directory`. What a killed command left running under it is ended first.
  static func take(for directory: String, in folders: [String]) throws(SystemError) -> JailUser {
    let folder = try usable(folders)
    var slot = firstSlot(directory)
    var isLeftOver = false
    for _ in 0..<slots {
      let link = folder + "/\(slot)"
      do throws(SystemError) {
        try File.symlink(directory, at: link)
        let user = JailUser(id: first + slot, link: link)
        if isLeftOver { try UserEnd.killAll(of: user.id) }
        return user
      } catch  where error.errno == .exists {
        let holder = (try? File.readLink(link)) ?? ""
        if holder == directory || !holder.isEmpty && !File.exists(holder) {
          try dropStale(link, holder, folder)
          isLeftOver = true
          continue
        }
      }
      slot = (slot + 1) % slots
      isLeftOver = false
    }
    throw SystemError("user id", "all \(slots) are in use", .noSpace)
  }

  /// Gives the id back. Removed already by another command that ends the same sandbox: as well.
  func release() { try? File.remove(link) }

  /// For the sandbox's record.
  var text: String { "\(id) \(link)" }
  init?(text: String) {
    let parts = text.split(separator: " ", maxSplits: 1).map(String.init)
    guard parts.count == 2, let id = UInt32(parts[0]), JailUser.isOne(id), parts[1].hasPrefix("/") else { return nil }
    self.init(id: id, link: parts[1])
  }

  private static func usable(_ folders: [String]) throws(SystemError) -> String {
    var refusal = SystemError("mkdir", folders.first ?? "", .noEntry)
    for folder in folders {
      do throws(SystemError) {
        try File.makeDirectories(folder, mode: 0o700)
        return folder
      } catch {
        refusal = error
      }
    }
    throw refusal
  }

  /// Two commands may find the same stale link: the second must not remove what the first put in its place.
  private static func dropStale(_ link: String, _ holder: String, _ folder: String) throws(SystemError) {
    let lock = try File.open(folder, O_RDONLY | O_DIRECTORY)
    _ = try File.lock(lock.rawValue)
    if (try? File.readLink(link)) == holder { try File.remove(link) }
    _ = consume lock
  }

  /// FNV-1a of the folder's name: different sandboxes rarely look in the same place first.
  private static func firstSlot(_ directory: String) -> UInt32 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in directory.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return UInt32(hash % UInt64(slots))
  }
}
