import CLinux
import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentrySignals
import SentrySockets
import SentryTasks
import SentryWait

/// Sending and receiving on sockets (send(2), recv(2)).
enum MessageCalls {
  static let rows: [CallRow] = [
    CallRow(44, "sendto", .part("inet: MSG_FASTOPEN, MSG_ZEROCOPY: passed over"), blocksOn: "socket") {
      (call, task) throws(Errno) in
      try reach(call.arguments.1, call.arguments.2)
      let file = try SocketCalls.file(call, task)
      var message = OutgoingMessage()
      message.flags = call.arguments.3.int32
      if !call.arguments.4.address.isNull {
        message.destination = try SocketCalls.address(call.arguments.4.address, call.arguments.5.int32, task)
      }
      let count = call.arguments.2.size ?? .max
      var buffer = GuestBuffer(task.memory, call.arguments.1.address, count: count)
      return try send(file, &buffer, message, task)
    },
    CallRow(45, "recvfrom", blocksOn: "socket") { (call, task) throws(Errno) in
      try reach(call.arguments.1, call.arguments.2)
      let file = try SocketCalls.file(call, task)
      var buffer = GuestBuffer(task.memory, call.arguments.1.address, count: call.arguments.2.size ?? .max)
      guard let message = try receive(file, &buffer, call.arguments.3.int32, task) else { return .blocked }
      for each in message.files { each.release() }
      if !call.arguments.4.address.isNull {
        _ = try SocketCalls.store(message.source, call.arguments.4.address, call.arguments.5.address, task)
      }
      return .value(Int64(message.count))
    },
    CallRow(
      46, "sendmsg",
      .part(
        "inet: MSG_FASTOPEN, MSG_ZEROCOPY: passed over, control messages of other levels than IP, UDP, IPv6: EINVAL; unix: SCM_RIGHTS, SCM_CREDENTIALS"
      ), blocksOn: "socket"
    ) { (call, task) throws(Errno) in
      try sendMessage(call, task, call.arguments.1.address, call.arguments.2.int32)
    },
    CallRow(47, "recvmsg", blocksOn: "socket") { (call, task) throws(Errno) in
      try receiveMessage(call, task, call.arguments.1.address, call.arguments.2.int32)
    },
    CallRow(307, "sendmmsg", .part("inet: MSG_FASTOPEN, MSG_ZEROCOPY: passed over"), blocksOn: "socket") {
      (call, task) throws(Errno) in
      try many(call, task) { (at) throws(Errno) in try sendMessage(call, task, at, call.arguments.3.int32) }
    },
    CallRow(299, "recvmmsg", blocksOn: "socket") { (call, task) throws(Errno) in
      let flags = call.arguments.3.int32
      return try many(call, task, until: call.arguments.4.address) { (at) throws(Errno) in
        // MSG_WAITFORONE: after the first one it does not wait.
        let waits = flags & 0x10000 == 0 || (task.parked?.moved ?? 0) == 0
        return try receiveMessage(
          call, task, at, flags & ~0x10000 | (waits ? 0 : MessageFlags.dontWait))
      }
    },
  ]

  /// - Throws: EFAULT for what does not lie beneath the end of every process's memory (access_ok); the length is cut first.
  private static func reach(_ start: GuestWord, _ length: GuestWord) throws(Errno) {
    guard isReachable(start, length) else { throw .badAddress }
  }
  static func isReachable(_ start: GuestWord, _ length: GuestWord) -> Bool {
    let (begin, end): (UInt64, UInt64) = (start.bits, 0x7fff_ffff_f000)
    return begin <= end && min(length.bits, 0x7fff_f000) <= end - begin
  }

  /// sendmmsg(2) and recvmmsg(2): as many as go; `moved` counts those that went.
  /// - Parameter limit: of a struct timespec; it is looked at after each message and ends no wait (recvmmsg(2), BUGS). Gets what is left.
  private static func many(
    _ call: Call, _ task: Task, until limit: GuestAddress = GuestAddress(0),
    _ one: (GuestAddress) throws(Errno) -> Outcome
  ) throws(Errno) -> Outcome {
    let count = Int(min(call.arguments.2.uint32, 1024))
    if !limit.isNull, task.parked?.bound == nil {
      let time = TimeSpec(try task.memory.bytes(limit, count: 16))
      guard time.isValid else { throw .invalid }
      task.parked?.bound = task.kernel.now.later(by: time.total)
    }
    _ = try SocketCalls.file(call, task)
    var index = task.parked?.moved ?? 0
    while index < count {
      let at = call.arguments.1.address.advanced(by: index * 64)
      do throws(Errno) {
        // The byte count of a single message is not kept: `moved` is this call's own.
        guard case .value(let moved) = try one(at) else { return .blocked }
        try task.memory.store(UInt32(truncatingIfNeeded: moved), at: at.advanced(by: 56))
      } catch {
        if index > 0 { return .value(Int64(index)) }
        throw error
      }
      index += 1
      task.parked?.moved = index
      if let bound = task.parked?.bound, bound <= task.kernel.now { break }
    }
    if index > 0, let bound = task.parked?.bound {
      let now = task.kernel.now
      try task.memory.store(TimeSpec(nanoseconds: bound > now ? bound - now : 0).bytes, at: limit)
    }
    return .value(Int64(index))
  }

