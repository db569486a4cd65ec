/// A value of a TOML document with the keys that lead to it: typed access whose errors say where,
/// `policy.toml:12: limits.memory: "12 parrots" is not a size`.
///
/// `optional…` accessors return nil for a key that is absent; a value of another kind is always an error.
public struct TOMLNode: Sendable {
  public let value: TOMLValue
  /// The line in the text, counted from 1.
  public let line: Int
  let path: NodePath
  let source: String

  /// Reads a whole document.
  /// - Parameter source: the document's name in errors (its path).
  public static func parse(_ bytes: Span<UInt8>, source: String) throws(FormatError) -> TOMLNode {
    do {
      var parser = try TOMLParser(bytes)
      return TOMLNode(value: .table(try parser.document()), line: 1, path: .root, source: source)
    } catch { throw error.from(source) }
  }

  public static func parse(_ bytes: [UInt8], source: String) throws(FormatError) -> TOMLNode {
    try parse(bytes.span, source: source)
  }

  /// `limits.memory`; empty at the root.
  public var keyPath: String { path.text }

  /// An error about this value: its line, its key path and itself as the offending text.
  public func failure(_ problem: String) -> FormatError {
    let offending: String =
      switch value {
      case .string(let text), .dateTime(let text): text
      case .integer(let number): String(number)
      case .double(let number): number.description
      case .bool(let value): value ? "true" : "false"
      case .array, .table: ""
      }
    return FormatError(problem, offending: offending, at: .line(line), keyPath: path.text, source: source)
  }

  // MARK: This value

  public func string() throws(FormatError) -> String {
    guard case .string(let text) = value else { throw mismatch("a string") }
    return text
  }

  public func bool() throws(FormatError) -> Bool {
    guard case .bool(let value) = value else { throw mismatch("true or false") }
    return value
  }

  public func double() throws(FormatError) -> Double {
    switch value {
    case .double(let number): return number
    case .integer(let number): return Double(number)
    default: throw mismatch("a number")
    }
  }

  public func integer<Number: FixedWidthInteger>(_ type: Number.Type = Number.self) throws(FormatError) -> Number {
    guard case .integer(let number) = value else { throw mismatch("an integer") }
    guard let number = Number(exactly: number) else {
      throw failure("is not between \(Number.min) and \(Number.max)")
    }
    return number
  }

  public func int() throws(FormatError) -> Int { try integer(Int.self) }

  public func table() throws(FormatError) -> TOMLTable {
    guard case .table(let table) = value else { throw mismatch("a table") }
    return table
  }

  public func elements() throws(FormatError) -> [TOMLNode] {
    guard case .array(let items) = value else { throw mismatch("an array") }
    return items.enumerated().map { index, item in
      TOMLNode(value: item.value, line: item.line, path: .index(path, index), source: source)
    }
  }

  public func strings() throws(FormatError) -> [String] {
    guard case .array = value else { throw mismatch("an array of strings") }
    var result: [String] = []
    for node in try elements() { result.append(try node.string()) }
    return result
  }

  /// The table's entries as nodes, in order.
  public func members() throws(FormatError) -> [(key: String, node: TOMLNode)] {
    try table().entries.map { entry in (entry.key, node(entry.key, entry.item)) }
  }

  /// Refuses, by name and line, the first entry whose key is not in the list.
  public func refuseUnknownKeys(allowed: [String]) throws(FormatError) {
    for entry in try table().entries where !allowed.contains(entry.key) {
      throw FormatError(
        "is not a key known here", offending: entry.key, at: .line(entry.item.line), keyPath: path.text, source: source)
    }
  }

  // MARK: Entries

  public func optional(_ key: String) throws(FormatError) -> TOMLNode? {
    try table()[key].map { node(key, $0) }
  }

  public func required(_ key: String) throws(FormatError) -> TOMLNode {
    if let node = try optional(key) { return node }
    throw FormatError(
      "is missing and must be there", offending: key, at: .line(line), keyPath: path.text, source: source)
  }

  public func string(_ key: String) throws(FormatError) -> String { try required(key).string() }
  public func optionalString(_ key: String) throws(FormatError) -> String? { try optional(key)?.string() }
  public func bool(_ key: String) throws(FormatError) -> Bool { try required(key).bool() }
  public func optionalBool(_ key: String) throws(FormatError) -> Bool? { try optional(key)?.bool() }
  public func int(_ key: String) throws(FormatError) -> Int { try required(key).int() }
  public func optionalInt(_ key: String) throws(FormatError) -> Int? { try optional(key)?.int() }
  public func double(_ key: String) throws(FormatError) -> Double { try required(key).double() }
  public func optionalDouble(_ key: String) throws(FormatError) -> Double? { try optional(key)?.double() }
  public func array(_ key: String) throws(FormatError) -> [TOMLNode] { try required(key).elements() }
  /// Empty where absent.
  public func optionalArray(_ key: String) throws(FormatError) -> [TOMLNode] { try optional(key)?.elements() ?? [] }
  public func strings(_ key: String) throws(FormatError) -> [String] { try required(key).strings() }
  public func optionalStrings(_ key: String) throws(FormatError) -> [String]? { try optional(key)?.strings() }

  private func node(_ key: String, _ item: TOMLItem) -> TOMLNode {
    TOMLNode(value: item.value, line: item.line, path: .key(path, key), source: source)
  }

  private func mismatch(_ wanted: String) -> FormatError {
    switch value {
    case .array, .table: failure("must be \(wanted), not \(value.kind)")
    default: failure("is \(value.kind) where \(wanted) should be")
    }
  }
}
