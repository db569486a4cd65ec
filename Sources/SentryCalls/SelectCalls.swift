import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentryTasks
import SentryWait

/// select(2) and pselect(2).
enum SelectCalls {
  static let rows: [CallRow] = [
    CallRow(23, "select", blocksOn: "files, time") { (call, task) throws(Errno) in
      let address = call.arguments.4.address
      var time: TimeSpec?
      if !address.isNull {
        let bytes = try task.memory.bytes(address, count: 16)
        let (seconds, micro) = (Int64(bitPattern: bytes.little64(0)), Int64(bitPattern: bytes.little64(8)))
        guard seconds >= 0, micro >= 0 else { throw .invalid }
        time = TimeSpec(seconds: seconds, microseconds: micro)
      }
      let outcome = try select(call, time: time.map(\.total), task)
      if outcome != .blocked { CallTime.storeRest(of: time, address, task, isTimeval: true) }
      return outcome
    },
    CallRow(270, "pselect6", blocksOn: "files, time") { (call, task) throws(Errno) in
      let address = call.arguments.4.address
      let time = try CallTime.load(address, task)
      if !call.arguments.5.address.isNull {
        let words = try task.memory.bytes(call.arguments.5.address, count: 16)
        try SignalMask.replace(GuestAddress(words.little64(0)), size: words.little64(8), task)
      }
      let outcome = try select(call, time: time.map(\.total), task)
      if outcome != .blocked { CallTime.storeRest(of: time, address, task) }
      return outcome
    },
  ]

  /// What each set asks for and takes as its answer (POLLIN_SET and so on, fs/select.c).
  private static let asked: [PollEvents] = [.readable, .writable, .priority]
  private static let answered: [PollEvents] = [
    [.readable, .hangup, .error], [.writable, .error], .priority,
  ]

  private static func select(_ call: Call, time: UInt64?, _ task: Task) throws(Errno) -> Outcome {
    let wanted = call.arguments.0.int32
    guard wanted >= 0 else { throw .invalid }
    // Beyond the table there is nothing to look at.
    let count = min(wanted, max((task.descriptors.numbers.last ?? -1) + 1, 64))
    let addresses = [call.arguments.1.address, call.arguments.2.address, call.arguments.3.address]
    var sets: [DescriptorSet?] = []
    for address in addresses {
      sets.append(
        address.isNull
          ? nil : DescriptorSet(try task.memory.bytes(address, count: DescriptorSet.size(count))))
    }
    var answers = sets.map { set in set.map { DescriptorSet(like: $0) } }
    var found: Int64 = 0
    var waits: [(file: OpenFile, events: PollEvents)] = []
    for number in 0..<Int(count) {
      guard sets.contains(where: { $0?[number] == true }) else { continue }
      let file = try task.descriptors.file(Int32(truncatingIfNeeded: number))
      let ready = file.readiness
      var events: PollEvents = []
      for kind in 0..<3 where sets[kind]?[number] == true {
        events.formUnion(asked[kind])
        // What O_PATH opened is as if it were none (POLLNVAL, which each set takes).
        if !ready.isDisjoint(with: answered[kind]) || file.flags & OpenFlags.path != 0 {
          answers[kind]?[number] = true
          found += 1
        }
      }
      waits.append((file, events))
    }
    if found > 0 || time == 0 || task.hasTimedOut {
      for (kind, address) in addresses.enumerated() {
        if let answer = answers[kind] { try task.memory.store(answer.bytes, at: address) }
      }
      return .value(found)
    }
    task.parked?.ending = .restartsUnhandled
    if let time { task.setDeadline(task.kernel.now.later(by: time)) }
    for wait in waits { _ = task.wait(on: wait.file.queue, for: wait.events.union([.error, .hangup])) }
    return .blocked
  }
}
