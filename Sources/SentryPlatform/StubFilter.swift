public import Seccomp

/// Who answers which call of a guest, as data: the filter that stands over every stub (seccomp(2)). What no list names is notified: the sentry
/// serves it, or lets the host's kernel perform it after a look at its registers.
public struct StubFilter: Sendable {
  public enum Policy: String, Sendable, CaseIterable {
    /// The sentry is asked about memory and waiting too.
    case strict
    /// Private memory, futexes, waiting for children and yielding are the host's kernel's at once.
    case nativeHarmless = "native-harmless"
  }
  /// A call that the host's kernel performs unasked, and why that is harmless.
  public struct Row: Sendable, Equatable {
    public let number: UInt32
    public let name: String
    public let reason: String
    init(_ number: UInt32, _ name: String, _ reason: String) {
      self.number = number
      self.name = name
      self.reason = reason
    }
  }

  /// One deed of the host's kernel that the sentry lets it do after a look at the call's registers, under each number that asks for it.
  public struct Continued: Sendable, Equatable {
    public let kind: String
    public let calls: [String]
    public let numbers: [UInt32]
    /// What the sentry has seen to before.
    public let reason: String
    init(_ kind: String, _ calls: KeyValuePairs<UInt32, String>, _ reason: String) {
      self.kind = kind
      self.calls = calls.map(\.value)
      numbers = calls.map(\.key)
      self.reason = reason
    }
  }

  public let policy: Policy
  /// By number: whether it may be let through.
  private let continuing: [Bool]
  /// Calls that are not there are answered by the sentry, which can tell of them, and not by the filter.
  private let asksForAbsent: Bool
  /// Whether clone3(2) is there: only where guests can make no user namespaces whatever its flags say when the host reads them.
  private let hasClone3: Bool
  /// Whether a tracer is asked, and not a listener. No clone3 then: its flags, which may change, can hide a child from a tracer.
  private let asksTracer: Bool
  public init(_ policy: Policy, asksForAbsent: Bool = false, hasClone3: Bool = false) {
    self.init(policy, asksForAbsent: asksForAbsent, hasClone3: hasClone3, asksTracer: false)
  }

  var traced: StubFilter { StubFilter(policy, asksForAbsent: asksForAbsent, hasClone3: false, asksTracer: true) }

  private init(_ policy: Policy, asksForAbsent: Bool, hasClone3: Bool, asksTracer: Bool) {
    self.policy = policy
    self.asksForAbsent = asksForAbsent
    self.hasClone3 = hasClone3
    self.asksTracer = asksTracer
    var continuing = [Bool](repeating: false, count: 512)
    for number in Self.continued(policy, hasClone3).flatMap(\.numbers) { continuing[Int(number)] = true }
    self.continuing = continuing
  }

  /// AUDIT_ARCH_X86_64.
  package static let architecture: UInt32 = 0xc000_003e

  package static let always: [Row] = [
    Row(202, "futex", "the caller's memory; shared words are found by the file that backs them"),
    Row(218, "set_tid_address", "a word of the caller's memory, cleared at its end"),
    Row(273, "set_robust_list", "a list in the caller's memory, walked at its end"),
    Row(334, "rseq", "a word of the caller's memory"),
    Row(158, "arch_prctl", "the caller's segment bases and CPUID faulting"),
    Row(131, "sigaltstack", "where the caller's handlers run"),
    Row(15, "rt_sigreturn", "the caller's own frame"),
    Row(14, "rt_sigprocmask", "the caller's own mask"),
    Row(130, "rt_sigsuspend", "the caller's own mask"),
    Row(128, "rt_sigtimedwait", "the caller's own pending signals"),
    Row(127, "rt_sigpending", "the caller's own pending signals"),
    Row(34, "pause", "the caller sleeps"),
    Row(219, "restart_syscall", "goes on with a call that was let through"),
  ]
  static let harmless: [Row] = [
    Row(9, "mmap", "with MAP_ANONYMOUS: the caller's memory"),
    Row(11, "munmap", "the caller's memory"),
    Row(10, "mprotect", "the caller's memory"),
    Row(12, "brk", "the caller's memory"),
    Row(28, "madvise", "the caller's memory"),
    Row(25, "mremap", "the caller's memory"),
    Row(24, "sched_yield", "takes no argument"),
    Row(61, "wait4", "the caller's own children, by the guests' pid namespace"),
    Row(247, "waitid", "the caller's own children, by the guests' pid namespace; asked about with P_PIDFD"),
    Row(186, "gettid", "the guests' pid namespace numbers them"),
    Row(228, "clock_gettime", "the same clocks that the vDSO tells"),
  ]
  /// Allowed from the stub's own text alone, and harmless from there too: anyone may jump to it.
  static let atStub: [Row] = [
    Row(9, "mmap", "of a descriptor that the sentry put into the caller's table for it"),
    Row(3, "close", "of such a descriptor"),
    Row(462, "mseal", "the caller's memory"),
  ]
  /// Their arguments lie in memory that may change after a look, or they reach past this filter: ENOSYS at once, as an older kernel says.
  static let lastResort = [Row(435, "clone3", "its flags lie in memory; C libraries go on to clone")]
  static let absent: [Row] = [
    Row(425, "io_uring_setup", "its calls pass no filter"),
    Row(426, "io_uring_enter", "its calls pass no filter"),
    Row(427, "io_uring_register", "its calls pass no filter"),
  ]

