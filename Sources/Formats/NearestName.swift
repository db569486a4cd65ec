/// What a person probably meant by a name that is not known.
public enum NearestName {
  /// The candidate with the fewest edits (insert, delete, change, swap of neighbours) from `name`, where these are at most a third of
  /// its length or 2; the first of equals; nil where none is near. Case counts for nothing.
  public static func of(_ name: String, among candidates: [String]) -> String? {
    let wanted = Array(name.lowercased().utf8.prefix(64))
    var best: (name: String, distance: Int)?
    for candidate in candidates {
      let distance = edits(wanted, Array(candidate.lowercased().utf8.prefix(64)))
      if distance <= max(2, wanted.count / 3), distance < best?.distance ?? Int.max,
        distance < candidate.utf8.count
      {
        best = (candidate, distance)
      }
    }
    return best?.name
  }

  /// Optimal string alignment distance, a row at a time.
  static func edits(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var before: [Int] = []
    var last = Array(0...b.count)
    for i in 0..<a.count {
      var row = [i + 1]
      for j in 0..<b.count {
        var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, before[j - 1] + 1) }
        row.append(cost)
      }
      before = last
      last = row
    }
    return last[b.count]
  }
}
