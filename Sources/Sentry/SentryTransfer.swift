import CLinux
import Formats
import Guest
import Linux
import Trees
import Walls

/// Files into and out of a sandbox behind the sentry: by this executable as one more guest, which sees what guests see, and a stream whose other
/// end is here. It has root's ids and power over files there, and the sandbox's limits.
struct SentryTransfer: FileTransfer, RootReading {
  let id: String
  let directory: String

  var readsWhilePaused: Bool { false }

  func send(_ source: TreeSource, to output: Int32) throws(WallError) -> any TransferWork {
    try start(.send(source), stream: output)
  }
  func receive(_ target: TreeTarget, from input: Int32) throws(WallError) -> any TransferWork {
    try start(.receive(target), stream: input)
  }
  func export(to output: Int32) throws(WallError) -> any TransferWork { try start(.root(.archive), stream: output) }

  /// What the root began as, the sentry still has.
  func changes(since root: RootFilesystem, as form: RootForm, to output: Int32) throws(WallError) -> any TransferWork {
    try start(.root(form), stream: output)
  }

  func contents(of path: String, limit: Int) throws(WallError) -> [UInt8]? {
    let what = "sandbox \(id)"
    let near: OwnedDescriptor
    let far: OwnedDescriptor
    do throws(SystemError) {
      let ends = try DescriptorPair.pipe().release()
      near = OwnedDescriptor(FileDescriptor(owning: ends.first))
      far = OwnedDescriptor(FileDescriptor(owning: ends.second))
    } catch {
      throw WallError(what, error)
    }
    let work = try start(.read(path, limit), stream: far.rawValue)
    far.close()
    let bytes: [UInt8]
    do throws(SystemError) { bytes = try File.readAll(near.rawValue, limit: limit) } catch {
      throw WallError("\(what): \(FormatError.presentable(path))", error)
    }
    let report = try work.finish()
    if let fatal = report.fatal { throw WallError("\(what): \(fatal)") }
    return report.files == 1 ? bytes : nil
  }

  private func start(_ order: TransferOrder, stream: Int32) throws(WallError) -> GuestWork {
    let what = "sandbox \(id)"
    let message = InitMessage(
      arguments: [TransferGuest.name] + order.words, environment: [], workingDirectory: "/", umask: 0, terminal: false)
    let answer: OwnedDescriptor
    let replies: OwnedDescriptor
    do throws(SystemError) {
      let ends = try DescriptorPair.pipe().release()
      answer = OwnedDescriptor(FileDescriptor(owning: ends.first))
      let far = FileDescriptor(owning: ends.second)
      let null = try File.open("/dev/null", O_RDWR)
      let program = try File.open("/proc/self/exe", O_RDONLY)
      let streams =
        order.isReceiving
        ? [stream, null.rawValue, far.rawValue] : [null.rawValue, stream, far.rawValue]
      replies = try SentryExecution.ask(
        message, ExecRequest.transfer, streams + [program.rawValue], in: directory)
      _ = consume far
      _ = consume null
      _ = consume program
    } catch  where SentryExecution.saysGone(error) {
      throw WallError(.gone, "\(what): it has ended")
    } catch {
      throw WallError(what, error)
    }
    let reply: InitReply?
    do throws(InitSocketError) { reply = try InitReply.receive(from: replies.rawValue) } catch {
      throw WallError("\(what): \(error)")
    }
    switch reply {
    case .started: return GuestWork(what: what, answer: answer, replies: replies)
    case .failed(let failure):
      throw WallError(
        "\(what): its files are read by immure itself as a guest, which cannot be started there: \(failure.errno) (it must be a static executable, as `make build` makes it)"
      )
    case .exited, nil: throw WallError(.gone, "\(what): the sentry ended before its files were read")
    }
  }
}

/// The guest's half of a transfer, as its command waits for it.
private final class GuestWork: TransferWork {
  private let what: String
  private let answer: OwnedDescriptor
  /// As long as it is open the guest is not ended.
  private let replies: OwnedDescriptor

  init(what: String, answer: OwnedDescriptor, replies: OwnedDescriptor) {
    self.what = what
    self.answer = answer
    self.replies = replies
  }

  /// Its end is told on the other socket: a guest that holds the guest's streams open is not waited for.
  func finish() throws(WallError) -> TransferReport {
    var bytes: [UInt8] = []
    do throws(SystemError) {
      try FileDescriptor.setNonBlocking(answer.rawValue, true)
      var hasEnded = false
      while bytes.count < 1 << 20 {
        do throws(SystemError) {
          let chunk = try File.read(answer.rawValue, atMost: 4096)
          if chunk.isEmpty { break }
          bytes += chunk
        } catch  where error.errno == .again {
          if hasEnded { break }
          hasEnded = try Readiness.first(of: [answer.rawValue, replies.rawValue]) == replies.rawValue
        }
      }
    } catch {
      throw WallError(what, error)
    }
    replies.close()
    guard var report = TransferReport(encoded: bytes) else {
      throw WallError("\(what): the guest that copies there was ended")
    }
    // Other guests may have written it.
    report.fatal = report.fatal.map { Self.shown($0) }
    report.leftOut.first = Self.shown(report.leftOut.first)
    report.failed.first = Self.shown(report.failed.first)
    report.attributes.first = Self.shown(report.attributes.first)
    report.signal = nil
    return report
  }

  /// As it may be shown on a terminal.
  private static func shown(_ text: String) -> String { RelativePath.shown(Array(text.utf8.prefix(4096))) }
}