  // MARK: Sending

  private static func send(
    _ file: SocketFile, _ buffer: inout GuestBuffer, _ message: OutgoingMessage, _ task: Task, countsBytes: Bool = true
  ) throws(Errno) -> Outcome {
    let blocks = !file.isNonBlocking && message.flags & MessageFlags.dontWait == 0
    if countsBytes, let moved = task.parked?.moved, moved > 0 { buffer.skip(moved) }
    var message = message
    // What came with the first bytes has gone with them.
    if buffer.moved > 0 { message.files = [] }
    while true {
      do throws(Errno) {
        let count = try file.send(&buffer, message, task.socketCaller)
        message.files = []
        if buffer.remaining == 0 || !file.writesWhole || count == 0 || !countsBytes {
          return .value(Int64(file.writesWhole ? buffer.moved : count))
        }
      } catch {
        if error == .again, blocks, !task.hasTimedOut {
          if countsBytes { task.parked?.moved = buffer.moved }
          if file.sendTimeout > 0 { task.setDeadline(task.kernel.now.later(by: file.sendTimeout)) }
          return task.wait(on: file.blockedOn ?? file.queue, for: file.blockedOn == nil ? .writable : .any)
        }
        if error == .brokenPipe, file.kind != 2, message.flags & MessageFlags.noSignal == 0 { task.raise(Signal.pipe) }
        if buffer.moved > 0, file.writesWhole { return .value(Int64(buffer.moved)) }
        throw error
      }
    }
  }

  /// struct msghdr.
  private struct Header {
    var name: GuestAddress
    var nameLength: Int32
    var vector: GuestAddress
    var vectorCount: UInt64
    var control: GuestAddress
    var controlLength: UInt64

    init(_ address: GuestAddress, _ task: Task) throws(Errno) {
      let bytes = try task.memory.bytes(address, count: 56)
      name = GuestAddress(bytes.little64(0))
      nameLength = Int32(bitPattern: bytes.little32(8))
      vector = GuestAddress(bytes.little64(16))
      vectorCount = bytes.little64(24)
      control = GuestAddress(bytes.little64(32))
      controlLength = bytes.little64(40)
      guard vectorCount <= 1024 else { throw Errno(rawValue: EMSGSIZE) }
      guard nameLength >= 0 else { throw .invalid }
    }
    func buffer(_ task: Task) throws(Errno) -> GuestBuffer {
      try GuestBuffer(task.memory, vector: vector, count: Int32(truncatingIfNeeded: vectorCount))
    }
  }

  private static func sendMessage(_ call: Call, _ task: Task, _ at: GuestAddress, _ flags: Int32) throws(Errno)
    -> Outcome
  {
    // MSG_CMSG_COMPAT, the kernel's own for 32-bit callers.
    if flags < 0 { throw .invalid }
    let file = try SocketCalls.file(call, task)
    let header = try Header(at, task)
    var buffer = try header.buffer(task)
    var message = OutgoingMessage()
    message.flags = flags
    if !header.name.isNull, header.nameLength > 0 {
      message.destination = try SocketCalls.address(header.name, min(header.nameLength, 128), task)
    }
    if !header.control.isNull, header.controlLength > 0 {
      guard header.controlLength <= 20480 else { throw Errno(rawValue: ENOBUFS) }
      let control = try task.memory.bytes(header.control, count: Int(header.controlLength))
      guard ControlMessage.isWellFormed(control) else { throw .invalid }
      if file is UnixSocketFile {
        try take(control, into: &message, task)
      } else {
        message.control = try passed(control, by: file, message, task)
      }
    }
    return try send(file, &buffer, message, task, countsBytes: call.number == 46)
  }

  /// SCM_RIGHTS and SCM_CREDENTIALS (unix(7)).
  private static func take(_ control: [UInt8], into message: inout OutgoingMessage, _ task: Task) throws(Errno) {
    for each in ControlMessage.list(control) where each.level == 1 {
      switch each.type {
      case 1:
        guard message.files.count + each.data.count / 4 <= 253 else { throw .invalid }
        // As many as one process may have, of all of them together: sockets that hold themselves in a ring never let go.
        guard task.kernel.unixNames.inFlight <= Int(clamping: task.group.limits[Limits.descriptors].soft) else {
          throw Errno(rawValue: ETOOMANYREFS)
        }
        for index in 0..<each.data.count / 4 {
          message.files.append(try task.descriptors.file(Int32(bitPattern: each.data.little32(4 * index))))
        }
      case 2:
        guard each.data.count == PeerCredentials.size else { throw .invalid }
        let told = PeerCredentials(each.data, at: 0)
        let own = task.credentials
        guard told.process == task.group.id || own.has(21),
          [own.user, own.effectiveUser, own.savedUser].contains(told.user) || own.has(7),
          [own.group, own.effectiveGroup, own.savedGroup].contains(told.group) || own.has(6)
        else { throw .notPermitted }
        message.credentials = told
      default: throw .invalid
      }
    }
  }

