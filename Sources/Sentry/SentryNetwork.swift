import CLinux
import Confinement
import Formats
import Linux
import Walls

/// The network namespace that the guests' internet sockets are in: the sentry's own, or one that the configuration names, and the settings
/// that it gets.
struct SentryNetwork {
  let isJoined: Bool
  private let settings: [(place: String, value: String)]
  /// Guests' sockets are the sentry's, which has no capability over the namespace: which port is whose is for its own rules.
  private static let unprivilegedPorts = (place: "/proc/sys/net/ipv4/ip_unprivileged_port_start", value: "0")

  init(_ configuration: RuntimeConfiguration, _ joined: JoinedNamespaces) throws(WallError) {
    isJoined = joined.descriptors.contains { $0.kind == .network }
    var settings: [(place: String, value: String)] = []
    for (name, value) in configuration.sysctl.sorted(by: { $0.key < $1.key }) {
      guard Sysctl.namespace(of: name) == .network else {
        throw WallError("sysctl \(name): the sentry has no such setting")
      }
      do throws(SystemError) { settings.append(("/proc/" + (try Sysctl.place(of: name)), value)) } catch {
        throw WallError("sysctl \(name)=\(value)", error)
      }
    }
    self.settings = settings
    for entry in joined.descriptors where entry.kind == .network {
      do throws(SystemError) {
        let own = try File.status("/proc/self/ns/net")
        let named = try File.status("", at: entry.descriptor)
        guard own.st_dev != named.st_dev || own.st_ino != named.st_ino else {
          throw SystemError(
            "setns", "\(entry.path): it is the host's own, where the sentry's sockets may not be", .invalid)
        }
      } catch {
        throw WallError("linux.namespaces: network", error)
      }
    }
  }

  /// In the process that goes into the namespace and has power over it.
  func setJoined() throws(SystemError) {
    if isJoined { try set() }
  }

  /// In the sentry, before it gives its capabilities up.
  /// - Parameter group: of its own, which may ask as ping(8) does where it has no privilege (icmp(7)); nil where none may.
  func setOwn(pingers group: UInt32?) throws(SystemError) {
    if isJoined { return }
    try Namespaces.raiseLoopback()
    try set()
    // Without it there is no such socket.
    if let group { try? File.writeExisting("/proc/sys/net/ipv4/ping_group_range", "\(group) \(group)") }
  }

  private func set() throws(SystemError) {
    // A /proc that may not be written leaves ports below 1024 unbound.
    try? File.writeExisting(Self.unprivilegedPorts.place, Self.unprivilegedPorts.value)
    for setting in settings where setting.place != Self.unprivilegedPorts.place {
      try File.writeExisting(setting.place, setting.value)
    }
  }
}
