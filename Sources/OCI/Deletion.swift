import CLinux
import Formats
import Linux
import Options
import Policy
import Walls

/// `delete`: what a container held, and then its record.
enum Deletion {
  static func delete(_ command: ParsedCommand, _ session: RuntimeSession) throws(RuntimeFailure) {
    let id = command.operands[0]
    let isForced = command.flag("force")
    try RuntimeContainer.check(id)
    guard let lock = try lock(id, session) else {
      if isForced { return }
      throw RuntimeFailure("container does not exist")
    }
    try delete(id, isForced: isForced, session)
    _ = consume lock
  }

  private static func lock(_ id: String, _ session: RuntimeSession) throws(RuntimeFailure) -> FileDescriptor? {
    do throws(WallError) { return try session.store.lock(RuntimeContainer.sandbox(id)) } catch {
      if error.kind == .gone { return nil }
      throw RuntimeFailure(error)
    }
  }

  /// The caller has the lock.
  private static func delete(_ id: String, isForced: Bool, _ session: RuntimeSession) throws(RuntimeFailure) {
    guard let container = try readable(id, isForced: isForced, session) else { return }
    switch try container.status() {
    case .stopped: break
    // It runs nothing of its own yet, and nobody waits for it.
    case .created: break
    case .creating where isForced: try container.endCreator()
    case _ where isForced: break
    case let status:
      throw RuntimeFailure("cannot delete container \(id) that is not stopped: \(status.rawValue)\n")
    }
    try container.remove()
  }

  /// A folder without a record that can be read was left by a command that was killed, or is damaged: force clears it.
  private static func readable(_ id: String, isForced: Bool, _ session: RuntimeSession) throws(RuntimeFailure)
    -> RuntimeContainer?
  {
    let sandbox = RuntimeContainer.sandbox(id)
    do throws(WallError) {
      return RuntimeContainer(id: id, record: try session.store.load(sandbox), session: session)
    } catch {
      guard isForced else {
        throw error.kind == .gone ? RuntimeFailure("container does not exist") : RuntimeFailure(error)
      }
    }
    let record = SandboxRecord(
      id: sandbox, name: sandbox, wall: session.walls[0].name, image: "", command: [], created: 0, bootID: "",
      detached: true, removeAtExit: false)
    try RuntimeContainer(id: id, record: record, session: session).remove()
    return nil
  }
}

extension RuntimeContainer {
  /// Ends every process, gives back what the wall held, and forgets the container.
  func remove() throws(RuntimeFailure) { try remove(open()) }

  /// With the sandbox that this command raised itself.
  func remove(_ sandbox: any Sandbox) throws(RuntimeFailure) {
    do throws(WallError) { try sandbox.destroy() } catch { throw RuntimeFailure(error) }
    LateHooks.run(.poststop, of: self, status: .stopped)
    do throws(WallError) { try session.store.remove(record.id, name: nil) } catch { throw RuntimeFailure(error) }
  }

  /// The command that makes it is killed; what it had begun ends with it.
  func endCreator() throws(RuntimeFailure) {
    guard let creator = record.supervisor else { return }
    do throws(SystemError) {
      guard let process = try creator.open() else { return }
      try Process.signal(descriptor: process.rawValue, SIGKILL)
      _ = try Readiness.wait(process.rawValue, milliseconds: 10_000)
    } catch  where error.errno == .noProcess {
    } catch {
      throw RuntimeFailure("the command that creates container \(id)", error)
    }
  }
}
