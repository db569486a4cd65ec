import CLinux
import ChildProcesses
import Foundation
import Linux
import Testing

/// The near end of a container's terminal, as conmon and containerd's shim take it.
@Suite("Terminals over a console socket", .enabled(if: OCI.canRun, OCI.whyNot))
struct ConsoleTests {
  /// Listens for one terminal.
  final class Receiver {
    let path: String
    private let socket: OwnedDescriptor
    private var listener: Int32 { socket.rawValue }

    init(_ folder: String) throws {
      path = folder + "/console-\(UUID().uuidString.prefix(6))"
      let directory = try File.open(folder, File.directoryOnly)
      socket = OwnedDescriptor(try UnixSocket.listen((path as NSString).lastPathComponent, in: directory.rawValue))
    }

    private func accept() throws -> OwnedDescriptor {
      if let caller = try UnixSocket.accept(listener) { return OwnedDescriptor(caller) }
      throw SystemError("accept", path, .noData)
    }

    /// The terminal that was sent, which the caller owns.
    func terminal() throws -> Int32 {
      #expect(try Readiness.wait(listener, milliseconds: 120_000))
      let caller = try accept()
      #expect(try Readiness.wait(caller.rawValue, milliseconds: 120_000))
      var descriptors: [Int32] = []
      let name = try PacketSocket.receive(caller.rawValue, descriptors: &descriptors)
      #expect(!name.isEmpty, "a message without bytes is none to a stream's reader")
      return try #require(descriptors.first)
    }
  }

  /// What comes out of the terminal until `mark`, within a bound.
  static func text(_ terminal: Int32, until mark: String) throws -> String {
    var text = ""
    let deadline = Date(timeIntervalSinceNow: 120)
    while !text.contains(mark), Date() < deadline {
      guard try Readiness.wait(terminal, milliseconds: 1000) else { continue }
      // EIO: the far end is closed (ioctl_tty(2)).
      guard let bytes = try? File.read(terminal, atMost: 4096), !bytes.isEmpty else { break }
      text += String(decoding: bytes, as: UTF8.self)
    }
    return text
  }

  @Test(
    "create and exec send the terminal, whose far end is of the container's own devpts", arguments: OCI.namesWithoutExec
  )
  func terminals(name: String) throws {
    let oci = try OCI(name: name)
    let id = oci.newID()
    let bundle = try oci.bundle(["sh", "-c", "tty; read word; echo got $word; sleep 1000"]) { configuration in
      var process = configuration["process"] as? [String: Any] ?? [:]
      process["terminal"] = true
      process["consoleSize"] = ["height": 33, "width": 77]
      configuration["process"] = process
    }
    let receiver = try Receiver(oci.path)
    #expect(try oci.run("create", "--bundle", bundle, "--console-socket", receiver.path, id).status == 0)
    let terminal = OwnedDescriptor(FileDescriptor(owning: try receiver.terminal()))
    let size = try Terminal.size(terminal.rawValue)
    #expect(size.rows == 33 && size.columns == 77)
    #expect(try oci.run("start", id).status == 0)
    #expect(try Self.text(terminal.rawValue, until: "\n") == "/dev/pts/0\r\n")
    try File.writeAll(terminal.rawValue, "hello\n")
    #expect(try Self.text(terminal.rawValue, until: "got hello").contains("got hello"))
    if name == OCI.jail { return }

    let second = try Receiver(oci.path)
    let process = oci.path + "/process.json"
    let configuration: [String: Any] = [
      "terminal": true, "args": ["sh", "-c", "tty; sleep 1000"], "env": ["PATH=/bin"], "cwd": "/",
      "user": ["uid": 1000, "gid": 5],
    ]
    try JSONSerialization.data(withJSONObject: configuration).write(to: URL(fileURLWithPath: process))
    #expect(try oci.run("exec", "--process", process, "--console-socket", second.path, "--detach", id).status == 0)
    let other = OwnedDescriptor(FileDescriptor(owning: try second.terminal()))
    #expect(try Self.text(other.rawValue, until: "\n") == "/dev/pts/1\r\n")
  }
}
