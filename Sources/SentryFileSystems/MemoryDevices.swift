import CLinux
public import Linux
import SentryABI
public import SentryFiles
public import SentryMemory

/// null, zero, full, random and urandom (null(4), full(4), random(4)).
public final class MemoryDevices: OpenFile {
  private enum Kind { case null, zero, full, random }
  private let kind: Kind
  private var memory: FileDescriptor?

  private init(_ kind: Kind, _ flags: Int32) {
    self.kind = kind
    super.init(flags: flags)
  }

  /// Major number 1, "memory devices".
  public static func add(to special: SpecialFiles) {
    for (minor, kind) in [(3, Kind.null), (5, .zero), (7, .full), (8, .random), (9, .random)] {
      special.addCharacterDevice(major: 1, minor: UInt32(minor)) { (_, flags, _, _) throws(Errno) -> OpenFile in
        MemoryDevices(kind, flags)
      }
    }
  }

  /// Their nodes, and the links that every /dev has, in a directory of memory.
  public static func addNodes(to directory: Inode) throws(Errno) {
    for (name, minor) in [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)] as [(String, UInt32)] {
      _ = try directory.create(
        Array(name.utf8), NewFile(kind: .characterDevice, permissions: 0o666, special: Device.number(1, minor)))
    }
    for (name, text) in [
      ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
      ("stderr", "/proc/self/fd/2"),
    ] {
      _ = try directory.createLink(
        Array(name.utf8), to: Array(text.utf8), NewFile(kind: .symbolicLink, permissions: 0o777))
    }
  }

  public override func read(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    if kind == .null { return 0 }
    var done = 0
    var piece = [UInt8](repeating: 0, count: min(buffer.remaining, 65536))
    while buffer.remaining > 0 {
      let count = min(piece.count, buffer.remaining)
      do throws(Errno) {
        if kind == .random { try Self.fill(&piece) }
        let moved = try unsafe piece.span.extracting(..<count).withUnsafeBytes { (bytes) throws(Errno) -> Int in
          try unsafe buffer.put(bytes)
        }
        done += moved
        if moved < count { break }
      } catch {
        if done > 0 { break }
        throw error
      }
    }
    return done
  }

  private static func fill(_ bytes: inout [UInt8]) throws(Errno) {
    var failure: Errno?
    var start = 0
    let count = bytes.count
    // SAFETY: at most the rest of the array is filled.
    unsafe bytes.withUnsafeMutableBytes { bytes in
      while start < count {
        let result = HostRandom.fill(UInt(bitPattern: bytes.baseAddress) &+ UInt(start), count - start)
        if result == -Int(EINTR) { continue }
        guard result > 0 else {
          failure = Errno(rawValue: Int32(truncatingIfNeeded: -result))
          return
        }
        start += result
      }
    }
    if let failure { throw failure }
  }

  public override func write(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    if kind == .full { throw .noSpace }
    let count = buffer.remaining
    // What is written to random(4) would only stir the host's pool: it is taken and left.
    buffer.skip(count)
    return count
  }

  public override func seek(to offset: Int64, from whence: Int32) throws(Errno) -> Int64 {
    if kind == .random { throw .illegalSeek }
    return 0
  }

  public override func bytes(at offset: Int64, count: Int) throws(Errno) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: kind == .null ? 0 : count)
    if kind == .random { try Self.fill(&bytes) }
    return bytes
  }
  public override func store(_ bytes: [UInt8], at offset: Int64?) throws(Errno) -> Int {
    if kind == .full { throw .noSpace }
    return bytes.count
  }

  /// Zero may be mapped: a memory file of holes.
  public override func hostDescriptor(writable: Bool) throws(Errno) -> Int32 {
    guard kind == .zero else { throw .noDevice }
    if let known = memory?.rawValue { return known }
    let made: FileDescriptor
    do throws(SystemError) { made = try MemoryFile.create("zero") } catch { throw error.errno }
    let number = made.rawValue
    try HostFiles.truncate(number, 1 << 46)
    memory = consume made
    return number
  }
}
