import CLinux
import Linux
import Walls

/// Who answers the calls that a filter notifies of.
enum SeccompAgent {
  /// Its socket, above the numbers that a box is given.
  static func connect(_ listener: SeccompListener) throws(WallError) -> FileDescriptor {
    do throws(SystemError) {
      let folder = try File.open(File.parent(of: listener.path) ?? "/", O_PATH | O_DIRECTORY)
      let socket = try UnixSocket.connect(String(listener.path.split(separator: "/").last ?? ""), in: folder.rawValue)
      return try socket.duplicate(atLeast: 64)
    } catch {
      throw WallError("linux.seccomp.listenerPath \(listener.path)", error)
    }
  }
}
