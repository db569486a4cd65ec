/// The system calls' numbers and names, per architecture: data in `SyscallTable+ARCHITECTURE.swift`, up to Linux 6.18.
public enum SyscallTable {
  /// The call's number as `seccomp_data.nr` has it (with the x32 bit for x32); nil where the architecture lacks the
  /// call or Immure has no table. For many names take a `SyscallIndex`.
  public static func number(of name: String, architecture: Architecture) -> UInt32? {
    var found: UInt32?
    forEach(architecture) { number, candidate in
      if equal(candidate, name.utf8.span) { found = number }
      return found == nil
    }
    return found
  }

  /// The first name of a call number (as `seccomp_data.nr` has it); nil where there is none.
  public static func name(of number: UInt32, architecture: Architecture) -> String? {
    var found: String?
    forEach(architecture) { candidate, name in
      if candidate == number { found = String(copying: name) }
      return found == nil
    }
    return found
  }

  /// Every call of an architecture, in ascending order of numbers; second names of a call follow its first.
  public static func calls(of architecture: Architecture) -> [(number: UInt32, name: String)] {
    var calls: [(number: UInt32, name: String)] = []
    forEach(architecture) { number, name in
      calls.append((number, String(copying: name)))
      return true
    }
    return calls
  }

  static func text(of architecture: Architecture) -> StaticString? {
    switch architecture {
    case .x86_64: x64
    case .x86: i386
    case .x32: x32
    case .arm64: arm64
    case .arm: arm
    case .riscv64: riscv64
    default: nil
    }
  }

  /// Walks the table until `body` returns false.
  static func forEach(_ architecture: Architecture, _ body: (UInt32, Span<UInt8>) -> Bool) {
    guard let text = text(of: architecture) else { return }
    let bytes = bytes(of: text)
    walk(bytes, architecture) { number, name in body(number, bytes.extracting(name)) }
  }

  @_lifetime(immortal)
  static func bytes(of text: StaticString) -> Span<UInt8> {
    // SAFETY: a static string's bytes live for ever and never change.
    let bytes = unsafe Span(_unsafeStart: text.utf8Start, count: text.utf8CodeUnitCount)
    return unsafe _overrideLifetime(bytes, copying: ())
  }

  /// Walks a table's text: each call's number, and where in the text its name stands, until `body` returns false.
  static func walk(_ bytes: Span<UInt8>, _ architecture: Architecture, _ body: (UInt32, Range<Int>) -> Bool) {
    let bias = architecture == .x32 ? Architecture.x32Bit : 0
    var next: UInt32 = 0
    var start = 0
    while start < bytes.count {
      var end = start
      while end < bytes.count, bytes[end] != UInt8(ascii: " "), bytes[end] != UInt8(ascii: "\n") { end += 1 }
      let word = start..<end
      start = end + 1
      if word.isEmpty { continue }
      switch bytes[word.lowerBound] {
      case UInt8(ascii: "0")...UInt8(ascii: "9"):
        next = 0
        for index in word { next = next * 10 + UInt32(bytes[index] - UInt8(ascii: "0")) }
      case UInt8(ascii: "="):
        if !body(bias | (next - 1), word.lowerBound + 1..<word.upperBound) { return }
      default:
        if !body(bias | next, word) { return }
        next += 1
      }
    }
  }

  static func equal(_ one: Span<UInt8>, _ other: Span<UInt8>) -> Bool {
    guard one.count == other.count else { return false }
    for index in one.indices where one[index] != other[index] { return false }
    return true
  }
}

extension String {
  fileprivate init(copying bytes: Span<UInt8>) {
    self.init()
    for index in bytes.indices { unicodeScalars.append(Unicode.Scalar(bytes[index])) }
  }
}

/// Name to number for many look-ups in one architecture: a hash table over the static text, made in about 10 us.
public struct SyscallIndex: Sendable {
  private struct Entry {
    var hash: UInt32
    var number: UInt32
    var name: StaticSlice
  }
  /// A piece of the table's text: where it starts and how long it is.
  private struct StaticSlice {
    var start: Int32
    var count: Int32
  }

  /// Position in `entries` plus 1, 0 where free; open addressing, at most half full.
  private var slots: [UInt16]
  private var entries: [Entry] = []
  private let text: StaticString
  public let architecture: Architecture

  /// nil for an architecture without a table.
  public init?(_ architecture: Architecture) {
    guard let text = SyscallTable.text(of: architecture) else { return nil }
    self.architecture = architecture
    self.text = text
    slots = [UInt16](repeating: 0, count: 1024)
    entries.reserveCapacity(512)
    var entries = entries
    var slots = slots
    let bytes = SyscallTable.bytes(of: text)
    SyscallTable.walk(bytes, architecture) { number, name in
      let hash = Self.hash(bytes.extracting(name))
      let slice = StaticSlice(start: Int32(name.lowerBound), count: Int32(name.count))
      entries.append(Entry(hash: hash, number: number, name: slice))
      var slot = Int(hash) & 1023
      while slots[slot] != 0 { slot = (slot + 1) & 1023 }
      slots[slot] = UInt16(entries.count)
      return true
    }
    self.entries = entries
    self.slots = slots
  }

  /// The call's number as `seccomp_data.nr` has it.
  public func number(of name: String) -> UInt32? {
    let wanted = name.utf8.span
    let hash = Self.hash(wanted)
    let bytes = SyscallTable.bytes(of: text)
    var slot = Int(hash) & 1023
    while slots[slot] != 0 {
      let entry = entries[Int(slots[slot]) - 1]
      let start = Int(entry.name.start)
      if entry.hash == hash,
        SyscallTable.equal(bytes.extracting(start..<start + Int(entry.name.count)), wanted)
      {
        return entry.number
      }
      slot = (slot + 1) & 1023
    }
    return nil
  }

  /// FNV-1a.
  private static func hash(_ bytes: Span<UInt8>) -> UInt32 {
    var hash: UInt32 = 2_166_136_261
    for index in bytes.indices { hash = (hash ^ UInt32(bytes[index])) &* 16_777_619 }
    return hash
  }
}
