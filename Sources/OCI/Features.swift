import Formats
import Linux
import Policy
import Seccomp
import Walls

/// `features` (features.md, features-linux.md): what is held here, and nothing else.
enum Features {
  static func print(_ session: RuntimeSession) {
    let seccomp = RuntimeFeatures.Seccomp(
      actions: [
        "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
        "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
      ],
      operators: [
        "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
      ],
      architectures: Architecture.allCases.filter { !SyscallTable.calls(of: $0).isEmpty }.map(\.rawValue).sorted(),
      flags: [
        "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
      ])
    var value = RuntimeFeatures(seccomp: seccomp, hasSystemd: true).json
    if case .object(var object) = value {
      object["annotations"] = [
        "dev.immure.version": .string(session.version),
        "dev.immure.walls": .string(session.walls.map(\.name.rawValue).joined(separator: ",")),
      ]
      value = .object(object)
    }
    Output.print(value, indented: true)
  }
}
