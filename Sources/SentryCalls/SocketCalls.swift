import CLinux
import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentrySockets
import SentryTasks
import SentryWait

/// Sockets: making, naming and connecting them (socket(7)).
enum SocketCalls {
  static let rows: [CallRow] = [
    CallRow(
      41, "socket", .part("only unix, inet, inet6, netlink's route; other families: EAFNOSUPPORT; raw sockets: EPERM")
    ) {
      (call, task) throws(Errno) in try socket(call, task)
    },
    CallRow(53, "socketpair") { (call, task) throws(Errno) in try pair(call, task) },
    CallRow(49, "bind") { (call, task) throws(Errno) in
      let file = try SocketCalls.file(call, task)
      try file.bind(try address(call.arguments.1.address, call.arguments.2.int32, task), task.socketCaller)
      return .zero
    },
    CallRow(50, "listen") { (call, task) throws(Errno) in
      try file(call, task).listen(call.arguments.1.int32, task.socketCaller)
      return .zero
    },
    CallRow(42, "connect", blocksOn: "socket") { (call, task) throws(Errno) in try connect(call, task) },
    CallRow(43, "accept", blocksOn: "socket") { (call, task) throws(Errno) in try accept(call, 0, task) },
    CallRow(288, "accept4", blocksOn: "socket") { (call, task) throws(Errno) in
      try accept(call, call.arguments.3.int32, task)
    },
    CallRow(48, "shutdown") { (call, task) throws(Errno) in
      try file(call, task).shutdown(call.arguments.1.int32)
      return .zero
    },
    CallRow(51, "getsockname") { (call, task) throws(Errno) in
      try store(try file(call, task).name(), call.arguments.1.address, call.arguments.2.address, task)
    },
    CallRow(52, "getpeername") { (call, task) throws(Errno) in
      try store(try file(call, task).peerName(), call.arguments.1.address, call.arguments.2.address, task)
    },
  ]

  static func file(_ call: Call, _ task: Task) throws(Errno) -> SocketFile {
    let file = try task.descriptors.opened(call.arguments.0.int32)
    guard let socket = file as? SocketFile else { throw Errno(rawValue: ENOTSOCK) }
    return socket
  }

  private static let kept = O_CLOEXEC | O_NONBLOCK

  private static func socket(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let (domain, type, number) = (call.arguments.0.int32, call.arguments.1.int32, call.arguments.2.int32)
    guard type & ~(15 | kept) == 0 else { throw .invalid }
    let (kind, flags) = (type & 15, type & O_NONBLOCK)
    // As Linux looks at the ranges before it looks for a family (__sock_create, net/socket.c).
    guard (0..<46).contains(domain) else { throw Errno(rawValue: EAFNOSUPPORT) }
    guard kind < 11 else { throw .invalid }
    let file: SocketFile
    if domain == 1 {
      file = UnixSocketFile(
        kind: try unixKind(kind, number), flags: flags, names: task.kernel.unixNames, creator: task.peerCredentials)
    } else {
      file = try HostSocket.make(
        domain: domain, kind: kind, protocolNumber: number, flags: flags, task.kernel.hostEvents)
    }
    return try install(file, closesOnExec: type & O_CLOEXEC != 0, task)
  }

  /// SOCK_RAW stands for datagrams.
  private static func unixKind(_ kind: Int32, _ number: Int32) throws(Errno) -> Int32 {
    guard number == 0 || number == 1 else { throw Errno(rawValue: EPROTONOSUPPORT) }
    switch kind {
    case 1, 2, 5: return kind
    case 3: return 2
    default: throw Errno(rawValue: ESOCKTNOSUPPORT)
    }
  }

  private static func install(_ file: SocketFile, closesOnExec: Bool, _ task: Task) throws(Errno) -> Outcome {
    file.path = task.kernel.unnamed.socket(user: task.credentials.fileUser, group: task.credentials.fileGroup)
    return try task.install(file, closesOnExec: closesOnExec)
  }