  static let births = Continued(
    "a new thread or process", [56: "clone", 57: "fork", 58: "vfork", 272: "unshare"],
    "what the child has is prepared; flags that make namespaces or descriptors are refused; unshare ends clone's CLONE_FILES alone"
  )
  static let birthsByClone3 = Continued(
    births.kind, [56: "clone", 57: "fork", 58: "vfork", 272: "unshare", 435: "clone3"],
    "as without clone3, whose flags the host reads once more: user namespaces are shut, others want capabilities")
  static let continuedAlways: [Continued] = [
    Continued("another program", [59: "execve", 322: "execveat"], "whatever the path says, the host finds the stub"),
    Continued("its end", [60: "exit", 231: "exit_group"], "what it had open is closed"),
    Continued(
      "its own signals",
      [
        13: "rt_sigaction", 62: "kill", 200: "tkill", 234: "tgkill", 129: "rt_sigqueueinfo", 297: "rt_tgsigqueueinfo",
        0: "read", 19: "readv", 295: "preadv", 327: "preadv2",
      ],
      "sent to its own process, or to one that it may send to and that wants to know from whom; read from a signalfd(2) that the sentry put into its table"
    ),
    Continued(
      "its place among processes", [109: "setpgid", 112: "setsid", 157: "prctl"],
      "the sentry has done the same; prctl for PR_SET_CHILD_SUBREAPER alone"),
    Continued(
      "its own filter", [317: "seccomp", 157: "prctl"],
      "it takes away from what the caller may ask, above this filter; a listener is refused"),
  ]
  static let continuedMappings = Continued(
    "mappings of files, and pages kept",
    [
      9: "mmap", 3: "close", 30: "shmat", 67: "shmdt", 26: "msync", 27: "mincore", 149: "mlock", 150: "munlock",
      151: "mlockall", 152: "munlockall", 325: "mlock2", 324: "membarrier",
    ],
    "the sentry put the file into the caller's table, with the rights that it has, or looked whose the segment is"
  )
  static let continuedWaiting = Continued(
    "waiting for a child by descriptor", [247: "waitid"], "the sentry put the child's into the caller's table")
  static let continuedStrict: [Continued] = [
    Continued(
      "its memory",
      [
        9: "mmap", 3: "close", 30: "shmat", 67: "shmdt", 10: "mprotect", 11: "munmap", 12: "brk", 25: "mremap",
        28: "madvise", 26: "msync", 27: "mincore", 149: "mlock", 150: "munlock", 151: "mlockall", 152: "munlockall",
        325: "mlock2", 324: "membarrier",
      ],
      "the sentry put the file into the caller's table, with the rights that it has; the rest is the caller's memory"),
    Continued(
      "waiting for its children", [61: "wait4", 247: "waitid"], "the guests' pid namespace has no others"),
  ]

  /// What the host's kernel performs after the sentry has looked: nothing else that the filter asks about may be let through.
  public var continued: [Continued] { Self.continued(policy, hasClone3) }
  private static func continued(_ policy: Policy, _ hasClone3: Bool) -> [Continued] {
    [hasClone3 ? birthsByClone3 : births] + continuedAlways
      + (policy == .strict ? continuedStrict : [continuedMappings, continuedWaiting])
  }

