import CLinux
public import Linux
public import SentryABI
public import SentryFiles
public import SentryMemory
public import SentryWait

/// An open end of a pipe, or of a FIFO for one direction or both.
public final class PipeFile: OpenFile {
  public let pipe: Pipe
  /// The other side's count of opens when this end of a FIFO was opened while nobody was there.
  private var opensSeen: UInt64?

  /// - Parameter flags: the access mode and status flags of open(2).
  public init(_ pipe: Pipe, flags: Int32) {
    self.pipe = pipe
    super.init(flags: flags)
    if isReadable {
      pipe.readers += 1
      pipe.readerOpens &+= 1
    }
    if isWritable {
      pipe.writers += 1
      pipe.writerOpens &+= 1
    }
    pipe.queue.wake(.any)
  }

  /// Opens a FIFO (fifo(7)): an end for one direction waits until the other has been opened.
  /// - Throws: ENXIO for a writer that may not wait, while nobody reads.
  public static func open(fifo pipe: Pipe, flags: Int32) throws(Errno) -> PipeFile {
    guard flags & 3 != 3 else { throw .invalid }
    let isBlocking = flags & O_NONBLOCK == 0
    if flags & 3 == 1, !isBlocking, pipe.readers == 0 { throw .noSuchDevice }
    let file = PipeFile(pipe, flags: flags)
    if isBlocking, flags & 3 == 0, pipe.writers == 0 { file.opensSeen = pipe.writerOpens }
    if isBlocking, flags & 3 == 1, pipe.readers == 0 { file.opensSeen = pipe.readerOpens }
    return file
  }

  public override var isOpening: Bool {
    guard let opensSeen else { return false }
    return (isReadable ? pipe.writerOpens : pipe.readerOpens) == opensSeen
  }

  public override func released() {
    if isReadable { pipe.readers -= 1 }
    if isWritable { pipe.writers -= 1 }
    if pipe.readers == 0 && pipe.writers == 0 {
      pipe.ring.removeAll()
      pipe.packets.removeAll()
    }
    pipe.queue.wake([.readable, .writable, .hangup, .error])
  }

  public override var writesWhole: Bool { true }
  public override var queue: WaitQueue? { pipe.queue }

  public override var readiness: PollEvents {
    var events: PollEvents = []
    if isReadable {
      if !pipe.ring.isEmpty { events.insert(.readable) }
      if pipe.writers == 0 && pipe.writerOpens > 0 { events.insert(.hangup) }
    }
    if isWritable {
      if pipe.canWrite { events.insert(.writable) }
      if pipe.readers == 0 { events.insert(.error) }
    }
    return events
  }

  public override func read(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    if offset != nil { throw .illegalSeek }
    if buffer.remaining == 0 { return 0 }
    if pipe.ring.isEmpty {
      // A FIFO that no writer has opened reads as ended too (fifo(7)).
      if pipe.writers == 0 { return 0 }
      throw .again
    }
    let count: Int
    if let packet = pipe.packets.first {
      // What of a packet has no room is lost (pipe(2), O_DIRECT).
      count = try pipe.ring.drain(into: &buffer, limit: packet)
      pipe.ring.drop(packet - count)
      pipe.packets.removeFirst()
    } else {
      count = try pipe.ring.drain(into: &buffer)
    }
    pipe.queue.wake(.writable)
    return count
  }

  public override func write(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    if offset != nil { throw .illegalSeek }
    if buffer.remaining == 0 { return 0 }
    if pipe.readers == 0 { throw .brokenPipe }
    let isPacket = flags & 0o40000 != 0
    let wanted = isPacket ? min(buffer.remaining, Pipe.atomic) : buffer.remaining
    if wanted <= Pipe.atomic ? pipe.ring.free < wanted : pipe.ring.free == 0 { throw .again }
    let count = try pipe.ring.fill(from: &buffer, limit: wanted)
    // Packets and streams of one pipe keep their bounds once a packet came.
    if isPacket || !pipe.packets.isEmpty { pipe.packets.append(count) }
    pipe.queue.wake(.readable)
    return count
  }

  public override func store(_ bytes: [UInt8], at offset: Int64?) throws(Errno) -> Int {
    if offset != nil { throw .illegalSeek }
    if pipe.readers == 0 { throw .brokenPipe }
    if bytes.count <= Pipe.atomic ? pipe.ring.free < bytes.count : pipe.ring.free == 0 { throw .again }
    let count = pipe.ring.append(bytes)
    pipe.produced(count)
    return count
  }

  public override func control(_ request: UInt32, _ argument: GuestWord, _ caller: ControlCaller) throws(Errno) -> Int64
  {
    guard request == 0x541B else { throw .notTerminal }
    try caller.memory.store(Int32(truncatingIfNeeded: pipe.ring.count), at: argument.address)
    return 0
  }
}
