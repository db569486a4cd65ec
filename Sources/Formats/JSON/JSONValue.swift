/// A JSON document as a tree (RFC 8259). Integers that fit 64 bits are exact; every other number is a double.
public enum JSONValue: Sendable, Equatable {
  case null
  case bool(Bool)
  case integer(Int64)
  /// Only above `Int64.max`, so that equal numbers are equal values.
  case unsigned(UInt64)
  case double(Double)
  case string(String)
  case array([JSONValue])
  case object(JSONObject)

  /// An integer of any type that fits 64 bits.
  public init(_ number: UInt64) {
    self = Int64(exactly: number).map { .integer($0) } ?? .unsigned(number)
  }
  public init(_ number: Int) { self = .integer(Int64(number)) }

  public subscript(_ key: String) -> JSONValue? {
    if case .object(let object) = self { return object[key] }
    return nil
  }

  /// What the value is, as an error message names it.
  public var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .integer, .unsigned: "an integer"
    case .double: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
  ExpressibleByBooleanLiteral,
  ExpressibleByNilLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  public init(stringLiteral value: String) { self = .string(value) }
  public init(integerLiteral value: Int64) { self = .integer(value) }
  public init(floatLiteral value: Double) { self = .double(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(nilLiteral: ()) { self = .null }
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  /// A key given twice keeps its first place and its last value.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    var object = JSONObject()
    for (key, value) in elements { object[key] = value }
    self = .object(object)
  }
}

/// The members of a JSON object in the order of the text; no key occurs twice.
public struct JSONObject: Sendable, Equatable, RandomAccessCollection {
  public struct Member: Sendable, Equatable {
    public let key: String
    public var value: JSONValue
  }

  public private(set) var members: [Member]

  public init() { members = [] }

  /// For the reader, which has refused duplicates already.
  init(unique members: [Member]) { self.members = members }

  public var startIndex: Int { 0 }
  public var endIndex: Int { members.count }
  public subscript(position: Int) -> Member { members[position] }

  /// The value of a key, looked for linearly; assigning appends or replaces in place, nil removes.
  public subscript(_ key: String) -> JSONValue? {
    get { members.first { $0.key.hasSameBytes(as: key) }?.value }
    set {
      let place = members.firstIndex { $0.key.hasSameBytes(as: key) }
      switch (place, newValue) {
      case (let place?, let value?): members[place].value = value
      case (let place?, nil): members.remove(at: place)
      case (nil, let value?): members.append(Member(key: key, value: value))
      case (nil, nil): break
      }
    }
  }
}

extension String {
  /// Equal byte for byte. `==` alone also holds for texts that Unicode calls equivalent: U+212A, the Kelvin sign, is "K".
  func hasSameBytes(as other: String) -> Bool {
    self == other && utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8)
  }
}
