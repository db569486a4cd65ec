extension ProfileRules {
  /// The smallest and fastest program we know that means the same (see `ProfileRules` for what it means).
  /// - Throws: where `machine` has no tables, or the program would be longer than the kernel takes.
  public func compile(for machine: Architecture) throws(SeccompError) -> SeccompProgram {
    guard let family = machine.family else {
      throw SeccompError("seccomp: no call numbers for \(machine.rawValue): only x86-64, arm64 and riscv64 are known")
    }
    var assembly = ProgramAssembly()
    let served = family.filter { $0 == machine || architectures.contains($0) }
    let otherwise = assembly.graph.answer(defaultAction)
    let foreign = assembly.graph.answer(foreignAction)
    for architecture in served where architecture != .x32 {
      var line = NumberLine(otherwise: otherwise)
      fill(&line, architecture, &assembly.graph, otherwise)
      let sharesToken = architecture == .x86_64
      if sharesToken, served.contains(.x32) { fill(&line, .x32, &assembly.graph, otherwise) }
      line.finish(foreignFrom: sharesToken && !served.contains(.x32) ? Architecture.x32Bit : nil, foreign)
      assembly.add(architecture, line.segments)
    }
    return SeccompProgram(instructions: try assembly.finish(foreign: foreign), flags: flags, usesNotify: usesNotify)
  }

  private func fill(
    _ line: inout NumberLine, _ architecture: Architecture, _ graph: inout DecisionGraph,
    _ otherwise: DecisionGraph.Node
  ) {
    guard let index = SyscallIndex(architecture) else { return }
    var uses: [(number: UInt32, rule: Int)] = []
    uses.reserveCapacity(512)
    for (position, rule) in rules.enumerated() {
      for name in rule.names {
        if let number = index.number(of: name) { uses.append((number, position)) }
      }
    }
    uses.sort { $0.number != $1.number ? $0.number < $1.number : $0.rule < $1.rule }
    // x32 shares a tree with x86-64, which must not grow longer paths for it.
    let common = architecture == .x32 ? [] : SyscallTable.commonest.compactMap { index.number(of: $0) }

    var start = 0
    while start < uses.count {
      let number = uses[start].number
      var end = start
      while end < uses.count, uses[end].number == number { end += 1 }
      let node = node(uses[start..<end].lazy.map { rules[$0.rule] }, architecture, &graph, otherwise)
      line.set(number, node, weight: common.contains(number) ? SyscallTable.commonWeight : 0)
      start = end
    }
  }

  private func node(
    _ rules: some Collection<ProfileRule>, _ architecture: Architecture, _ graph: inout DecisionGraph,
    _ otherwise: DecisionGraph.Node
  ) -> DecisionGraph.Node {
    var clauses: [Clause] = []
    for rule in rules {
      clauses.append(Clause(rule.conditions, graph.answer(rule.action), narrow: architecture.hasNarrowArguments))
      if rule.conditions.isEmpty { break }
    }
    return graph.decide(clauses, otherwise: otherwise)
  }
}

extension SyscallTable {
  /// The calls that programs make most (strace -c over shells, compilers, Python and servers): they get the shortest
  /// paths.
  public static let commonest = [
    "read", "write", "close", "openat", "fstat", "newfstatat", "lseek", "mmap", "mprotect", "munmap", "brk",
    "rt_sigaction", "rt_sigprocmask", "ioctl", "pread64", "futex", "epoll_wait", "poll", "recvfrom", "sendto",
  ]
  /// How much more often one of them is made than another call.
  static let commonWeight: UInt32 = 32
}
