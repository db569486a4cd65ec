public import Linux
public import Policy

/// What stands on disk about a sandbox, written atomically at each step of its life.
public struct SandboxRecord: Sendable, Equatable {
  public enum Status: String, Sendable, CaseIterable {
    /// Being raised; a command that dies here leaves it to the next one to clear.
    case creating
    case created, running, paused
    case exited
  }
  public var id: String
  public var name: String
  public var wall: WallName
  public var status: Status
  /// Empty where no image is used.
  public var image: String
  public var command: [String]
  /// Seconds since 1970.
  public var created: Int64
  public var started: Int64?
  public var finished: Int64?
  /// The process that stands for the box (`Sandbox.process`).
  public var process: ProcessIdentity?
  /// The command or monitor that waits for the box's end.
  public var supervisor: ProcessIdentity?
  /// /proc/sys/kernel/random/boot_id when it was raised: another one now means the machine was restarted.
  public var bootID: String
  public var exitCode: Int32?
  public var killedBy: LimitHit?
  /// Whether a monitor keeps its log and answers on its socket.
  public var detached: Bool
  /// Whether it goes away by itself when it ends (`--rm`).
  public var removeAtExit: Bool
  /// How `exec` without further words enters it.
  public var environment: [String] = []
  public var workingDirectory = "/"
  public var user: UInt32 = 0
  public var group: UInt32 = 0
  /// What the wall cannot hold and the user accepted, and defaults that are weaker here, as lines.
  public var notes: [String] = []
  /// Rule by rule: name, value, origin, how it is enforced (`policy explain`'s lines for this run).
  public var rules: [RecordedRule] = []
  /// `Sandbox.details`.
  public var details: [String: String] = [:]
  /// "SIGTERM" or another that asks the program to end.
  public var stopSignal: Int32 = 15

  public init(
    id: String, name: String, wall: WallName, image: String, command: [String], created: Int64, bootID: String,
    detached: Bool, removeAtExit: Bool
  ) {
    self.id = id
    self.name = name
    self.wall = wall
    self.status = .creating
    self.image = image
    self.command = command
    self.created = created
    self.bootID = bootID
    self.detached = detached
    self.removeAtExit = removeAtExit
  }
}

/// A rule as a run found it.
public struct RecordedRule: Sendable, Equatable {
  public var name: String
  public var value: String
  public var origin: String
  /// "enforced", "weaker" or "unenforced".
  public var verdict: String
  public var by: String
  public init(name: String, value: String, origin: String, verdict: String, by: String) {
    self.name = name
    self.value = value
    self.origin = origin
    self.verdict = verdict
    self.by = by
  }
}
