import CLinux
import Linux

/// A forked child that takes a few steps in other namespaces and reports each one; killed and reaped when its owner lets go.
struct Errand: ~Copyable {
  let child: Child
  /// The near end of the packet socket that reports come on.
  private let socket: FileDescriptor

  /// What the child calls: its own end of the socket.
  struct Reports {
    let socket: Int32
    /// Says that a step is done.
    func done() throws(SystemError) { try PacketSocket.send(socket, [0]) }
    /// Waits for `Errand.proceed`; false when the parent is gone.
    func waitForGo() throws(SystemError) -> Bool { try !File.read(socket, atMost: 1).isEmpty }
  }

  private init(child: consuming Child, socket: consuming FileDescriptor) {
    self.child = child
    self.socket = socket
  }

  /// Forks; the child runs `body` and ends. Only sound in a process of one thread.
  static func begin(
    flags: UInt64 = 0, _ body: (Reports) throws(SystemError) -> Void
  ) throws(SystemError) -> Errand {
    let pair = try DescriptorPair.sockets(sequencedPackets: true)
    guard let child = try Process.clone(CloneArguments(flags: flags)) else {
      let ends = pair.release()
      _ = FileDescriptor(owning: ends.first)
      run(Reports(socket: ends.second), body)
    }
    let ends = pair.release()
    _ = FileDescriptor(owning: ends.second)
    return Errand(child: child, socket: FileDescriptor(owning: ends.first))
  }

  private static func run(_ reports: Reports, _ body: (Reports) throws(SystemError) -> Void) -> Never {
    do throws(SystemError) {
      try body(reports)
      Process.exit(0)
    } catch {
      // The parent learns of the failure from these words, or from the end of the socket when it is gone itself.
      try? PacketSocket.send(reports.socket, Array(error.description.utf8))
      Process.exit(1)
    }
  }

  /// Waits for the next report.
  borrowing func expect(_ what: String, by deadline: Deadline) throws(NetworkError) {
    do {
      guard try Readiness.wait(socket.rawValue, milliseconds: deadline.left) else {
        throw SystemError(what, "", .timedOut)
      }
      let report = try File.read(socket.rawValue, atMost: 4096)
      if report.isEmpty { throw SystemError(what, "the child", .noProcess) }
      if report != [0] { throw NetworkReport(text: "\(what): " + String(decoding: report, as: UTF8.self)) }
    } catch let report as NetworkReport {
      throw NetworkError(report.text)
    } catch let error as SystemError {
      throw NetworkError(what, error)
    } catch {
      throw NetworkError("\(what): \(error)")
    }
  }

  /// Lets the child go on.
  borrowing func proceed() throws(SystemError) { try PacketSocket.send(socket.rawValue, [1]) }

  deinit {
    // Gone already is what is wanted; either way it is reaped below.
    try? child.signal(9)
    _ = try? child.wait()
  }
}

private struct NetworkReport: Error { let text: String }

/// A moment on the monotonic clock.
struct Deadline {
  let nanoseconds: UInt64
  init(milliseconds: UInt64) { nanoseconds = Clock.monotonicNanoseconds() + milliseconds * 1_000_000 }

  /// Milliseconds until then, 0 when it has passed.
  var left: UInt64 {
    let now = Clock.monotonicNanoseconds()
    return nanoseconds > now ? (nanoseconds - now) / 1_000_000 : 0
  }
}
