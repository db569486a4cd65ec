import CLinux
import Confinement
import Formats
import Linux
import Walls

/// Further programs in a running box.
struct BoxExecution: Execution {
  let sandbox: ContainerSandbox

  /// The child joins the box's groups and namespaces and makes the program's process inside, whose parent is this
  /// command (CLONE_PARENT).
  func execute(_ process: ProcessConfiguration, streams: Streams, _ options: ExecutionOptions) throws(WallError)
    -> any BoxProcess
  {
    if sandbox.mayTraceAsHostRoot && !OwnImage.isProtected {
      // CVE-2019-5736: /proc/PID/exe of the process that enters would be immure's own file, writable to the host's
      // root.
      throw WallError(
        "exec in sandbox \(sandbox.id): its root is the host's (--userns host) and has CAP_SYS_PTRACE, with which it could overwrite immure itself: run it with one of the two only"
      )
    }
    let newListener: UInt32 = 1 << 3
    var agent: OwnedDescriptor?
    if let filter = sandbox.filter, filter.flags & newListener != 0 {
      guard let listener = options.listener else {
        throw WallError("exec in sandbox \(sandbox.id): its filter has a listener, and nobody is named who gets it")
      }
      agent = OwnedDescriptor(try SeccompAgent.connect(listener.listener))
    }
    defer { agent?.close() }
    guard let pidfd = try openProcess() else { throw WallError(.gone, "sandbox \(sandbox.id): it has ended") }
    let what = "exec in sandbox \(sandbox.id)"
    let channel = try doing(what) { () throws(SystemError) in try OwnedDescriptor.pair(packets: true) }
    let helper = try doing(what) { () throws(SystemError) in
      guard let helper = try Process.clone(CloneArguments(flags: 0)) else {
        channel.near.close()
        BoxEntrance(
          sandbox: sandbox, process: process, streams: streams, options: options, channel: channel.far.rawValue,
          agent: agent?.rawValue
        )
        .run(pidfd.rawValue)
      }
      return helper
    }
    channel.far.close()
    return try attend(helper, channel.near)
  }

  private func openProcess() throws(WallError) -> FileDescriptor? {
    do throws(SystemError) { return try sandbox.process.open() } catch {
      throw WallError("sandbox \(sandbox.id)", error)
    }
  }

  private func attend(_ helper: consuming Child, _ channel: OwnedDescriptor) throws(WallError) -> ExecutedProcess {
    var terminal: Int32?
    var pid: Int32?
    var failure: WallError?
    waiting: while true {
      switch try SetupChannel.listen(channel.rawValue) {
      case .failed(let error): failure = error
      case .terminal(let descriptor): terminal = descriptor
      case .process(let number): pid = number
      case .ready, .remark: break
      case .closed: break waiting
      }
    }
    let near = terminal.map { OwnedDescriptor(FileDescriptor(owning: $0)) }
    let what = "exec in sandbox \(sandbox.id)"
    _ = try doing(what) { () throws(SystemError) in try helper.wait() }
    if let failure {
      // The child that failed has nothing more to say.
      if let pid { _ = try? Process.wait(pid) }
      throw failure
    }
    guard let pid else { throw WallError("\(what): the process died before the program ran") }
    let descriptor = try doing(what) { () throws(SystemError) in
      guard let descriptor = try Process.open(pid: pid) else { throw SystemError("pidfd_open", "\(pid)", .noProcess) }
      return descriptor
    }
    return ExecutedProcess(pid: pid, descriptor: descriptor, terminal: near, cgroup: sandbox.cgroup)
  }
}

/// A program that was executed in the box.
final class ExecutedProcess: BoxProcess {
  let process: ProcessIdentity
  private let pidfd: OwnedDescriptor
  private let near: OwnedDescriptor?
  private let cgroup: Cgroup?
  private let killsBefore: UInt64
  private var ending: Ending?

  init(pid: Int32, descriptor: consuming FileDescriptor, terminal: OwnedDescriptor?, cgroup: Cgroup?) {
    // A child of ours that is not reaped keeps its pid, also when it has ended already.
    process = ProcessIdentity(pid: pid) ?? ProcessIdentity(pid: pid, startTime: 0)
    pidfd = OwnedDescriptor(descriptor)
    near = terminal
    self.cgroup = cgroup
    killsBefore = cgroup?.memoryKills() ?? 0
  }

  var exitDescriptor: Int32 { pidfd.rawValue }
  var terminal: Int32? { near?.rawValue }

  func signal(_ number: Int32) throws(WallError) {
    do throws(SystemError) {
      try Process.signal(descriptor: pidfd.rawValue, number)
    } catch  where error.errno == .noProcess {
      throw WallError(.gone, "the program has ended")
    } catch {
      throw WallError("signal", error)
    }
  }

  func collect() throws(WallError) -> Ending {
    if let ending { return ending }
    do throws(SystemError) {
      let status = try Process.wait(process.pid) ?? .signaled(SIGKILL)
      var ending = Ending(status: status, limit: LimitHit(signal: status))
      if status == .signaled(SIGKILL), let cgroup, cgroup.memoryKills() > killsBefore { ending.limit = .memory }
      self.ending = ending
      return ending
    } catch {
      throw WallError("the program's end", error)
    }
  }
}
