import Formats

/// A path beneath a folder as the kernel has it: names of any bytes but NUL and "/", none of them empty, "." or "..".
/// The empty path is the folder itself.
public struct RelativePath: Hashable, Sendable, Comparable {
  public let bytes: [UInt8]

  public static let root = RelativePath(unchecked: [])
  private init(unchecked bytes: [UInt8]) { self.bytes = bytes }

  /// Nil for an absolute path, and for one with empty, "." or ".." parts or a NUL.
  public init?(_ bytes: [UInt8]) {
    if !bytes.isEmpty {
      for part in bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
        if part.isEmpty || part.elementsEqual(".".utf8) || part.elementsEqual("..".utf8) { return nil }
      }
    }
    if bytes.contains(0) { return nil }
    self.bytes = bytes
  }

  /// A name beneath this path; the kernel's directory listings hold no other names.
  package func appending(_ name: [UInt8]) -> RelativePath {
    RelativePath(unchecked: bytes.isEmpty ? name : bytes + [UInt8(ascii: "/")] + name)
  }

  public var isRoot: Bool { bytes.isEmpty }
  public var parent: RelativePath {
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return .root }
    return RelativePath(unchecked: Array(bytes[..<slash]))
  }
  public var name: [UInt8] {
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return bytes }
    return Array(bytes[(slash + 1)...])
  }
  public var depth: Int { bytes.isEmpty ? 0 : bytes.count { $0 == UInt8(ascii: "/") } + 1 }

  /// Whether this is `other` or lies beneath it.
  package func isAtOrBeneath(_ other: RelativePath) -> Bool {
    if other.isRoot || bytes == other.bytes { return true }
    return bytes.count > other.bytes.count && bytes.starts(with: other.bytes)
      && bytes[other.bytes.count] == UInt8(ascii: "/")
  }

  /// In the order of a walk: a folder comes before what is in it.
  public static func < (a: RelativePath, b: RelativePath) -> Bool { a.bytes.lexicographicallyPrecedes(b.bytes) }

  /// As text for a machine; bytes that are not UTF-8 become U+FFFD.
  public var text: String { String(decoding: bytes, as: UTF8.self) }
  /// Whether `text` says it exactly.
  public var isText: Bool { Array(text.utf8) == bytes }

  /// As text for a terminal: nothing in it acts on one.
  public var shown: String { RelativePath.shown(bytes) }

  package static func shown(_ bytes: [UInt8]) -> String {
    // `presentable` shortens at 64 characters: a path is shown in pieces.
    var result = ""
    var rest = Substring(String(decoding: bytes, as: UTF8.self))
    while !rest.isEmpty {
      result += FormatError.presentable(String(rest.prefix(48)))
      rest = rest.dropFirst(48)
    }
    return result
  }
}
