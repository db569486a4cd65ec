import Linux
import SentryABI
import SentrySignals
public import SentryTerminals

/// What terminals ask of processes.
extension Kernel: JobControl {
  public var caller: JobCaller {
    guard let current else { return JobCaller(process: 0, session: -1, processGroup: -1, isAdministrator: false) }
    let group = current.group
    return JobCaller(
      process: group.id, session: group.session, processGroup: group.processGroup,
      isAdministrator: current.credentials.has(21))
  }

  public func serve(_ task: AnyObject?) { current = task as? Task }

  public func callerShuns(_ signal: Int32) -> Bool {
    guard let current else { return true }
    return current.group.actions.ignores(signal) || host.status(current).blocked.contains(signal)
  }

  public func isOrphaned(processGroup: Int32) -> Bool { isOrphaned(processGroup, without: nil) }

  public func session(ofProcessGroup group: Int32) -> Int32? { members(of: group).first?.session }

  public func send(_ signal: Int32, toLeaderOf session: Int32) {
    guard let group = groups[session] else { return }
    // It may have ended, and waits to be waited for.
    do throws(Errno) { try send(signal, to: group) } catch {}
  }
}
