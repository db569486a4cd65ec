/// A value as a person writes it, GVariant's text format (docs.gtk.org/glib/gvariant-text-format.html) as far as unit properties need it:
/// 'text', true, false, a number (int32), `uint64 5` and so on, and [ … ] of these, all of one type.
public enum BusText {
  public static let limit = 64 << 10

  public static func parse(_ text: String) throws(FormatError) -> BusValue {
    guard text.utf8.count <= limit else { throw FormatError("is longer than \(limit) bytes", offending: text) }
    var rest = text[...]
    let value = try value(&rest, depth: 0)
    skip(&rest)
    guard rest.isEmpty else { throw FormatError("stands behind the value", offending: String(rest)) }
    return value
  }

  private static func skip(_ rest: inout Substring) { rest = rest.drop { $0 == " " } }

  private static func value(_ rest: inout Substring, depth: Int) throws(FormatError) -> BusValue {
    skip(&rest)
    guard let first = rest.first, depth < 8 else { throw FormatError("is not a value", offending: String(rest)) }
    if first == "'" || first == "\"" { return .string(try quoted(&rest, first)) }
    if first == "[" { return try list(&rest, depth: depth) }
    let word = rest.prefix { $0 != " " && $0 != "," && $0 != "]" }
    rest = rest.dropFirst(word.count)
    switch word {
    case "true": return .boolean(true)
    case "false": return .boolean(false)
    case "byte", "int16", "uint16", "int32", "uint32", "int64", "uint64", "string", "objectpath", "boolean":
      return try typed(String(word), &rest, depth: depth)
    default:
      guard let number = Int32(word) else { throw FormatError("is not a value", offending: String(word)) }
      return .int32(number)
    }
  }

  private static func typed(_ type: String, _ rest: inout Substring, depth: Int) throws(FormatError) -> BusValue {
    skip(&rest)
    if let first = rest.first, first == "'" || first == "\"", type == "string" || type == "objectpath" {
      let text = try quoted(&rest, first)
      return type == "string" ? .string(text) : .objectPath(text)
    }
    let word = rest.prefix { $0 != " " && $0 != "," && $0 != "]" }
    rest = rest.dropFirst(word.count)
    func number<Number: FixedWidthInteger>(_ make: (Number) -> BusValue) throws(FormatError) -> BusValue {
      let isHexadecimal = word.hasPrefix("0x")
      guard let number = Number(isHexadecimal ? word.dropFirst(2) : word, radix: isHexadecimal ? 16 : 10) else {
        throw FormatError("is not of type \(type)", offending: String(word))
      }
      return make(number)
    }
    switch type {
    case "byte": return try number { .byte($0) }
    case "int16": return try number { .int16($0) }
    case "uint16": return try number { .uint16($0) }
    case "int32": return try number { .int32($0) }
    case "uint32": return try number { .uint32($0) }
    case "int64": return try number { .int64($0) }
    case "uint64": return try number { .uint64($0) }
    case "boolean" where word == "true" || word == "false": return .boolean(word == "true")
    default: throw FormatError("is not of type \(type)", offending: String(word))
    }
  }

  private static func quoted(_ rest: inout Substring, _ mark: Character) throws(FormatError) -> String {
    let whole = rest
    rest = rest.dropFirst()
    var text = ""
    while let next = rest.first, next != mark {
      rest = rest.dropFirst()
      guard next == "\\" else {
        text.append(next)
        continue
      }
      guard let escaped = rest.first, escaped == "\\" || escaped == "'" || escaped == "\"" else {
        throw FormatError("has an escape that is not \\\\, \\' or \\\"", offending: String(whole))
      }
      text.append(escaped)
      rest = rest.dropFirst()
    }
    guard rest.first == mark else { throw FormatError("does not end", offending: String(whole)) }
    rest = rest.dropFirst()
    return text
  }

  private static func list(_ rest: inout Substring, depth: Int) throws(FormatError) -> BusValue {
    let whole = rest
    rest = rest.dropFirst()
    var elements: [BusValue] = []
    while true {
      elements.append(try value(&rest, depth: depth + 1))
      skip(&rest)
      if rest.first == "]" { break }
      guard rest.first == "," else { throw FormatError("does not end", offending: String(whole)) }
      rest = rest.dropFirst()
    }
    rest = rest.dropFirst()
    let type = elements[0].typeSignature
    guard elements.allSatisfy({ $0.typeSignature == type }) else {
      throw FormatError("has elements of several types", offending: String(whole))
    }
    return .array(of: type, elements)
  }
}
