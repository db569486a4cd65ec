public import Linux
public import SentryABI
public import SentryFiles
public import SentryMemory
public import SentryWait

/// An open /dev/ptmx: the far end of one terminal.
public final class MasterFile: OpenFile {
  public let terminal: Terminal

  init(_ terminal: Terminal, flags: Int32) {
    self.terminal = terminal
    super.init(flags: flags)
  }

  public override func released() { terminal.hangUp() }

  public override var isTerminal: Bool { true }
  public override var writesWhole: Bool { true }
  public override var queue: WaitQueue? { terminal.masterQueue }

  private var isFarClosed: Bool { terminal.wasOpened && terminal.openFiles == 0 }

  public override var readiness: PollEvents {
    var events: PollEvents = []
    if !terminal.output.isEmpty { events.insert(.readable) }
    if terminal.packetStatus != 0 { events.formUnion([.readable, .priority]) }
    if terminal.hasInputRoom { events.insert(.writable) }
    if isFarClosed { events.insert(.hangup) }
    return events
  }

  public override func read(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    if offset != nil { throw .illegalSeek }
    if buffer.remaining == 0 { return 0 }
    if terminal.isPacketMode, terminal.packetStatus != 0 {
      let count = try buffer.put([terminal.packetStatus])
      terminal.packetStatus = 0
      return count
    }
    if terminal.output.isEmpty { throw isFarClosed ? .inputOutput : .again }
    var count = 0
    if terminal.isPacketMode { count = try buffer.put([0]) }
    count += try terminal.output.drain(into: &buffer)
    terminal.queue.wake(.writable)
    return count
  }

  public override func write(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    if offset != nil { throw .illegalSeek }
    if buffer.remaining == 0 { return 0 }
    if isFarClosed && !terminal.wasOpened { throw .inputOutput }
    guard terminal.hasInputRoom else { throw .again }
    let room = terminal.isCanonical ? 256 : min(terminal.input.free, 4096)
    let bytes = try buffer.take(room)
    terminal.receive(bytes)
    return bytes.count
  }

  public override func control(_ request: UInt32, _ argument: GuestWord, _ caller: ControlCaller) throws(Errno) -> Int64
  {
    try terminal.control(request, argument, caller, isMaster: true)
  }
}
