import CLinux
import Confinement
import Formats
import Foundation
import Linux
import Testing
import Walls

private let isRoot = Host().isRoot
private let hasLandlock = (Landlock.probe()?.version ?? 0) >= 6

/// Ends this process with 1 and says where.
private func require(_ condition: Bool, _ line: Int = #line) {
  if condition { return }
  try? File.writeAll(2, "ConfinementTests.swift:\(line): does not hold\n")
  Process.exit(1)
}
private func status(_ key: String) -> String {
  let text = (try? File.text("/proc/thread-self/status")) ?? ""
  for line in text.split(separator: "\n") where line.hasPrefix(key + ":") {
    return String(line.dropFirst(key.count + 1)).trimmingCharacters(in: .whitespaces)
  }
  return ""
}
private func errno(_ body: () throws(SystemError) -> Void) -> Errno? {
  do throws(SystemError) {
    try body()
    return nil
  } catch { return error.errno }
}
private func enter(_ plan: ConfinementPlan) {
  do throws(SystemError) { try Confinement.enter(plan) } catch {
    try? File.writeAll(2, "enter: \(error)\n")
    Process.exit(2)
  }
}
/// The test library's own threads go on in the child and end the process when their descriptors are closed.
private let harness = Array(Int32(0)..<32)
/// Allows everything: return SECCOMP_RET_ALLOW.
private let allowAll = SeccompFilter(instructions: [0x06 | UInt64(0x7fff_0000) << 32])

/// Each confines a child process of its own.
@Suite(.timeLimit(.minutes(60))) struct ConfinementTests {
  @Test(.enabled(if: isRoot, "becoming another user wants root"))
  func aUserWithoutAnythingIsLeft() async {
    await #expect(processExitsWith: .exitCode(0)) {
      var plan = ConfinementPlan()
      plan.user.user = 0x3fff_0001
      plan.user.group = 0x3fff_0002
      plan.filter = allowAll
      plan.rlimits = [ResourceLimit(kind: ResourceLimits.openFiles, soft: 32, hard: 64)]
      enter(plan)
      require(status("Uid") == "1073676289\t1073676289\t1073676289\t1073676289")
      require(status("Gid") == "1073676290\t1073676290\t1073676290\t1073676290")
      require(status("Groups") == "")
      for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] { require(status(set) == "0000000000000000") }
      require(status("NoNewPrivs") == "1")
      require(status("Seccomp") == "2")
      require((try? ResourceLimits.get(ResourceLimits.openFiles))?.rlim_max == 64)
      require(errno { () throws(SystemError) in try Identity.setUser(0) } == .notPermitted)
      Process.exit(0)
    }
  }

  @Test(.enabled(if: isRoot, "keeping capabilities over a user change wants root"))
  func capabilitiesSurviveTheUserChangeAsGiven() async {
    await #expect(processExitsWith: .exitCode(0)) {
      var plan = ConfinementPlan()
      plan.user.user = 0x3fff_0001
      plan.user.group = 0x3fff_0001
      plan.noNewPrivileges = false
      plan.filter = allowAll
      let kill: UInt64 = 1 << 5
      let chown: UInt64 = 1 << 0
      plan.capabilities.bounding = kill | chown
      plan.capabilities.permitted = kill | chown
      plan.capabilities.effective = kill
      plan.capabilities.inheritable = kill
      plan.capabilities.ambient = kill
      enter(plan)
      require(status("CapInh") == "0000000000000020")
      require(status("CapPrm") == "0000000000000021")
      require(status("CapEff") == "0000000000000020")
      require(status("CapBnd") == "0000000000000021")
      require(status("CapAmb") == "0000000000000020")
      require(status("NoNewPrivs") == "0")
      require(status("Seccomp") == "2")
      Process.exit(0)
    }
  }

  @Test(.enabled(if: isRoot && hasLandlock, "wants root and Landlock ABI 6"))
  func landlockLeavesWhatIsGranted() async {
    await #expect(processExitsWith: .exitCode(0)) {
      let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
      for name in ["", "/read", "/write", "/write/a", "/write/b", "/other"] {
        require(errno { () throws(SystemError) in try File.makeDirectory(folder + name, mode: 0o777) } == nil)
        _ = try? File.changeMode(folder + name, 0o777)
      }
      for name in ["/read/file", "/write/a/file", "/other/file"] {
        require(FileManager.default.createFile(atPath: folder + name, contents: Data("x".utf8)))
      }
      var plan = ConfinementPlan()
      plan.landlock = LandlockRuleset(
        files: [
          .init(.path(folder + "/read", optional: false), .reading),
          .init(.path(folder + "/write", optional: false), .writing),
          .init(.path(folder + "/absent", optional: true), .writing),
        ], ports: [.init(1, .connectTCP)], scopes: [.abstractSockets, .signals])
      enter(plan)
      func open(_ name: String, _ flags: Int32) -> Errno? {
        errno { () throws(SystemError) in _ = try File.open(folder + name, flags, mode: 0o600) }
      }
      require(open("/read/file", O_RDONLY) == nil)
      require(open("/read/file", O_WRONLY) == .accessDenied)
      require(open("/read/new", O_WRONLY | O_CREAT) == .accessDenied)
      require(open("/other/file", O_RDONLY) == .accessDenied)
      require(open("/write/a/new", O_WRONLY | O_CREAT) == nil)
      require(
        errno { () throws(SystemError) in try File.rename(folder + "/write/a/file", to: folder + "/write/b/file") }
          == nil)
      // Signals to processes outside are refused whatever the user id.
      require(errno { () throws(SystemError) in try Process.signal(pid: 1, 0) } == .notPermitted)
      Process.exit(0)
    }
  }

  @Test func aLimitAboveTheHardOneSaysWhatIsMissing() async {
    await #expect(processExitsWith: .exitCode(0)) {
      // Without CAP_SYS_RESOURCE, whoever runs this.
      guard var held = try? CapabilitySets.current() else { Process.exit(3) }
      held.permitted &= ~Capability.sysResource
      held.effective &= ~Capability.sysResource
      _ = try? held.apply()
      _ = try? ResourceLimits.set(ResourceLimits.openFiles, soft: 100, hard: 100)
      var plan = ConfinementPlan()
      plan.user.user = Process.user
      plan.user.group = Process.group
      plan.setGroups = false
      plan.rlimits = [ResourceLimit(kind: ResourceLimits.openFiles, soft: 200, hard: 200)]
      do throws(SystemError) {
        try Confinement.enter(plan)
        Process.exit(4)
      } catch {
        require(
          error.description
            == "setrlimit RLIMIT_NOFILE 200 is above the hard limit 100 and CAP_SYS_RESOURCE is not held: Operation not permitted"
        )
      }
      Process.exit(0)
    }
  }

  @Test func aCapabilityThatIsNotHeldIsNamedBeforeAnythingChanges() async {
    await #expect(processExitsWith: .exitCode(0)) {
      guard var held = try? CapabilitySets.current() else { Process.exit(3) }
      held.permitted &= ~Capability.sysResource
      held.effective &= ~Capability.sysResource
      _ = try? held.apply()
      var plan = ConfinementPlan()
      plan.capabilities.permitted = Capability.sysResource
      plan.capabilities.effective = Capability.sysResource
      do throws(SystemError) {
        try Confinement.enter(plan)
        Process.exit(4)
      } catch {
        require(error.description.contains("CAP_SYS_RESOURCE asked for and not held"))
      }
      require(status("NoNewPrivs") == "0")
      Process.exit(0)
    }
  }

  @Test func aFilterWithoutNoNewPrivilegesWantsAnAdministrator() async {
    await #expect(processExitsWith: .exitCode(0)) {
      _ = try? CapabilitySets().apply()
      var plan = ConfinementPlan()
      plan.noNewPrivileges = false
      plan.filter = allowAll
      require(errno { () throws(SystemError) in try Confinement.enter(plan) } == .accessDenied)
      Process.exit(0)
    }
  }
}

