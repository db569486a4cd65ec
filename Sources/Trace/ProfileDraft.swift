public import Formats
import Seccomp

/// The seccomp profile of a run, in the runtime specification's JSON (config-linux.md, "Seccomp"): the calls that were made and the few
/// that start a program, everything else EPERM.
public struct ProfileDraft: Sendable {
  public let json: JSONValue
  /// Where the profile lets through more than was seen.
  public let notes: [String]

  /// What immure's first process and the step to the program call themselves (docs/guest-init.md), and what a kernel calls on its own;
  /// fstatfs and getdents64 are runc's, which looks at its descriptors behind the filter.
  static let starting = [
    "chdir", "close", "dup3", "execve", "execveat", "exit", "exit_group", "fcntl", "fstatfs", "getdents64", "getpid",
    "kill", "mmap", "munmap", "pipe2", "read", "restart_syscall", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
    "rt_sigtimedwait", "sendto", "setpgid", "setsid", "umask", "wait4", "write",
  ]
  /// Calls about the program's own memory, time and locks, which one run makes and the next does not: a lock that nobody else held, a
  /// clock that the vDSO could not read, an allocation that still fitted, a shell without PWD. They reach nothing outside.
  static let varying = [
    "brk", "clock_getres", "clock_gettime", "futex", "getcpu", "getcwd", "gettid", "gettimeofday", "madvise",
    "mprotect",
    "mremap", "sched_yield", "time",
  ]
  /// PR_SET_DUMPABLE, PR_SET_NAME and PR_SET_CHILD_SUBREAPER of the same; TIOCSCTTY for a terminal.
  static let startingValues: [(name: String, values: [UInt32])] = [("prctl", [4, 15, 36]), ("ioctl", [0x540e])]
  /// isatty(3) and a window's size: whether they are asked depends on what the streams are connected to (ioctl_tty(2)).
  static let terminalQuestions: Set<UInt32> = [0x5401, 0x5413]
  /// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET (linux/sched.h).
  static let namespaceFlags: UInt32 = 0x7e02_0000

  public init(_ facts: TraceFacts) {
    var notes: [String] = []
    var plain: Set<String> = []
    var values: [String: Set<UInt32>] = [:]
    var clones: Set<UInt32> = [0]
    var refusesClone3 = true
    for fact in facts.calls {
      switch (fact.name, fact.values) {
      case ("clone", let seen?): clones.formUnion(seen.map { $0 & Self.namespaceFlags })
      case ("clone3", let seen):
        if seen?.contains(where: { $0 & (Self.namespaceFlags | 0x80) != 0 }) ?? true {
          refusesClone3 = false
          notes.append("clone3 made namespaces, and its flags are not seen by a filter: it is let through whole")
        }
      case (let name, let seen?) where FixedArgument.place[name] != nil:
        values[name, default: []].formUnion(seen)
      case (let name, nil):
        plain.insert(name)
        notes.append("\(name) was made with more than \(TraceFacts.mostValues) values: it is let through whole")
      case ("socketcall", _):
        plain.insert("socketcall")
        notes.append("i386's socketcall hides its arguments from filters: every socket family is let through by it")
      case (let name, _): plain.insert(name)
      }
    }
    if values["ioctl"] != nil { values["ioctl"]?.formUnion(Self.terminalQuestions) }
    for name in plain { values[name] = nil }

    var rules: [JSONValue] = [Self.rule(plain.sorted(), comment: "made by the program")]
    for (name, seen) in values.sorted(by: { $0.key < $1.key }) {
      for value in seen.sorted() { rules.append(Self.rule(name, argument: FixedArgument.place[name] ?? 0, is: value)) }
    }
    // Whether new threads come by clone or clone3 is the C library's choice; a filter can look into the first only. With ENOSYS it falls
    // back.
    for flags in clones.sorted() { rules.append(Self.rule("clone", argument: 0, mask: Self.namespaceFlags, is: flags)) }
    if refusesClone3 {
      rules.append(["names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38])
    } else {
      rules.append(Self.rule(["clone3"]))
    }
    rules.append(Self.rule(Self.starting.filter { !plain.contains($0) }, comment: "made to start and end the program"))
    rules.append(Self.rule(Self.varying.filter { !plain.contains($0) }, comment: "of its own memory, time and locks"))
    for (name, more) in Self.startingValues where !plain.contains(name) {
      for value in more where values[name]?.contains(value) != true {
        rules.append(Self.rule(name, argument: FixedArgument.place[name] ?? 0, is: value))
      }
    }
    if !facts.unknownCalls.isEmpty {
      notes.append(
        "calls without a name are refused by the profile: \(facts.unknownCalls.sorted().joined(separator: ", "))")
    }
    let others = Set(facts.calls.map(\.architecture)).subtracting([Architecture.host])
    let architectures = [Architecture.host] + others.sorted { $0.rawValue < $1.rawValue }
    json = [
      "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
      "architectures": .array(architectures.map { .string($0.rawValue) }),
      // A rule without a name is none to the readers of profiles.
      "syscalls": .array(rules.filter { $0["names"] != .array([]) }),
    ]
    self.notes = notes
  }

  private static func rule(_ names: [String], comment: String? = nil) -> JSONValue {
    var rule: JSONObject = JSONObject()
    rule["names"] = .array(names.map { .string($0) })
    rule["action"] = "SCMP_ACT_ALLOW"
    if let comment { rule["comment"] = .string(comment) }
    return .object(rule)
  }

  private static func rule(_ name: String, argument: UInt8, mask: UInt32 = .max, is value: UInt32) -> JSONValue {
    let condition: JSONValue = [
      "index": .integer(Int64(argument)), "value": .integer(Int64(mask)), "valueTwo": .integer(Int64(value)),
      "op": "SCMP_CMP_MASKED_EQ",
    ]
    return ["names": [.string(name)], "action": "SCMP_ACT_ALLOW", "args": [condition]]
  }
}
