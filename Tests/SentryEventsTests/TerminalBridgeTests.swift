import CLinux
import Linux
import SentryABI
import SentryFiles
import SentryPipes
import SentryTasks
import SentryTerminals
import SentryWait
import Testing

@Suite("A host's terminal joined to a sandbox's", .serialized)
struct TerminalBridgeTests {
  /// A host's pseudo terminal, raw: `far` is where a person sits.
  struct HostPair: ~Copyable {
    let far: FileDescriptor
    let near: FileDescriptor
    init() throws {
      let far = try File.open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
      let raw = far.rawValue
      var unlocked: Int32 = 0
      var number: Int32 = 0
      var size = winsize(ws_row: 33, ws_col: 99, ws_xpixel: 0, ws_ypixel: 0)
      // SAFETY: the kernel reads an Int32 and a winsize, and fills an Int32.
      unsafe withUnsafeMutablePointer(to: &unlocked) { pointer in
        _ = systemCall(Int(SYS_ioctl), word(raw), UInt(IMMURE_TIOCSPTLCK), UInt(bitPattern: pointer))
      }
      unsafe withUnsafeMutablePointer(to: &number) { pointer in
        _ = systemCall(Int(SYS_ioctl), word(raw), UInt(IMMURE_TIOCGPTN), UInt(bitPattern: pointer))
      }
      unsafe withUnsafeMutablePointer(to: &size) { pointer in
        _ = systemCall(Int(SYS_ioctl), word(raw), UInt(IMMURE_TIOCSWINSZ), UInt(bitPattern: pointer))
      }
      let near = try File.open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
      var settings = termios()
      // SAFETY: the C library reads and fills one termios.
      unsafe tcgetattr(near.rawValue, &settings)
      unsafe cfmakeraw(&settings)
      unsafe tcsetattr(near.rawValue, TCSANOW, &settings)
      self.far = far
      self.near = near
    }
  }

  /// Until so many bytes have come out at the far end, or two minutes have passed.
  static func shown(_ pair: borrowing HostPair, _ count: Int, _ kernel: Kernel) throws -> [UInt8] {
    var bytes: [UInt8] = []
    let end = kernel.now + 120_000_000_000
    while bytes.count < count, kernel.now < end {
      kernel.hostEvents.wait(milliseconds: 1) { _, _ in }
      var asked = pollfd(fd: pair.far.rawValue, events: Int16(POLLIN), revents: 0)
      // SAFETY: poll reads and fills one pollfd.
      let ready = unsafe poll(&asked, 1, 1)
      if ready == 1 { bytes += try File.read(pair.far.rawValue, atMost: count - bytes.count) }
    }
    return bytes
  }

  @Test("what is typed is echoed and read, what is written is shown, and the end hangs up")
  func ways() throws {
    let guest = try Guest()
    let pair = try HostPair()
    let bridge = try TerminalBridge(guest.kernel.terminals, owning: pair.near.duplicate(), guest.kernel.hostEvents)
    let number = try guest.task.descriptors.add(bridge.open(flags: 2), closesOnExec: false)
    #expect(try guest.write(number, Array("hello\n".utf8)) == .value(6))
    #expect(try Self.shown(pair, 7, guest.kernel) == Array("hello\r\n".utf8))
    #expect(guest.read(number).0 == .blocked)
    try File.writeAll(pair.far.rawValue, Array("ls\r".utf8))
    #expect(try Self.shown(pair, 4, guest.kernel) == Array("ls\r\n".utf8))
    #expect(guest.goOnReading() == (.value(3), Array("ls\n".utf8)))
    let size = guest.room(8)
    #expect(guest.call(Int(SYS_ioctl), UInt64(number), 0x5413, size) == .value(0))
    #expect(try guest.bytes(size, 4) == [33, 0, 99, 0])
    // More than the host's buffers hold: it goes on as they are read.
    let large = [UInt8](repeating: 0x61, count: 60_000)
    #expect(try guest.write(number, large) == .blocked)
    var got: [UInt8] = []
    var answer = Guest.Answer.blocked
    while got.count < large.count, answer == .blocked {
      let piece = try Self.shown(pair, 1000, guest.kernel)
      if piece.isEmpty { break }
      got += piece
      answer = guest.goOn()
    }
    if got.count < large.count { got += try Self.shown(pair, large.count - got.count, guest.kernel) }
    #expect(answer == .value(60_000))
    #expect(got == large)
    bridge.close()
    #expect(guest.read(number).0 == .value(0))
    #expect(try guest.write(number, [1]) == .error(.inputOutput))
    try guest.task.descriptors.close(number)
    #expect(guest.kernel.terminals.indices == [])
  }

  @Test("a host's end that hangs up hangs the sandbox's up")
  func hangUp() throws {
    let guest = try Guest()
    var pair: HostPair? = try HostPair()
    guard let near = try pair?.near.duplicate() else { return }
    let bridge = try TerminalBridge(guest.kernel.terminals, owning: near, guest.kernel.hostEvents)
    let number = try guest.task.descriptors.add(bridge.open(flags: 2), closesOnExec: false)
    #expect(guest.read(number).0 == .blocked)
    pair = nil
    let end = guest.kernel.now + 120_000_000_000
    while !bridge.hasEnded, guest.kernel.now < end { guest.kernel.hostEvents.wait(milliseconds: 10) { _, _ in } }
    #expect(bridge.hasEnded)
    #expect(guest.goOn() == .value(0))
  }

  @Test("a stream of the host is read and written as it comes, and never waited for")
  func stream() throws {
    let guest = try Guest()
    let ends = try DescriptorPair.pipe().release()
    let reading = HostStreamFile(
      owning: FileDescriptor(owning: ends.first), flags: 0, guest.kernel.hostEvents)
    let number = try guest.task.descriptors.add(reading, closesOnExec: false)
    #expect(reading.inode?.kind == .fifo)
    #expect(guest.read(number).0 == .blocked)
    try File.writeAll(ends.second, [1, 2, 3])
    let end = guest.kernel.now + 120_000_000_000
    while guest.kernel.ready.isEmpty, guest.kernel.now < end {
      guest.kernel.hostEvents.wait(milliseconds: 10) { _, _ in }
    }
    #expect(guest.goOnReading() == (.value(3), [1, 2, 3]))
    _ = systemCall(Int(SYS_close), word(ends.second))
    #expect(guest.read(number).0 == .value(0))
    #expect(reading.readiness.contains(.hangup))
  }
}
