/// Bytes from pairs of hexadecimal digits, as Python's `hex()` writes them.
func unhex(_ text: String) -> [UInt8] {
  var bytes: [UInt8] = []
  bytes.reserveCapacity(text.utf8.count / 2)
  var high: UInt8?
  for character in text.utf8 {
    let digit = character > 0x39 ? character - 0x61 + 10 : character - 0x30
    if let first = high {
      bytes.append(first << 4 | digit)
      high = nil
    } else {
      high = digit
    }
  }
  return bytes
}
