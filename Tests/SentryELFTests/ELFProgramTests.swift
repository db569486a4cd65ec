import Formats
import Linux
import SentryELF
import Testing

/// An executable of one segment, for a test to spoil.
struct MadeELF {
  var bytes: [UInt8]

  init(programHeaders: Int = 1) {
    bytes = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 57 + programHeaders * 56)
    put(UInt16(2), at: 16)
    put(UInt16(62), at: 18)
    put(UInt64(0x40_1000), at: 24)
    put(UInt64(64), at: 32)
    put(UInt16(56), at: 54)
    put(UInt16(programHeaders), at: 56)
    put(UInt32(1), at: 64)
    put(UInt32(5), at: 68)
    put(UInt64(0), at: 72)
    put(UInt64(0x40_0000), at: 80)
    put(UInt64(0x2000), at: 96)
    put(UInt64(0x2800), at: 104)
    put(UInt64(0x1000), at: 112)
  }

  mutating func put(_ number: some FixedWidthInteger, at offset: Int) {
    for index in 0..<number.bitWidth / 8 { bytes[offset + index] = UInt8(truncatingIfNeeded: number >> (8 * index)) }
  }

  func read() throws(FormatError) -> ELFProgram {
    let place = try ELFProgram.programHeaders(bytes.span)
    guard place.upperBound <= bytes.count else { throw FormatError("is cut") }
    let table = Array(bytes[Int(place.lowerBound)..<Int(place.upperBound)])
    return try ELFProgram(bytes.span, table: table.span)
  }
}

@Suite("Executables")
struct ELFProgramTests {
  @Test("one of one segment")
  func one() throws {
    let program = try MadeELF().read()
    #expect(program.isFixed)
    #expect(program.entry == 0x40_1000)
    #expect(program.segments.count == 1)
    #expect(program.segments[0].protection == 5)
    #expect(program.headersAddress == 0x40_0040)
    #expect(program.span == 0x40_0000..<0x40_3000)
    #expect(program.wantsExecutableStack)
    #expect(program.interpreter == nil)
  }

  @Test("this machine's own shell names its loader")
  func real() throws {
    let bytes = try File.contents("/bin/sh")
    let place = try ELFProgram.programHeaders(bytes.span)
    let program = try ELFProgram(
      bytes.span, table: Array(bytes[Int(place.lowerBound)..<Int(place.upperBound)]).span)
    #expect(!program.isFixed)
    let name = try #require(program.interpreter)
    #expect(String(decoding: bytes[Int(name.lowerBound)..<Int(name.upperBound)], as: UTF8.self).hasPrefix("/lib"))
    #expect(!program.wantsExecutableStack)
    #expect(program.segments.count >= 3)
  }

  /// What to spoil, and where.
  static let wrong: [(offset: Int, value: UInt64, size: Int)] = [
    (0, 0, 1), (4, 1, 1), (5, 2, 1), (18, 183, 2), (16, 1, 2), (16, 4, 2), (54, 55, 2), (56, 0, 2), (56, 1171, 2),
    (32, .max, 8), (24, 0, 8), (24, 0x40_2800, 8), (72, 1, 8), (80, .max, 8), (80, 0x7fff_ffff_f000, 8),
    (104, .max, 8), (104, 0x1000, 8), (96, .max, 8), (72, 1 << 62, 8), (64, 2, 4),
  ]
  @Test("numbers that cannot be are refused", arguments: wrong)
  func refused(offset: Int, value: UInt64, size: Int) {
    var made = MadeELF()
    for index in 0..<size { made.bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    #expect(throws: FormatError.self) { try made.read() }
  }

  @Test("segments that overlap or go back are refused")
  func order() {
    var made = MadeELF(programHeaders: 2)
    for index in 0..<56 { made.bytes[120 + index] = made.bytes[64 + index] }
    #expect(throws: FormatError.self) { try made.read() }
    made.put(UInt64(0x50_0000), at: 120 + 16)
    #expect((try? made.read())?.segments.count == 2)
  }

  @Test("no change of a byte or two makes the reader or the plan trap")
  func changes() throws {
    var random: UInt64 = 0x9e37_79b9_7f4a_7c15
    var taken = 0
    for _ in 0..<4000 {
      var made = MadeELF(programHeaders: 3)
      for _ in 0..<3 {
        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        made.bytes[Int(random >> 33) % made.bytes.count] = UInt8(truncatingIfNeeded: random >> 20)
      }
      guard let program = try? made.read() else { continue }
      taken += 1
      if taken % 32 != 0 { continue }
      let who = LoadPlan.Identity(user: 0, effectiveUser: 0, group: 0, effectiveGroup: 0)
      let plan = try LoadPlan.encode(program, interpreter: program, prefix: [], who)
      #expect(plan.count == 48 + 2 * 48 + 2 * program.segments.count * 40)
    }
    #expect(taken > 200)
  }
}

@Suite("Scripts")
struct ScriptLineTests {
  static let lines: [(text: String, interpreter: String?, argument: String?)] = [
    ("#!/bin/sh\n", "/bin/sh", nil), ("#! \t/bin/sh  \n", "/bin/sh", nil),
    ("#!/usr/bin/env -S a b \nx", "/usr/bin/env", "-S a b"), ("#!/bin/sh", "/bin/sh", nil), ("#!\n/bin/sh", nil, nil),
    ("#! \n", nil, nil), ("#", nil, nil), ("", nil, nil), ("# !/bin/sh\n", nil, nil), ("#!/bin/sh\0x", "/bin/sh", nil),
  ]
  @Test("the first line names who reads it", arguments: lines)
  func line(text: String, interpreter: String?, argument: String?) {
    let found = ScriptLine(Array(text.utf8))
    #expect(found?.interpreter == interpreter.map { Array($0.utf8) })
    #expect(found?.argument == argument.map { Array($0.utf8) })
  }

