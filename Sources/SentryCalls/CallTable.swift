public import Linux
public import SentryABI
public import SentryTasks

/// Answers one system call. Throws the error that the guest gets.
public typealias CallHandler = (_ call: Call, _ task: Task) throws(Errno) -> Outcome

/// A row of the table of system calls.
public struct CallRow: Sendable {
  /// How much of the call is there. docs/sentry-calls.md and `immure policy explain --calls` say this: whoever changes what a handler takes
  /// or refuses changes it here, and makes the page anew (`make docs`).
  public enum Extent: Sendable, Equatable {
    /// As Linux answers it.
    case full
    /// What is answered otherwise than by Linux, and how, in a few words.
    case part(String)
    /// Refused with this error, on purpose.
    case refused(Errno)
    /// Left to the host's kernel after a look at the registers.
    case native
  }
  /// x86-64's number (arch/x86/entry/syscalls/syscall_64.tbl).
  public let number: Int32
  public let name: String
  public let extent: Extent
  /// What it may sleep on ("pipe", "child", "time"); empty for a call that never does.
  public let blocksOn: String
  public let handler: @Sendable (Call, Task) throws(Errno) -> Outcome

  public init(
    _ number: Int32, _ name: String, _ extent: Extent = .full, blocksOn: String = "",
    _ handler: @escaping @Sendable (Call, Task) throws(Errno) -> Outcome
  ) {
    self.number = number
    self.name = name
    self.extent = extent
    self.blocksOn = blocksOn
    self.handler = handler
  }
}

/// Every system call that the sentry knows, by number; what is not in it is answered with ENOSYS.
public struct CallTable: Sendable {
  private var rows: [CallRow?] = []
  /// Their handlers once more, by themselves: a call copies no row.
  private var handlers: [Handler?] = []
  /// A function within a structure: one that lies in an array by itself is wrapped anew, on the heap, whenever it is taken out.
  public struct Handler: Sendable {
    public let answer: @Sendable (Call, Task) throws(Errno) -> Outcome
  }
  public init(_ lists: [[CallRow]]) {
    for row in lists.joined() {
      while rows.count <= Int(row.number) { rows.append(nil) }
      precondition(rows[Int(row.number)] == nil, "two rows for one call")
      rows[Int(row.number)] = row
    }
    handlers = rows.map { row in row.map { Handler(answer: $0.handler) } }
  }

  public subscript(number: Int32) -> CallRow? {
    number >= 0 && Int(number) < rows.count ? rows[Int(number)] : nil
  }
  public func handler(_ number: Int32) -> Handler? {
    number >= 0 && Int(number) < handlers.count ? handlers[Int(number)] : nil
  }
  public var all: [CallRow] { rows.compactMap { $0 } }
}
