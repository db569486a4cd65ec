import CLinux
package import Linux
package import Walls

/// Where the first process of a box that one command raised waits for another command to start it: a socket in the sandbox's own
/// folder on the host, which is the caller's alone. The process has it by descriptor; there is no path to it within the root.
///
/// Whether it waits still is told by a lock on a file beside it, which the process holds by a descriptor that exec closes: the kernel
/// itself answers, at one moment for everybody, also where the command that said "start" was killed.
package enum StartSocket {
  private static let socketName = "start"
  private static let lockName = "waits"

  /// The box's ends, made by the command that raises it.
  package struct Ends {
    package let listener: OwnedDescriptor
    package let lock: OwnedDescriptor
    package func close() {
      listener.close()
      lock.close()
    }
  }

  /// Both are above the numbers that the child gives away.
  package static func make(in directory: String) throws(SystemError) -> Ends {
    let folder = try File.open(directory, File.directoryOnly)
    let socket = try PacketSocket.listen(socketName, in: folder.rawValue)
    let file = try File.open(lockName, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600, at: folder.rawValue)
    guard try File.lock(file.rawValue, wait: false) else { throw SystemError("flock", lockName, .busy) }
    return Ends(
      listener: OwnedDescriptor(try socket.duplicate(atLeast: 64)),
      lock: OwnedDescriptor(try file.duplicate(atLeast: 64))
    )
  }

  /// In the box's process: returns the connection of the command that says "start", which hears what goes wrong until exec closes
  /// it.
  package static func wait(_ listener: Int32) throws(SystemError) -> Int32 {
    while true {
      if let caller = try take(listener) { return caller }
    }
  }

  /// The next caller; nil for one that was killed before it had said so.
  package static func take(_ listener: Int32) throws(SystemError) -> Int32? {
    let caller = try PacketSocket.accept(listener)
    var descriptors: [Int32] = []
    // A caller that was killed has said nothing.
    let bytes = (try? PacketSocket.receive(caller.rawValue, limit: 16, descriptors: &descriptors)) ?? []
    for descriptor in descriptors { _ = FileDescriptor(owning: descriptor) }
    return bytes == [SetupChannel.Step.start.rawValue] ? caller.release() : nil
  }

  /// Starts the box of this folder, and waits until its program runs or could not.
  package static func knock(in directory: String, id: String) throws(WallError) {
    let caller = OwnedDescriptor(try call(directory, id))
    switch try SetupChannel.listen(caller.rawValue) {
    case .failed(let error): throw error
    case .closed: return
    case .terminal, .ready, .process, .remark:
      throw WallError("sandbox \(id): its first process said something unknown")
    }
  }

  private static func call(_ directory: String, _ id: String) throws(WallError) -> FileDescriptor {
    do throws(SystemError) {
      let folder = try File.open(directory, File.directoryOnly)
      let caller = try PacketSocket.connect(socketName, in: folder.rawValue)
      try SetupChannel.tell(caller.rawValue, .start)
      return caller
    } catch  where error.errno == .noEntry {
      throw WallError("sandbox \(id): only the command that created it can start it")
    } catch  where error.errno == .connectionRefused || error.errno == .brokenPipe {
      throw WallError(.gone, "sandbox \(id): it was started already, or has ended")
    } catch {
      throw WallError("sandbox \(id): start", error)
    }
  }

  /// Whether the process waits still. False too where there never was such a box.
  package static func isWaiting(in directory: String) throws(SystemError) -> Bool {
    do throws(SystemError) {
      let file = try File.open(directory + "/" + lockName, O_RDONLY | O_NOFOLLOW)
      return try !File.lock(file.rawValue, exclusive: false, wait: false)
    } catch  where error.errno == .noEntry {
      return false
    }
  }
}
