/// Writes a layer as records for a pipe. Little-endian; every record is a type (1 byte), a length (4) and that many bytes.
///
/// The stream: the eight bytes `ImLayer1`, entries, each file's followed by data and holes that add up to its size, and one
/// end record, or a failure record where the worker gives up.
public struct LayerStreamEncoder: Sendable {
  static let magic = Array("ImLayer1".utf8)
  enum RecordType: UInt8 {
    case entry = 1
    case data, hole, end, failure
  }
  /// The largest data record.
  static let maximumData = 1 << 20
  /// Beside attributes an entry holds two paths and a few numbers.
  static func maximumEntry(_ limits: LayerLimits) -> Int {
    2 * limits.pathLength + limits.attributeBytes + 6 * limits.attributes + 128
  }

  /// What is to be written to the pipe; the caller takes it and calls `removeAll`.
  public private(set) var bytes: [UInt8] = magic
  public let limits: LayerLimits
  public private(set) var entryCount: UInt64 = 0
  /// Bytes of contents, holes not counted.
  public private(set) var totalBytes: Int64 = 0
  /// What the last file still lacks.
  private var remaining: Int64 = 0

  public init(limits: LayerLimits = LayerLimits()) { self.limits = limits }

  /// Forgets the bytes that were written; the room stays.
  public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

  public mutating func entry(_ record: LayerRecord) throws(FormatError) {
    try record.check(limits)
    guard remaining == 0 else { throw FormatError("the file before lacks \(remaining) bytes", offending: record.name) }
    guard entryCount < UInt64(limits.entries) else {
      throw FormatError("the layer has more than \(limits.entries) entries", offending: record.name)
    }
    entryCount += 1
    remaining = record.size
    let start = open(.entry)
    bytes.append(record.kind.rawValue)
    bytes.appendLittleEndian(record.mode)
    bytes.appendLittleEndian(record.uid)
    bytes.appendLittleEndian(record.gid)
    bytes.appendLittleEndian(record.modified)
    bytes.appendLittleEndian(record.modifiedNanoseconds)
    bytes.appendLittleEndian(record.size)
    bytes.appendLittleEndian(record.deviceMajor)
    bytes.appendLittleEndian(record.deviceMinor)
    append(counted16: record.path)
    append(counted16: record.target)
    bytes.appendLittleEndian(UInt16(record.attributes.count))
    for attribute in record.attributes {
      append(counted16: attribute.name)
      bytes.appendLittleEndian(UInt32(attribute.value.count))
      bytes += attribute.value
    }
    close(start)
  }

  /// The next contents of the file under way.
  public mutating func data(_ contents: Span<UInt8>) throws(FormatError) {
    var start = 0
    guard Int64(contents.count) <= remaining else { throw FormatError("a file has more contents than its size") }
    guard Int64(contents.count) <= limits.totalBytes - totalBytes else {
      throw FormatError("the layer has more than \(limits.totalBytes) bytes of contents")
    }
    totalBytes += Int64(contents.count)
    remaining -= Int64(contents.count)
    while start < contents.count {
      let count = min(Self.maximumData, contents.count - start)
      bytes.append(RecordType.data.rawValue)
      bytes.appendLittleEndian(UInt32(count))
      bytes.append(contentsOf: start..<start + count, of: contents)
      start += count
    }
  }

  /// A run of zeros that need no room in the file under way.
  public mutating func hole(_ length: Int64) throws(FormatError) {
    guard length >= 0, length <= remaining else { throw FormatError("a file has more contents than its size") }
    guard length > 0 else { return }
    remaining -= length
    let start = open(.hole)
    bytes.appendLittleEndian(length)
    close(start)
  }

  /// - Parameter digest: the SHA-256 of the tar that the layer came from, which is its diff id.
  public mutating func end(digest: Digest) throws(FormatError) {
    guard remaining == 0 else { throw FormatError("the last file lacks \(remaining) bytes") }
    let start = open(.end)
    bytes += digest.bytes
    bytes.appendLittleEndian(entryCount)
    bytes.appendLittleEndian(UInt64(totalBytes))
    close(start)
  }

  /// Says why there will be no more; at most 1024 bytes of it are kept.
  public mutating func failure(_ message: String) {
    let start = open(.failure)
    bytes += message.utf8.prefix(1024)
    close(start)
  }

  private mutating func append(counted16 text: [UInt8]) {
    bytes.appendLittleEndian(UInt16(text.count))
    bytes += text
  }

  private mutating func open(_ type: RecordType) -> Int {
    bytes.append(type.rawValue)
    bytes.appendLittleEndian(UInt32(0))
    return bytes.count
  }

  private mutating func close(_ start: Int) {
    let length = UInt32(bytes.count - start)
    for index in 0..<4 { bytes[start - 4 + index] = UInt8(truncatingIfNeeded: length >> UInt32(8 * index)) }
  }
}
