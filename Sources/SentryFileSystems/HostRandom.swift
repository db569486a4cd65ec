import CLinux
import Linux

/// The host's randomness, by a descriptor that was opened while the sentry still could (random(4)): one call less on its list.
public enum HostRandom {
  private nonisolated(unsafe) static var opened: Int32 = -1

  /// Before the sentry loses its root.
  static func prepare() throws(SystemError) {
    // SAFETY: as `HostFiles.opened`.
    if unsafe opened >= 0 { return }
    let result = "/dev/urandom".withPathAddress {
      systemCall(Int(SYS_openat), word(AT_FDCWD), $0, UInt(O_RDONLY | O_CLOEXEC))
    }
    unsafe opened = Int32(try checked("open", "/dev/urandom", result))
  }

  /// Sixty-four bits. Swift's own generator asks by getrandom(2), which the sentry's list has not.
  /// - Returns: 0 where the host refuses, which it never does once it has begun.
  public static func bits() -> UInt64 {
    var bits: UInt64 = 0
    // SAFETY: the kernel fills the eight bytes of the value, alive across the call.
    let count = unsafe withUnsafeMutablePointer(to: &bits) { fill(UInt(bitPattern: $0), 8) }
    return count == 8 ? bits : 0
  }

  /// Fills so many bytes at an address of the sentry's own: how many, or -errno.
  public static func fill(_ address: UInt, _ count: Int) -> Int {
    if unsafe opened < 0 {
      do throws(SystemError) { try prepare() } catch { return -Int(error.errno.rawValue) }
    }
    return unsafe systemCall(Int(SYS_read), word(opened), address, UInt(count))
  }
}