  @Test("a name longer than the kernel reads is none, a longer argument is cut")
  func long() {
    #expect(ScriptLine(Array("#!/\(String(repeating: "x", count: 300))".utf8.prefix(256))) == nil)
    let cut = ScriptLine(Array("#!/bin/sh \(String(repeating: "x", count: 300))".utf8.prefix(256)))
    #expect(cut?.interpreter == Array("/bin/sh".utf8))
    #expect(cut?.argument?.count == 246)
  }
}

@Suite("Plans for the stub")
struct LoadPlanTests {
  @Test("numbers lie where guest/stub.c reads them")
  func layout() throws {
    let program = try MadeELF().read()
    let who = LoadPlan.Identity(user: 1, effectiveUser: 2, group: 3, effectiveGroup: 4, isSecure: true)
    var plan = try LoadPlan.encode(program, interpreter: nil, prefix: [Array("/bin/sh".utf8), [0x78]], who)
    LoadPlan.set(descriptors: [5], in: &plan)
    #expect(plan.count == 2064 + 10)
    #expect(LoadPlan.size == 2064 + 8192)
    let word = { (at: Int) in (0..<4).reduce(UInt32(0)) { $0 | UInt32(plan[at + $1]) << UInt32(8 * $1) } }
    #expect((0..<12).map { word($0 * 4) } == [1, 1, 2, 1, 1, 2, 3, 4, 1, 1, 0, 0])
    #expect(word(48) == 0x40_0000 && word(56) == 0x3000 && word(64) == 0x1000 && word(72) == 0x40_1000)
    #expect(word(80) == 0x40_0040 && word(88) == 5 && word(92) == 1)
    #expect(word(144) == 0x40_0000 && word(160) == 0x2000 && word(168) == 0x2800 && word(176) == 5)
    #expect(Array(plan[2064...]) == Array("/bin/sh\0x\0".utf8))
    LoadPlan.addAnswers(board: 7, to: &plan)
    #expect(word(12) == 3 && word(40) == 7)
  }

  @Test("without strings nothing is said behind the segments")
  func short() throws {
    let program = try MadeELF().read()
    let who = LoadPlan.Identity(user: 0, effectiveUser: 0, group: 0, effectiveGroup: 0)
    let plan = try LoadPlan.encode(program, interpreter: program, prefix: [], who)
    #expect(plan.count == 48 + 2 * 48 + 2 * 40)
  }

  @Test("more segments than there is room for, and longer strings, are refused")
  func limits() throws {
    var program = try MadeELF().read()
    let who = LoadPlan.Identity(user: 0, effectiveUser: 0, group: 0, effectiveGroup: 0)
    program.segments = [ELFProgram.Segment](repeating: program.segments[0], count: 49)
    #expect(throws: Errno.execFormat) { try LoadPlan.encode(program, interpreter: nil, prefix: [], who) }
    program.segments.removeLast(48)
    #expect(throws: Errno.tooBig) {
      try LoadPlan.encode(program, interpreter: nil, prefix: [[UInt8](repeating: 0x61, count: 8192)], who)
    }
  }
}
