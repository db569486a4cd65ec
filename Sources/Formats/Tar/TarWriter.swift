/// Writes the headers of a tar archive: ustar where it can say everything, with PAX records before it where it cannot
/// (long or non-ASCII names, large numbers, negative or fractional times, extended attributes).
///
///     out += try TarWriter.header(for: entry)
///     out += contents; out += TarWriter.padding(after: entry.size)
///     out += TarWriter.end
public enum TarWriter {
  /// Two zero blocks.
  public static let end = [UInt8](repeating: 0, count: 1024)

  /// The zeros that fill a file's last block.
  public static func padding(after size: Int64) -> [UInt8] {
    [UInt8](repeating: 0, count: Int((512 - size % 512) % 512))
  }

  /// The header block, after an extended header where one is needed.
  /// - Throws: `FormatError` where the entry itself makes no sense: no name, a NUL in it, a negative size.
  public static func header(for entry: TarEntry) throws(FormatError) -> [UInt8] {
    try header(for: entry, further: [], name: entry.path)
  }

  /// With further records, and with another name for readers that do not know them.
  static func header(
    for entry: TarEntry, further: [UInt8], name: [UInt8]
  ) throws(FormatError) -> [UInt8] {
    func wrong(_ problem: String) -> FormatError {
      FormatError(problem, offending: String(decoding: entry.path.prefix(256), as: UTF8.self))
    }
    guard !entry.path.isEmpty, !entry.path.contains(0), !entry.linkTarget.contains(0) else {
      throw wrong("is no name for a member of an archive")
    }
    guard entry.size >= 0, entry.kind == .file || entry.size == 0 else { throw wrong("has an impossible size") }
    // PAX has no record for device numbers; Linux's have 12 and 20 bits.
    guard entry.deviceMajor <= octalMaximum(8), entry.deviceMinor <= octalMaximum(8) else {
      throw wrong("has a device number too large for tar")
    }

    var path = name
    if entry.kind == .directory, path.last != UInt8(ascii: "/") { path.append(UInt8(ascii: "/")) }
    var records = further
    if !fitsName(path) || !isASCII(path) { append("path", path, to: &records) }
    if entry.linkTarget.count > 100 || !isASCII(entry.linkTarget) { append("linkpath", entry.linkTarget, to: &records) }
    if entry.size > octalMaximum(12) { append("size", Array(String(entry.size).utf8), to: &records) }
    if Int64(entry.uid) > octalMaximum(8) { append("uid", Array(String(entry.uid).utf8), to: &records) }
    if Int64(entry.gid) > octalMaximum(8) { append("gid", Array(String(entry.gid).utf8), to: &records) }
    if entry.modifiedNanoseconds != 0 || !(0...octalMaximum(12)).contains(entry.modified) {
      append("mtime", time(entry), to: &records)
    }
    for attribute in entry.attributes {
      append("SCHILY.xattr." + String(decoding: attribute.name, as: UTF8.self), attribute.value, to: &records)
    }

    var bytes: [UInt8] = []
    if !records.isEmpty {
      if String(validating: entry.path.span) == nil || String(validating: entry.linkTarget.span) == nil {
        append("hdrcharset", Array("BINARY".utf8), to: &records)
      }
      var extended = TarEntry(kind: .file, path: Array("PaxHeaders/".utf8) + path.suffix(80).filter { $0 < 0x80 })
      extended.size = Int64(records.count)
      bytes += block(extended, extended.path, UInt8(ascii: "x"))
      bytes += records
      bytes += padding(after: extended.size)
    }
    return bytes + block(entry, path, flag(entry.kind))
  }

  private static func flag(_ kind: TarEntry.Kind) -> UInt8 {
    switch kind {
    case .file: UInt8(ascii: "0")
    case .hardLink: UInt8(ascii: "1")
    case .symbolicLink: UInt8(ascii: "2")
    case .characterDevice: UInt8(ascii: "3")
    case .blockDevice: UInt8(ascii: "4")
    case .directory: UInt8(ascii: "5")
    case .fifo: UInt8(ascii: "6")
    }
  }

