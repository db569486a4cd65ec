import CLinux
import Linux

/// A sandbox's own user id on the host. A counter for the whole machine gives each sandbox the next one, so an id comes back only
/// after a million others, and one that still has a process (a box that outlived them, or what a killed command left) is passed over.
struct JailUser: Equatable {
  /// Above what distributions and directories give out, and apart from the container wall's ranges and the workers' ids.
  static let first: UInt32 = 0x1000_0000
  static let count: UInt32 = 0x10_0000

  let id: UInt32

  /// Nil for an id that is no jail's.
  init?(id: UInt32) {
    guard id >= Self.first, id - Self.first < Self.count else { return nil }
    self.id = id
  }

  /// Counts this process as one of the user's (PRIO_USER, kill(2)): its real id alone, so that it keeps every right it has (setresuid(2)).
  func claim() throws(SystemError) {
    let unchanged = UInt(UInt32.max)
    try checked("setresuid", "\(id)", systemCall(Int(SYS_setresuid), UInt(id), unchanged, unchanged))
  }

  /// The next free one; the counter is kept in the first of the folders that can be written to.
  static func take(in folders: [String]) throws(SystemError) -> JailUser {
    let counter = try openCounter(folders)
    _ = try File.lock(counter.rawValue)
    var next = try read(counter.rawValue)
    for _ in 0..<count {
      let user = JailUser(id: first + next % count)
      next &+= 1
      if let user, !ProcessTable.hasProcess(ofUser: user.id) {
        try File.writeAll(counter.rawValue, bytes(next), at: 0)
        return user
      }
    }
    throw SystemError("user id", "all \(count) are in use", .noSpace)
  }

  private static func openCounter(_ folders: [String]) throws(SystemError) -> FileDescriptor {
    var refusal = SystemError("open", folders.first ?? "", .noEntry)
    for folder in folders {
      do throws(SystemError) {
        return try File.open(folder + "/next-user", O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
      } catch  where error.errno == .noEntry {
        do throws(SystemError) {
          try File.makeDirectories(folder, mode: 0o700)
          return try File.open(folder + "/next-user", O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        } catch {
          refusal = error
        }
      } catch {
        refusal = error
      }
    }
    throw refusal
  }

  /// Four bytes, little-endian; a new file counts from anywhere, for another folder's counter may run beside it.
  private static func read(_ counter: Int32) throws(SystemError) -> UInt32 {
    let bytes = try File.read(counter, atMost: 4, at: 0)
    if bytes.count == 4 { return bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) } }
    return UInt32.random(in: 0..<count)
  }

  private static func bytes(_ number: UInt32) -> [UInt8] {
    [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: number >> UInt32($0)) }
  }
}
