/// A filter as a graph of decisions: what the program does, not yet where its instructions stand.
///
/// Every node says which word of `seccomp_data` it expects in the accumulator. Equal nodes are one node, so that
/// equal tails (the same answer, the same argument test on two architectures) are shared by construction.
struct DecisionGraph {
  typealias Node = Int32

  /// One decision. A test with a mask leaves the accumulator spoilt.
  struct Content: Hashable {
    /// `Opcode.ret`, `Opcode.load` (of `word`, then `whenTrue`) or a conditional jump.
    var code: UInt16
    /// The offset expected in the accumulator, or loaded; `none` for an answer.
    var word: UInt32
    /// ANDed before the test; all ones: not.
    var mask: UInt32
    var k: UInt32
    var whenTrue: Node
    var whenFalse: Node
  }

  static let none = UInt32.max
  private(set) var contents: [Content] = []
  /// Position in `contents` plus 1, 0 where free; open addressing, at most half full.
  private var slots: [Int32]

  init() {
    slots = [Int32](repeating: 0, count: 2048)
    contents.reserveCapacity(512)
  }

  subscript(node: Node) -> Content { contents[Int(node)] }

  mutating func answer(_ action: Action) -> Node {
    intern(Content(code: Opcode.ret, word: Self.none, mask: .max, k: action.value, whenTrue: -1, whenFalse: -1))
  }

  /// A conditional jump on `word & mask`.
  mutating func test(
    _ code: UInt16, word: UInt32, mask: UInt32 = .max, _ k: UInt32, then whenTrue: Node, else whenFalse: Node
  ) -> Node {
    if whenTrue == whenFalse { return whenTrue }
    let left = mask == .max ? word : Self.none
    let (yes, no) = (enter(whenTrue, holding: left), enter(whenFalse, holding: left))
    return intern(Content(code: code, word: word, mask: mask, k: k, whenTrue: yes, whenFalse: no))
  }

  /// The node, with the load before it that it needs when the accumulator holds `word`.
  mutating func enter(_ node: Node, holding word: UInt32 = none) -> Node {
    let content = contents[Int(node)]
    if content.code == Opcode.ret || content.code == Opcode.load || content.word == word { return node }
    return intern(
      Content(code: Opcode.load, word: content.word, mask: .max, k: 0, whenTrue: node, whenFalse: -1))
  }

  private mutating func intern(_ content: Content) -> Node {
    var slot = Self.slot(content, slots.count)
    while slots[slot] != 0 {
      let node = slots[slot] - 1
      if contents[Int(node)] == content { return node }
      slot = (slot + 1) & (slots.count - 1)
    }
    contents.append(content)
    slots[slot] = Int32(contents.count)
    if contents.count * 2 > slots.count { grow() }
    return Node(contents.count - 1)
  }

  private mutating func grow() {
    slots = [Int32](repeating: 0, count: slots.count * 2)
    for (index, content) in contents.enumerated() {
      var slot = Self.slot(content, slots.count)
      while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = Int32(index + 1)
    }
  }

  private static func slot(_ content: Content, _ count: Int) -> Int {
    var hash = UInt64(content.code) | UInt64(content.word) << 16
    hash = (hash ^ UInt64(content.k) << 20) &* 0x9e37_79b9_7f4a_7c15
    hash = (hash ^ UInt64(content.mask)) &* 0x9e37_79b9_7f4a_7c15
    hash ^= UInt64(UInt32(bitPattern: content.whenTrue)) << 32 | UInt64(UInt32(bitPattern: content.whenFalse))
    hash = hash &* 0x9e37_79b9_7f4a_7c15
    return Int(truncatingIfNeeded: hash >> 32) & (count - 1)
  }
}
