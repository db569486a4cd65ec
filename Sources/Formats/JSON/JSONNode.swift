/// A value of a JSON document together with the keys that lead to it: typed access whose errors say where.
///
///     let root = try JSONNode.parse(bytes, source: "config.json")
///     let version = try root.string("ociVersion")
///     for mount in try root.optionalArray("mounts") { … try mount.string("destination") … }
///
/// `optional…` accessors take an absent key and `null` alike as absent (as every Go program writes an empty field); the
/// others demand the key. A value of another kind is always an error.
public struct JSONNode: Sendable {
  public let value: JSONValue
  let path: NodePath
  let source: String

  /// - Parameter source: the document's name in errors ("config.json", a path).
  public init(_ value: JSONValue, source: String = "") {
    self.init(value, path: .root, source: source)
  }

  init(_ value: JSONValue, path: NodePath, source: String) {
    self.value = value
    self.path = path
    self.source = source
  }

  public static func parse(_ bytes: Span<UInt8>, source: String) throws(FormatError) -> JSONNode {
    do { return JSONNode(try JSONValue.parse(bytes), source: source) } catch { throw error.from(source) }
  }

  public static func parse(_ bytes: [UInt8], source: String) throws(FormatError) -> JSONNode {
    try parse(bytes.span, source: source)
  }

  /// `process.args[2]`; empty at the root.
  public var keyPath: String { path.text }

  /// An error about this value: its key path and itself as the offending text.
  public func failure(_ problem: String) -> FormatError {
    let offending: String =
      switch value {
      case .string(let text): text
      case .array, .object: ""
      default: value.text()
      }
    return FormatError(problem, offending: offending, keyPath: path.text, source: source)
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
    case .unsigned(let number): return Double(number)
    default: throw mismatch("a number")
    }
  }

  /// An integer of the type asked for; one that does not fit is an error, as is a fraction.
  public func integer<Number: FixedWidthInteger>(_ type: Number.Type = Number.self) throws(FormatError) -> Number {
    let number: Number?
    switch value {
    case .integer(let value): number = Number(exactly: value)
    case .unsigned(let value): number = Number(exactly: value)
    case .double: throw failure("is not an integer of 64 bits")
    default: throw mismatch("an integer")
    }
    guard let number else { throw failure("is not between \(Number.min) and \(Number.max)") }
    return number
  }

  public func int() throws(FormatError) -> Int { try integer(Int.self) }

  public func object() throws(FormatError) -> JSONObject {
    guard case .object(let object) = value else { throw mismatch("an object") }
    return object
  }

  public func elements() throws(FormatError) -> [JSONNode] {
    guard case .array(let values) = value else { throw mismatch("an array") }
    return values.enumerated().map { JSONNode($1, path: .index(path, $0), source: source) }
  }

  public func strings() throws(FormatError) -> [String] {
    guard case .array(let values) = value else { throw mismatch("an array of strings") }
    var result: [String] = []
    result.reserveCapacity(values.count)
    for (index, value) in values.enumerated() {
      guard case .string(let text) = value else {
        throw JSONNode(value, path: .index(path, index), source: source).mismatch("a string")
      }
      result.append(text)
    }
    return result
  }

  /// The object's members as nodes, in order.
  public func members() throws(FormatError) -> [(key: String, node: JSONNode)] {
    try object().members.map { ($0.key, JSONNode($0.value, path: .key(path, $0.key), source: source)) }
  }

  /// An object all of whose values are strings, in order.
  public func stringMap() throws(FormatError) -> [(key: String, value: String)] {
    var result: [(key: String, value: String)] = []
    for (key, node) in try members() { result.append((key, try node.string())) }
    return result
  }

  /// Refuses, by name, the first member whose key is not in the list.
  public func refuseUnknownKeys(allowed: [String]) throws(FormatError) {
    for member in try object().members where !allowed.contains(member.key) {
      throw FormatError("is not a field known here", offending: member.key, keyPath: path.text, source: source)
    }
  }

  /// The keys that are not in the list, in order.
  public func unknownKeys(allowed: [String]) throws(FormatError) -> [String] {
    try object().members.lazy.map(\.key).filter { !allowed.contains($0) }
  }

  // MARK: Members

  /// The member, or nil where it is absent or null; an error where this is not an object.
  public func optional(_ key: String) throws(FormatError) -> JSONNode? {
    guard let value = try object()[key], value != .null else { return nil }
    return JSONNode(value, path: .key(path, key), source: source)
  }

  public func required(_ key: String) throws(FormatError) -> JSONNode {
    if let node = try optional(key) { return node }
    throw FormatError(
      "is missing and must be there", offending: key, keyPath: path.text, source: source)
  }

  public func string(_ key: String) throws(FormatError) -> String { try required(key).string() }
  public func optionalString(_ key: String) throws(FormatError) -> String? { try optional(key)?.string() }
  public func bool(_ key: String) throws(FormatError) -> Bool { try required(key).bool() }
  public func optionalBool(_ key: String) throws(FormatError) -> Bool? { try optional(key)?.bool() }
  public func int(_ key: String) throws(FormatError) -> Int { try required(key).int() }
  public func optionalInt(_ key: String) throws(FormatError) -> Int? { try optional(key)?.int() }
  public func double(_ key: String) throws(FormatError) -> Double { try required(key).double() }
  public func optionalDouble(_ key: String) throws(FormatError) -> Double? { try optional(key)?.double() }

  public func integer<Number: FixedWidthInteger>(
    _ key: String, _ type: Number.Type = Number.self
  ) throws(FormatError) -> Number { try required(key).integer(type) }

  public func optionalInteger<Number: FixedWidthInteger>(
    _ key: String, _ type: Number.Type = Number.self
  ) throws(FormatError) -> Number? { try optional(key)?.integer(type) }

  public func array(_ key: String) throws(FormatError) -> [JSONNode] { try required(key).elements() }
  /// Empty where absent or null.
  public func optionalArray(_ key: String) throws(FormatError) -> [JSONNode] { try optional(key)?.elements() ?? [] }
  public func strings(_ key: String) throws(FormatError) -> [String] { try required(key).strings() }
  public func optionalStrings(_ key: String) throws(FormatError) -> [String]? { try optional(key)?.strings() }
  public func optionalStringMap(_ key: String) throws(FormatError) -> [(key: String, value: String)]? {
    try optional(key)?.stringMap()
  }

  private func mismatch(_ wanted: String) -> FormatError {
    switch value {
    case .array, .object, .null: failure("must be \(wanted), not \(value.kind)")
    default: failure("is \(value.kind) where \(wanted) should be")
    }
  }
}
