import ChildProcesses
import Foundation
import Seccomp
import Testing

/// Debian's python3-seccomp as the rival: what libseccomp compiles the same rules to, run by our simulator.
enum Libseccomp {
  static let python = "/usr/bin/python3"
  static let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Bench/libseccomp-program.py").path

  static let isThere: Bool = {
    #if arch(x86_64)
      guard FileManager.default.isExecutableFile(atPath: python) else { return false }
      return (try? run("NAMES", "default 0\n")) != nil  // Any failure means that the module is not to be had.
    #else
      return false
    #endif
  }()

  struct Failure: Error { var status: Int32 }

  static func run(_ mode: String, _ input: String) throws -> [UInt8] {
    let result = try Finished.run([python, script, mode], input: .text(input), seconds: 300)
    guard result.status == 0 else { throw Failure(status: result.status) }
    return Array(result.bytes)
  }

  static func text(_ rules: ProfileRules) -> String {
    var lines = ["default \(rules.defaultAction.value)"]
    for (architecture, name) in [(Architecture.x86, "X86"), (.x32, "X32")]
    where rules.architectures.contains(architecture) {
      lines.append("arch \(name)")
    }
    for rule in rules.rules {
      let tests = rule.conditions.map { " \($0.index) \($0.comparison.rawValue) \($0.value) \($0.valueTwo)" }.joined()
      for name in rule.names { lines.append("rule \(rule.action.value) \(name)\(tests)") }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  static func program(_ rules: ProfileRules, _ mode: String) throws -> [FilterInstruction] {
    let bytes = try run(mode, text(rules))
    return stride(from: 0, to: bytes.count, by: 8).map { at in
      FilterInstruction(
        code: UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8, jt: bytes[at + 2], jf: bytes[at + 3],
        k: (0..<4).reduce(0) { $0 | UInt32(bytes[at + 4 + $1]) << UInt32(8 * $1) })
    }
  }

  /// The rules without the calls that this libseccomp does not know.
  static func restricted(_ rules: ProfileRules) throws -> ProfileRules {
    let unknown = Set(
      String(decoding: try run("NAMES", text(rules)), as: UTF8.self).split(separator: "\n").map(String.init))
    var rules = rules
    rules.rules = rules.rules.map { ProfileRule($0.names.filter { !unknown.contains($0) }, $0.action, $0.conditions) }
      .filter { !$0.names.isEmpty }
    return rules
  }
}

@Suite("Beside Docker's profile and libseccomp")
struct LibseccompTests {
  static let docker = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fixtures/Seccomp/docker-default.json")

  static func dockerRules(_ capabilities: UInt64 = 0xA804_25FB) throws -> ProfileRules {
    let context = ProfileContext(capabilities: capabilities, kernel: (6, 1), machine: .x86_64)
    return try SeccompProfile(json: [UInt8](Data(contentsOf: docker)), source: "docker-default.json", context).rules
  }

  @Test(
    "Docker's profile: smaller than either of libseccomp's programs, and no slower on the commonest calls",
    .enabled(if: Libseccomp.isThere, "needs python3-seccomp on x86-64"))
  func docker() throws {
    let rules = try Libseccomp.restricted(Self.dockerRules())
    let ours = try SeccompProfile(rules).compile(for: .x86_64).instructions
    let linear = try Libseccomp.program(rules, "LINEAR")
    let tree = try Libseccomp.program(rules, "TREE")
    print("Docker's profile, x86-64 + i386 + x32         immure  libseccomp  libseccomp, tree")
    print("instructions".padded(44), "\(ours.count)".padded(7), "\(linear.count)".padded(11), tree.count)
    #expect(ours.count < linear.count)
    #expect(ours.count < tree.count)
    var sums = (0, 0, 0)
    for name in SyscallTable.commonest {
      let number = try #require(SyscallTable.number(of: name, architecture: .x86_64))
      let call = SeccompData(number: number, architecture: Architecture.x86_64.auditToken!, arguments: [1, 2, 3])
      let steps = try (
        Simulator.run(ours, call).steps, Simulator.run(linear, call).steps, Simulator.run(tree, call).steps
      )
      print("steps of \(name)".padded(44), "\(steps.0)".padded(7), "\(steps.1)".padded(11), steps.2)
      #expect(steps.0 <= steps.1, "\(name)")
      #expect(steps.0 <= steps.2, "\(name)")
      sums = (sums.0 + steps.0, sums.1 + steps.1, sums.2 + steps.2)
    }
    print("steps of all".padded(44), "\(sums.0)".padded(7), "\(sums.1)".padded(11), sums.2)
  }

  @Test(
    "both say the same of every call", .enabled(if: Libseccomp.isThere, "needs python3-seccomp on x86-64"),
    arguments: [0, 0xA804_25FB, .max] as [UInt64])
  func same(_ capabilities: UInt64) throws {
    var rules = try Libseccomp.restricted(Self.dockerRules(capabilities))
    // libseccomp kills the thread where another architecture calls, and compares only the low halves of x32's
    // arguments.
    rules.foreignAction = .killThread
    rules.architectures = [.x86]
    let theirs = try Libseccomp.program(rules, "LINEAR")
    let proof = try Proof(rules, theirs, on: .x86_64)
    #expect(proof.differences == [])
  }

  @Test(
    "our own default refuses whatever Docker's refuses", arguments: [0, 0xA804_25FB, .max] as [UInt64], [false, true])
  func strictness(_ capabilities: UInt64, compat32: Bool) throws {
    let theirs = Meaning(try Self.dockerRules(capabilities), on: .x86_64)
    let profile = DefaultProfile(capabilities: capabilities, compat32: compat32)
    let ours = try profile.compile(for: .x86_64).instructions
    let conditions = (profile.rules.rules + (try Self.dockerRules(capabilities).rules)).filter {
      !$0.conditions.isEmpty
    }
    var looser: [String] = []
    for architecture in [Architecture.x86_64, .x86, .x32] {
      for number in Proof.numbers {
        let names = Set([SyscallTable.name(of: number, architecture: architecture)].compactMap { $0 })
        let about = conditions.filter { !names.isDisjoint(with: $0.names) }.flatMap(\.conditions)
        for arguments in Proof.arguments(about) {
          let call = SeccompData(number: number, architecture: architecture.auditToken!, arguments: arguments)
          let (mine, docker) = (try Simulator.run(ours, call).action, theirs.action(of: call))
          if mine == .allow, docker != .allow, looser.count < 10 { looser.append("\(names) \(call): \(docker)") }
        }
      }
    }
    #expect(looser == [])
  }
}

extension String {
  fileprivate func padded(_ width: Int) -> String { padding(toLength: max(width, count), withPad: " ", startingAt: 0) }
}
