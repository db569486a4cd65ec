extension JSONValue {
  /// Reads a whole JSON document (RFC 8259, strict: UTF-8 only, no byte order mark, nothing after the value).
  ///
  /// Refuses a key that occurs twice in an object: two parsers that each keep another one is how checks are walked around.
  /// - Parameter maximumDepth: how far arrays and objects may nest.
  /// - Throws: `FormatError` with line, column and the offending text.
  public static func parse(_ bytes: Span<UInt8>, maximumDepth: Int = 128) throws(FormatError) -> JSONValue {
    var reader = JSONReader(bytes, maximumDepth: maximumDepth)
    let value = try reader.value()
    try reader.finish()
    return value
  }

  public static func parse(_ bytes: [UInt8], maximumDepth: Int = 128) throws(FormatError) -> JSONValue {
    try parse(bytes.span, maximumDepth: maximumDepth)
  }
}

extension JSONReader {
  /// Reads one value of any kind as a tree; refuses duplicate keys.
  public mutating func value() throws(FormatError) -> JSONValue {
    switch try peek() {
    case .null:
      try word("null")
      return .null
    case .bool: return .bool(try bool())
    case .number: return try number()
    case .string: return .string(try string())
    case .array:
      try beginArray()
      var elements: [JSONValue] = []
      while try nextElement() { elements.append(try value()) }
      return .array(elements)
    case .object: return .object(try objectMembers())
    }
  }

  private mutating func objectMembers() throws(FormatError) -> JSONObject {
    try beginObject()
    var members: [JSONObject.Member] = []
    // A few keys are compared faster than they are hashed; many must not cost their square.
    var seen: Set<String> = []
    while let key = try nextKey() {
      let start = keyStart
      var isDuplicate = false
      if members.count < 16 {
        for member in members where member.key == key { isDuplicate = true }
      } else {
        if seen.isEmpty { for member in members { seen.insert(member.key) } }
        isDuplicate = !seen.insert(key).inserted
      }
      if isDuplicate {
        throw FormatError(
          "occurs twice in one object", offending: key, at: FormatError.position(of: start, in: bytes))
      }
      members.append(JSONObject.Member(key: key, value: try value()))
    }
    return JSONObject(unique: members)
  }
}
