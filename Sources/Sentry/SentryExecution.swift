import CLinux
import Formats
import Guest
import Linux
import Walls

/// Further programs: new processes of the sentry's, asked for on its socket in the sandbox's folder.
struct SentryExecution: Execution {
  let sandbox: SentrySandbox
  let directory: String

  static let socketName = "control"

  func execute(_ process: ProcessConfiguration, streams: Streams, _ options: ExecutionOptions) throws(WallError)
    -> any BoxProcess
  {
    let what = "exec in sandbox \(sandbox.id)"
    if try sandbox.parting?.isWaiting() ?? false {
      throw WallError("\(what): its program must be started first: it is process 1")
    }
    if options.listener != nil { throw WallError("\(what): the sentry has no seccomp listeners for guests") }
    if options.personality != nil { throw WallError("\(what): the sentry has no execution domains") }
    if !options.preservedDescriptors.isEmpty {
      throw WallError("\(what): the sentry takes no descriptors but 0, 1 and 2")
    }
    let message = InitMessage(
      arguments: process.arguments, environment: process.environment, workingDirectory: process.workingDirectory,
      umask: process.user.umask, terminal: process.terminal)
    let replies: OwnedDescriptor
    var terminal: OwnedDescriptor?
    var far: OwnedDescriptor?
    do throws(SystemError) {
      var given: [Int32] = []
      switch streams {
      case .descriptors(let input, let output, let error): given = [input, output, error]
      case .terminal(let size):
        let ends = try Terminal.openPair().release()
        far = OwnedDescriptor(FileDescriptor(owning: ends.second))
        terminal = OwnedDescriptor(FileDescriptor(owning: ends.first))
        try Terminal.setSize(ends.first, rows: size.rows, columns: size.columns)
        given = [ends.second]
      }
      replies = try Self.ask(message, ExecRequest(process, hasTerminal: terminal != nil), given, in: directory)
    } catch  where Self.saysGone(error) {
      throw WallError(.gone, "sandbox \(sandbox.id): it has ended")
    } catch {
      throw WallError(what, error)
    }
    try Self.awaitStart(replies.rawValue, message, what)
    guard let own = ProcessIdentity(pid: Process.id) else {
      throw WallError("\(what): /proc does not show this command")
    }
    if options.endsWithCommand {
      far?.close()
      return SentryExecutedProcess(own, replies, terminal)
    }
    do throws(SystemError) {
      let standIn = try ExecStandIn.start(replies, terminal: far)
      far?.close()
      return SentryExecutedProcess(standIn, replies, terminal)
    } catch {
      throw WallError(what, error)
    }
  }

  /// Sends a request to the sentry whose socket is in that folder.
  /// - Returns: where it answers.
  static func ask(_ message: InitMessage, _ request: ExecRequest, _ given: [Int32], in directory: String)
    throws(SystemError) -> OwnedDescriptor
  {
    let text: [UInt8]
    do throws(InitProtocolError) { text = try message.encoded() } catch {
      throw SystemError("exec", "\(error)", .invalid)
    }
    let file = try MemoryFile.sealed("message", text.span)
    let replies = try OwnedDescriptor.pair(packets: false)
    let folder = try File.open(directory, File.directoryOnly)
    let socket = try PacketSocket.connect(socketName, in: folder.rawValue)
    try PacketSocket.send(
      socket.rawValue, request.encoded, descriptors: [replies.far.rawValue, file.rawValue] + given)
    replies.far.close()
    _ = consume file
    return replies.near
  }

  /// Whether nobody is there any more to be asked.
  static func saysGone(_ error: SystemError) -> Bool {
    [Errno.connectionRefused, .noEntry, .brokenPipe].contains(error.errno)
  }

  private static func awaitStart(_ replies: Int32, _ message: InitMessage, _ what: String) throws(WallError) {
    let reply: InitReply?
    do throws(InitSocketError) { reply = try InitReply.receive(from: replies) } catch {
      throw WallError("\(what): \(error)")
    }
    switch reply {
    case .started: return
    case .failed(let failure): throw SentryPrograms.explain(failure, message)
    case .exited, nil: throw WallError(.gone, "\(what): the sentry ended before the program ran")
    }
  }
}

/// A program that was executed in the sandbox. The guest's process is the sentry's to name: `process` is whoever stands for it, this command or
/// its stand-in.
final class SentryExecutedProcess: BoxProcess {
  let process: ProcessIdentity
  private let replies: OwnedDescriptor
  private let near: OwnedDescriptor?
  private var ending: Ending?

  init(_ process: ProcessIdentity, _ replies: OwnedDescriptor, _ terminal: OwnedDescriptor?) {
    self.process = process
    self.replies = replies
    near = terminal
  }

  /// Readable when the sentry says how it ended, or is gone.
  var exitDescriptor: Int32 { replies.rawValue }
  var terminal: Int32? { near?.rawValue }

  func signal(_ number: Int32) throws(WallError) {
    do throws(SystemError) { try Self.send(number, to: replies) } catch  where error.errno == .brokenPipe {
      throw WallError(.gone, "the program has ended")
    } catch {
      throw WallError("signal", error)
    }
  }

  /// In four bytes, as the sentry hears it.
  static func send(_ number: Int32, to replies: OwnedDescriptor) throws(SystemError) {
    try File.writeAll(replies.rawValue, [UInt8(truncatingIfNeeded: number), 0, 0, 0])
  }

  func collect() throws(WallError) -> Ending {
    if let ending { return ending }
    var status = ExitStatus.signaled(SIGKILL)
    do throws(InitSocketError) {
      if case .exited(let told) = try InitReply.receive(from: replies.rawValue) {
        status = ExitStatus(waitStatus: told)
      }
    } catch {
      throw WallError("exec: \(error)")
    }
    let ending = Ending(status: status)
    self.ending = ending
    return ending
  }
}
