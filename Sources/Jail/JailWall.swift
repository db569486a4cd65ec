import CLinux
import Confinement
import Linux
public import Policy
public import Walls

/// The thinnest wall: a process with its own user id, root and limits under seccomp and Landlock, in the host's namespaces.
/// docs/walls/jail.md says what that holds and what it does not hide.
public struct JailWall: Wall {
  public init() {}

  public let name = WallName.jail

  public func availability(on host: Host) -> Availability {
    let abi = Landlock.probe()
    var notes: [String] = []
    switch JailMode(host) {
    case .rooted:
      if abi == nil {
        notes.append(
          "no Landlock in this kernel: TCP ports and abstract Unix sockets of the host are held by seccomp alone")
      }
    case .ownUser, .caller:
      guard let abi else {
        return .missing([
          Lack(
            "without root the jail is made of Landlock, which this kernel does not have or has not enabled",
            remedy: "run as root, or boot a kernel of 5.13 or newer with \"landlock\" in its lsm= list")
        ])
      }
      notes.append("without root: no root of its own, files are held by Landlock")
      for lack in LandlockRuleset.nothing.notHeld(by: abi) { notes.append("not held here: " + lack) }
    }
    if !Cgroup.canMake(.memory) { notes.append("control groups cannot be made here: limits become rlimits") }
    return .ready(notes: notes)
  }

  public func create(_ bundle: Bundle, streams: Streams, on host: Host) throws(WallError) -> any Sandbox {
    if case .missing(let lacks) = availability(on: host), let lack = lacks.first {
      throw WallError(.unavailable, "\(lack.what): \(lack.remedy)")
    }
    return try JailRaiser(bundle: bundle, streams: streams, host: host, mode: JailMode(host)).raise()
  }

  /// Where the caller chose the groups, or they follow from the id: what a killed `create` may leave.
  public func traces(of bundle: Bundle) throws(WallError) -> [String: String] {
    if bundle.usesInit { return [:] }
    var traces = try BoxLimits.traces(bundle.configuration)
    traces["directory"] = bundle.directory
    return traces
  }

  public func open(_ record: SandboxRecord, on host: Host) throws(WallError) -> any Sandbox {
    try JailSandbox(record, on: host)
  }
}
