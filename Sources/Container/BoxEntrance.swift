import CLinux
import Confinement
import Formats
import Linux
import Walls

/// The way of another program into a running box, in two processes: one that joins, and its child inside, which
/// becomes the program.
struct BoxEntrance {
  let sandbox: ContainerSandbox
  let process: ProcessConfiguration
  let streams: Streams
  let options: ExecutionOptions
  let channel: Int32
  /// The connected socket of a seccomp agent.
  let agent: Int32?

  /// In the helper. Nothing of immure's may be read from within: not dumpable, no arguments, no environment.
  func run(_ pidfd: Int32) -> Never {
    do throws(WallError) {
      do throws(SystemError) {
        try Identity.setDumpable(false)
        Process.wipeArguments()
        if let cpus = process.cpuAffinity?.initial, let numbers = CPUList.numbers(cpus) {
          try Scheduling.setAffinity(numbers)
        }
        try setScore()
        try sandbox.cgroup?.joinAlone()
        // In its own /proc the process inside would read another number.
        let numbers = try agent.map { _ throws(SystemError) in try DescriptorPair.pipe().release() }
        try Namespaces.join(sandbox.namespaces, of: pidfd)
        guard let inside = try Process.clone(CloneArguments(flags: UInt64(UInt32(bitPattern: CLONE_PARENT)))) else {
          enter(numbers?.first)
        }
        if let numbers { try File.writeAll(numbers.second, "\(inside.pid)") }
        try SetupChannel.tell(channel, process: inside.pid)
      } catch  where error.errno == .noProcess {
        throw WallError(.gone, "sandbox \(sandbox.id): it has ended")
      } catch {
        throw WallError("exec in sandbox \(sandbox.id)", error)
      }
    } catch {
      SetupChannel.report(channel, error)
    }
    Process.exit(0)
  }

  /// Written here, where /proc is the host's, and inherited by the process inside: what stands at the container's /proc may be a file of
  /// its choice (CVE-2019-16884's class).
  private func setScore() throws(SystemError) {
    guard let score = process.oomScoreAdjustment else { return }
    do throws(SystemError) {
      try File.writeExisting("/proc/self/oom_score_adj", "\(score)")
    } catch  where error.errno == .accessDenied && Process.effectiveUser != 0 {
      // Lowering it wants CAP_SYS_RESOURCE of the machine: as with runc, a user's stays.
    }
  }

  /// In the process inside.
  private func enter(_ numbers: Int32?) -> Never {
    do throws(WallError) {
      do throws(SystemError) {
        var pid: Int32 = 0
        if let numbers { pid = Int32(String(decoding: try File.read(numbers, atMost: 16), as: UTF8.self)) ?? 0 }
        try enterSandbox(pid)
      } catch {
        throw WallError("exec in sandbox \(sandbox.id)", error)
      }
      try BoxDirectory.enter(process.workingDirectory)
      throw BoxProgram.run(HomeFolder.complete(process))
    } catch {
      SetupChannel.report(channel, error)
    }
    Process.exit(125)
  }

  /// - Parameter pid: this process as the runtime's namespace numbers it; 0 where nobody asks.
  private func enterSandbox(_ pid: Int32) throws(SystemError) {
    // Ids of the box: this process is nobody in it until now.
    if sandbox.namespaces & Namespaces.user != 0 {
      if sandbox.setGroups {
        try Identity.setGroups([])
        try Identity.setGroup(0)
        try Identity.setUser(0)
      }
    }
    let hasTerminal = try takeStreams()
    try StandardStreams.beginSession(hasTerminal: hasTerminal)
    try SignalSet.letProgramHave()
    Identity.setUmask(process.user.umask ?? 0o022)
    try FileDescriptor.handOver(options.preservedDescriptors, from: 3)
    try FileDescriptor.closeRange(from: UInt32(3 + options.preservedDescriptors.count))
    var plan = ConfinementPlan()
    plan.rlimits = process.rlimits
    if let agent, let told = options.listener {
      plan.listener = SeccompListenerRoute(
        socket: agent,
        message: told.state.listenerBytes(
          metadata: told.listener.metadata, status: "running", pid: pid, boxPid: told.boxPid))
    }
    plan.traits = ProcessTraits(process, personality: options.personality)
    plan.traits.cpus = process.cpuAffinity?.final
    plan.capabilities = process.capabilities
    plan.user = process.user
    plan.user.umask = nil
    plan.setGroups = sandbox.setGroups
    plan.filter = sandbox.filter
    if let text = sandbox.landlock {
      // Read already when the box was made.
      do throws(FormatError) { plan.landlock = try LandlockRuleset(text: text) } catch {
        throw SystemError("landlock", "\(error)", .invalid)
      }
    }
    plan.noNewPrivileges = process.noNewPrivileges
    if options.endsWithCommand { plan.parentDeathSignal = SIGKILL }
    try Confinement.enter(plan)
  }

  private func takeStreams() throws(SystemError) -> Bool {
    switch streams {
    case .descriptors(let input, let output, let error):
      let copies = [
        try FileDescriptor.duplicate(input, atLeast: 64).release(),
        try FileDescriptor.duplicate(output, atLeast: 64).release(),
        try FileDescriptor.duplicate(error, atLeast: 64).release(),
      ]
      for (number, copy) in copies.enumerated() { try FileDescriptor.replace(Int32(number), with: copy) }
      return false
    case .terminal(let size):
      let root = try File.open("/", O_PATH | O_DIRECTORY)
      let terminal = try BoxTerminal.open(
        in: root.rawValue, size: size, owner: process.user.user == 0 || !sandbox.setGroups ? nil : process.user.user)
      try SetupChannel.hand(channel, terminal: terminal.near.rawValue)
      for number in [0, 1, 2] as [Int32] { try FileDescriptor.replace(number, with: terminal.far.rawValue) }
      return true
    }
  }
}
