/// What terminals need of tasks: who calls, and signals to process groups. A terminal belongs to a session (credentials(7)).
public protocol JobControl: AnyObject {
  /// Who makes the call that is being served.
  var caller: JobCaller { get }
  /// Says whose call is served from now on.
  /// - Parameter task: of `FileCaller`.
  func serve(_ task: AnyObject?)
  /// Whether the caller blocks or ignores a signal.
  func callerShuns(_ signal: Int32) -> Bool
  /// Whether nobody of the session outside it could continue it (setpgid(2)).
  func isOrphaned(processGroup: Int32) -> Bool
  /// Nil where there is no such group.
  func session(ofProcessGroup group: Int32) -> Int32?
  func send(_ signal: Int32, toProcessGroup group: Int32)
  /// To the process that leads the session.
  func send(_ signal: Int32, toLeaderOf session: Int32)
}

public struct JobCaller: Equatable, Sendable {
  public var process: Int32
  public var session: Int32
  public var processGroup: Int32
  /// CAP_SYS_ADMIN.
  public var isAdministrator: Bool
  public init(process: Int32, session: Int32, processGroup: Int32, isAdministrator: Bool) {
    self.process = process
    self.session = session
    self.processGroup = processGroup
    self.isAdministrator = isAdministrator
  }
}
