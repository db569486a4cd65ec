/// Conditions that must all hold, and what then happens.
struct Clause: Hashable {
  var conditions: [PendingCondition]
  var node: DecisionGraph.Node

  /// - Parameter narrow: only the low halves of the arguments count.
  init(_ conditions: [ArgumentCondition], _ node: DecisionGraph.Node, narrow: Bool) {
    self.conditions = conditions.map { PendingCondition($0, narrow: narrow) }
    self.node = node
  }
}

/// A condition on an argument of which nothing is known yet, or of which the high half is known to agree, so that
/// the low half decides.
struct PendingCondition: Hashable {
  var condition: ArgumentCondition
  var lowOnly: Bool

  enum Verdict {
    case holds
    case fails
    case pending(PendingCondition)
  }

  init(_ condition: ArgumentCondition, narrow: Bool) {
    self.condition = condition
    if narrow {
      self.condition.value &= 0xffff_ffff
      self.condition.valueTwo &= 0xffff_ffff
    }
    // Where neither the mask nor its result has high bits the high half cannot matter.
    let masksLow = condition.comparison == .maskedEqual && (condition.value | condition.valueTwo) >> 32 == 0
    lowOnly = narrow || masksLow
  }

  /// The offset of the half that is to be looked at next.
  var word: UInt32 {
    lowOnly ? SeccompDataOffset.low(ofArgument: condition.index) : SeccompDataOffset.high(ofArgument: condition.index)
  }
  /// That half of the value (or mask), and of the masked result.
  var value: UInt32 { UInt32(truncatingIfNeeded: lowOnly ? condition.value : condition.value >> 32) }
  var result: UInt32 { UInt32(truncatingIfNeeded: lowOnly ? condition.valueTwo : condition.valueTwo >> 32) }

  /// Whether this half's test is of bits, not of order.
  var isMasked: Bool { condition.comparison == .maskedEqual && value != .max }

  /// What remains when this half agrees with the value's half.
  private var agreed: Verdict {
    if !lowOnly {
      var rest = self
      rest.lowOnly = true
      return .pending(rest)
    }
    switch condition.comparison {
    case .equal, .lessOrEqual, .greaterOrEqual, .maskedEqual: return .holds
    case .notEqual, .less, .greater: return .fails
    }
  }

  /// Where the half's line of values must be cut so that each piece has one verdict.
  var cuts: [UInt32] {
    if isMasked { return [] }
    let agreeing = condition.comparison == .maskedEqual ? result : value
    return agreeing == .max ? [agreeing] : [agreeing, agreeing + 1]
  }

  /// The verdict when the half lies within a piece: between two neighbours of `cuts`, or smaller.
  func verdict(within piece: ClosedRange<UInt32>) -> Verdict {
    if isMasked {
      let isOneValue = piece.lowerBound == piece.upperBound
      return !isOneValue ? .pending(self) : piece.lowerBound & value == result ? agreed : .fails
    }
    let pivot = condition.comparison == .maskedEqual ? result : value
    if piece.contains(pivot) { return agreed }
    let above = piece.lowerBound > pivot
    switch condition.comparison {
    case .equal, .maskedEqual: return .fails
    case .notEqual: return .holds
    case .less, .lessOrEqual: return above ? .fails : .holds
    case .greater, .greaterOrEqual: return above ? .holds : .fails
    }
  }

  /// The verdict when the bits' test of this half came out so.
  func verdict(bitsMatch: Bool) -> Verdict { bitsMatch ? agreed : .fails }
}

extension DecisionGraph {
  /// The first clause whose conditions all hold decides, else `otherwise`.
  mutating func decide(_ clauses: [Clause], otherwise: Node) -> Node {
    var builder = ClauseBuilder(otherwise: otherwise)
    let tree = builder.tree(&self, clauses[...])
    if clauses.count == 1, let tree { return tree }
    let chain = chain(clauses, otherwise: otherwise)
    guard let tree else { return chain }
    return size(below: tree) <= size(below: chain) ? tree : chain
  }

  /// Clause after clause, condition after condition: never more than a few instructions for each.
  private mutating func chain(_ clauses: [Clause], otherwise: Node) -> Node {
    var next = otherwise
    for clause in clauses.reversed() {
      var node = clause.node
      for condition in clause.conditions.reversed() { node = test(condition, then: node, else: next) }
      next = node
    }
    return next
  }

  /// One condition alone: its halves in order, high first.
  private mutating func test(_ pending: PendingCondition, then yes: Node, else no: Node) -> Node {
    func resolve(_ graph: inout DecisionGraph, _ verdict: PendingCondition.Verdict) -> Node {
      switch verdict {
      case .holds: yes
      case .fails: no
      case .pending(let rest): graph.test(rest, then: yes, else: no)
      }
    }
    if pending.isMasked {
      let match = resolve(&self, pending.verdict(bitsMatch: true))
      return test(bitsOf: pending, then: match, else: no)
    }
    var segments: [Segment] = []
    var cuts = Cuts()
    cuts.add(pending.cuts)
    for piece in cuts.pieces {
      segments.append(Segment(start: piece.lowerBound, node: resolve(&self, pending.verdict(within: piece))))
    }
    return search(word: pending.word, segments)
  }

