/// One challenge of a `WWW-Authenticate` header (RFC 9110, 11.6.1): a scheme and its parameters, names in lower case.
public struct AuthenticationChallenge: Sendable, Equatable {
  public var scheme: String
  public var parameters: [String: String]

  public init(scheme: String, parameters: [String: String]) {
    self.scheme = scheme
    self.parameters = parameters
  }

  /// Every challenge of a header's value, in order.
  /// - Throws: `FormatError` where the value is none; at most 8 KiB and 16 challenges are taken.
  public static func parse(_ text: String) throws(FormatError) -> [AuthenticationChallenge] {
    let bytes = Array(text.utf8)
    guard bytes.count <= 8192 else { throw FormatError("the registry's challenge has more than 8 KiB") }
    var parser = ChallengeParser(bytes: bytes, text: text)
    return try parser.all()
  }
}

private struct ChallengeParser {
  let bytes: [UInt8]
  let text: String
  var position = 0

  mutating func all() throws(FormatError) -> [AuthenticationChallenge] {
    var found: [AuthenticationChallenge] = []
    skip(commas: true)
    while position < bytes.count {
      guard found.count < 16 else { throw wrong("has more than 16 challenges") }
      var challenge = AuthenticationChallenge(scheme: try token().lowercased(), parameters: [:])
      skip(commas: false)
      while let name = parameterName() {
        position += 1
        skip(commas: false)
        let value = try peek() == UInt8(ascii: "\"") ? quoted() : token()
        guard challenge.parameters.updateValue(value, forKey: name) == nil else { throw wrong("gives \(name) twice") }
        skip(commas: true)
      }
      // A token68 in place of parameters says nothing that is used here.
      while position < bytes.count, bytes[position] != UInt8(ascii: ","), isTokenByte(bytes[position]) == false {
        position += 1
      }
      found.append(challenge)
      skip(commas: true)
    }
    return found
  }

  /// The name where `NAME =` stands here; the position is then at the equals sign.
  private mutating func parameterName() -> String? {
    let start = position
    while position < bytes.count, isTokenByte(bytes[position]) { position += 1 }
    let name = String(decoding: bytes[start..<position], as: UTF8.self).lowercased()
    skip(commas: false)
    if position > start, peek() == UInt8(ascii: "=") { return name }
    position = start
    return nil
  }

  private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skip(commas: Bool) {
    while let byte = peek(), byte == 0x20 || byte == 0x09 || (commas && byte == UInt8(ascii: ",")) { position += 1 }
  }

  private mutating func token() throws(FormatError) -> String {
    let start = position
    while position < bytes.count, isTokenByte(bytes[position]) { position += 1 }
    guard position > start else { throw wrong("is not a challenge") }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private mutating func quoted() throws(FormatError) -> String {
    position += 1
    var value: [UInt8] = []
    while let byte = peek() {
      position += 1
      if byte == UInt8(ascii: "\"") { return String(decoding: value, as: UTF8.self) }
      var taken = byte
      if byte == UInt8(ascii: "\\"), let escaped = peek() {
        position += 1
        taken = escaped
      }
      guard taken >= 0x20 && taken != 0x7F || taken == 0x09 else { throw wrong("has a control character in it") }
      value.append(taken)
    }
    throw wrong("has a quotation without an end")
  }

  /// RFC 9110, 5.6.2, and the characters of URLs that some servers leave unquoted.
  private func isTokenByte(_ byte: UInt8) -> Bool {
    switch UnicodeScalar(byte) {
    case "0"..."9", "A"..."Z", "a"..."z": true
    case "!", "#", "$", "%", "&", "'", "*", "+", "-", ".", "^", "_", "`", "|", "~", ":", "/", "?": true
    default: false
    }
  }

  private func wrong(_ problem: String) -> FormatError {
    FormatError(problem, offending: text, source: "the registry's WWW-Authenticate")
  }
}
