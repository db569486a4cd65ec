/// A TOML document as a tree (TOML 1.0.0), each value with the line it stands on.
public enum TOMLValue: Sendable {
  case string(String)
  case integer(Int64)
  case double(Double)
  case bool(Bool)
  /// A date, a time or both, as the text has it; checked against the calendar.
  case dateTime(String)
  case array([TOMLItem])
  case table(TOMLTable)

  /// What the value is, as an error message names it.
  public var kind: String {
    switch self {
    case .string: "a string"
    case .integer: "an integer"
    case .double: "a float"
    case .bool: "a boolean"
    case .dateTime: "a date or time"
    case .array: "an array"
    case .table: "a table"
    }
  }
}

/// A value and its line, counted from 1.
public struct TOMLItem: Sendable {
  public let value: TOMLValue
  public let line: Int
}

/// A table's entries in the order in which their keys first appear; no key occurs twice.
public struct TOMLTable: Sendable {
  public struct Entry: Sendable {
    public let key: String
    public let item: TOMLItem
  }
  public let entries: [Entry]

  public subscript(_ key: String) -> TOMLItem? { entries.first { $0.key.hasSameBytes(as: key) }?.item }
}