/// A worker keeps its descriptors and nothing else.
@Suite(.timeLimit(.minutes(60)), .enabled(if: isRoot || Landlock.probe() != nil, "wants root or Landlock"))
struct WorkerTests {
  @Test func itReadsWritesAndUsesMemory() async {
    await #expect(processExitsWith: .exitCode(0)) {
      guard let pipe = try? DescriptorPair.pipe() else { Process.exit(3) }
      let (input, output) = pipe.release()
      _ = try? File.writeAll(output, "strangers' bytes")
      do throws(SystemError) { try Confinement.enterWorker(WorkerPlan(keep: [input, output] + harness)) } catch {
        try? File.writeAll(2, "worker: \(error)\n")
        Process.exit(2)
      }
      guard let bytes = try? File.read(input, atMost: 64), String(decoding: bytes, as: UTF8.self) == "strangers' bytes"
      else { Process.exit(4) }
      var table: [String: [UInt8]] = [:]
      for index in 0..<1000 { table["key \(index)"] = [UInt8](repeating: 1, count: 10_000) }
      guard table.count == 1000, (try? File.writeAll(output, "done")) != nil else { Process.exit(5) }
      Process.exit(0)
    }
  }

  @Test(arguments: [Int(SYS_openat), Int(SYS_socket), Int(SYS_execve), Int(SYS_kill), Int(SYS_ptrace), Int(SYS_clone)])
  func anythingElseKillsIt(call: Int) async {
    await #expect(processExitsWith: .signal(SIGSYS)) { [call] in
      _ = try? Confinement.enterWorker(WorkerPlan(keep: harness))
      _ = systemCall(call, 0, 0, 0, 0, 0)
      Process.exit(0)
    }
  }

  @Test func memoryThatCanRunKillsIt() async {
    await #expect(processExitsWith: .signal(SIGSYS)) {
      _ = try? Confinement.enterWorker(WorkerPlan(keep: harness))
      _ = systemCall(Int(SYS_mmap), 0, 4096, 7, 0x22, UInt.max, 0)
      Process.exit(0)
    }
  }

  @Test(.enabled(if: isRoot, "an empty root with every file closed is looked at through an open filter as root"))
  func itsRootIsEmptyAndNothingCanBeMadeInIt() async {
    await #expect(processExitsWith: .exitCode(0)) {
      guard let other = try? FileDescriptor.duplicate(2, atLeast: 100).release() else { Process.exit(3) }
      _ = try? Confinement.enterWorker(WorkerPlan(keep: harness, filter: allowAll))
      require(errno { () throws(SystemError) in try FileDescriptor.setCloseOnExec(other, true) } == .badDescriptor)
      require(Process.user == Confinement.firstWorkerUser + UInt32(Process.id))
      require(errno { () throws(SystemError) in _ = try File.open("/", O_RDONLY) } == .accessDenied)
      require(!File.exists("/proc") && !File.exists("/etc") && !File.exists("/tmp"))
      require(errno { () throws(SystemError) in try File.makeDirectory("/new") } != nil)
      require(errno { () throws(SystemError) in _ = try FileDescriptor.duplicate(2, atLeast: 32) } == .invalid)
      Process.exit(0)
    }
  }
}
