import CLinux
import Linux
public import Walls

/// What the host has for a user-mode network: a helper program, a tun device, a way out, a name server.
public struct HostNetwork: Sendable {
  /// The programs that carry a box's packets, in the order they are taken.
  public enum Helper: String, Sendable, CaseIterable {
    case pasta, slirp4netns

    /// Where it stands; never the caller's PATH, which could name anything.
    public var path: String? {
      for folder in ["/usr/bin", "/usr/local/bin", "/usr/sbin", "/usr/local/sbin", "/bin"] {
        let path = folder + "/" + rawValue
        let mayExecute: UInt = 1
        let result = path.withPathAddress {
          systemCall(Int(SYS_faccessat), word(File.currentDirectory), $0, mayExecute)
        }
        if result == 0 { return path }
      }
      return nil
    }
  }

  public let helper: Helper?
  public let lacks: [Lack]
  public let notes: [String]

  /// Looks now; cheap enough for every start: a few system calls.
  public init(on host: Host) {
    var lacks: [Lack] = []
    var notes: [String] = []
    helper = Helper.allCases.first { $0.path != nil }
    if helper == nil {
      lacks.append(
        Lack(
          "the user-mode network needs pasta or slirp4netns, and neither is in /usr/bin or /usr/local/bin",
          remedy: "`apt-get install passt` (or slirp4netns), or use --network none"))
    }
    if let lack = HostNetwork.tunLack(isRoot: host.isRoot) { lacks.append(lack) }
    if let lack = HostNetwork.routeLack() { lacks.append(lack) }
    if HostNetwork.nameServer() == nil {
      notes.append("/etc/resolv.conf names no IPv4 name server: names do not resolve in the box")
    }
    self.lacks = lacks
    self.notes = notes
  }

  static func tunLack(isRoot: Bool) -> Lack? {
    // Root makes a device node of its own for the helper: the kernel's driver is enough.
    if isRoot {
      if let devices = try? File.text("/proc/misc"),
        devices.split(separator: "\n").contains(where: { $0.trimmingSpaces == "200 tun" })
      {
        return nil
      }
      return Lack("this kernel has no tun driver", remedy: "`modprobe tun`, or use --network none")
    }
    do {
      _ = try File.open("/dev/net/tun", O_RDWR)
      return nil
    } catch {
      switch error.errno {
      case .noEntry:
        return Lack(
          "/dev/net/tun is missing",
          remedy: "as root: `modprobe tun`, `mkdir -p /dev/net; mknod -m 666 /dev/net/tun c 10 200`")
      case .accessDenied:
        return Lack(
          "/dev/net/tun may not be opened by this user", remedy: "as root: `chmod 666 /dev/net/tun`, or run as root")
      default:
        return Lack("/dev/net/tun cannot be opened: \(error.errno)", remedy: "as root: `modprobe tun`")
      }
    }
  }

  static func routeLack() -> Lack? {
    do {
      if try RouteSocket().hasDefaultRoute() { return nil }
      return Lack(
        "this host has no default route for IPv4, so there is nowhere to go out",
        remedy: "connect the host (`ip route add default via …`), or use --network none")
    } catch {
      return Lack("the host's routes cannot be read: \(error)", remedy: "use --network none")
    }
  }

  /// The first IPv4 name server of the host's resolv.conf (resolv.conf(5)).
  static func nameServer() -> IPv4Address? {
    guard let text = try? File.text("/etc/resolv.conf") else { return nil }
    for line in text.split(separator: "\n") {
      let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r" })
      if words.count >= 2, words[0] == "nameserver", let address = IPv4Address(words[1]) { return address }
    }
    return nil
  }
}
