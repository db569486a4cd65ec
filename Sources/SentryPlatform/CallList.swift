import Linux
import Seccomp
public import SentryCalls

/// A system call as guests have it: how much of it is there, and who answers it.
public struct CallFact: Sendable, Equatable {
  public enum Server: String, Sendable {
    /// Answered in the guest's own process, where the sentry has told the stub what holds.
    case stub
    case sentry
    /// The host's kernel, unasked.
    case host
    /// The host's kernel, once the sentry has looked at the call.
    case hostAsked = "host after a look"
    /// ENOSYS by the filter over the guests.
    case filter
  }
  public let number: Int32
  public let name: String
  /// nil for a call that is not there.
  public let extent: CallRow.Extent?
  public let blocksOn: String
  public let servers: [Server]

  /// "full", "part", "refused" or "absent".
  public var answer: String {
    switch extent {
    case .full, .native: "full"
    case .part: "part"
    case .refused: "refused"
    case nil: "absent"
    }
  }
  /// Of one that is refused or absent: "EPERM".
  public var error: String? {
    switch extent {
    case .full, .part, .native: nil
    case .refused(let error): ErrnoName.name(of: error.rawValue)
    case nil: ErrnoName.name(of: Errno.notImplemented.rawValue)
    }
  }
  /// What is answered otherwise than by Linux; empty where nothing is.
  public var difference: String { if case .part(let text) = extent { text } else { "" } }
}

extension CallFact {
  /// Every call that x86-64 numbers, in that order. Who answers says the program that stands over the guests.
  public static func all(_ policy: StubFilter.Policy) -> [CallFact] {
    let filter = StubFilter(policy, hasClone3: true)
    let program = filter.instructions
    return SyscallTable.calls(of: .x86_64).map { number, name in
      let number = Int32(bitPattern: number)
      let row = CallTable.all[number]
      if unfiltered.contains(number) {
        return CallFact(number: number, name: name, extent: .part(fromElsewhere), blocksOn: "", servers: [.host])
      }
      let servers = servers(number, row, filter, program)
      // What is never asked about needs no row.
      return CallFact(
        number: number, name: name, extent: row?.extent ?? (servers.contains(.host) ? .native : nil),
        blocksOn: row?.blocksOn ?? "", servers: servers)
    }
  }

  /// uretprobe and uprobe, which the kernel shows to no filter (seccomp_uprobe_exception of kernel/seccomp.c): the code that makes them is its own.
  public static let unfiltered: [Int32] = [335, 336]
  private static let fromElsewhere =
    "from code of the kernel's own alone, by no filter: SIGILL or ENXIO for others; ENOSYS before Linux 6.11"

  private static func servers(
    _ number: Int32, _ row: CallRow?, _ filter: StubFilter, _ program: [FilterInstruction]
  ) -> [Server] {
    var answers: [Action] = []
    // mmap(2) and waitid(2) are let through or not by their arguments. Somebody's text, not the stub's.
    for words: UInt64 in [0, 3, .max] {
      var data = SeccompData(
        number: UInt32(bitPattern: number), architecture: StubFilter.architecture,
        arguments: [UInt64](repeating: words, count: 6))
      data.instructionPointer = 0x40_1000
      // The kernel would have refused a program that fails here: it answers nothing.
      guard let outcome = try? Simulator.run(program, data) else { return [] }
      answers.append(outcome.action)
    }
    var servers: [Server] = NotificationPlatform.mayAnswerInStub(number) ? [.stub] : []
    if answers.contains(.allow) { servers.append(.host) }
    if answers.contains(.notify) {
      if row?.extent != .native { servers.append(.sentry) }
      if filter.mayContinue(number) { servers.append(.hostAsked) }
    }
    return servers.isEmpty ? [.filter] : servers
  }
}
