import Linux
import SentryABI
import SentryEvents
import SentryFiles
import SentryMemory
import SentryTasks
import SentryWait

/// poll(2) and ppoll(2).
enum PollCalls {
  static let rows: [CallRow] = [
    CallRow(7, "poll", blocksOn: "files, time") { (call, task) throws(Errno) in
      let milliseconds = call.arguments.2.int32
      return try poll(
        call, time: milliseconds < 0 ? nil : UInt64(milliseconds) * 1_000_000, task)
    },
    CallRow(271, "ppoll", blocksOn: "files, time") { (call, task) throws(Errno) in
      let time = try CallTime.load(call.arguments.2.address, task)
      try SignalMask.replace(call.arguments.3.address, size: call.arguments.4.bits, task)
      let outcome = try poll(call, time: time.map(\.total), task)
      if outcome != .blocked { CallTime.storeRest(of: time, call.arguments.2.address, task) }
      return outcome
    },
  ]

  /// - Parameter time: nanoseconds to wait at most.
  private static func poll(_ call: Call, time: UInt64?, _ task: Task) throws(Errno) -> Outcome {
    let count = call.arguments.1.uint32
    guard count <= UInt32(bitPattern: max(0, task.descriptors.limit)) else { throw .invalid }
    let address = call.arguments.0.address
    let bytes = try task.memory.bytes(address, count: Int(count) * PollRecord.size)
    var answer = bytes
    var found: Int64 = 0
    let records = (0..<Int(count)).map { PollRecord(bytes, at: $0 * PollRecord.size) }
    for (index, record) in records.enumerated() {
      let returned = readiness(record, task)
      if returned != 0 { found += 1 }
      answer[index * 8 + 6] = UInt8(truncatingIfNeeded: returned)
      answer[index * 8 + 7] = UInt8(truncatingIfNeeded: returned >> 8)
    }
    if found > 0 || time == 0 || task.hasTimedOut {
      // Only the answers go back: the rest is the guest's.
      if found > 0 || answer != bytes { try task.memory.store(answer, at: address) }
      return .value(found)
    }
    task.parked?.ending = .restartsUnhandled
    if let time { task.setDeadline(task.kernel.now.later(by: time)) }
    for record in records where record.descriptor >= 0 {
      let file: OpenFile
      do throws(Errno) { file = try task.descriptors.file(record.descriptor) } catch { continue }
      _ = task.wait(on: file.queue, for: PollEvents(rawValue: UInt32(record.events)).union([.error, .hangup]))
    }
    return .blocked
  }

  private static func readiness(_ record: PollRecord, _ task: Task) -> UInt16 {
    if record.descriptor < 0 { return 0 }
    let file: OpenFile
    do throws(Errno) { file = try task.descriptors.file(record.descriptor) } catch { return 0x20 }
    if file.flags & 0o10000000 != 0 { return 0x20 }
    let asked = UInt32(record.events) | 0x18
    return UInt16(truncatingIfNeeded: file.readinessWithBands.rawValue & asked)
  }
}

/// The time-outs of ppoll(2), pselect(2) and epoll_pwait2(2).
enum CallTime {
  /// - Returns: nil for a null pointer: no bound.
  /// - Throws: EINVAL, EFAULT.
  static func load(_ address: GuestAddress, _ task: Task) throws(Errno) -> TimeSpec? {
    if address.isNull { return nil }
    let bytes = try task.memory.bytes(address, count: 16)
    let time = TimeSpec(
      seconds: Int64(bitPattern: bytes.little64(0)), nanoseconds: Int64(bitPattern: bytes.little64(8)))
    guard time.isValid else { throw .invalid }
    return time
  }

  /// What of the time is left goes back to the guest, as Linux does it; where it cannot be stored nothing happens.
  static func storeRest(of time: TimeSpec?, _ address: GuestAddress, _ task: Task, isTimeval: Bool = false) {
    guard let time else { return }
    let now = task.kernel.now
    let rest = TimeSpec(nanoseconds: task.parked?.deadline.map { $0 > now ? $0 - now : 0 } ?? time.total)
    var bytes: [UInt8] = []
    bytes.append(little: UInt64(bitPattern: rest.seconds))
    bytes.append(little: UInt64(bitPattern: isTimeval ? rest.nanoseconds / 1000 : rest.nanoseconds))
    do throws(Errno) { try task.memory.store(bytes, at: address) } catch {}
  }
}
