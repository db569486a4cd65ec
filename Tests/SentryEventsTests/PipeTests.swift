import CLinux
import Linux
import SentryABI
import SentryFiles
import SentryPipes
import SentryTasks
import SentryWait
import Testing

@Suite("Pipes")
struct PipeTests {
  @Test("bytes come out as they went in; the end is told when the last writer is gone")
  func stream() throws {
    let guest = try Guest()
    let (reading, writing) = try guest.pipe()
    #expect(try guest.write(writing, [1, 2, 3]) == .value(3))
    #expect(guest.read(reading, 2) == (.value(2), [1, 2]))
    #expect(guest.read(reading) == (.value(1), [3]))
    #expect(guest.read(reading).0 == .blocked)
    #expect(guest.goOn() == .blocked)
    let other = try Guest(beside: guest, id: 2)
    let copy = try other.task.descriptors.add(guest.file(writing), closesOnExec: false)
    try guest.task.descriptors.close(writing)
    _ = try other.write(copy, [9])
    #expect(guest.goOnReading() == (.value(1), [9]))
    #expect(guest.read(reading).0 == .blocked)
    try other.task.descriptors.close(copy)
    #expect(guest.goOn() == .value(0))
  }

  @Test("a large write goes on as there is room; a small one is not torn; without readers it fails")
  func writes() throws {
    let guest = try Guest()
    let (reading, writing) = try guest.pipe()
    let all = (0..<70_000).map { UInt8(truncatingIfNeeded: $0) }
    #expect(try guest.write(writing, all) == .blocked)
    let other = try Guest(beside: guest, id: 2)
    let copy = try other.task.descriptors.add(guest.file(reading), closesOnExec: false)
    var got = other.read(copy, 65536).1
    #expect(got.count == 65536)
    #expect(guest.goOn() == .value(70_000))
    got += other.read(copy, 65536).1
    #expect(got == all)
    // 64 KiB less 100: a write of 101 bytes waits, and one without waiting fails.
    #expect(try guest.write(writing, [UInt8](repeating: 1, count: 65436)) == .value(65436))
    guest.pipeFlags(writing, OpenFlags.nonBlocking)
    #expect(try guest.write(writing, [UInt8](repeating: 2, count: 101)) == .error(.again))
    #expect(try guest.write(writing, [UInt8](repeating: 2, count: 5000)) == .value(100))
    try guest.task.descriptors.close(reading)
    try other.task.descriptors.close(copy)
    #expect(try guest.write(writing, [1]) == .error(.brokenPipe))
    #expect(guest.read(writing).0 == .error(.badDescriptor))
  }

  @Test("pipe2 refuses what Linux refuses, and leaves nothing open")
  func bad() throws {
    let guest = try Guest()
    #expect(guest.call(Int(SYS_pipe2), guest.room(8), 1) == .error(.invalid))
    #expect(guest.call(Int(SYS_pipe), 8) == .error(.badAddress))
    #expect(guest.task.descriptors.numbers == [])
    guest.task.descriptors.limit = 1
    #expect(guest.call(Int(SYS_pipe), guest.room(8)) == .error(.tooManyFiles))
    #expect(guest.task.descriptors.numbers == [])
  }

  @Test("a FIFO's ends wait for each other")
  func fifo() throws {
    let pipe = Pipe()
    #expect(throws: Errno.noSuchDevice) { try PipeFile.open(fifo: pipe, flags: 1 | OpenFlags.nonBlocking) }
    let reader = try PipeFile.open(fifo: pipe, flags: 0)
    reader.retain()
    #expect(reader.isOpening)
    let writer = try PipeFile.open(fifo: pipe, flags: 1)
    writer.retain()
    #expect(!writer.isOpening && !reader.isOpening)
    writer.release()
    // It was opened, though it is closed again.
    #expect(!reader.isOpening && reader.readiness == .hangup)
    let eager = try PipeFile.open(fifo: pipe, flags: OpenFlags.nonBlocking)
    eager.retain()
    #expect(!eager.isOpening)
  }