  private static func passed(
    _ control: [UInt8], by file: SocketFile, _ message: OutgoingMessage, _ task: Task
  ) throws(Errno) -> [UInt8] {
    do throws(Errno) {
      try HostSocketControl.check(control)
      return control
    } catch {
      // Whom it would go to is looked at before (tcp_sendmsg_locked and udp_sendmsg of net/ipv4).
      guard message.destination == nil, isAlone(file) else { throw error }
      guard file.kind == 1 else { throw Errno(rawValue: EDESTADDRREQ) }
      if message.flags & MessageFlags.noSignal == 0 { task.raise(Signal.pipe) }
      throw .brokenPipe
    }
  }

  private static func isAlone(_ file: SocketFile) -> Bool {
    do throws(Errno) { _ = try file.peerName() } catch { return error.rawValue == ENOTCONN }
    return false
  }

  // MARK: Receiving

  /// - Returns: nil where the task sleeps now.
  private static func receive(_ file: SocketFile, _ buffer: inout GuestBuffer, _ flags: Int32, _ task: Task)
    throws(Errno)
    -> IncomingMessage?
  {
    let blocks = !file.isNonBlocking && flags & MessageFlags.dontWait == 0
    let waitsAll = flags & MessageFlags.waitAll != 0 && file.kind == 1 && flags & MessageFlags.peek == 0
    if waitsAll, let moved = task.parked?.moved, moved > 0 { buffer.skip(moved) }
    do throws(Errno) {
      while true {
        let wanted = buffer.remaining
        var message = try file.receive(&buffer, flags: flags)
        if !waitsAll { return message }
        if buffer.remaining == 0 || message.count == 0 || wanted == 0 || !message.files.isEmpty {
          message.count = buffer.moved
          return message
        }
      }
    } catch {
      guard error == .again, blocks, !task.hasTimedOut, flags & MessageFlags.errorQueue == 0 else {
        if waitsAll, buffer.moved > 0 {
          var message = IncomingMessage()
          message.count = buffer.moved
          return message
        }
        throw error
      }
      if waitsAll { task.parked?.moved = buffer.moved }
      if file.receiveTimeout > 0 {
        task.parked?.ending = .never
        task.setDeadline(task.kernel.now.later(by: file.receiveTimeout))
      }
      _ = task.wait(on: file.queue, for: [.readable, .readHangup, .error, .hangup])
      return nil
    }
  }

  private static func receiveMessage(_ call: Call, _ task: Task, _ at: GuestAddress, _ flags: Int32) throws(Errno)
    -> Outcome
  {
    // MSG_CMSG_COMPAT, the kernel's own for 32-bit callers.
    if flags < 0 { throw .invalid }
    let file = try SocketCalls.file(call, task)
    let header = try Header(at, task)
    var buffer = try header.buffer(task)
    guard let message = try receive(file, &buffer, flags, task) else { return .blocked }
    var told = message.flags
    let room = header.control.isNull ? 0 : Int(min(header.controlLength, 65536))
    var control: [UInt8] = []
    if let credentials = message.credentials,
      !ControlMessage(level: 1, type: 2, data: credentials.encoded).append(to: &control, limit: room)
    {
      told |= MessageFlags.controlTruncated
    }
    if !message.files.isEmpty { give(message.files, flags, &control, room, &told, task) }
    for each in ControlMessage.list(message.control) where !each.append(to: &control, limit: room) {
      told |= MessageFlags.controlTruncated
    }
    if !control.isEmpty { try task.memory.store(control, at: header.control) }
    if !header.name.isNull {
      let name = Array(message.source.prefix(Int(header.nameLength)))
      if !name.isEmpty { try task.memory.store(name, at: header.name) }
      try task.memory.store(UInt32(truncatingIfNeeded: message.source.count), at: at.advanced(by: 8))
    }
    try task.memory.store(UInt64(control.count), at: at.advanced(by: 40))
    if flags & MessageFlags.closesOnExec != 0 { told |= MessageFlags.closesOnExec }
    try task.memory.store(told, at: at.advanced(by: 48))
    return .value(Int64(message.count))
  }

  /// Descriptors for files that came; those that have no room are let go.
  private static func give(
    _ files: [OpenFile], _ flags: Int32, _ control: inout [UInt8], _ room: Int, _ told: inout Int32, _ task: Task
  ) {
    defer { for file in files { file.release() } }
    let fitting = max(0, (room - control.count - ControlMessage.header) / 4)
    var data: [UInt8] = []
    for file in files.prefix(fitting) {
      do throws(Errno) {
        let number = try task.descriptors.add(file, closesOnExec: flags & MessageFlags.closesOnExec != 0)
        data.append(little: UInt32(bitPattern: number))
      } catch { break }
    }
    if data.count < 4 * files.count { told |= MessageFlags.controlTruncated }
    if !data.isEmpty { _ = ControlMessage(level: 1, type: 1, data: data).append(to: &control, limit: room) }
  }
}
