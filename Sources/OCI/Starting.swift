import Formats
import Linux
import Options
import Walls

/// `start`: the program of a container that waits begins.
enum Starting {
  static func start(_ command: ParsedCommand, _ session: RuntimeSession) throws(RuntimeFailure) {
    let id = command.operands[0]
    let found = try RuntimeContainer.require(id, session)
    let lock = try found.lock()
    let container = try RuntimeContainer.require(id, session)
    switch try container.status() {
    case .created: break
    case .stopped: throw RuntimeFailure("cannot start a container that has stopped")
    case .running: throw RuntimeFailure("cannot start an already running container")
    case let other: throw RuntimeFailure("cannot start a container in the \(other.rawValue) state")
    }
    let sandbox = try container.open()
    do throws(WallError) { try sandbox.start() } catch {
      throw RuntimeFailure("unable to start container process: " + error.message)
    }
    LateHooks.run(.poststart, of: container, status: .running)
    _ = consume lock
  }
}

extension RuntimeContainer {
  /// Two commands never change one container at once.
  func lock() throws(RuntimeFailure) -> FileDescriptor {
    do throws(WallError) { return try session.store.lock(record.id) } catch {
      throw error.kind == .gone ? RuntimeFailure("container does not exist") : RuntimeFailure(error)
    }
  }
}
