import CLinux
package import Linux

/// What this machine and this user have, looked up at most once each and only when asked for.
public final class Host {
  public init() {}

  /// Root means CAP_SYS_ADMIN in the initial user namespace, not uid 0 (user_namespaces(7)).
  public private(set) lazy var isRoot: Bool = hasCapability(21) && inInitialUserNamespace

  /// The whole range 0 to 2^32-2 is mapped one to one only in the initial user namespace.
  public private(set) lazy var inInitialUserNamespace: Bool = {
    guard let map = try? File.text("/proc/self/uid_map") else { return true }
    return map.split(whereSeparator: { $0 == " " || $0 == "\n" }).map(String.init) == ["0", "0", "4294967295"]
  }()

  /// The capabilities this process has now, as a mask (capget(2)).
  public private(set) lazy var capabilities: UInt64 = {
    // capget(2) of oneself cannot fail but where a filter forbids it; then nothing may be counted on.
    (try? CapabilitySets.current())?.effective ?? 0
  }()

  /// Whether capability number `number` is effective.
  public func hasCapability(_ number: Int) -> Bool { capabilities & (1 << UInt64(number)) != 0 }

  /// The running boot's id; empty where /proc is not there.
  public private(set) lazy var bootID: String =
    ((try? File.text("/proc/sys/kernel/random/boot_id")) ?? "").trimmingSpaces

  /// Bytes of memory in the machine (/proc/meminfo).
  public private(set) lazy var memoryBytes: UInt64 = {
    // The first line: "MemTotal:       24684092 kB" (proc_meminfo(5)).
    guard let bytes = try? File.contents("/proc/meminfo"), bytes.starts(with: "MemTotal:".utf8) else { return 0 }
    var kilobytes: UInt64 = 0
    for byte in bytes {
      if byte == UInt8(ascii: "\n") { break }
      if byte >= 48 && byte <= 57 { kilobytes = kilobytes * 10 + UInt64(byte - 48) }
    }
    return kilobytes << 10
  }()

  /// How user namespaces can be had here.
  public enum UserNamespaces: Sendable, Equatable {
    case available
    case refused(Lack)
  }

  /// Tries it in a child, and names the setting that refuses it (user_namespaces(7); AppArmor's restriction of Ubuntu 23.10).
  public private(set) lazy var userNamespaces: UserNamespaces = {
    do throws(SystemError) {
      guard let child = try Process.clone(CloneArguments(flags: UInt64(UInt32(bitPattern: CLONE_NEWUSER)))) else {
        // The child proves more than the call: AppArmor lets it through and then takes the capabilities away.
        Process.exit(File.canMapItself() ? 0 : 2)
      }
      let status = try child.wait()
      if status == .exited(0) { return .available }
      return .refused(Host.whyNoUserNamespaces(Errno.notPermitted))
    } catch {
      return .refused(Host.whyNoUserNamespaces(error.errno))
    }
  }()

  /// Which setting of the machine refuses user namespaces, for the error that was met.
  package static func whyNoUserNamespaces(_ errno: Errno) -> Lack {
    func setting(_ path: String) -> String? { (try? File.text("/proc/sys/" + path))?.trimmingSpaces }
    if setting("kernel/apparmor_restrict_unprivileged_userns") == "1" {
      return Lack(
        "AppArmor forbids user namespaces to unprivileged programs (kernel.apparmor_restrict_unprivileged_userns=1)",
        remedy: "run as root, or `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or use --wall jail")
    }
    if setting("kernel/unprivileged_userns_clone") == "0" {
      return Lack(
        "user namespaces are off for unprivileged users (kernel.unprivileged_userns_clone=0)",
        remedy: "run as root, or `sysctl kernel.unprivileged_userns_clone=1`, or use --wall jail")
    }
    if setting("user/max_user_namespaces") == "0" {
      return Lack(
        "user namespaces are off (user.max_user_namespaces=0)",
        remedy: "`sysctl user.max_user_namespaces=10000`, or use --wall jail")
    }
    if errno == .noSpace {
      return Lack(
        "no user namespace is left (user.max_user_namespaces, or they are nested too deep)",
        remedy: "raise user.max_user_namespaces, or use --wall jail")
    }
    return Lack(
      "user namespaces are refused here (\(errno)): a container's seccomp profile or a security module forbids them",
      remedy: "run outside that container, or with its seccomp profile relaxed, or use --wall jail")
  }
}

extension File {
  /// In a fresh user namespace: maps the one own id, and mounts something to see that the capabilities are real.
  fileprivate static func canMapItself() -> Bool {
    do {
      try writeExisting("/proc/self/setgroups", "deny")
      let unshared = systemCall(Int(SYS_unshare), UInt(CLONE_NEWUTS))
      return unshared == 0
    } catch {
      return false
    }
  }
}

extension StringProtocol {
  /// Without blanks and line ends around it.
  package var trimmingSpaces: String {
    func isBlank(_ byte: UInt8) -> Bool { byte == 32 || (byte >= 9 && byte <= 13) }
    let bytes = Array(utf8)
    guard let first = bytes.firstIndex(where: { !isBlank($0) }), let last = bytes.lastIndex(where: { !isBlank($0) })
    else { return "" }
    return String(decoding: bytes[first...last], as: UTF8.self)
  }
}
