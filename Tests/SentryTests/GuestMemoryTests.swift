import CLinux
import Linux
import SentryABI
import SentryMemory
import Testing

/// A process may be its own guest: the kernel copies from where it is told.
@Suite("A guest's memory")
struct GuestMemoryTests {
  /// Two pages, of which the second may be taken away.
  @safe final class Pages {
    let start: UnsafeMutableRawPointer
    init() throws {
      let mapped = unsafe mmap(nil, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      guard let base = unsafe mapped, UInt(bitPattern: base) != .max else { throw Errno.noMemory }
      unsafe start = base
    }
    deinit { unsafe munmap(start, 8192) }
    func dropSecond() { unsafe munmap(start + 4096, 4096) }
    func address(_ offset: Int = 0) -> GuestAddress { unsafe GuestAddress(UInt64(UInt(bitPattern: start + offset))) }
    subscript(range: Range<Int>) -> [UInt8] {
      range.map { unsafe start.load(fromByteOffset: $0, as: UInt8.self) }
    }
  }
  let memory = GuestMemory(process: getpid())

  @Test("values and bytes go both ways")
  func values() throws {
    let pages = try Pages()
    try memory.store(UInt64(0x1122_3344_5566_7788), at: pages.address())
    #expect(try memory.load(pages.address(), as: UInt64.self) == 0x1122_3344_5566_7788)
    try memory.store(UInt32(7), at: pages.address())
    #expect(try memory.bytes(pages.address(), count: 8) == [7, 0, 0, 0, 0x44, 0x33, 0x22, 0x11])
    #expect(pages[0..<8] == [7, 0, 0, 0, 0x44, 0x33, 0x22, 0x11])
  }

  @Test("a bad pointer is EFAULT, also where a sum wraps", arguments: [0, 8, .max, .max - 3, 1 << 63] as [UInt64])
  func bad(bits: UInt64) {
    #expect(throws: Errno.badAddress) { try memory.load(GuestAddress(bits), as: UInt64.self) }
    #expect(throws: Errno.badAddress) { try memory.string(GuestAddress(bits)) }
  }

  @Test("a string ends at its NUL though the page after it is not there")
  func string() throws {
    let pages = try Pages()
    try memory.store([UInt8](repeating: 0x61, count: 4096), at: pages.address())
    pages.dropSecond()
    #expect(throws: Errno.badAddress) { try memory.string(pages.address(4000)) }
    try memory.store([0] as [UInt8], at: pages.address(4095))
    #expect(try memory.string(pages.address(4000)) == [UInt8](repeating: 0x61, count: 95))
    #expect(throws: Errno.nameTooLong) { try memory.string(pages.address(4000), limit: 95) }
  }

  @Test("a vector is filled from the front, and stops where memory does")
  func vector() throws {
    let pages = try Pages()
    var buffer = GuestBuffer(
      memory,
      [
        .init(address: pages.address(), count: 3), .init(address: pages.address(5), count: 0),
        .init(address: pages.address(6), count: 4),
      ])
    #expect(buffer.remaining == 7)
    var count = try buffer.put([1, 2])
    #expect(count == 2)
    count = try buffer.put([3, 4, 5])
    #expect(count == 3)
    #expect(pages[0..<10] == [1, 2, 3, 0, 0, 0, 4, 5, 0, 0])
    #expect(buffer.remaining == 2 && buffer.moved == 5)
    var bad = GuestBuffer(
      memory, [.init(address: pages.address(), count: 2), .init(address: GuestAddress(8), count: 2)])
    count = try bad.put([9, 9, 9])
    #expect(count == 2)
    #expect(throws: Errno.badAddress) { try bad.put([9]) }
  }

  @Test("the longest transfer is Linux's, and an iovec of negative lengths or too many parts is refused")
  func bounds() throws {
    let pages = try Pages()
    let whole = GuestBuffer(
      memory, [.init(address: pages.address(), count: .max), .init(address: pages.address(), count: .max)])
    #expect(whole.remaining == 0x7fff_f000)
    try memory.store([pages.address().bits, .max], at: pages.address(64))
    #expect(throws: Errno.invalid) { try GuestBuffer(memory, vector: pages.address(64), count: 1) }
    #expect(throws: Errno.invalid) { try GuestBuffer(memory, vector: pages.address(64), count: 1025) }
    #expect(throws: Errno.badAddress) { try GuestBuffer(memory, vector: GuestAddress(8), count: 1) }
  }
}

extension GuestMemory {
  fileprivate func store(_ words: [UInt64], at address: GuestAddress) throws(Errno) {
    for (index, word) in words.enumerated() { try store(word, at: address.advanced(by: 8 * index)) }
  }
}
