/// Lays a graph of decisions out as instructions.
///
/// A BPF jump goes forward only, so the program is written from its end: when a node is placed, what it leads to
/// already has a place. A conditional jump reaches 255 instructions; where a target lies farther, a copy of the
/// answer or an unconditional jump is put within reach, and serves the jumps placed later too.
struct Emitter {
  private let graph: DecisionGraph
  /// The program backwards.
  private var reversed: [FilterInstruction] = []
  /// Where a node stands in `reversed` (nearest copy); -1 where it does not yet.
  private var places: [Int32]

  static func emit(_ graph: DecisionGraph, from root: DecisionGraph.Node) -> [FilterInstruction] {
    var emitter = Emitter(graph)
    emitter.placeAll(from: root)
    return emitter.reversed.reversed()
  }

  private init(_ graph: DecisionGraph) {
    self.graph = graph
    places = [Int32](repeating: -1, count: graph.contents.count)
    reversed.reserveCapacity(graph.contents.count + 64)
  }

  /// Places everything below the root, children first. The stack is our own: a chain of tests can be thousands deep.
  private mutating func placeAll(from root: DecisionGraph.Node) {
    let sizes = reach()
    var stack: [(node: DecisionGraph.Node, ready: Bool)] = [(root, false)]
    while let (node, ready) = stack.popLast() {
      if places[Int(node)] >= 0 { continue }
      if ready {
        place(node)
        continue
      }
      stack.append((node, true))
      let content = graph[node]
      let (yes, no) = (content.whenTrue, content.whenFalse)
      // Popped first means placed first, which is farther away: the bigger part, so that the jump over the smaller
      // is short.
      let bigger = yes < 0 || (no >= 0 && sizes[Int(no)] > sizes[Int(yes)]) ? no : yes
      let smaller = bigger == yes ? no : yes
      if smaller >= 0 { stack.append((smaller, false)) }
      if bigger >= 0 { stack.append((bigger, false)) }
    }
  }

  /// An estimate of the instructions below each node; shared parts count each time.
  private func reach() -> [UInt32] {
    var sizes = [UInt32](repeating: 1, count: graph.contents.count)
    // Children are made before their parents, so one pass in order is enough.
    for (index, content) in graph.contents.enumerated() {
      var size: UInt32 = 1
      if content.whenTrue >= 0 { size += sizes[Int(content.whenTrue)] }
      if content.whenFalse >= 0 { size += sizes[Int(content.whenFalse)] }
      sizes[index] = min(size, 1 << 24)
    }
    return sizes
  }

  private mutating func place(_ node: DecisionGraph.Node) {
    let content = graph[node]
    switch content.code {
    case Opcode.ret:
      append(FilterInstruction(code: Opcode.ret, k: content.k))
    case Opcode.load:
      // A load runs on into its test; when something stands between, a copy of the test costs no more than a jump to
      // it.
      if places[Int(content.whenTrue)] != Int32(reversed.count - 1) { place(content.whenTrue) }
      append(FilterInstruction(code: Opcode.load, k: content.word))
    default:
      let (jt, jf) = distances(content.whenTrue, content.whenFalse)
      append(FilterInstruction(code: content.code, jt: jt, jf: jf, k: content.k))
      if content.mask != .max { append(FilterInstruction(code: Opcode.and, k: content.mask)) }
    }
    places[Int(node)] = Int32(reversed.count - 1)
  }

  private mutating func distances(
    _ yes: DecisionGraph.Node, _ no: DecisionGraph.Node
  ) -> (UInt8, UInt8) {
    while true {
      let position = Int32(reversed.count)
      let (toYes, toNo) = (position - places[Int(yes)] - 1, position - places[Int(no)] - 1)
      if toYes > 255 {
        bringNear(yes)
      } else if toNo > 255 {
        bringNear(no)
      } else {
        return (UInt8(toYes), UInt8(toNo))
      }
    }
  }

  private mutating func bringNear(_ node: DecisionGraph.Node) {
    let content = graph[node]
    if content.code == Opcode.ret {
      append(FilterInstruction(code: Opcode.ret, k: content.k))
    } else {
      append(FilterInstruction(code: Opcode.jump, k: UInt32(Int32(reversed.count) - places[Int(node)] - 1)))
    }
    places[Int(node)] = Int32(reversed.count - 1)
  }

  private mutating func append(_ instruction: FilterInstruction) { reversed.append(instruction) }
}
