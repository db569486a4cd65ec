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
      SyscallTable.calls(of: architecture).forEach { if !named.contains($0.name) { others.insert($0.name) } }
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

  /// The filter for a machine: what `rules` means, from the tables by number where it serves one architecture only.
  public func compile(for machine: Architecture = .host) throws(SeccompError) -> SeccompProgram {
    guard kind != .worker, !compat32, let table = Self.groups(of: machine) else {
      return try rules.compile(for: machine)
    }
    var assembly = ProgramAssembly()
    let unknown = assembly.graph.answer(treatment(of: .unknown)[0].action)
    let foreign = assembly.graph.answer(.killProcess)
    var nodes = [DecisionGraph.Node](repeating: -1, count: 128)
    for group in CallGroup.allCases {
      let clauses = treatment(of: group).map { (action, conditions) in
        Clause(conditions, assembly.graph.answer(action), narrow: false)
      }
      nodes[Int(group.letter.asciiValue!)] = assembly.graph.decide(clauses, otherwise: unknown)
    }
    var line = NumberLine(otherwise: unknown)
    let common = [UInt8(ascii: "h"), UInt8(ascii: "i")]
    // SAFETY: a static string's bytes live for ever and never change.
    let letters = unsafe Span(_unsafeStart: table.utf8Start, count: table.utf8CodeUnitCount)
    var number: UInt32 = 0
    for index in letters.indices where letters[index] != UInt8(ascii: "\n") {
      let letter = letters[index]
      line.set(number, nodes[Int(letter)], weight: common.contains(letter) ? SyscallTable.commonWeight : 0)
      number += 1
    }
    line.finish(foreignFrom: machine == .x86_64 ? Architecture.x32Bit : nil, foreign)
    assembly.add(machine, line.segments)
    return SeccompProgram(instructions: try assembly.finish(foreign: foreign), flags: [], usesNotify: false)
  }

  /// The letter of every call number's group, as `DefaultProfile+Groups.swift` ought to have them: made from the names.
  package static func lettersFromNames(of architecture: Architecture) -> String {
    var letters: [String: Character] = [:]
    for group in CallGroup.allCases {
      guard let text = group.names else { continue }
      for name in words(of: text) { letters[name] = group.letter }
    }
    for name in SyscallTable.commonest where letters[name] == CallGroup.allowed.letter {
      letters[name] = CallGroup.commonest.letter
    }
    var line: [Character] = []
    for (number, name) in SyscallTable.calls(of: architecture) {
      while line.count < Int(number) { line.append(CallGroup.unknown.letter) }
      line.append(letters[name] ?? CallGroup.refused.letter)
    }
    return String(line)
  }

  /// The letters that `compile` goes by; nil for an architecture without a table.
  package static func letters(of architecture: Architecture) -> String? {
    groups(of: architecture).map { "\($0)".filter { $0 != "\n" } }
  }

  static func words(of text: StaticString) -> [String] {
    "\(text)".split { $0 == " " || $0 == "\n" }.map(String.init)
  }
}
