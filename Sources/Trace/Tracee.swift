import Linux
import Seccomp

/// A thread of a traced program.
final class Tracee {
  let id: Int32
  let process: Int32
  /// The call it is in, whose end has not been seen.
  var call: KnownCall?
  var arguments = CallArguments()
  /// The paths that the call names, and what its success means for them.
  var pending: [(path: String, use: PathUse)] = []
  /// Whether the file of an open was there before.
  var existed = true

  init(id: Int32) {
    self.id = id
    // A task that is gone already counts as a process of its own.
    process = Tracee.process(of: id) ?? id
  }

  func endCall() {
    call = nil
    pending = []
    existed = true
  }

  private static func process(of id: Int32) -> Int32? {
    guard let text = try? File.text("/proc/\(id)/status") else { return nil }
    for line in text.split(separator: "\n") where line.hasPrefix("Tgid:") {
      return Int32(line.dropFirst(5).filter { $0.isASCII && $0.isNumber })
    }
    return nil
  }
}

/// A call as one architecture numbers it: looked up once, counted since.
final class KnownCall {
  let architecture: Architecture
  let name: String
  let shape: CallShape?
  let fixed: UInt8?
  var count: UInt64 = 0
  var values: Set<UInt32>? = []

  init(_ architecture: Architecture, _ name: String) {
    self.architecture = architecture
    self.name = name
    shape = CallShape.all[name]
    fixed = FixedArgument.place[name]
  }

  var fact: CallFact { CallFact(architecture, name, count: count, values: values) }
}

/// The calls that were made, by what the kernel says of them.
struct CallBook {
  private var known: [UInt64: KnownCall] = [:]
  private(set) var unknown: Set<String> = []

  /// Nil for a number that no table has.
  mutating func call(token: UInt32, number: UInt64) -> KnownCall? {
    // A number is 32 bits wide to a filter (seccomp(2)).
    let number = UInt32(truncatingIfNeeded: number)
    let key = UInt64(token) << 32 | UInt64(number)
    if let call = known[key] { return call }
    guard let architecture = CallBook.architecture(token: token, number: number),
      let name = SyscallTable.name(of: number, architecture: architecture)
    else {
      if unknown.count < 64, number != UInt32.max {
        let name = CallBook.architecture(token: token, number: number).map { "\($0)" } ?? String(token, radix: 16)
        unknown.insert("\(name) \(number)")
      }
      return nil
    }
    let call = KnownCall(architecture, name)
    known[key] = call
    return call
  }

  static func architecture(token: UInt32, number: UInt32) -> Architecture? {
    let isX32 = number & Architecture.x32Bit != 0 && number != UInt32.max
    return ([.x86_64, .x86, .x32, .arm64, .arm, .riscv64] as [Architecture]).first {
      $0.auditToken == token && ($0 == .x32) == (isX32 && token == Architecture.x86_64.auditToken)
    }
  }

  var facts: [CallFact] {
    known.values.map(\.fact).sorted {
      ($0.architecture.rawValue, $0.name) < ($1.architecture.rawValue, $1.name)
    }
  }
}
