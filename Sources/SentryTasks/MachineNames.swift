/// What uname(2) says, and the sentry's other words about its machine.
public struct MachineNames: Sendable {
  public var host: [UInt8] = [UInt8]("localhost".utf8)
  public var domain: [UInt8] = [UInt8]("(none)".utf8)
  /// The release that glibc and programs look at: calls of Linux up to it are there or answer ENOSYS.
  public var release = [UInt8]("6.1.0".utf8)
  public var version = [UInt8]("#1 SMP PREEMPT_DYNAMIC Immure".utf8)
  #if arch(arm64)
    public var machine = [UInt8]("aarch64".utf8)
  #else
    public var machine = [UInt8]("x86_64".utf8)
  #endif
  public init() {}

  /// struct new_utsname: six fields of 65 bytes.
  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    for field in [[UInt8]("Linux".utf8), host, release, version, machine, domain] {
      bytes += field.prefix(64) + [UInt8](repeating: 0, count: 65 - min(64, field.count))
    }
    return bytes
  }
}
