import Linux

/// What a record means now: the machine may have been restarted, or the command that wrote it killed.
public enum SandboxCondition: Sendable, Equatable {
  case creating, created, running, paused, exited
  /// Its program runs, but nobody waits for it: the command that did was killed.
  case unsupervised
  /// Ended without anybody recording how: the reason.
  case interrupted(String)

  /// The word that listings show.
  public var word: String {
    switch self {
    case .creating: "creating"
    case .created: "created"
    case .running: "running"
    case .paused: "paused"
    case .exited: "exited"
    case .unsupervised: "unsupervised"
    case .interrupted: "interrupted"
    }
  }

  /// Whether the box has processes.
  public var isLive: Bool {
    switch self {
    case .creating, .created, .running, .paused, .unsupervised: true
    case .exited, .interrupted: false
    }
  }
}

extension SandboxRecord {
  /// Compares the record with the processes that exist in this boot.
  public func condition(bootID: String) -> SandboxCondition {
    if status == .exited { return .exited }
    if self.bootID != bootID { return .interrupted("the machine was restarted") }
    let isSupervised = supervisor?.isAlive ?? false
    guard let process, process.isAlive else {
      // Its supervisor is about to record the end, or never will.
      return isSupervised ? (status == .creating ? .creating : .running) : .interrupted("immure was killed")
    }
    if !isSupervised { return .unsupervised }
    switch status {
    case .creating: return .creating
    case .created: return .created
    case .running: return .running
    case .paused: return .paused
    case .exited: return .exited
    }
  }
}