  /// POSIX.1-1988 ustar: what does not fit is cut or 0 here and stands in the extended header.
  private static func block(_ entry: TarEntry, _ path: [UInt8], _ flag: UInt8) -> [UInt8] {
    var block = [UInt8](repeating: 0, count: 512)
    func put(_ bytes: some Sequence<UInt8>, at start: Int) {
      for (index, byte) in bytes.enumerated() { block[start + index] = byte }
    }
    func put(octal number: Int64, at start: Int, width: Int) {
      let value = (0...octalMaximum(width)).contains(number) ? number : 0
      let digits = Array(String(value, radix: 8).utf8)
      put([UInt8](repeating: UInt8(ascii: "0"), count: width - 1 - digits.count) + digits, at: start)
    }
    if let (prefix, name) = split(path) {
      put(name, at: 0)
      put(prefix, at: 345)
    } else {
      put(path.prefix(100), at: 0)
    }
    put(octal: Int64(entry.mode & 0o7777), at: 100, width: 8)
    put(octal: Int64(entry.uid), at: 108, width: 8)
    put(octal: Int64(entry.gid), at: 116, width: 8)
    put(octal: entry.size, at: 124, width: 12)
    put(octal: entry.modified, at: 136, width: 12)
    put([UInt8](repeating: 0x20, count: 8), at: 148)
    block[156] = flag
    put(entry.linkTarget.prefix(100), at: 157)
    put("ustar\0".utf8, at: 257)
    put("00".utf8, at: 263)
    put(octal: Int64(entry.deviceMajor), at: 329, width: 8)
    put(octal: Int64(entry.deviceMinor), at: 337, width: 8)
    let sum = block.reduce(0) { $0 + Int64($1) }
    put(octal: sum, at: 148, width: 7)
    block[155] = 0x20
    return block
  }

  /// The largest number of a field whose last byte is a NUL.
  private static func octalMaximum(_ width: Int) -> Int64 { 1 << Int64(3 * (width - 1)) - 1 }

  private static func isASCII(_ text: [UInt8]) -> Bool { text.allSatisfy { $0 < 0x80 } }

  private static func fitsName(_ path: [UInt8]) -> Bool { split(path) != nil }

  /// Prefix and name around a slash, 155 and 100 bytes at most; nil where the path has no such slash.
  private static func split(_ path: [UInt8]) -> (prefix: ArraySlice<UInt8>, name: ArraySlice<UInt8>)? {
    if path.count <= 100 { return ([], path[...]) }
    guard path.count <= 256 else { return nil }
    for index in (path.count - 101)..<min(156, path.count - 1)
    where path[index] == UInt8(ascii: "/") && index > 0 {
      return (path[..<index], path[(index + 1)...])
    }
    return nil
  }

  private static func time(_ entry: TarEntry) -> [UInt8] {
    var (seconds, nanoseconds) = (entry.modified, Int64(entry.modifiedNanoseconds))
    let isNegative = seconds < 0
    if isNegative, nanoseconds > 0 {
      seconds += 1
      nanoseconds = 1_000_000_000 - nanoseconds
    }
    var text = (isNegative ? "-" : "") + String(seconds.magnitude)
    if nanoseconds > 0 {
      let digits = String(nanoseconds)
      text += "." + String(repeating: "0", count: 9 - digits.utf8.count) + digits
    }
    return Array(text.utf8)
  }

  /// A record whose length counts its own digits.
  static func append(_ key: String, _ value: [UInt8], to records: inout [UInt8]) {
    let rest = key.utf8.count + value.count + 3
    var length = rest + String(rest).utf8.count
    length = rest + String(length).utf8.count
    records += Array("\(length) \(key)=".utf8) + value + [UInt8(ascii: "\n")]
  }
}
