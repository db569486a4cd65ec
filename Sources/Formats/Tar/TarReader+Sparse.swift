extension TarReader {
  /// The four pieces in an old GNU header; more follow in blocks of their own where the flag behind them is set.
  mutating func takeOldSparseHeader() throws(FormatError) -> Bool {
    mapNumbers = []
    try takePieces(at: 386, count: 4)
    if block[482] != 0 {
      state = .oldSparseMap
      return false
    }
    return try finishOldSparse()
  }

  /// One more block of 21 pieces. True once the map is whole.
  mutating func takeOldSparseExtension() throws(FormatError) -> Bool {
    try takePieces(at: 0, count: 21)
    let goesOn = block[504] != 0
    block.removeAll(keepingCapacity: true)
    return goesOn ? false : try finishOldSparse()
  }

  private mutating func takePieces(at start: Int, count: Int) throws(FormatError) {
    for place in 0..<count {
      let base = start + 24 * place
      guard block[base] != 0 else { return }
      guard mapNumbers.count < 2 * limits.segments else { throw tooManyPieces() }
      mapNumbers.append(try number(base..<base + 12, "offset of a piece"))
      mapNumbers.append(try number(base + 12..<base + 24, "length of a piece"))
    }
  }

  private mutating func finishOldSparse() throws(FormatError) -> Bool {
    state = .data
    try setSegments(mapNumbers)
    return true
  }

  /// Format 1.0: a count and then offsets and lengths, a decimal number per line, filled up to whole blocks.
  mutating func takeSparseMapBlock() throws(FormatError) {
    let taken = block
    block.removeAll(keepingCapacity: true)
    guard remaining >= 512 else { throw failure("has a map of holes that is longer than its data") }
    remaining -= 512
    for byte in taken {
      if byte == UInt8(ascii: "\n"), let digits = mapDigits {
        mapNumbers.append(digits)
        mapDigits = nil
        guard mapNumbers[0] <= Int64(limits.segments) else { throw tooManyPieces() }
        if Int64(mapNumbers.count) == 1 + 2 * mapNumbers[0] {
          state = .data
          return try setSegments(Array(mapNumbers.dropFirst()))
        }
      } else if let digit = byte.hexDigit, digit < 10 {
        let (product, overflow) = (mapDigits ?? 0).multipliedReportingOverflow(by: 10)
        let (sum, carry) = product.addingReportingOverflow(Int64(digit))
        guard !overflow, !carry else { throw failure("has a map of holes with a number too large") }
        mapDigits = sum
      } else {
        throw failure("has a map of holes that is not made of numbers")
      }
    }
  }

  /// Pieces must be in order, apart, inside the file, and together be what is stored.
  mutating func setSegments(_ numbers: [Int64]) throws(FormatError) {
    let size = memberSize
    guard numbers.count % 2 == 0 else { throw failure("has a map of holes with an odd number") }
    var end: Int64 = 0
    var total: Int64 = 0
    segments = []
    for index in stride(from: 0, to: numbers.count, by: 2) {
      let (offset, length) = (numbers[index], numbers[index + 1])
      guard offset >= end, length >= 0, offset <= size, length <= size - offset else {
        throw failure("has a map of holes that overlaps or leaves the file, at \(offset)")
      }
      end = offset + length
      total += length
      if length > 0 { segments.append(Segment(offset: offset, length: length)) }
    }
    guard total == remaining else {
      throw failure("stores \(remaining) bytes where its map of holes has \(total)")
    }
  }

  private func tooManyPieces() -> FormatError {
    failure("has a map of more than \(limits.segments) pieces")
  }
}
