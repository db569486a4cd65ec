/// A message of D-Bus (D-Bus Specification, "Message Protocol"): what a method is called with, what it answered, or a signal.
public struct BusMessage: Sendable, Equatable {
  public enum Kind: UInt8, Sendable {
    case call = 1
    case reply, failure, signal
  }
  public var kind: Kind
  public var flags: UInt8 = 0
  /// Never 0.
  public var serial: UInt32
  public var path: String?
  public var interface: String?
  public var member: String?
  public var errorName: String?
  /// The serial of the call that this answers.
  public var replySerial: UInt32?
  public var destination: String?
  public var sender: String?
  public var body: [BusValue] = []

  public init(_ kind: Kind, serial: UInt32) {
    self.kind = kind
    self.serial = serial
  }

  /// Bytes of one message that are taken; the protocol itself allows 128 MiB.
  public static let limit = 1 << 20
  /// How many bytes tell a message's length.
  public static let prefix = 16

  /// The length of the whole message that begins with these 16 bytes.
  public static func length(of bytes: [UInt8]) throws(FormatError) -> Int {
    guard bytes.count >= prefix else { throw FormatError("a message of \(bytes.count) bytes") }
    let order = bytes[0]
    guard order == UInt8(ascii: "l") || order == UInt8(ascii: "B") else {
      throw FormatError("no byte order", at: .offset(0))
    }
    guard bytes[3] == 1 else { throw FormatError("version \(bytes[3]) of the protocol", at: .offset(3)) }
    var reader = BusReader(bytes, isBigEndian: order == UInt8(ascii: "B"), from: 4, to: prefix)
    let body = Int(try reader.number(UInt32.self))
    _ = try reader.number(UInt32.self)
    let fields = Int(try reader.number(UInt32.self))
    guard body <= limit, fields <= limit else {
      throw FormatError("a message of \(body) and \(fields) bytes: at most \(limit)")
    }
    let whole = (prefix + fields + 7) / 8 * 8 + body
    guard whole <= limit else { throw FormatError("a message of \(whole) bytes: at most \(limit)") }
    return whole
  }

  /// Exactly one message.
  public init(bytes: [UInt8]) throws(FormatError) {
    let whole = try BusMessage.length(of: bytes)
    guard bytes.count == whole else { throw FormatError("a message of \(whole) bytes, \(bytes.count) of them there") }
    guard let kind = Kind(rawValue: bytes[1]) else { throw FormatError("kind \(bytes[1]) of messages", at: .offset(1)) }
    let isBigEndian = bytes[0] == UInt8(ascii: "B")
    var reader = BusReader(bytes, isBigEndian: isBigEndian, from: 4, to: bytes.count)
    let length = Int(try reader.number(UInt32.self))
    self.init(kind, serial: try reader.number(UInt32.self))
    guard serial != 0 else { throw FormatError("the serial is 0", at: .offset(8)) }
    flags = bytes[2]
    var index = 0
    guard case .array(_, let fields) = try reader.value(Array("a(yv)".utf8), &index, depth: 0) else { return }
    var signature: [UInt8] = []
    for case .structure(let field) in fields {
      guard field.count == 2, case .byte(let code) = field[0], case .variant(let value) = field[1] else { continue }
      if case .signature(let text) = value, code == 8 { signature = Array(text.utf8) } else { try take(code, value) }
    }
    try reader.align(8)
    guard reader.position == bytes.count - length else { throw FormatError("the header's length is not its length") }
    body = try reader.values(signature)
    try check()
  }

  /// A field of the header; codes that the protocol does not know yet are for others.
  private mutating func take(_ code: UInt8, _ value: BusValue) throws(FormatError) {
    switch (code, value) {
    case (1, .objectPath(let text)): path = text
    case (2, .string(let text)): interface = text
    case (3, .string(let text)): member = text
    case (4, .string(let text)): errorName = text
    case (5, .uint32(let number)): replySerial = number
    case (6, .string(let text)): destination = text
    case (7, .string(let text)): sender = text
    case (1...8, _): throw FormatError("header field \(code) is of type \"\(value.typeSignature)\"")
    default: break
    }
  }

  /// What each kind must have ("Header Fields").
  private func check() throws(FormatError) {
    let isWhole =
      switch kind {
      case .call: path != nil && member != nil
      case .reply: replySerial != nil
      case .failure: replySerial != nil && errorName != nil
      case .signal: path != nil && interface != nil && member != nil
      }
    if !isWhole { throw FormatError("a message of kind \(kind.rawValue) lacks a header field") }
  }

  /// The bytes to send.
  public func encoded() throws(FormatError) -> [UInt8] {
    try check()
    var content = BusWriter()
    for value in body { try content.append(value) }
    var fields: [BusValue] = []
    func add(_ code: UInt8, _ value: BusValue?) {
      if let value { fields.append(.structure([.byte(code), .variant(value)])) }
    }
    add(1, path.map { .objectPath($0) })
    add(2, interface.map { .string($0) })
    add(3, member.map { .string($0) })
    add(4, errorName.map { .string($0) })
    add(5, replySerial.map { .uint32($0) })
    add(6, destination.map { .string($0) })
    add(7, sender.map { .string($0) })
    if !body.isEmpty { add(8, .signature(body.map(\.typeSignature).joined())) }
    var message = BusWriter()
    message.append(bytes: [UInt8(ascii: "l"), kind.rawValue, flags, 1])
    message.append(UInt32(content.bytes.count))
    message.append(serial)
    try message.append(.array(of: "(yv)", fields))
    message.align(8)
    message.append(bytes: content.bytes)
    guard message.bytes.count <= BusMessage.limit else {
      throw FormatError("a message of \(message.bytes.count) bytes: at most \(BusMessage.limit)")
    }
    return message.bytes
  }
}
