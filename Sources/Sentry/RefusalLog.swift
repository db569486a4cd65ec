import CLinux
import Formats
import Linux
import Seccomp
import SentryABI
import SentryCalls
import SentryTasks

/// `--debug`: tells once a program and call what guests asked for and the sentry has not, or refuses. Where the call's own options decide,
/// once for each of these.
final class RefusalLog {
  private struct Key: Hashable {
    let program: [UInt8]
    let number: Int32
    let option: UInt64
  }
  private var told: Set<Key> = []
  private var count = 0
  private let descriptor: Int32
  private let lineEnd: String
  /// A guest can make no more lines than these, by whatever names it gives itself.
  private static let limit = 1000

  /// - Parameter terminal: a raw terminal of the host's to write to; nil for the sandbox's stderr.
  init(terminal: Int32?) {
    descriptor = terminal ?? 2
    lineEnd = terminal == nil ? "\n" : "\r\n"
  }

  /// A call ended with an error; which of these tell of something that is not there is decided here.
  func refused(_ call: Call, _ error: Errno, _ row: CallRow?, _ task: Task) {
    guard let option = Self.option(of: call, error, row) else { return }
    let key = Key(program: task.traits.name, number: call.number, option: option)
    guard told.count < Self.limit, told.insert(key).inserted else { return }
    let name =
      row?.name ?? SyscallTable.name(of: UInt32(bitPattern: call.number), architecture: .x86_64) ?? "an unknown call"
    let program = FormatError.presentable(String(decoding: task.traits.name, as: UTF8.self))
    let with = option == 0 ? "" : " with 0x\(String(option, radix: 16))"
    let what = row == nil ? "is not there" : "is refused"
    let line = "immure: \(program) (\(task.group.id)): \(name) (\(call.number))\(with) \(what): \(error)\(lineEnd)"
    // Who does not read it is not told.
    try? File.writeAll(descriptor, Array(line.utf8))
  }

  /// A process was killed by the sentry itself.
  func killed(_ why: String) {
    guard count < Self.limit else { return }
    count += 1
    // Who does not read it is not told.
    try? File.writeAll(descriptor, Array("immure: a process was killed: \(why)\(lineEnd)".utf8))
  }

  /// What of the arguments tells one refusal of a call from another; nil where the error is an answer like any other.
  private static func option(of call: Call, _ error: Errno, _ row: CallRow?) -> UInt64? {
    guard let row else { return 0 }
    if case .refused = row.extent { return 0 }
    let a = call.arguments
    let option: UInt64 =
      switch row.name {
      case "prctl", "clone", "unshare", "personality": a.0.bits
      case "fcntl", "ioctl", "setns": a.1.bits
      case "socket": a.0.bits << 32 | a.1.bits & 0xffff_ffff
      case "setsockopt", "getsockopt": a.1.bits << 32 | a.2.bits & 0xffff_ffff
      default: 0
      }
    switch error.rawValue {
    case ENOSYS, EOPNOTSUPP, ENOPROTOOPT, EPROTONOSUPPORT, EAFNOSUPPORT, ESOCKTNOSUPPORT: return option
    case EINVAL, EPERM: return ["prctl", "fcntl", "clone", "unshare", "setns"].contains(row.name) ? option : nil
    // isatty(3) and its kin ask everything that is no terminal: TCGETS to TIOCSWINSZ are answers.
    case ENOTTY: return row.name == "ioctl" && !(0x5401...0x5414).contains(option) ? option : nil
    default: return nil
    }
  }
}
