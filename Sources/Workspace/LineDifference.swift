/// The shortest edit from one list of lines to another (E. Myers, "An O(ND) Difference Algorithm and Its Variations", 1986),
/// as a unified diff.
public enum LineDifference {
  enum Edit: Equatable {
    case keep(Int, Int)
    case remove(Int)
    case insert(Int)
  }

  /// Edits in order; nil when more than `limit` of them would be needed.
  static func edits(_ old: [ArraySlice<UInt8>], _ new: [ArraySlice<UInt8>], limit: Int = 1000) -> [Edit]? {
    var start = 0
    while start < old.count, start < new.count, old[start] == new[start] { start += 1 }
    var oldEnd = old.count
    var newEnd = new.count
    while oldEnd > start, newEnd > start, old[oldEnd - 1] == new[newEnd - 1] {
      oldEnd -= 1
      newEnd -= 1
    }
    guard
      let middle = middleEdits(
        Array(old[start..<oldEnd]), Array(new[start..<newEnd]), offset: start, limit: limit)
    else { return nil }
    let head = (0..<start).map { Edit.keep($0, $0) }
    let tail = (0..<(old.count - oldEnd)).map { Edit.keep(oldEnd + $0, newEnd + $0) }
    return head + middle + tail
  }

  /// The greedy algorithm, keeping each round's frontier to walk back along.
  private static func middleEdits(
    _ old: [ArraySlice<UInt8>], _ new: [ArraySlice<UInt8>], offset: Int, limit: Int
  ) -> [Edit]? {
    let most = old.count + new.count
    if most == 0 { return [] }
    // Furthest x on each diagonal k = x - y; diagonal k stands at k + most + 1.
    var furthest = [Int](repeating: 0, count: 2 * min(most, limit) + 3)
    let middle = min(most, limit) + 1
    var rounds: [ArraySlice<Int>] = []
    for distance in 0...min(most, limit) {
      rounds.append(furthest[(middle - distance)...(middle + distance)])
      for diagonal in stride(from: -distance, through: distance, by: 2) {
        let goesDown =
          diagonal == -distance
          || (diagonal != distance && furthest[middle + diagonal - 1] < furthest[middle + diagonal + 1])
        var x = goesDown ? furthest[middle + diagonal + 1] : furthest[middle + diagonal - 1] + 1
        while x < old.count, x - diagonal < new.count, x - diagonal >= 0, old[x] == new[x - diagonal] { x += 1 }
        furthest[middle + diagonal] = x
        if x >= old.count && x - diagonal >= new.count {
          return walkBack(old.count, new.count, rounds, middle, offset)
        }
      }
    }
    return nil
  }

  private static func walkBack(
    _ oldCount: Int, _ newCount: Int, _ rounds: [ArraySlice<Int>], _ middle: Int, _ offset: Int
  ) -> [Edit] {
    var edits: [Edit] = []
    var x = oldCount
    var y = newCount
    for distance in stride(from: rounds.count - 1, through: 1, by: -1) {
      let before = rounds[distance]
      let diagonal = x - y
      let goesDown =
        diagonal == -distance
        || (diagonal != distance && before[middle + diagonal - 1] < before[middle + diagonal + 1])
      let previous = goesDown ? diagonal + 1 : diagonal - 1
      let previousX = before[middle + previous]
      let previousY = previousX - previous
      while x > previousX + (goesDown ? 0 : 1), y > previousY + (goesDown ? 1 : 0) {
        x -= 1
        y -= 1
        edits.append(.keep(x + offset, y + offset))
      }
      if goesDown {
        y -= 1
        edits.append(.insert(y + offset))
      } else {
        x -= 1
        edits.append(.remove(x + offset))
      }
    }
    while x > 0, y > 0 {
      x -= 1
      y -= 1
      edits.append(.keep(x + offset, y + offset))
    }
    return edits.reversed()
  }

  /// Lines with their line ends; the last may lack one.
  static func lines(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    var lines: [ArraySlice<UInt8>] = []
    var start = 0
    for index in bytes.indices where bytes[index] == UInt8(ascii: "\n") {
      lines.append(bytes[start...index])
      start = index + 1
    }
    if start < bytes.count { lines.append(bytes[start...]) }
    return lines
  }

  /// The hunks of a unified diff, three lines of context; nil when the files differ too much for one.
  public static func unified(_ oldBytes: [UInt8], _ newBytes: [UInt8]) -> [UInt8]? {
    let old = lines(oldBytes)
    let new = lines(newBytes)
    guard let edits = edits(old, new) else { return nil }
    let context = 3
    var output: [UInt8] = []
    var index = 0
    while index < edits.count {
      guard let first = edits[index...].firstIndex(where: { !isKeep($0) }) else { break }
      let begin = max(index, first - context)
      // The hunk ends where more than twice the context is unchanged.
      var end = first
      var last = first
      while end < edits.count, end - last <= 2 * context {
        if !isKeep(edits[end]) { last = end }
        end += 1
      }
      let stop = min(last + context + 1, edits.count)
      output += hunk(edits[begin..<stop], old, new, before: edits[..<begin])
      index = stop
    }
    return output
  }

  private static func isKeep(_ edit: Edit) -> Bool {
    if case .keep = edit { return true }
    return false
  }

  private static func hunk(
    _ edits: ArraySlice<Edit>, _ old: [ArraySlice<UInt8>], _ new: [ArraySlice<UInt8>], before: ArraySlice<Edit>
  ) -> [UInt8] {
    var body: [UInt8] = []
    var oldCount = 0
    var newCount = 0
    func append(_ mark: Character, _ line: ArraySlice<UInt8>) {
      body += Array(String(mark).utf8) + line
      if line.last != UInt8(ascii: "\n") { body += Array("\n\\ No newline at end of file\n".utf8) }
    }
    for edit in edits {
      switch edit {
      case .keep(let a, _):
        append(" ", old[a])
        oldCount += 1
        newCount += 1
      case .remove(let a):
        append("-", old[a])
        oldCount += 1
      case .insert(let b):
        append("+", new[b])
        newCount += 1
      }
    }
    var oldBefore = 0
    var newBefore = 0
    for edit in before {
      switch edit {
      case .keep:
        oldBefore += 1
        newBefore += 1
      case .remove: oldBefore += 1
      case .insert: newBefore += 1
      }
    }
    // An empty side is numbered by the line before it, as diff(1) does.
    func range(_ before: Int, _ count: Int) -> String {
      count == 1 ? "\(before + 1)" : "\(count == 0 ? before : before + 1),\(count)"
    }
    return Array("@@ -\(range(oldBefore, oldCount)) +\(range(newBefore, newCount)) @@\n".utf8) + body
  }
}
