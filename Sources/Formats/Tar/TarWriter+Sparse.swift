extension TarWriter {
  /// The headers of a file with holes, PAX format 1.0 (GNU tar manual, "Sparse Formats"): the map follows them at once, then the data
  /// of the pieces without what is between them, then `padding(after:)` the sum of the pieces.
  /// - Parameter pieces: in order, apart, within `entry.size`; not more than a reader takes (`TarLimits.segments`).
  public static func header(for entry: TarEntry, pieces: [Range<Int64>]) throws(FormatError) -> [UInt8] {
    var map = "\(pieces.count + 1)\n"
    for piece in pieces { map += "\(piece.lowerBound)\n\(piece.upperBound - piece.lowerBound)\n" }
    // A last piece of nothing says how long the file is to readers that look at the map only.
    map += "\(entry.size)\n0\n"
    let mapBytes = Array(map.utf8)
    let mapSize = Int64((mapBytes.count + 511) / 512 * 512)
    let stored = mapSize + pieces.reduce(0) { $0 + $1.upperBound - $1.lowerBound }
    var records: [UInt8] = []
    append("GNU.sparse.major", Array("1".utf8), to: &records)
    append("GNU.sparse.minor", Array("0".utf8), to: &records)
    append("GNU.sparse.name", entry.path, to: &records)
    append("GNU.sparse.realsize", Array("\(entry.size)".utf8), to: &records)
    var outer = entry
    outer.size = stored
    return try header(for: outer, further: records, name: Array("GNUSparseFile.0/file".utf8))
      + mapBytes + padding(after: Int64(mapBytes.count))
  }
}