  private static func pair(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let type = call.arguments.1.int32
    guard type & ~(15 | kept) == 0 else { throw .invalid }
    // Linux has stored two numbers there before it looks further.
    _ = try task.memory.bytes(call.arguments.3.address, count: 8)
    let (domain, kind) = (call.arguments.0.int32, type & 15)
    guard (0..<46).contains(domain) else { throw Errno(rawValue: EAFNOSUPPORT) }
    guard kind < 11 else { throw .invalid }
    guard domain == 1 else {
      // Linux makes both before it finds that the family joins none.
      let one = try HostSocket.make(
        domain: domain, kind: kind, protocolNumber: call.arguments.2.int32, flags: 0, task.kernel.hostEvents)
      one.released()
      throw .notSupported
    }
    let ends = UnixSocketFile.pair(
      kind: try unixKind(kind, call.arguments.2.int32), flags: type & O_NONBLOCK, names: task.kernel.unixNames,
      creator: task.peerCredentials)
    for end in [ends.0, ends.1] {
      end.path = task.kernel.unnamed.socket(user: task.credentials.fileUser, group: task.credentials.fileGroup)
    }
    try PipeCalls.install(
      [ends.0, ends.1], closesOnExec: type & O_CLOEXEC != 0, at: call.arguments.3.address, task)
    return .zero
  }

  /// A struct sockaddr of the guest's.
  static func address(_ address: GuestAddress, _ length: Int32, _ task: Task) throws(Errno) -> [UInt8] {
    guard length >= 0, length <= 128 else { throw .invalid }
    return length == 0 ? [] : try task.memory.bytes(address, count: Int(length))
  }

  /// As much of an address as there is room for; the length is the whole one.
  static func store(_ bytes: [UInt8], _ address: GuestAddress, _ length: GuestAddress, _ task: Task) throws(Errno)
    -> Outcome
  {
    let room: Int32 = try task.memory.load(length)
    guard room >= 0 else { throw .invalid }
    let taken = Array(bytes.prefix(Int(room)))
    if !taken.isEmpty { try task.memory.store(taken, at: address) }
    try task.memory.store(Int32(truncatingIfNeeded: bytes.count), at: length)
    return .zero
  }

  private static func connect(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    _ = try task.descriptors.opened(call.arguments.0.int32)
    let address = try address(call.arguments.1.address, call.arguments.2.int32, task)
    let file = try file(call, task)
    file.blockedOn = nil
    do throws(Errno) {
      try file.connect(address, task.socketCaller)
      return .zero
    } catch {
      guard error == .again, !file.isNonBlocking else { throw error }
      if task.hasTimedOut { throw Errno(rawValue: EINPROGRESS) }
      if file.sendTimeout > 0 { task.setDeadline(task.kernel.now.later(by: file.sendTimeout)) }
      return task.wait(
        on: file.blockedOn ?? file.queue, for: file.blockedOn == nil ? [.writable, .error, .hangup] : .any)
    }
  }

  private static func accept(_ call: Call, _ flags: Int32, _ task: Task) throws(Errno) -> Outcome {
    _ = try task.descriptors.opened(call.arguments.0.int32)
    guard flags & ~kept == 0 else { throw .invalid }
    let file = try file(call, task)
    let accepted: SocketFile
    do throws(Errno) {
      accepted = try file.accept()
    } catch {
      guard error == .again, !file.isNonBlocking, !task.hasTimedOut else { throw error }
      if file.receiveTimeout > 0 {
        task.parked?.ending = .never
        task.setDeadline(task.kernel.now.later(by: file.receiveTimeout))
      }
      return task.wait(on: file.queue, for: .readable)
    }
    accepted.flags |= flags & O_NONBLOCK
    accepted.retain()
    defer { accepted.release() }
    let number = try install(accepted, closesOnExec: flags & O_CLOEXEC != 0, task)
    if !call.arguments.1.address.isNull, case .value(let value) = number {
      do throws(Errno) {
        _ = try store(accepted.originName(), call.arguments.1.address, call.arguments.2.address, task)
      } catch {
        try task.descriptors.close(Int32(truncatingIfNeeded: value))
        throw error
      }
    }
    return number
  }
}

extension Task {
  var socketCaller: SocketCaller { SocketCaller(walk: walk, names: kernel.unixNames, process: group.id) }
  var peerCredentials: PeerCredentials {
    PeerCredentials(process: group.id, user: credentials.effectiveUser, group: credentials.effectiveGroup)
  }
}
