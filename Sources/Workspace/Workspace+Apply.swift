import CLinux
import Linux
public import Trees

/// A name that is not on the host as it was when the box began.
public struct Conflict: Sendable, Equatable {
  public let path: RelativePath
  /// "changed on the host", "appeared on the host", "is gone from the host".
  public let reason: String
}

/// What applying a workspace did, or would do.
public struct ApplyReport: Sendable, Equatable {
  public var changes: WorkspaceChanges
  /// When there are any, nothing was applied.
  public var conflicts: [Conflict]
  /// Whether the host folder now is as the box left it.
  public var isApplied: Bool
  /// Whether an earlier command had been killed in the middle, and this one finished its work.
  public var wasResumed: Bool
}

/// A point of an application, for tests that end the process there.
package enum ApplyPoint: Sendable {
  case journalWritten
  /// Before the step of this number.
  case step(Int)
  /// A file is complete beside its place, and not yet in it.
  case prepared(Int)
  /// The step of this number is done, and its mark not yet written.
  case performed(Int)
  case complete
}

extension Workspace {
  /// Gives the box's changes to the host folder, and removes the workspace when that is done. The plan is on disk before the
  /// first change, each file appears whole or not at all, and a command that is killed is finished by the next one.
  /// - Parameters:
  ///   - force: apply also where the host changed since: the box's version wins.
  ///   - dryRun: say what would be done, and do nothing.
  public func apply(force: Bool = false, dryRun: Bool = false) throws(WorkspaceError) -> ApplyReport {
    try apply(force: force, dryRun: dryRun) { _ in }
  }

  /// The same, with a look at each point passed.
  package func apply(
    force: Bool, dryRun: Bool, passing: (ApplyPoint) -> Void
  ) throws(WorkspaceError) -> ApplyReport {
    let lock = try lock()
    let host = try hostFolder()
    if try hasJournal() {
      var report = ApplyReport(changes: WorkspaceChanges(), conflicts: [], isApplied: false, wasResumed: true)
      if dryRun { return report }
      try perform(try readJournal(), on: host, passing)
      try remove()
      report.isApplied = true
      _ = lock
      return report
    }
    let changes = try changes()
    let baseline = try baseline()
    var plan = Plan(changes.changes, baseline: baseline)
    let conflicts = try plan.reconcile(with: host, baseline: baseline)
    var report = ApplyReport(changes: changes, conflicts: conflicts, isApplied: false, wasResumed: false)
    if dryRun || (!conflicts.isEmpty && !force) { return report }
    try attempt("write the journal") { () throws(SystemError) in
      let own = try Folder(path: directory)
      try File.replaceAtomically("journal", plan.bytes(), at: own.raw, sync: true)
      try own.sync()
    }
    passing(.journalWritten)
    try perform(plan, on: host, passing)
    try remove()
    report.isApplied = true
    _ = lock
    return report
  }

  func hasJournal() throws(WorkspaceError) -> Bool {
    do throws(SystemError) {
      _ = try File.status(directory + "/journal", followSymlinks: false)
      return true
    } catch {
      if error.errno == .noEntry { return false }
      throw WorkspaceError("look for \(directory)/journal", error)
    }
  }

  private func readJournal() throws(WorkspaceError) -> Plan {
    let bytes = try attempt("read \(directory)/journal") { () throws(SystemError) in
      try File.contents(directory + "/journal", limit: 1 << 32)
    }
    return try Plan(bytes)
  }

  private func perform(
    _ plan: Plan, on host: borrowing Folder, _ passing: (ApplyPoint) -> Void
  ) throws(WorkspaceError) {
    let upper = try attempt("open the upper folder") { () throws(SystemError) in try Folder(path: directory + "/upper")
    }
    let own = try attempt("open \(directory)") { () throws(SystemError) in try Folder(path: directory) }
    let progress = try Progress(in: own.raw)
    let step = try ApplyStep(plan: plan, name: name, host: host)
    for index in plan.operations.indices where !progress.isDone(index) {
      passing(.step(index))
      try step.perform(index, host: host, upper: upper, progress: progress) { passing(.prepared(index)) }
      passing(.performed(index))
      try progress.markDone(index)
    }
    try attempt("flush the folder") { () throws(SystemError) in
      _ = try checked("syncfs", "", systemCall(Int(SYS_syncfs), word(host.raw)))
    }
    passing(.complete)
  }
}
