import Linux

/// Faults of the kernel's EROFS in reading images from files, which a version tells (cve.org, the records' affected versions). What a
/// distributor mended under an old number counts as faulty: the next rung serves as well.
enum EROFSFault {
  private struct Fault {
    let from: KernelRelease
    /// The first one without it.
    let to: KernelRelease
    let isDirectOnly: Bool
    let name: String

    init(_ name: String, _ from: (Int, Int, Int), _ to: (Int, Int, Int), directOnly: Bool = false) {
      self.name = name
      self.from = KernelRelease(from.0, from.1, from.2)
      self.to = KernelRelease(to.0, to.1, to.2)
      isDirectOnly = directOnly
    }
  }

  private static let all = [
    // A panic with blocks below the page size, and one on FUSE.
    Fault("CVE-2024-56750, CVE-2024-53235", (6, 12, 0), (6, 12, 2)),
    // A read that never ends.
    Fault("CVE-2025-37999", (6, 12, 0), (6, 12, 29)),
    Fault("CVE-2025-37999", (6, 13, 0), (6, 14, 7)),
    // A request used after it was freed, with direct I/O.
    Fault("CVE-2026-23224", (6, 12, 0), (6, 12, 72), directOnly: true),
    Fault("CVE-2026-23224", (6, 13, 0), (6, 18, 11), directOnly: true),
    Fault("CVE-2026-23224", (6, 19, 0), (6, 19, 1), directOnly: true),
  ]

  /// The fault's name, or nil.
  static func known(in release: KernelRelease, directIO: Bool) -> String? {
    for fault in all where fault.from <= release && release < fault.to && (directIO || !fault.isDirectOnly) {
      return "this kernel has \(fault.name)"
    }
    return nil
  }
}