  /// Whether the host's kernel may perform this call of a guest's.
  public func mayContinue(_ number: Int32) -> Bool {
    number >= 0 && Int(number) < continuing.count && continuing[Int(number)]
  }

  /// Everything that the host's kernel performs unasked.
  public var native: [Row] {
    let rows = Self.always + (policy == .nativeHarmless ? Self.harmless : [])
    return rows + Self.atStub.filter { row in !rows.contains { $0.number == row.number } }
  }
  public var refused: [Row] {
    (hasClone3 ? [] : Self.lastResort) + (asksForAbsent ? [] : Self.absent)
  }

  private var asking: Action { asksTracer ? .trace(0) : .notify }

  /// The program. Other architectures' calls (int 0x80) end the process; x32's numbers are ENOSYS.
  public var instructions: [FilterInstruction] {
    let isHarmless = policy == .nativeHarmless
    let allowed = Self.always + (isHarmless ? Self.harmless.filter { $0.number != 9 && $0.number != 247 } : [])
    var lines: [Line] = [
      .load(SeccompDataOffset.architecture), .jump(Opcode.jumpIfEqual, Self.architecture, nil, .kill),
      .load(SeccompDataOffset.number), .jump(Opcode.jumpIfGreaterOrEqual, 0x4000_0000, .absent, nil),
    ]
    for row in allowed { lines.append(.jump(Opcode.jumpIfEqual, row.number, .allow, nil)) }
    for row in refused { lines.append(.jump(Opcode.jumpIfEqual, row.number, .absent, nil)) }
    lines.append(.jump(Opcode.jumpIfEqual, 9, .mapping, nil))
    if isHarmless { lines.append(.jump(Opcode.jumpIfEqual, 247, .waiting, nil)) }
    for row in Self.atStub where row.number != 9 { lines.append(.jump(Opcode.jumpIfEqual, row.number, .place, nil)) }
    lines.append(.end(asking))
    if isHarmless {
      lines.append(.label(.waiting))
      lines.append(.load(SeccompDataOffset.low(ofArgument: 0)))
      let processFile: UInt32 = 3
      lines.append(.jump(Opcode.jumpIfEqual, processFile, .notified, .allow))
    }
    lines.append(.label(.mapping))
    if isHarmless {
      lines.append(.load(SeccompDataOffset.low(ofArgument: 3)))
      let anonymous: UInt32 = 0x20
      lines.append(.jump(Opcode.jumpIfSet, anonymous, .allow, nil))
    }
    lines.append(.label(.place))
    lines.append(.load(SeccompDataOffset.instructionPointer + 4))
    lines.append(.jump(Opcode.jumpIfEqual, UInt32(StubProgram.base >> 32), nil, .notified))
    lines.append(.load(SeccompDataOffset.instructionPointer))
    lines.append(.jump(Opcode.jumpIfGreaterOrEqual, UInt32(StubProgram.limit), .notified, .allow))
    for (target, action) in [
      (Target.notified, asking), (.allow, .allow), (.absent, .errno(38)), (.kill, .killProcess),
    ] {
      lines.append(.label(target))
      lines.append(.end(action))
    }
    return Self.assemble(lines)
  }

  private enum Target { case notified, allow, absent, kill, mapping, place, waiting }
  private enum Line {
    case load(UInt32)
    /// Test, constant, and where to go when it holds or not; nil is the next line.
    case jump(UInt16, UInt32, Target?, Target?)
    case end(Action)
    case label(Target)
  }

  private static func assemble(_ lines: [Line]) -> [FilterInstruction] {
    var places: [Target: Int] = [:]
    var count = 0
    for line in lines { if case .label(let target) = line { places[target] = count } else { count += 1 } }
    var program: [FilterInstruction] = []
    for line in lines {
      // All of it is shorter than a jump's reach of 255.
      let distance = { (target: Target?) in target.map { UInt8((places[$0] ?? 0) - program.count - 1) } ?? 0 }
      switch line {
      case .load(let offset): program.append(FilterInstruction(code: Opcode.load, k: offset))
      case .jump(let code, let k, let yes, let no):
        program.append(FilterInstruction(code: code, jt: distance(yes), jf: distance(no), k: k))
      case .end(let action): program.append(FilterInstruction(code: Opcode.ret, k: action.value))
      case .label: break
      }
    }
    return program
  }
}
