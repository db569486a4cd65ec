import Confinement
public import Policy
public import Walls

/// A kernel in user space between the code and the host's: it serves the guests' system calls, in a process that is jailed itself.
/// docs/walls/sentry.md says what that holds and what it does not.
public struct SentryWall: Wall {
  public init() {}
  public var name: WallName { .sentry }

  public func create(_ bundle: Bundle, streams: Streams, on host: Host) throws(WallError) -> any Sandbox {
    if case .missing(let lacks) = availability(on: host), let lack = lacks.first {
      throw WallError(.unavailable, "\(lack.what): \(lack.remedy)")
    }
    return try SentryRaiser(bundle: bundle, streams: streams, host: host).raise()
  }

  /// The groups that the sandbox will stand in, and where its range of ids is leased.
  public func traces(of bundle: Bundle) throws(WallError) -> [String: String] {
    var traces = try BoxLimits.traces(bundle.configuration)
    traces["directory"] = bundle.directory
    if !bundle.usesInit { traces["init"] = "no" }
    return traces
  }

  public func open(_ record: SandboxRecord, on host: Host) throws(WallError) -> any Sandbox {
    try SentrySandbox(record, on: host)
  }
}
