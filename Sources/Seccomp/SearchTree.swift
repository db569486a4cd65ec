/// A piece of the line of 32-bit values: from `start` up to the next segment's start, all go to `node`.
struct Segment {
  var start: UInt32
  var node: DecisionGraph.Node
  /// How often it is asked for, relative to the others; 0 counts as little as can be.
  var weight: UInt32 = 0
}

extension DecisionGraph {
  /// Finds the segment of the word at `word`.
  /// - Parameter segments: ascending, the first starting at 0.
  ///
  /// A comparison splits the line at a boundary; a lone value between two pieces that lead to the same place costs one
  /// test for equality instead of two comparisons. The split is the boundary that halves the weight (Mehlhorn's
  /// rule: within two tests of the best tree), so that common calls meet few tests.
  mutating func search(word: UInt32, _ segments: [Segment]) -> Node {
    var merged: [Segment] = []
    merged.reserveCapacity(segments.count)
    for segment in segments {
      if let last = merged.last, last.node == segment.node {
        merged[merged.count - 1].weight = max(last.weight &+ segment.weight, last.weight)
      } else {
        merged.append(segment)
      }
    }
    return split(word: word, merged[...])
  }

  private mutating func split(word: UInt32, _ segments: ArraySlice<Segment>) -> Node {
    if segments.count == 1 { return segments.first!.node }
    if let chain = chainOfLoneValues(word: word, segments) { return chain }
    let middle = heaviestSplit(segments)
    let below = split(word: word, segments[..<middle])
    let above = split(word: word, segments[middle...])
    return test(Opcode.jumpIfGreaterOrEqual, word: word, segments[middle].start, then: above, else: below)
  }

  /// Up to three lone values within one piece become tests for equality, the heaviest first.
  private mutating func chainOfLoneValues(word: UInt32, _ segments: ArraySlice<Segment>) -> Node? {
    guard segments.count % 2 == 1, segments.count <= 7 else { return nil }
    let around = segments.first!.node
    var lone: [Segment] = []
    for index in segments.indices where (index - segments.startIndex) % 2 == 1 {
      guard segments[index + 1].start == segments[index].start + 1, segments[index + 1].node == around else {
        return nil
      }
      lone.append(segments[index])
    }
    lone.sort { $0.weight < $1.weight }
    var node = around
    for value in lone {
      node = test(Opcode.jumpIfEqual, word: word, value.start, then: value.node, else: node)
    }
    return node
  }

  /// The index of the segment whose start divides the weight best.
  private func heaviestSplit(_ segments: ArraySlice<Segment>) -> Int {
    var total: UInt64 = 0
    for segment in segments { total += UInt64(segment.weight) + 1 }
    var best = segments.startIndex + 1
    var bestDifference = UInt64.max
    var left: UInt64 = 0
    for index in segments.indices.dropLast() {
      left += UInt64(segments[index].weight) + 1
      let difference = left * 2 > total ? left * 2 - total : total - left * 2
      if difference < bestDifference {
        bestDifference = difference
        best = index + 1
      }
    }
    return best
  }
}
