extension DefaultProfile {
  /// The profile spelt out by names: what it means. `compile` gives the same from tables by number, which is quicker.
  public var rules: ProfileRules {
    if kind == .worker { return workerRules }
    var rules: [ProfileRule] = []
    var named: Set<String> = []
    for group in CallGroup.allCases {
      guard let text = group.names else { continue }
      let names = Self.words(of: text)
      named.formUnion(names)
      for (action, conditions) in treatment(of: group) { rules.append(ProfileRule(names, action, conditions)) }
    }
    var others: Set<String> = []
    for architecture in Architecture.allCases {
      for call in SyscallTable.calls(of: architecture) where !named.contains(call.name) { others.insert(call.name) }
    }
    rules.append(ProfileRule(others.sorted(), treatment(of: .refused)[0].action))
    return ProfileRules(
      defaultAction: treatment(of: .unknown)[0].action, architectures: compat32 ? [.x86, .arm] : [], rules: rules)
  }

  private var workerRules: ProfileRules {
    let executable: UInt64 = 4  // PROT_EXEC, asm-generic/mman-common.h
    return ProfileRules(
      defaultAction: .killProcess,
      rules: [
        ProfileRule(Self.words(of: CallGroup.workerNames), .allow),
        ProfileRule(
          Self.words(of: CallGroup.workerMemoryNames), .allow, [ArgumentCondition(2, .maskedEqual, executable, 0)]),
      ])
  }

  /// The filter for a machine: what `rules` means, from the tables by number.
  public func compile(for machine: Architecture = .host) throws(SeccompError) -> SeccompProgram {
    guard kind != .worker, Self.groups(of: machine) != nil else { return try rules.compile(for: machine) }
    var assembly = ProgramAssembly()
    let foreign = assembly.graph.answer(.killProcess)
    for architecture in compat32 ? [machine, .x86, .arm] : [machine] {
      guard machine.family?.contains(architecture) == true, let table = Self.groups(of: architecture) else { continue }
      let segments = segments(table, architecture, &assembly.graph, foreign: foreign)
      assembly.add(architecture, segments)
    }
    return SeccompProgram(instructions: try assembly.finish(foreign: foreign), flags: [], usesNotify: false)
  }

  private func segments(
    _ table: StaticString, _ architecture: Architecture, _ graph: inout DecisionGraph, foreign: DecisionGraph.Node
  ) -> [Segment] {
    let unknown = graph.answer(.errno(Self.noSuchCall))
    // By letter; -1 where no call of the group was met yet.
    var nodes = [DecisionGraph.Node](repeating: -1, count: 128)
    var line = NumberLine(otherwise: unknown)
    // SAFETY: a static string's bytes live for ever and never change.
    let letters = unsafe Span(_unsafeStart: table.utf8Start, count: table.utf8CodeUnitCount)
    var number: UInt32 = 0
    var isGap = false
    for index in letters.indices where letters[index] != UInt8(ascii: "\n") {
      let letter = letters[index]
      switch letter {
      case UInt8(ascii: "["):
        isGap = true
        number = 0
      case UInt8(ascii: "]"): isGap = false
      case _ where isGap: number = number * 10 + UInt32(letter - UInt8(ascii: "0"))
      default:
        if nodes[Int(letter)] < 0 { nodes[Int(letter)] = node(letter, architecture, &graph, unknown) }
        let isCommon = letter == UInt8(ascii: "h") || letter == UInt8(ascii: "i")
        line.set(number, nodes[Int(letter)], weight: isCommon ? SyscallTable.commonWeight : 0)
        number += 1
      }
    }
    line.finish(foreignFrom: architecture == .x86_64 ? Architecture.x32Bit : nil, foreign)
    return line.segments
  }

  private func node(
    _ letter: UInt8, _ architecture: Architecture, _ graph: inout DecisionGraph, _ unknown: DecisionGraph.Node
  ) -> DecisionGraph.Node {
    guard let group = CallGroup(letter: letter) else { return unknown }
    let treatment = treatment(of: group)
    if treatment[0].conditions.isEmpty { return graph.answer(treatment[0].action) }
    let clauses = treatment.map { (action, conditions) in
      Clause(conditions, graph.answer(action), narrow: architecture.hasNarrowArguments)
    }
    return graph.decide(clauses, otherwise: unknown)
  }

  /// The letter of every call number's group, as `DefaultProfile+Groups.swift` ought to have them: made from the
  /// names. A call with two names goes by the first.
  package static func lettersFromNames(of architecture: Architecture) -> String {
    var letters: [String: Character] = [:]
    for group in CallGroup.allCases {
      guard let text = group.names else { continue }
      for name in words(of: text) { letters[name] = group.letter }
    }
    for name in SyscallTable.commonest where letters[name] == CallGroup.allowed.letter {
      letters[name] = CallGroup.commonest.letter
    }
    var line = ""
    var next: UInt32 = 0
    for (number, name) in SyscallTable.calls(of: architecture) where number >= next {
      if number > next { line += "[\(number)]" }
      line.append(letters[name] ?? CallGroup.refused.letter)
      next = number + 1
    }
    return line
  }

  /// The letters that `compile` goes by; nil for an architecture without a table.
  package static func letters(of architecture: Architecture) -> String? {
    groups(of: architecture).map { "\($0)".filter { $0 != "\n" } }
  }

  static func words(of text: StaticString) -> [String] {
    "\(text)".split { $0 == " " || $0 == "\n" }.map(String.init)
  }
}
