import CLinux
package import Linux
package import Walls

/// What the parent and the child say to each other while a box is raised, one packet each. The child's end closes at exec.
package enum SetupChannel {
  /// To the child: the maps are written; here are the descriptors that were made meanwhile; here is the filter that was; run the
  /// program; or wait until another command says so.
  package enum Step: UInt8 {
    case mapped = 77
    case equipped = 67
    case filter = 70
    case start = 83
    case leave = 76
  }

  package static func tell(_ socket: Int32, _ step: Step, descriptors: [Int32] = []) throws(SystemError) {
    try PacketSocket.send(socket, [step.rawValue], descriptors: descriptors)
  }

  /// Waits for that step; an end of the stream means that the parent has died.
  @discardableResult
  package static func await(_ socket: Int32, _ step: Step) throws(SystemError) -> [Int32] {
    var descriptors: [Int32] = []
    let bytes = try PacketSocket.receive(socket, limit: 16, descriptors: &descriptors)
    if bytes != [step.rawValue] { throw SystemError("set-up", "the parent went away", .brokenPipe) }
    return descriptors
  }

  /// A filter, and descriptors with it: the flags in 4 bytes, then 8 for each instruction, little endian.
  package static func tell(_ socket: Int32, filter: SeccompFilter?, descriptors: [Int32] = []) throws(SystemError) {
    var bytes = [Step.filter.rawValue]
    if let filter {
      bytes.reserveCapacity(5 + 8 * filter.instructions.count)
      for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: filter.flags >> shift)) }
      for instruction in filter.instructions {
        for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: instruction >> UInt64(8 * shift))) }
      }
    }
    try PacketSocket.send(socket, bytes, descriptors: descriptors)
  }

  /// Waits for the filter, which may be none. BPF_MAXINSNS (linux/bpf_common.h) bounds it.
  package static func awaitFilter(_ socket: Int32, descriptors: inout [Int32]) throws(SystemError) -> SeccompFilter? {
    let bytes = try PacketSocket.receive(socket, limit: 5 + 8 * 4096, descriptors: &descriptors)
    guard bytes.first == Step.filter.rawValue, bytes.count == 1 || bytes.count % 8 == 5 else {
      throw SystemError("set-up", "the parent went away", .brokenPipe)
    }
    if bytes.count == 1 { return nil }
    func number(_ offset: Int, _ count: Int) -> UInt64 {
      var value: UInt64 = 0
      for index in 0..<count { value |= UInt64(bytes[offset + index]) << UInt64(8 * index) }
      return value
    }
    var filter = SeccompFilter(instructions: [], flags: UInt32(number(1, 4)))
    filter.instructions.reserveCapacity(bytes.count / 8)
    for offset in stride(from: 5, to: bytes.count, by: 8) { filter.instructions.append(number(offset, 8)) }
    return filter
  }

  /// Waits for one of the last two steps.
  package static func awaitLast(_ socket: Int32) throws(SystemError) -> Step {
    var descriptors: [Int32] = []
    let bytes = try PacketSocket.receive(socket, limit: 16, descriptors: &descriptors)
    if bytes == [Step.start.rawValue] { return .start }
    if bytes == [Step.leave.rawValue] { return .leave }
    throw SystemError("set-up", "the parent went away", .brokenPipe)
  }

  package enum Reply {
    case failed(WallError)
    /// The near end of the box's terminal.
    case terminal(Int32)
    /// Everything is done but running the program.
    case ready
    /// A process that was started: its pid as the host numbers it.
    case process(Int32)
    /// One line for the user, of what was found while the box was built.
    case remark(String)
    /// The child runs another program now, or is gone.
    case closed
  }

  package static func report(_ socket: Int32, _ error: WallError) {
    let kind: UInt8 =
      switch error.kind {
      case .wall: 0
      case .notExecutable: 1
      case .notFound: 2
      case .unavailable: 3
      case .gone: 4
      }
    // With nobody left to tell, there is nothing to do but end.
    try? PacketSocket.send(socket, [69, kind] + Array(error.message.utf8.prefix(3000)))
  }

  package static func hand(_ socket: Int32, terminal: Int32) throws(SystemError) {
    try PacketSocket.send(socket, [84], descriptors: [terminal])
  }
  package static func remark(_ socket: Int32, _ text: String) throws(SystemError) {
    try PacketSocket.send(socket, [78] + Array(text.utf8.prefix(3000)))
  }
  package static func tellReady(_ socket: Int32) throws(SystemError) { try PacketSocket.send(socket, [82]) }
  package static func tell(_ socket: Int32, process: Int32) throws(SystemError) {
    try PacketSocket.send(socket, [80] + Array("\(process)".utf8))
  }

  /// The child's next word. It comes before any untrusted instruction.
  package static func listen(_ socket: Int32) throws(WallError) -> Reply {
    var descriptors: [Int32] = []
    let bytes: [UInt8]
    do throws(SystemError) {
      bytes = try PacketSocket.receive(socket, descriptors: &descriptors)
    } catch {
      throw WallError("set-up of the sandbox", error)
    }
    switch bytes.first {
    case nil: return .closed
    case 84 where descriptors.count == 1: return .terminal(descriptors[0])
    case 82: return .ready
    case 80:
      guard let pid = Int32(String(decoding: bytes.dropFirst(), as: UTF8.self)) else { break }
      return .process(pid)
    case 78: return .remark(String(decoding: bytes.dropFirst(), as: UTF8.self))
    case 69 where bytes.count >= 2:
      let kinds: [WallError.Kind] = [.wall, .notExecutable, .notFound, .unavailable, .gone]
      let text = String(decoding: bytes.dropFirst(2), as: UTF8.self)
      return .failed(WallError(kinds[min(Int(bytes[1]), 4)], text))
    default: break
    }
    for descriptor in descriptors { _ = FileDescriptor(owning: descriptor) }
    throw WallError("set-up of the sandbox: the child said something unknown")
  }
}
