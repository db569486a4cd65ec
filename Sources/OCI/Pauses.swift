import Formats
import Linux
import Options
import Policy
import Walls

/// `pause` and `resume`.
enum Pauses {
  static func pause(_ command: ParsedCommand, _ session: RuntimeSession) throws(RuntimeFailure) {
    try change(command, session, to: .paused)
  }

  static func resume(_ command: ParsedCommand, _ session: RuntimeSession) throws(RuntimeFailure) {
    try change(command, session, to: .running)
  }

  private static func change(
    _ command: ParsedCommand, _ session: RuntimeSession, to status: SandboxRecord.Status
  ) throws(RuntimeFailure) {
    let found = try RuntimeContainer.require(command.operands[0], session)
    let lock = try found.lock()
    let container = try RuntimeContainer.require(command.operands[0], session)
    switch (try container.status(), status) {
    case (.running, .paused), (.created, .paused), (.paused, .running): break
    case (_, .paused): throw RuntimeFailure("container not running or created: \(try container.status().rawValue)")
    default: throw RuntimeFailure("container not paused")
    }
    guard let pausing = try container.open().pausing else {
      throw RuntimeFailure("the \(container.record.wall.rawValue) wall cannot pause a container here")
    }
    var record = container.record
    do throws(WallError) {
      if status == .paused { try pausing.pause() } else { try pausing.resume() }
      // One that waited to be started when it was paused waits still: the wall itself tells.
      record.status = status == .paused ? .paused : .created
      try session.store.write(record)
    } catch {
      throw RuntimeFailure(error)
    }
    _ = consume lock
  }
}
