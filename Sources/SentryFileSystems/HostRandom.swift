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

  /// Fills so many bytes at an address of the sentry's own: how many, or -errno.
  public static func fill(_ address: UInt, _ count: Int) -> Int {
    if unsafe opened < 0 {
      do throws(SystemError) { try prepare() } catch { return -Int(error.errno.rawValue) }
    }
    return unsafe systemCall(Int(SYS_read), word(opened), address, UInt(count))
  }
}
