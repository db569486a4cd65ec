import CLinux
import Linux

/// The near end of a container's terminal, sent to whoever shows it (SCM_RIGHTS over a Unix stream socket, as runc sends it: the
/// message's bytes are a name).
enum ConsoleSocket {
  static func send(_ terminal: Int32, to path: String) throws(RuntimeFailure) {
    do throws(SystemError) {
      let path = RuntimePath.absolute(path)
      let parts = path.split(separator: "/")
      let folder = try File.open("/" + parts.dropLast().joined(separator: "/"), O_PATH | O_DIRECTORY)
      let socket = try UnixSocket.connect(String(parts.last ?? ""), in: folder.rawValue)
      try FileDescriptor.setNonBlocking(socket.rawValue, false)
      try PacketSocket.send(socket.rawValue, Array("/dev/ptmx".utf8), descriptors: [terminal])
    } catch {
      throw RuntimeFailure("console socket \(path)", error)
    }
  }
}

/// A file with a pid in it, which is there whole or not at all.
enum PidFile {
  static func write(_ pid: Int32, to path: String) throws(RuntimeFailure) {
    do throws(SystemError) {
      let path = RuntimePath.absolute(path)
      let parts = path.split(separator: "/")
      let folder = try File.open("/" + parts.dropLast().joined(separator: "/"), File.directoryOnly)
      try File.replaceAtomically(
        String(parts.last ?? ""), Array("\(pid)".utf8), mode: 0o644, at: folder.rawValue)
    } catch {
      throw RuntimeFailure("pid file \(path)", error)
    }
  }
}