  @Test("packets keep their bounds (O_DIRECT)")
  func packets() throws {
    let guest = try Guest()
    let (reading, writing) = try guest.pipe(OpenFlags.direct)
    _ = try guest.write(writing, [1, 2, 3])
    _ = try guest.write(writing, [4])
    #expect(guest.read(reading, 2) == (.value(2), [1, 2]))
    #expect(guest.read(reading) == (.value(1), [4]))
  }

  @Test("poll tells what is ready, waits for it, and gives up at its time")
  func poll() throws {
    let guest = try Guest()
    let (reading, writing) = try guest.pipe()
    func record(_ number: Int32, _ events: UInt16) -> [UInt8] {
      var bytes: [UInt8] = []
      bytes.append(little: UInt32(bitPattern: number))
      bytes.append(little: events)
      bytes.append(little: 0x7777 as UInt16)
      return bytes
    }
    let records = try guest.place(
      record(reading, 1) + record(writing, 5) + record(-1, 1) + record(99, 1))
    #expect(guest.call(Int(SYS_poll), records, 4, 0) == .value(2))
    let told = try guest.bytes(records, 32)
    #expect([6, 14, 22, 30].map { told.little16($0) } == [0, 4, 0, 0x20])
    let one = try guest.place(record(reading, 1))
    #expect(guest.call(Int(SYS_poll), one, 1, UInt64(-1 as Int32)) == .blocked)
    let other = try Guest(beside: guest, id: 2)
    let copy = try other.task.descriptors.add(guest.file(writing), closesOnExec: false)
    _ = try other.write(copy, [1])
    #expect(guest.goOn() == .value(1))
    #expect(try guest.bytes(one, 8).little16(6) == 1)
    _ = guest.read(reading)
    #expect(guest.call(Int(SYS_poll), one, 1, 1) == .blocked)
    guest.kernel.deadlines.fire(now: .max)
    while guest.kernel.now < guest.task.parked?.deadline ?? 0 {}
    #expect(guest.goOn() == .value(0))
    #expect(guest.call(Int(SYS_poll), 8, 1, 0) == .error(.badAddress))
    #expect(guest.call(Int(SYS_poll), one, 1025, 0) == .error(.invalid))
  }

  @Test("select answers in its sets and gives back the time that is left")
  func select() throws {
    let guest = try Guest()
    let (reading, writing) = try guest.pipe()
    let read = try guest.place([UInt8](repeating: 0xff, count: 1) + [UInt8](repeating: 0, count: 7))
    #expect(guest.call(Int(SYS_select), 8, read, 0, 0, guest.room(16)) == .error(.badDescriptor))
    let reads = try guest.place([1 << UInt8(reading), 0, 0, 0, 0, 0, 0, 0])
    let writes = try guest.place([1 << UInt8(writing), 0, 0, 0, 0, 0, 0, 0])
    #expect(guest.call(Int(SYS_select), 8, reads, writes, 0, 0) == .value(1))
    #expect(try guest.bytes(reads, 1) == [0] && guest.bytes(writes, 1) == [1 << UInt8(writing)])
    #expect(guest.call(Int(SYS_select), UInt64(-1 as Int32), 0, 0, 0, 0) == .error(.invalid))
    let time = try guest.place([5] + [UInt8](repeating: 0, count: 15))
    let set = try guest.place([1 << UInt8(reading), 0, 0, 0, 0, 0, 0, 0])
    #expect(guest.call(Int(SYS_pselect6), 8, set, 0, 0, time, 0) == .blocked)
    let other = try Guest(beside: guest, id: 2)
    let copy = try other.task.descriptors.add(guest.file(writing), closesOnExec: false)
    _ = try other.write(copy, [1])
    #expect(guest.goOn() == .value(1))
    #expect(try guest.bytes(time, 1) == [4])
  }
}

extension Guest {
  func pipeFlags(_ number: Int32, _ flags: Int32) { do { try file(number).flags |= flags } catch {} }
}

func == (one: (Guest.Answer, [UInt8]), other: (Guest.Answer, [UInt8])) -> Bool { one.0 == other.0 && one.1 == other.1 }
