public import Linux

/// What a process may still reach under Landlock. All else of the handled kinds is denied: files always, TCP ports where
/// `ports` is not nil, abstract sockets and signals outside where the scopes say so.
public struct LandlockRuleset: Sendable, Equatable {
  public enum Place: Sendable, Equatable {
    /// Opened when the ruleset is prepared, links followed; one that does not exist is left out when `optional`.
    case path(String, optional: Bool)
    /// An open file or folder, which the caller keeps open until then.
    case descriptor(Int32)
  }
  public struct FileGrant: Sendable, Equatable {
    public var place: Place
    public var rights: Landlock.FileRights
    public init(_ place: Place, _ rights: Landlock.FileRights) {
      self.place = place
      self.rights = rights
    }
  }
  public struct PortGrant: Sendable, Equatable {
    public var port: UInt16
    public var rights: Landlock.PortRights
    public init(_ port: UInt16, _ rights: Landlock.PortRights) {
      self.port = port
      self.rights = rights
    }
  }

  /// Nil leaves files alone (they are held by something else); REFER is then granted on everything, which Landlock denies
  /// otherwise.
  public var files: [FileGrant]?
  /// Nil leaves TCP alone; empty allows no port.
  public var ports: [PortGrant]?
  public var scopes: Landlock.Scopes

  public init(files: [FileGrant]?, ports: [PortGrant]? = nil, scopes: Landlock.Scopes = []) {
    self.files = files
    self.ports = ports
    self.scopes = scopes
  }

  /// Nothing at all: no file, no port, nobody outside.
  public static let nothing = LandlockRuleset(files: [], ports: [], scopes: [.abstractSockets, .signals])

  /// What of this `abi` (nil: no Landlock) cannot hold, as a person reads it; empty is all held.
  public func notHeld(by abi: Landlock.ABI?) -> [String] {
    guard let abi else { return ["Landlock is not available in this kernel"] }
    var lacks: [String] = []
    func needs(_ version: Int, _ what: String) {
      guard abi.version < version, let first = Landlock.abi(answering: version) else { return }
      lacks.append("\(what): Landlock ABI \(version) (Linux \(first.since)), this kernel has \(abi.version)")
    }
    if files != nil {
      // Below ABI 2 renames between folders are denied, which is stricter than asked and so no lack.
      needs(3, "truncating files outside")
      needs(5, "ioctl on devices outside")
      needs(9, "connecting to Unix sockets that have a path")
    }
    if ports != nil { needs(4, "TCP ports") }
    if scopes.contains(.abstractSockets) { needs(6, "abstract Unix sockets outside") }
    if scopes.contains(.signals) { needs(6, "signals to processes outside") }
    return lacks
  }

  /// The ruleset in the kernel, as far as `abi` goes; what it cannot hold is what `notHeld` lists.
  public func prepare(for abi: Landlock.ABI) throws(SystemError) -> Landlock.Ruleset? {
    let handledFiles = files == nil ? [] : abi.files
    let handledPorts = ports == nil ? [] : abi.ports
    let handledScopes = scopes.intersection(abi.scopes)
    if handledFiles.isEmpty && handledPorts.isEmpty && handledScopes.isEmpty { return nil }
    // Every ruleset denies REFER unless it is handled and granted (landlock(7)).
    let leavesFilesAlone = files == nil && abi.version >= 2
    let ruleset = try Landlock.Ruleset(
      files: leavesFilesAlone ? .refer : handledFiles, ports: handledPorts, scopes: handledScopes)
    if leavesFilesAlone {
      let root = try File.open("/", PathFlags.open)
      try ruleset.allow(.refer, beneath: root.rawValue)
    }
    for grant in files ?? [] {
      switch grant.place {
      case .descriptor(let descriptor):
        try ruleset.allow(grant.rights, beneath: descriptor)
      case .path(let path, let optional):
        do throws(SystemError) {
          let place = try File.open(path, PathFlags.open)
          try ruleset.allow(grant.rights, beneath: place.rawValue)
        } catch {
          if optional && (error.errno == .noEntry || error.errno == .notDirectory) { continue }
          throw error
        }
      }
    }
    for grant in ports ?? [] { try ruleset.allow(grant.rights, port: grant.port) }
    return ruleset
  }
}

enum PathFlags {
  /// O_PATH: a handle that neither reads nor writes.
  static let open: Int32 = 0o10000000
}
