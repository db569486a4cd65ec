/// A compiled profile: what `seccomp(SECCOMP_SET_MODE_FILTER)` is given.
public struct SeccompProgram: Sendable, Hashable {
  /// Checked by `Validator`: 1...4096 instructions.
  public var instructions: [FilterInstruction]
  public var flags: FilterFlags
  /// Whether installing it must ask for a listener (`SECCOMP_FILTER_FLAG_NEW_LISTENER`).
  public var usesNotify: Bool
}

/// Puts the calls of several architectures into one program.
struct ProgramAssembly {
  var graph = DecisionGraph()
  private var entries: [(token: UInt32, node: DecisionGraph.Node)] = []

  /// Adds the numbers of one architecture (and of x32, which shares the token of x86-64).
  mutating func add(_ architecture: Architecture, _ segments: [Segment]) {
    guard let token = architecture.auditToken else { return }
    entries.append((token, graph.search(word: SeccompDataOffset.number, segments)))
  }

  mutating func finish(foreign: DecisionGraph.Node) throws(SeccompError) -> [FilterInstruction] {
    var root = foreign
    for entry in entries.reversed() {
      root = graph.test(
        Opcode.jumpIfEqual, word: SeccompDataOffset.architecture, entry.token, then: entry.node, else: root)
    }
    root = graph.enter(root)
    let program = Emitter.emit(graph, from: root)
    try Validator.check(program)
    return program
  }
}

/// The line of call numbers of one token, filled in ascending order.
struct NumberLine {
  private(set) var segments: [Segment] = []
  private var next: UInt32 = 0
  private let otherwise: DecisionGraph.Node

  init(otherwise: DecisionGraph.Node) {
    self.otherwise = otherwise
    segments.reserveCapacity(512)
  }

  mutating func set(_ number: UInt32, _ node: DecisionGraph.Node, weight: UInt32 = 0) {
    if number > next { add(next, otherwise, 0) }
    add(number, node, weight)
    next = number + 1
  }

  /// The rest of the line; under the token of x86-64 the numbers of x32 are foreign if it is not served, but never -1.
  mutating func finish(foreignFrom: UInt32?, _ foreign: DecisionGraph.Node) {
    if let foreignFrom {
      if next < foreignFrom { add(next, otherwise, 0) }
      add(foreignFrom, foreign, 0)
      add(.max, otherwise, 0)
    } else {
      add(next, otherwise, 0)
    }
  }

  private mutating func add(_ start: UInt32, _ node: DecisionGraph.Node, _ weight: UInt32) {
    if let last = segments.indices.last, segments[last].node == node {
      segments[last].weight = max(segments[last].weight, segments[last].weight &+ weight)
    } else {
      segments.append(Segment(start: start, node: node, weight: weight))
    }
  }
}
