import Foundation
import SentryMemory
import SentryPlatform
import Testing

/// Places in a guest's text that are led elsewhere; the test is its own guest.
@Suite("Call sites and their trampolines")
struct CallSiteTests {
  static let call: [UInt8] = [0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3]

  /// - Parameter number: what the call is said to be.
  static func site(_ code: [UInt8], number: Int32, end: Int = 7) -> CallSite? {
    // SAFETY: the bytes live while they are looked at.
    unsafe code.withUnsafeBytes { bytes in
      CallSite(
        end: UInt64(UInt(bitPattern: bytes.baseAddress) + UInt(end)), number: number, GuestMemory(process: getpid()))
    }
  }

  @Test("only a mov of the very number before the call makes one")
  func form() {
    #expect(Self.site(Self.call, number: 39) != nil)
    #expect(Self.site(Self.call, number: 40) == nil)
    #expect(Self.site([0x31, 0xc0, 0x90, 0x90, 0x90, 0x0f, 0x05, 0xc3], number: 0) == nil)
    #expect(Self.site([0xb8, 39, 0, 0, 0, 0xcd, 0x80, 0xc3], number: 39) == nil)
    #expect(CallSite(end: 7, number: 39, GuestMemory(process: getpid())) == nil)
    #expect(CallSite(end: 3, number: 39, GuestMemory(process: getpid())) == nil)
  }

  @Test("the places of C libraries that call any number are known, and nothing that is like them")
  func anyNumber() throws {
    let move: [UInt8] = [0x4c, 0x8b, 0x4c, 0x24, 0x08]
    let (call, more): ([UInt8], [UInt8]) = ([0x0f, 0x05], [0x48, 0x89, 0xca])
    let before = [UInt8](repeating: 0x90, count: 24)
    let seen = { (code: [UInt8]) -> (CallSite, Int)? in
      Self.site(before + code, number: 17, end: before.count + code.count).map { ($0, Int($0.call &- $0.start)) }
    }
    let (site, distance) = try #require(seen(move + call))
    #expect(distance == 5)
    let stub = try #require(Trampoline.stub(for: site, at: site.start &+ 4096))
    #expect(stub.count == Trampoline.size && Array(stub.prefix(5)) == move)
    #expect(seen(move + more + call)?.1 == 8)
    #expect(seen([0x4c, 0x89, 0x5c, 0x24, 0x08] + call)?.1 == 5)
    #expect(seen([0x4c, 0x8b, 0x4c, 0x24, 0x10] + call) == nil)
    #expect(seen(move + [0x48, 0x89, 0xcb] + call) == nil)
    #expect(seen(move + [0x90] + call) == nil)
    #expect(seen(move + [0xcd, 0x80]) == nil)
  }

  @Test("a C library's second site is found by its own number and with no prefix")
  func second() {
    let pread: [UInt8] = [0x90, 0xb8, 17, 0, 0, 0, 0x0f, 0x05]
    #expect(CallSite.others(of: 17, in: pread, from: 1000) == [1008])
    #expect(CallSite.others(of: 18, in: pread, from: 1000) == [])
    #expect(CallSite.others(of: 17, in: [0x41] + pread.dropFirst(), from: 1000) == [])
    #expect(CallSite.others(of: 17, in: Array(pread.dropLast()), from: 1000) == [])
    #expect(CallSite.others(of: 0, in: [0x90, 0x31, 0xc0, 0x0f, 0x05, 0x90], from: 16) == [21])
    #expect(CallSite.others(of: 0, in: [0x45, 0x31, 0xc0, 0x0f, 0x05, 0x90], from: 16) == [])
    #expect(CallSite.others(of: 17, in: [0x90, 0x31, 0xc0, 0x0f, 0x05, 0x90], from: 16) == [])
    #expect(CallSite.others(of: 0, in: [], from: 16) == [])
  }

  @Test("jumps reach two gigabytes and no further")
  func reach() throws {
    let site = try #require(Self.site(Self.call, number: 39))
    #expect(site.jump(to: site.start &+ 5) == [0xe9, 0, 0, 0, 0])
    #expect(site.jump(to: site.start &+ 5 &+ 0x7fff_ffff) == [0xe9, 0xff, 0xff, 0xff, 0x7f])
    #expect(site.jump(to: site.start &+ 5 &+ 0x8000_0000) == nil)
    #expect(site.jump(to: site.start &+ 5 &- 0x8000_0000) == [0xe9, 0, 0, 0, 0x80])
    #expect(site.jump(to: 8) == nil && site.jump(to: .max) == nil)
    #expect(Trampoline.word(0x10, for: site, at: 8) == nil && Trampoline.stub(for: site, at: .max) == nil)
  }

  @Test("a trampoline is of one size and comes back to its site")
  func code() throws {
    let site = try #require(Self.site(Self.call, number: 39))
    let place = site.start &+ 4096
    let word = try #require(Trampoline.word(0x5000_0001_0004, for: site, at: place))
    let stub = try #require(Trampoline.stub(for: site, at: place))
    #expect(word.count == Trampoline.size && stub.count == Trampoline.size)
    let target = { (code: [UInt8], end: Int) -> UInt64 in
      let distance = (0..<4).reduce(UInt32(0)) { $0 | UInt32(code[end - 4 + $1]) << UInt32(8 * $1) }
      return place &+ UInt64(end) &+ UInt64(bitPattern: Int64(Int32(bitPattern: distance)))
    }
    // Past the call with an answer, to the call without one.
    #expect(target(word, 21) == site.start &+ 7 && target(word, 31) == site.start &+ 5)
    #expect(target(stub, 12) == site.start &+ 5)
  }
}
