import CGuest
import CLinux
public import Linux

/// The first process of a box, guest/init, which immure carries within itself.
public enum GuestInit {
  /// Bytes of the program; under 32 kB.
  public static var size: Int { immure_guest_init_size() }

  /// A sealed memory file with the program, for `Process.execute(descriptor:_:arguments:environment:)` with an empty path,
  /// the arguments ["init"] and an empty environment. The process must have the near end of a stream socket as descriptor 3.
  public static func image() throws(SystemError) -> FileDescriptor {
    try MemoryFile.sealed("init", bytes, executable: true)
  }

  private static var bytes: Span<UInt8> {
    // SAFETY: the program lies in this executable's read-only data, from start to end, for as long as the process lives.
    let buffer = unsafe UnsafeBufferPointer(start: immure_guest_init(), count: immure_guest_init_size())
    let span = unsafe Span(_unsafeElements: buffer)
    return unsafe _overrideLifetime(span, copying: ())
  }
}
