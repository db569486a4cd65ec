import Formats
import Foundation
import Seccomp
import Testing

@Suite("Profiles as JSON")
struct JSONTests {
  static func read(_ text: String, _ context: ProfileContext = ProfileContext(machine: .x86_64)) throws -> ProfileRules
  {
    try SeccompProfile(json: [UInt8](text.utf8), source: "profile.json", context).rules
  }

  @Test("the runtime specification's own form")
  func specification() throws {
    let rules = try Self.read(
      """
      {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_S390X"],
       "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
       "listenerPath": "/run/listener", "listenerMetadata": "m",
       "syscalls": [
        {"names": ["getcwd", "chmod"], "action": "SCMP_ACT_ERRNO", "errnoRet": 2},
        {"names": ["read"], "action": "SCMP_ACT_TRACE", "errnoRet": 65535},
        {"names": ["mknod"], "action": "SCMP_ACT_NOTIFY"},
        {"names": ["socket"], "action": "SCMP_ACT_ALLOW",
         "args": [{"index": 0, "value": 18446744073709551615, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ"}]}]}
      """)
    #expect(rules.defaultAction == .errno(38))
    #expect(rules.architectures == [.x86, .s390x])
    #expect(rules.flags == [.log, .waitKillable])
    #expect(rules.listenerPath == "/run/listener")
    #expect(rules.usesNotify)
    #expect(
      rules.rules == [
        ProfileRule(["getcwd", "chmod"], .errno(2)), ProfileRule(["read"], .trace(65535)),
        ProfileRule(["mknod"], .notify),
        ProfileRule(["socket"], .allow, [ArgumentCondition(0, .maskedEqual, .max, 3)]),
      ])
  }

  @Test(
    "Docker's conditions",
    arguments: [
      ("", true), (#""includes": {"caps": ["CAP_SYS_ADMIN"]}"#, true),
      (#""includes": {"caps": ["CAP_SYS_BOOT"]}"#, false),
      (#""includes": {"caps": ["CAP_SYS_ADMIN", "CAP_SYS_BOOT"]}"#, false),
      (#""excludes": {"caps": ["CAP_SYS_ADMIN"]}"#, false),
      (#""excludes": {"caps": ["CAP_SYS_BOOT"]}"#, true), (#""includes": {"arches": ["s390", "amd64"]}"#, true),
      (#""includes": {"arches": ["x32"]}"#, false), (#""excludes": {"arches": ["amd64"]}"#, false),
      (#""excludes": {"arches": ["arm64"]}"#, true), (#""includes": {"minKernel": "4.8"}"#, true),
      (#""includes": {"minKernel": "6.2"}"#, false), (#""includes": {"minKernel": "10.0"}"#, false),
      (#""excludes": {"minKernel": "6.1"}"#, false), (#""excludes": {"minKernel": "6.2"}"#, true),
      (#""includes": {}, "excludes": null, "comment": "c""#, true),
    ])
  func conditions(_ field: String, _ applies: Bool) throws {
    let context = ProfileContext(capabilities: 1 << 21, kernel: (6, 1), machine: .x86_64)
    let rules = try Self.read(
      """
      {"defaultAction": "SCMP_ACT_KILL", "archMap": [
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
       "syscalls": [{"name": "read", "action": "SCMP_ACT_ALLOW"\(field.isEmpty ? "" : ", ")\(field)}]}
      """, context)
    #expect(rules.rules == (applies ? [ProfileRule(["read"], .allow)] : []))
    #expect(rules.architectures == [.x86_64, .x86])
  }

  @Test("what libseccomp makes of a profile is kept")
  func libseccomp() throws {
    let rules = try Self.read(
      """
      {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_ERRNO"},
        {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [
          {"index": 1, "value": 5, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 6, "op": "SCMP_CMP_EQ"}]},
        {"names": ["read"], "action": "SCMP_ACT_KILL_PROCESS", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
        {"names": ["write"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
        {"names": ["write"], "action": "SCMP_ACT_ALLOW"}, {"names": ["write"], "action": "SCMP_ACT_TRAP"}]}
      """)
    #expect(
      rules.rules == [
        ProfileRule(["write"], .allow), ProfileRule(["write"], .trap),
        ProfileRule(["read"], .killProcess, [ArgumentCondition(0, .equal, 1)]),
        ProfileRule(["write"], .log, [ArgumentCondition(0, .equal, 1)]),
        ProfileRule(["read"], .allow, [ArgumentCondition(1, .equal, 5)]),
        ProfileRule(["read"], .allow, [ArgumentCondition(1, .equal, 6)]),
      ])
  }

  @Test("a name that no architecture has")
  func unknownNames() throws {
    let allowing = try Self.read(
      #"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["raed", "s390_sthyi", "set_tls"], "action": "SCMP_ACT_ALLOW"}]}"#
    )
    #expect(allowing.unknownNames == ["raed"])
    let error = #expect(throws: FormatError.self) {
      try Self.read(
        #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mount", "unshrae"], "action": "SCMP_ACT_ERRNO"}]}"#
      )
    }
    #expect("\(error!)".contains("unshrae"))
    #expect("\(error!)".contains("profile.json"))
    #expect("\(error!)".contains("syscalls[0]"))
  }

  @Test(
    "bad profiles are refused by what is wrong in them",
    arguments: [
      ("[]", ["object"]), ("{}", ["defaultAction"]), (#"{"defaultAction": "SCMP_ACT_PERMIT"}"#, ["SCMP_ACT_PERMIT"]),
      (#"{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}"#, ["SCMP_ACT_ALLOW", "defaultErrnoRet"]),
      (#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}"#, ["4096"]),
      (#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 70000}"#, ["70000"]),
      (#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EBOGUS"}"#, ["EBOGUS"]),
      (#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EPERM", "defaultErrnoRet": 2}"#, ["EPERM", "2"]),
      (
        #"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_VAX"]}"#,
        ["SCMP_ARCH_VAX", "architectures[0]"]
      ),
      (#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"]}"#, ["NEW_LISTENER"]),
      (
        #"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"], "archMap": [{"architecture": "SCMP_ARCH_X86"}]}"#,
        ["archMap"]
      ),
      (#"{"defaultAction": "SCMP_ACT_ALLOW", "syscall": []}"#, ["syscall"]),
      (#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_LOG"}]}"#, ["syscalls[0]"]),
      (
        #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG", "exclude": {}}]}"#,
        ["exclude"]
      ),
      (
        #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]}"#,
        ["6", "args[0].index"]
      ),
      (
        #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}]}]}"#,
        ["-1"]
      ),
      (
        #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 1, "op": "EQ"}]}]}"#,
        ["EQ"]
      ),
      (
        #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}]}"#,
        ["listenerPath"]
      ),
      (
        #"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}"#,
        ["WAIT_KILLABLE_RECV"]
      ),
      (
        #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG", "includes": {"caps": ["CAP_FLY"]}}]}"#,
        ["CAP_FLY"]
      ),
      (
        #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG", "includes": {"minKernel": "4"}}]}"#,
        ["\"4\""]
      ),
    ])
  func bad(_ text: String, _ wanted: [String]) throws {
    let error = try #require(throws: FormatError.self) { try Self.read(text) }
    let line = "\(error)"
    #expect(!line.contains("\n"))
    for word in wanted { #expect(line.contains(word), "\(line)") }
  }

  /// containers-common's own profile, as Debian ships it.
  static let shipped = "/usr/share/containers/seccomp.json"

  @Test(
    "containers-common's profile, whole",
    .enabled(if: FileManager.default.fileExists(atPath: shipped), "needs golang-github-containers-common"),
    arguments: [0, 0xA804_25FB, .max] as [UInt64], CompilerTests.machines)
  func containersCommon(_ capabilities: UInt64, _ machine: Architecture) throws {
    let bytes = [UInt8](try #require(FileManager.default.contents(atPath: Self.shipped)))
    let context = ProfileContext(capabilities: capabilities, kernel: (6, 1), machine: machine)
    let profile = try SeccompProfile(json: bytes, source: Self.shipped, context)
    #expect(profile.rules.unknownNames == [])
    let program = try profile.compile(for: machine)
    #expect(program.instructions.count < 600)
    #expect(try Proof(profile.rules, program.instructions, on: machine).differences == [])
  }
}
