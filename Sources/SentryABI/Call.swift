/// One system call as a guest made it: number and registers of the host's kernel, so nothing in it can be forged or change later.
public struct Call: Sendable {
  public let number: Int32
  /// rdi, rsi, rdx, r10, r8, r9 (x86-64's order, syscall(2)).
  public let arguments: (GuestWord, GuestWord, GuestWord, GuestWord, GuestWord, GuestWord)
  /// The address after the `syscall` instruction.
  public let instructionPointer: UInt64

  public init(
    number: Int32, arguments: (GuestWord, GuestWord, GuestWord, GuestWord, GuestWord, GuestWord),
    instructionPointer: UInt64 = 0
  ) {
    self.number = number
    self.arguments = arguments
    self.instructionPointer = instructionPointer
  }

  /// For calls of fewer arguments.
  public init(
    _ number: Int32, _ a: UInt64 = 0, _ b: UInt64 = 0, _ c: UInt64 = 0, _ d: UInt64 = 0, _ e: UInt64 = 0,
    _ f: UInt64 = 0
  ) {
    self.init(
      number: number,
      arguments: (GuestWord(a), GuestWord(b), GuestWord(c), GuestWord(d), GuestWord(e), GuestWord(f)))
  }
}

extension Call {
  /// The same call from the same place.
  public func isSame(as other: Call) -> Bool {
    let (mine, its) = (arguments, other.arguments)
    return number == other.number && instructionPointer == other.instructionPointer && mine.0 == its.0
      && mine.1 == its.1 && mine.2 == its.2 && mine.3 == its.3 && mine.4 == its.4 && mine.5 == its.5
  }
}

/// What becomes of a call that a handler looked at. A handler that fails throws its `Errno` instead.
public enum Outcome: Equatable, Sendable {
  /// Answered: the value of the result register.
  case value(Int64)
  /// The task sleeps in the wait queues where the handler put its waiter. When one wakes it, or its deadline passes, the
  /// same handler is called again with the same call; what it must remember between lies in the task's `progress`.
  case blocked
  /// The host's kernel performs the call as it stands: only where every argument is a register or the guest's own memory.
  case native
  /// Nothing more is to be answered: the task has ended, or the platform answered already.
  case gone

  public static let zero = Outcome.value(0)
}
