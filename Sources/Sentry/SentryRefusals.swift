import CLinux
import Formats
import Linux
import Policy
import SentryPlatform
import Walls

/// What of a bundle the sentry cannot hold, each refused by its name before anything is made. What it holds otherwise than the field says
/// stands in docs/walls/sentry.md.
enum SentryRefusals {
  static func check(_ bundle: Bundle) throws(WallError) {
    let configuration = bundle.configuration
    try StubFilter.Policy.check(bundle)
    if bundle.seccompListener != nil {
      throw WallError("linux.seccomp.listenerPath: the sentry has no listeners for guests")
    }
    try checkDevices(configuration)
    if case .host = bundle.policy.network.value {
      throw WallError("network host: the sentry's sockets are those of its own namespace: use --wall container")
    }
    if bundle.usesSystemd {
      throw WallError("--systemd-cgroup: the sentry stands in groups that it makes itself: use the cgroupfs driver")
    }
    if case .layers(_, .directory(let folder)) = bundle.root { try refuse(layer: folder) }
    if case .image(_, .directory(let folder)) = bundle.root { try refuse(layer: folder) }
    if bundle.usesInit {
      if configuration.process.oomScoreAdjustment != nil {
        throw WallError("process.oomScoreAdj: the sentry and its guests have one of their own")
      }
      if !bundle.preservedDescriptors.isEmpty { throw WallError("the sentry takes no descriptors but 0, 1 and 2") }
    } else {
      try checkNamespaces(configuration)
      try checkDescriptors(bundle.preservedDescriptors)
    }
    try checkSettings(configuration)
  }

  private static func refuse(layer folder: String) throws(WallError) {
    throw WallError(
      "writable layer \(folder): the sentry keeps writes in memory only; use --wall container to keep changes")
  }

  /// Files, pipes and terminals are streams of the sandbox's as 0, 1 and 2 are; a socket would be asked for more than that.
  private static func checkDescriptors(_ numbers: [Int32]) throws(WallError) {
    for number in numbers {
      do throws(SystemError) {
        if File.kind(try File.status("", at: number)) != S_IFSOCK { continue }
      } catch {
        throw WallError("descriptor \(number)", error)
      }
      throw WallError("--preserve-fds: descriptor \(number) is a socket, which the sentry does not pass on")
    }
  }

  /// Those that every box has are the sentry's own.
  private static func checkDevices(_ configuration: RuntimeConfiguration) throws(WallError) {
    let own: [(UInt32, UInt32)] = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)]
    for device in configuration.devices {
      let isOwn = device.kind == .character && own.contains { $0 == (device.major, device.minor) }
      if !isOwn { throw WallError("linux.devices \(device.path): the sentry has no devices of the host") }
    }
    if !configuration.netDevices.isEmpty {
      throw WallError("linux.netDevices: the sentry takes no network devices; give it a network namespace")
    }
  }

  /// New ones are the sentry's own; of others' it joins that of the network.
  private static func checkNamespaces(_ configuration: RuntimeConfiguration) throws(WallError) {
    for namespace in configuration.namespaces {
      if let path = namespace.path, namespace.kind != .network {
        throw WallError(
          "linux.namespaces: the sentry joins no \(namespace.kind.rawValue) namespace (\(path)): only that of the network"
        )
      }
      if namespace.kind == .time { throw WallError("linux.namespaces: the sentry has no time namespaces") }
    }
    for kind in [NamespaceKind.pid, .network, .ipc, .uts, .mount]
    where !configuration.namespaces.contains(where: { $0.kind == kind }) {
      throw WallError(
        "linux.namespaces: without a \(kind.rawValue) namespace of its own guests would share the host's, which the sentry has not"
      )
    }
  }

  private static func checkSettings(_ configuration: RuntimeConfiguration) throws(WallError) {
    if let word = configuration.rootPropagation, word.hasSuffix("slave") || word.hasSuffix("shared") {
      throw WallError("linux.rootfsPropagation \(word): what the host mounts later does not appear behind the sentry")
    }
    if configuration.personality != nil { throw WallError("linux.personality: the sentry has no execution domains") }
    if configuration.process.scheduler != nil {
      throw WallError("process.scheduler: the sentry's guests are scheduled as it is")
    }
    if configuration.process.ioPriority != nil {
      throw WallError("process.ioPriority: the sentry's guests have that of the sentry")
    }
    if configuration.annotations["dev.immure.landlock"] != nil {
      throw WallError("annotation dev.immure.landlock: the sentry's files are its own: mount what may be seen")
    }
    if !configuration.hooks[.startContainer].isEmpty {
      throw WallError("hooks.startContainer: no program but the container's begins behind the sentry")
    }
    for mount in configuration.mounts {
      if let word = mount.options.first(where: { following.contains($0) }) {
        throw WallError(
          "mount \(mount.destination): \(word): what the host mounts later does not appear behind the sentry")
      }
    }
  }

  /// Options by which mounts would follow the host's.
  private static let following = ["slave", "rslave", "shared", "rshared"]
}
