import CLinux
import Linux

/// Makes a new mount of an image read ahead as far as a folder on the same disk does. The kernel gives each mounted image file 128 kB,
/// whatever the disk below it is set to (VM_READAHEAD_PAGES, super_setup_bdi), and reads its metadata page by page (erofs_bread).
///
/// Only speed hangs on it: what cannot be looked at or set is left as it is.
package struct ImageReadAhead {
  private static let folder = "/sys/class/bdi"
  private let before: [String]

  /// Notes what is mounted already; `raise` comes after the mount.
  init() { before = Self.names() }

  /// Begins to read metadata into memory; of a very large one the beginning.
  static func metadata(_ file: Int32) {
    let willNeed: UInt = 3
    _ = systemCall(Int(SYS_fadvise64), word(file), 0, 8 << 20, willNeed)
  }

  /// - Parameter device: st_dev of the image's files.
  func raise(to device: UInt64) {
    guard let kilobytes = Self.setting(device), kilobytes > 128,
      let own = Self.added(before, Self.names())
    else { return }
    // See the type: an image that is read in smaller pieces.
    try? File.writeExisting("\(Self.folder)/\(own)/read_ahead_kb", "\(kilobytes)")
  }

  /// The name that a mount added; nil where another was made in the same moment, for nothing tells which is whose.
  package static func added(_ before: [String], _ after: [String]) -> String? {
    let new = after.filter { $0.hasPrefix("erofs-") && !before.contains($0) }
    return new.count == 1 ? new[0] : nil
  }

  /// Names of what reads ahead: "erofs-7" for a mounted image, numbers for disks. The kernel never uses one again.
  private static func names() -> [String] { (try? File.names(inDirectory: folder)) ?? [] }

  /// Of a disk, or the disk that a partition is on (sysfs-block, `queue/read_ahead_kb`).
  private static func setting(_ device: UInt64) -> Int? {
    // gnu_dev_major(3), gnu_dev_minor(3).
    let major = device >> 8 & 0xFFF | device >> 32 & ~0xFFF
    let minor = device & 0xFF | device >> 12 & ~0xFF
    for place in ["", "/.."] {
      guard let text = try? File.text("/sys/dev/block/\(major):\(minor)\(place)/queue/read_ahead_kb") else { continue }
      return Int(text.filter { $0 != "\n" })
    }
    return nil
  }
}
