import CLinux
import Linux
import SentryABI
import SentryEvents
import SentryFiles
import SentryMemory
import SentryTasks
import SentryWait

/// epoll(7).
enum EventPollCalls {
  static let rows: [CallRow] = [
    CallRow(213, "epoll_create") { (call, task) throws(Errno) in
      guard call.arguments.0.int32 > 0 else { throw .invalid }
      return try create(0, task)
    },
    CallRow(291, "epoll_create1") { (call, task) throws(Errno) in try create(call.arguments.0.int32, task) },
    CallRow(233, "epoll_ctl") { (call, task) throws(Errno) in try control(call, task) },
    CallRow(232, "epoll_wait", blocksOn: "files, time") { (call, task) throws(Errno) in
      try wait(call, time: milliseconds(call), task)
    },
    CallRow(281, "epoll_pwait", blocksOn: "files, time") { (call, task) throws(Errno) in
      try SignalMask.replace(call.arguments.4.address, size: call.arguments.5.bits, task)
      return try wait(call, time: milliseconds(call), task)
    },
    CallRow(441, "epoll_pwait2", blocksOn: "files, time") { (call, task) throws(Errno) in
      let time = try CallTime.load(call.arguments.3.address, task)
      try SignalMask.replace(call.arguments.4.address, size: call.arguments.5.bits, task)
      return try wait(call, time: time.map(\.total), task)
    },
  ]

  private static func milliseconds(_ call: Call) -> UInt64? {
    let time = call.arguments.3.int32
    return time < 0 ? nil : UInt64(time) * 1_000_000
  }

  private static func create(_ flags: Int32, _ task: Task) throws(Errno) -> Outcome {
    guard flags & ~O_CLOEXEC == 0 else { throw .invalid }
    let file = EventPollFile()
    file.path = task.kernel.unnamed.other("anon_inode:[eventpoll]")
    return try task.install(file, closesOnExec: flags & O_CLOEXEC != 0)
  }

  private static func control(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let operation = call.arguments.1.int32
    var interest = EventInterest(events: 0, data: 0)
    if operation != 2 {
      // struct epoll_event, packed on x86-64.
      let bytes = try task.memory.bytes(call.arguments.3.address, count: 12)
      interest = EventInterest(events: bytes.little32(0), data: bytes.little64(4))
    }
    let poll = try task.descriptors.opened(call.arguments.0.int32)
    let number = call.arguments.2.int32
    let file = try task.descriptors.opened(number)
    guard file.queue != nil else { throw .notPermitted }
    guard let poll = poll as? EventPollFile, poll !== file else { throw .invalid }
    switch operation {
    case 1: try poll.add(file, number, interest)
    case 2: try poll.remove(file, number)
    case 3: try poll.change(file, number, interest)
    default: throw .invalid
    }
    return .zero
  }

  private static func wait(_ call: Call, time: UInt64?, _ task: Task) throws(Errno) -> Outcome {
    let limit = call.arguments.2.int32
    let file = try task.descriptors.opened(call.arguments.0.int32)
    guard limit > 0, limit <= Int32.max / 12 else { throw .invalid }
    let (start, end): (UInt64, UInt64) = (call.arguments.1.bits, 0x7fff_ffff_f000)
    guard start <= end, UInt64(limit) * 12 <= end - start else { throw .badAddress }
    guard let poll = file as? EventPollFile else { throw .invalid }
    let found = poll.collect(Int(limit))
    if !found.isEmpty {
      var bytes: [UInt8] = []
      bytes.reserveCapacity(found.count * 12)
      for event in found {
        bytes.append(little: event.events)
        bytes.append(little: event.data)
      }
      do throws(Errno) {
        try task.memory.store(bytes, at: call.arguments.1.address)
      } catch {
        poll.restore()
        throw error
      }
      return .value(Int64(found.count))
    }
    if time == 0 || task.hasTimedOut { return .zero }
    task.parked?.ending = .never
    if let time { task.setDeadline(task.kernel.now.later(by: time)) }
    return task.wait(on: poll.queue, for: .readable)
  }
}

extension Task {
  /// A descriptor for a file that was just made.
  func install(_ file: OpenFile, closesOnExec: Bool) throws(Errno) -> Outcome {
    file.opener = identity
    file.retain()
    defer { file.release() }
    return .value(Int64(try descriptors.add(file, closesOnExec: closesOnExec)))
  }
}
