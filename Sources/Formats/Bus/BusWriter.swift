/// Values into a message's bytes ("Marshaling"), least significant byte first.
struct BusWriter {
  private(set) var bytes: [UInt8] = []

  mutating func align(_ alignment: Int) {
    while bytes.count % alignment != 0 { bytes.append(0) }
  }

  mutating func append(_ number: some FixedWidthInteger) {
    align(number.bitWidth / 8)
    bytes.appendLittleEndian(number)
  }

  mutating func append(bytes more: [UInt8]) { bytes += more }

  private mutating func append(text: String) throws(FormatError) {
    guard !text.utf8.contains(0) else { throw FormatError("has a NUL in it", offending: text) }
    guard text.utf8.count < BusMessage.limit else { throw FormatError("a string of \(text.utf8.count) bytes") }
    append(UInt32(text.utf8.count))
    bytes += Array(text.utf8) + [0]
  }

  mutating func append(signature: String) throws(FormatError) {
    let letters = Array(signature.utf8)
    try BusSignature.check(letters)
    bytes.append(UInt8(letters.count))
    bytes += letters + [0]
  }

  mutating func append(_ value: BusValue) throws(FormatError) {
    switch value {
    case .byte(let number): append(number)
    case .boolean(let isTrue): append(UInt32(isTrue ? 1 : 0))
    case .int16(let number): append(number)
    case .uint16(let number): append(number)
    case .int32(let number): append(number)
    case .uint32(let number), .descriptor(let number): append(number)
    case .int64(let number): append(number)
    case .uint64(let number), .double(bits: let number): append(number)
    case .string(let text): try append(text: text)
    case .objectPath(let path):
      guard BusSignature.isObjectPath(path) else { throw FormatError("is not an object's path", offending: path) }
      try append(text: path)
    case .signature(let text): try append(signature: text)
    case .variant(let inner):
      try append(signature: inner.typeSignature)
      try append(inner)
    case .structure(let fields):
      align(8)
      for field in fields { try append(field) }
    case .entry(let key, let held):
      align(8)
      try append(key)
      try append(held)
    case .array(let element, let elements): try append(elements, of: element)
    }
  }

  private mutating func append(_ elements: [BusValue], of element: String) throws(FormatError) {
    // An entry is a type within an array only.
    try BusSignature.check(Array("a".utf8) + Array(element.utf8))
    append(UInt32(0))
    let place = bytes.count - 4
    align(element.utf8.first.map(BusSignature.alignment) ?? 1)
    let start = bytes.count
    for value in elements {
      guard value.typeSignature == element else {
        throw FormatError("is no element of an array of \"\(element)\"", offending: value.typeSignature)
      }
      try append(value)
      guard bytes.count <= BusMessage.limit else { throw FormatError("a message over \(BusMessage.limit) bytes") }
    }
    var length = BusWriter()
    length.append(UInt32(bytes.count - start))
    bytes.replaceSubrange(place..<(place + 4), with: length.bytes)
  }
}
