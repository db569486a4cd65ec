/// The name of content by its SHA-256 (image-spec, descriptor.md, "Digests"): `sha256:` and 64 lowercase digits.
public struct Digest: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// The 64 lowercase hexadecimal digits: safe as a path component.
  public let hex: String

  /// - Throws: `FormatError` for another algorithm (sha512 is refused by name) or digits that are not sha256's.
  public init(_ text: String) throws(FormatError) {
    guard !text.isEmpty else { throw FormatError("the digest is empty") }
    let bytes = Array(text.utf8)
    guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else {
      throw FormatError("is not a digest; sha256:HEX is one", offending: text)
    }
    switch bytes[..<colon] {
    case ArraySlice("sha256".utf8): break
    case ArraySlice("sha512".utf8), ArraySlice("sha384".utf8), ArraySlice("blake3".utf8):
      throw FormatError("is a digest of an algorithm that is not supported; only sha256 is", offending: text)
    default: throw FormatError("is not a digest; sha256:HEX is one", offending: text)
    }
    try self.init(hex: bytes[(colon + 1)...], of: text)
  }

  /// From the digits alone, as a store's file name has them.
  public init(hex: String) throws(FormatError) { try self.init(hex: Array(hex.utf8)[...], of: hex) }

  private init(hex digits: ArraySlice<UInt8>, of text: String) throws(FormatError) {
    let lowercase = digits.allSatisfy { $0.hexDigit != nil && !(UInt8(ascii: "A")...UInt8(ascii: "F")).contains($0) }
    guard digits.count == 64, lowercase else {
      throw FormatError("is not a sha256 digest: it wants 64 lowercase hexadecimal digits", offending: text)
    }
    hex = String(decoding: digits, as: UTF8.self)
  }

  /// From the 32 raw bytes of a SHA-256; nil for another count.
  public init?(bytes: Span<UInt8>) {
    guard bytes.count == 32 else { return nil }
    var digits: [UInt8] = []
    digits.reserveCapacity(64)
    for index in 0..<32 {
      for nibble in [bytes[index] >> 4, bytes[index] & 15] {
        digits.append(nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10)
      }
    }
    hex = String(decoding: digits, as: UTF8.self)
  }

  /// The digest of content that is small and all there.
  public static func of(_ content: Span<UInt8>) -> Digest { Digest(unchecked: SHA256.hash(content)) }
  public static func of(_ content: [UInt8]) -> Digest { of(content.span) }

  private init(unchecked hash: [UInt8]) {
    guard let digest = Digest(bytes: hash.span) else { preconditionFailure("SHA-256 is 32 bytes") }
    self = digest
  }

  /// The 32 raw bytes.
  public var bytes: [UInt8] {
    let digits = Array(hex.utf8)
    return stride(from: 0, to: digits.count, by: 2).map {
      (digits[$0].hexDigit ?? 0) << 4 | (digits[$0 + 1].hexDigit ?? 0)
    }
  }

  public var description: String { "sha256:" + hex }
  /// The first 12 digits, as listings show an image's id.
  public var short: String { String(hex.prefix(12)) }

  public static func < (left: Digest, right: Digest) -> Bool { left.hex < right.hex }
}
