import CLinux
import Confinement
import Formats
import Guest
import Linux
public import Policy
public import Walls

/// A Linux container: namespaces, a root of its own, control groups, capabilities, seccomp. One kernel with the host.
public struct ContainerWall: Wall {
  public init() {}
  public var name: WallName { .container }

  public func create(_ bundle: Bundle, streams: Streams, on host: Host) throws(WallError) -> any Sandbox {
    try BoxRaiser(bundle: bundle, streams: streams, host: host).raise()
  }

  /// The groups that the box will stand in.
  public func traces(of bundle: Bundle) throws(WallError) -> [String: String] {
    if let scope = try SystemdScope(bundle, on: Host()) { return ["cgroup": scope.group.text, "unit": scope.unit] }
    return try BoxLimits.traces(bundle.configuration)
  }

  public func open(_ record: SandboxRecord, on host: Host) throws(WallError) -> any Sandbox {
    try ContainerSandbox(record, on: host)
  }
}
