import Formats
import Walls

/// What of an OCI runtime's bundle a jail cannot hold, each refused by its name before anything is made. What it holds otherwise than the
/// field says stands in docs/walls/jail.md.
enum JailRefusals {
  static func check(_ bundle: Bundle) throws(WallError) {
    let configuration = bundle.configuration
    if bundle.usesSystemd {
      throw WallError("--systemd-cgroup: the jail stands in groups that it makes itself: use the cgroupfs driver")
    }
    if bundle.seccompListener != nil {
      throw WallError("linux.seccomp.listenerPath: a jail hands no listener out: use --wall container")
    }
    for namespace in configuration.namespaces {
      if let path = namespace.path {
        throw WallError("linux.namespaces: a jail joins no \(namespace.kind.rawValue) namespace (\(path))")
      }
      if namespace.kind == .time { throw WallError("linux.namespaces: a jail has the host's clocks") }
    }
    if let name = configuration.sysctl.keys.min() {
      throw WallError("linux.sysctl \(name): a jail has no settings of its own: they would be the host's")
    }
    if !configuration.netDevices.isEmpty {
      throw WallError("linux.netDevices: a jail has no network of its own for them to move to")
    }
    if let word = configuration.rootPropagation, word.hasSuffix("slave") || word.hasSuffix("shared") {
      throw WallError("linux.rootfsPropagation \(word): what the host mounts later does not appear in a jail")
    }
    if configuration.annotations["dev.immure.landlock"] != nil {
      throw WallError("annotation dev.immure.landlock: a jail has rules of its own: use --wall container")
    }
    for (moment, name) in [
      (HookConfiguration.Moment.createContainer, "createContainer"), (.startContainer, "startContainer"),
    ]
    where !configuration.hooks[moment].isEmpty {
      throw WallError("hooks.\(name): a jail has no namespaces for a hook to run in")
    }
  }
}

extension RuntimeConfiguration {
  func has(_ kind: NamespaceKind) -> Bool { namespaces.contains { $0.kind == kind } }
}
