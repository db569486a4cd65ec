public import Linux

/// What guest/init says. Layout: docs/guest-init.md.
public enum InitReply: Equatable, Sendable {
  /// The command's own program runs.
  case started
  /// It does not, and init ends.
  case failed(Failure)
  /// The command ended with this wait status (wait(2)), and init ends.
  case exited(waitStatus: Int32)

  /// Why the command does not run.
  public struct Failure: Equatable, Sendable {
    public var errno: Errno
    public var step: Step
    public init(errno: Errno, step: Step) {
      self.errno = errno
      self.step = step
    }
  }

  /// What init was doing.
  public enum Step: UInt32, Sendable, CaseIterable {
    /// It did not understand the message.
    case message = 1
    /// No process could be made (the limit of processes or memory).
    case fork = 2
    case descriptors = 3
    /// Descriptor 0 could not become the controlling terminal.
    case terminal = 4
    case directory = 5
    case execute = 6
  }

  static let magic: UInt32 = 0x3152_4d49
  static let size = 16

  public func encoded() -> [UInt8] {
    let fields: (kind: UInt32, value: Int32, step: UInt32) =
      switch self {
      case .started: (1, 0, 0)
      case .failed(let failure): (2, failure.errno.rawValue, failure.step.rawValue)
      case .exited(let status): (3, status, 0)
      }
    var bytes: [UInt8] = []
    for field in [Self.magic, fields.kind, UInt32(bitPattern: fields.value), fields.step] {
      bytes.append(littleEndian: field)
    }
    return bytes
  }

  /// The bytes come out of the box: nothing about them is taken for granted.
  public init(decoding bytes: Span<UInt8>) throws(InitProtocolError) {
    guard bytes.count == Self.size else { throw InitProtocolError("a reply of \(bytes.count) bytes, not \(Self.size)") }
    guard bytes.word(at: 0) == Self.magic else { throw InitProtocolError("the magic number is \(bytes.word(at: 0))") }
    let value = Int32(bitPattern: bytes.word(at: 8))
    switch bytes.word(at: 4) {
    case 1: self = .started
    case 2:
      guard let step = Step(rawValue: bytes.word(at: 12)), value >= 0, value < 4096 else {
        throw InitProtocolError("a failure with error \(value) at step \(bytes.word(at: 12))")
      }
      self = .failed(Failure(errno: Errno(rawValue: value), step: step))
    case 3:
      // An exit code, or a signal with or without a core: not a stop (wait(2)).
      guard value >= 0, value <= 0xff00, value & 0x7f != 0x7f, value & 0x7f == 0 || value >> 8 == 0 else {
        throw InitProtocolError("the wait status \(value)")
      }
      self = .exited(waitStatus: value)
    case let kind: throw InitProtocolError("a reply of unknown kind \(kind)")
    }
  }
}

extension InitReply.Failure {
  /// Docker's exit status: 127 for a program that is not there, 126 for one that cannot be run.
  public var isNotFound: Bool { step == .execute && errno == .noEntry }

  /// One line about the command that `message` named.
  public func describe(_ message: InitMessage) -> String {
    let command = message.arguments.first ?? ""
    return switch step {
    case .message: "\(command): init did not understand what it was told"
    case .fork: "\(command): no process can be made: \(errno)"
    case .descriptors: "\(command): descriptors cannot be handed over: \(errno)"
    case .terminal: "\(command): its terminal cannot be taken: \(errno)"
    case .directory: "\(message.workingDirectory): cannot be the working directory: \(errno)"
    case .execute where errno == .noEntry && !command.utf8.contains(UInt8(ascii: "/")):
      "\(command): not found in PATH inside the sandbox"
    case .execute where errno == .noEntry:
      "\(command): no such program, or its interpreter is missing, inside the sandbox"
    case .execute: "\(command): cannot be run inside the sandbox: \(errno)"
    }
  }
}