  fileprivate mutating func test(bitsOf pending: PendingCondition, then yes: Node, else no: Node) -> Node {
    let (mask, result) = (pending.value, pending.result)
    if result & ~mask != 0 { return no }
    if mask == 0 { return yes }
    if result == 0 { return test(Opcode.jumpIfSet, word: pending.word, mask, then: no, else: yes) }
    if result == mask, mask.nonzeroBitCount == 1 {
      return test(Opcode.jumpIfSet, word: pending.word, mask, then: yes, else: no)
    }
    return test(Opcode.jumpIfEqual, word: pending.word, mask: mask, result, then: yes, else: no)
  }

  /// Nodes reached from this one.
  private func size(below root: Node) -> Int {
    var seen = [Bool](repeating: false, count: contents.count)
    var stack = [root]
    var size = 0
    func visit(_ child: Node) {
      if child < 0 || seen[Int(child)] { return }
      seen[Int(child)] = true
      stack.append(child)
    }
    seen[Int(root)] = true
    while let node = stack.popLast() {
      let content = self[node]
      size += content.mask == .max ? 1 : 2
      visit(content.whenTrue)
      visit(content.whenFalse)
    }
    return size
  }
}

/// Where a line of 32-bit values is cut: ascending, 0 first, none twice. An array, for a set's first use costs a search through
/// every conformance of the program, and every start of a box compiles a filter.
private struct Cuts {
  private(set) var starts: [UInt32] = [0]

  mutating func add(_ more: [UInt32]) {
    for start in more where !starts.contains(start) {
      starts.insert(start, at: starts.firstIndex { $0 > start } ?? starts.count)
    }
  }

  /// From each start to before the next.
  var pieces: [ClosedRange<UInt32>] {
    starts.indices.map { index in
      starts[index]...(index + 1 < starts.count ? starts[index + 1] - 1 : UInt32.max)
    }
  }
}

/// Builds the tree that looks at each half of each argument once and cuts its line of values for all clauses together.
///
/// That is the fastest program, and mostly the smallest; clauses that overlap on many arguments can make it explode,
/// so it gives up past a limit and the chain is taken.
private struct ClauseBuilder {
  let otherwise: DecisionGraph.Node
  private var known: [[Clause]: DecisionGraph.Node] = [:]
  private var work = 0
  private static let most = 20_000
  private static let deepest = 200

  init(otherwise: DecisionGraph.Node) { self.otherwise = otherwise }

  mutating func tree(
    _ graph: inout DecisionGraph, _ open: ArraySlice<Clause>, depth: Int = 0
  ) -> DecisionGraph.Node? {
    var clauses = Array(open)
    if let decided = clauses.firstIndex(where: { $0.conditions.isEmpty }) {
      if decided == 0 { return clauses[0].node }
      clauses.removeSubrange((decided + 1)...)
    }
    while let last = clauses.last, last.node == otherwise { clauses.removeLast() }
    guard let first = clauses.first?.conditions.first else { return clauses.first?.node ?? otherwise }
    if let node = known[clauses] { return node }
    work += clauses.count
    if work > Self.most || depth > Self.deepest { return nil }

    let word = first.word
    var cuts = Cuts()
    for clause in clauses {
      for condition in clause.conditions where condition.word == word { cuts.add(condition.cuts) }
    }
    let node: DecisionGraph.Node
    if cuts.starts.count == 1, first.isMasked {
      guard
        let yes = tree(&graph, rest(clauses, bits: first, match: true)[...], depth: depth + 1),
        let no = tree(&graph, rest(clauses, bits: first, match: false)[...], depth: depth + 1)
      else { return nil }
      node = graph.test(bitsOf: first, then: yes, else: no)
    } else {
      var segments: [Segment] = []
      for piece in cuts.pieces {
        let rest = rest(clauses) { $0.word == word ? $0.verdict(within: piece) : .pending($0) }
        work += clauses.count
        guard let child = tree(&graph, rest[...], depth: depth + 1) else { return nil }
        segments.append(Segment(start: piece.lowerBound, node: child))
      }
      node = graph.search(word: word, segments)
    }
    known[clauses] = node
    return node
  }

  private func rest(_ clauses: [Clause], bits: PendingCondition, match: Bool) -> [Clause] {
    rest(clauses) {
      $0.isMasked && $0.word == bits.word && $0.value == bits.value && $0.result == bits.result
        ? $0.verdict(bitsMatch: match) : .pending($0)
    }
  }

  /// The clauses that can still hold, with what is still to be asked of them.
  private func rest(
    _ clauses: [Clause], _ verdict: (PendingCondition) -> PendingCondition.Verdict
  ) -> [Clause] {
    var rest: [Clause] = []
    nextClause: for clause in clauses {
      var left = clause
      left.conditions.removeAll(keepingCapacity: true)
      for condition in clause.conditions {
        switch verdict(condition) {
        case .holds: continue
        case .fails: continue nextClause
        case .pending(let condition): left.conditions.append(condition)
        }
      }
      rest.append(left)
      if left.conditions.isEmpty { break }
    }
    return rest
  }
}
