import CLinux
import Linux
import SentryABI
import SentryMemory
import SentrySockets
import SentryTasks

/// getsockopt(2) and setsockopt(2).
enum SocketOptionCalls {
  static let rows: [CallRow] = [
    CallRow(54, "setsockopt", .part("only options of a list (HostSocketRules, UnixSocketFile); others: ENOPROTOOPT")) {
      (call, task) throws(Errno) in try set(call, task)
    },
    CallRow(55, "getsockopt", .part("as setsockopt")) { (call, task) throws(Errno) in try get(call, task) },
  ]

  private static func set(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let length = call.arguments.4.int32
    let file = try SocketCalls.file(call, task)
    guard length >= 0 else { throw .invalid }
    let (level, name) = (call.arguments.1.int32, call.arguments.2.int32)
    // In the order of sk_setsockopt (net/core/sock.c); SO_BINDTODEVICE is a name.
    if file is UnixSocketFile, level != 1 { throw .notSupported }
    if level == 1, name != 25, length < 4 { throw .invalid }
    let value = try task.memory.bytes(call.arguments.3.address, count: Int(min(length, 512)))
    switch (level, name) {
    case (1, 20): file.receiveTimeout = try time(value)
    case (1, 21): file.sendTimeout = try time(value)
    case (1, 12):
      let isFree = (0...6).contains(Int32(bitPattern: value.little32(0)))
      guard isFree || task.credentials.has(Capability.network) || task.credentials.has(Capability.rawSockets) else {
        throw .notPermitted
      }
      try file.setOption(level, name, value)
    default: try file.setOption(level, name, value)
    }
    return .zero
  }

  /// struct timeval; zero is for ever.
  private static func time(_ value: [UInt8]) throws(Errno) -> UInt64 {
    guard value.count >= 16 else { throw .invalid }
    let (seconds, micro) = (Int64(bitPattern: value.little64(0)), Int64(bitPattern: value.little64(8)))
    guard (0..<1_000_000).contains(micro) else { throw Errno(rawValue: EDOM) }
    return seconds < 0 ? 1 : TimeSpec(seconds: seconds, microseconds: micro).total
  }

  private static func get(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let file = try SocketCalls.file(call, task)
    if file is UnixSocketFile, call.arguments.1.int32 != 1 { throw .notSupported }
    let room: Int32 = try task.memory.load(call.arguments.4.address)
    guard room >= 0 else { throw .invalid }
    let (level, name) = (call.arguments.1.int32, call.arguments.2.int32)
    var value: [UInt8] = []
    switch (level, name) {
    case (1, 3): value.append(little: UInt32(bitPattern: file.kind))
    case (1, 38): value.append(little: UInt32(bitPattern: file.protocolNumber))
    case (1, 39): value.append(little: UInt32(bitPattern: file.domain))
    case (1, 20), (1, 21):
      let total = name == 20 ? file.receiveTimeout : file.sendTimeout
      value.append(little: total / 1_000_000_000)
      value.append(little: total % 1_000_000_000 / 1000)
    default: value = try file.option(level, name, limit: Int(room))
    }
    value = Array(value.prefix(Int(room)))
    if !value.isEmpty { try task.memory.store(value, at: call.arguments.3.address) }
    try task.memory.store(Int32(truncatingIfNeeded: value.count), at: call.arguments.4.address)
    return .zero
  }
}
