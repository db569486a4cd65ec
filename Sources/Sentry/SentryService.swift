import CLinux
import Confinement
import Formats
import Guest
import Linux
import SentryABI
import SentryCalls
import SentryFileSystems
import SentryFiles
import SentryIPC
import SentryPipes
import SentryPlatform
import SentryProc
import SentryTasks
import SentryTerminals
import SentryWait
import Walls

/// The sentry at work: a kernel for one sandbox, the program that the sandbox is for, and what commands outside say and hear.
final class SentryService {
  private let bundle: Bundle
  private let kernel = Kernel()
  private let platform: NotificationPlatform
  private let special = SpecialFiles()
  private let signals: SignalForwarder
  private var bridge: TerminalBridge?
  private var programs: SentryPrograms?
  private var control: ControlSocket?
  private var isDone = false
  /// Whether the sandbox's own program is the next to be started, or was.
  private var hasBegun = false
  /// The exit status of this process once it is done.
  private var status: Int32 = 125
  /// Tells of the program's beginning, or why there is none, and its end.
  private var tell: (InitReply) -> Void = { _ in }
  /// Whom another command's word starts.
  private var starter: Starter?

  /// Makes what wants privileges: the guests' own namespaces, and what is kept of /proc.
  /// - Parameter guestsGroup: by which the guests join their control group; closed here.
  init(_ process: SentryProcess, guestsGroup: Int32?) throws(WallError) {
    bundle = process.bundle
    do throws(SystemError) {
      let whole = try FileSystemContext("proc").mount([.noSetUserID, .noDevices, .noExecute])
      let hasClone3 = GuestSpace.shutUserNamespaces(whole.descriptor.rawValue)
      let folder = try Self.processes()
      try HostFiles.prepare(processes: folder.rawValue)
      HostProcessors.prepare()
      try kernel.processors.open(in: whole.descriptor.rawValue)
      MachineMemory.prepare()
      // What guests have open is open here too.
      let files = UInt64(try ResourceLimits.get(ResourceLimits.openFiles).rlim_max)
      try ResourceLimits.set(ResourceLimits.openFiles, soft: files, hard: files)
      signals = try SignalForwarder()
      let space = try GuestSpace(
        processes: folder,
        filter: StubFilter(.of(bundle), asksForAbsent: bundle.debug, hasClone3: hasClone3),
        programIsFirst: !bundle.usesInit, group: guestsGroup, user: process.identity.server,
        by: Interception.available ?? .tracing)
      if let guestsGroup { _ = FileDescriptor(owning: guestsGroup) }
      do throws(Errno) {
        platform = try NotificationPlatform(kernel, CallTable.all, space)
        try kernel.hostEvents.watch(signals.descriptor, signals.queue, isUrgent: false)
        if let host = process.terminal { bridge = try Self.bridge(FileDescriptor(owning: host), kernel) }
      } catch {
        throw SystemError("epoll", "", error)
      }
      control = try ControlSocket(owning: process.control, kernel.hostEvents) { [unowned self] in execute($0) }
    } catch {
      throw WallError("the sentry's guests", error)
    }
    if let name = bundle.configuration.hostname { kernel.names.host = Array(name.utf8) }
    kernel.memoryLimit = bundle.configuration.resources.memoryLimit.flatMap { $0 > 0 ? UInt64($0) : nil }
    if bundle.debug {
      let log = RefusalLog(terminal: process.terminal)
      platform.failed = { call, error, row, task in log.refused(call, error, row, task) }
      platform.stray = { log.killed("nothing is known of its thread \($0)") }
      platform.isLost = { log.killed("its thread \($0) of the host's did not stop when the sentry wanted it to") }
    }
    MemoryDevices.add(to: special)
    Pipe.serve(special)
    TerminalDirectory.serve(special, kernel.terminals)
    if let bridge { signals.resized = { [unowned bridge] in bridge.copySize() } }
  }

  /// A procfs of processes alone (subset=pid, Linux 5.8): no descriptor that the sentry keeps leads to the machine's settings.
  private static func processes() throws(SystemError) -> FileDescriptor {
    let context = try FileSystemContext("proc")
    try context.set("subset", "pid")
    return FileDescriptor(owning: try context.mount([.noSetUserID, .noDevices, .noExecute]).release())
  }

  /// Joins a terminal of the host's, which is made raw, to a new one of the guests'.
  private static func bridge(_ host: consuming FileDescriptor, _ kernel: Kernel) throws(Errno) -> TerminalBridge {
    do throws(SystemError) {
      try Linux.Terminal.setAttributes(host.rawValue, try Linux.Terminal.attributes(host.rawValue).raw)
      try FileDescriptor.setNonBlocking(host.rawValue, true)
    } catch {
      throw error.errno
    }
    return try TerminalBridge(kernel.terminals, owning: host, kernel.hostEvents)
  }

  /// Builds the guests' tree over the host's.
  /// - Parameter afterwards: done when the host's trees are taken, before they are closed.
  func prepare(root: Int32, _ process: SentryProcess, _ afterwards: () throws(WallError) -> Void) throws(WallError) {
    let overlays = try overlays(process)
    defer { for descriptor in overlays.values { _ = FileDescriptor(owning: descriptor) } }
    let world = SentryWorld(
      bundle: bundle, mounts: process.mounts, scratch: process.scratch, trees: process.trees.descriptors,
      image: process.image, overlays: overlays,
      kernelFileSystem: kernelFileSystem, givesOwners: process.servesOwners)
    let (namespace, original) = try world.make(root: root, special: special)
    kernel.terminals.mounted = namespace.mounts.last { $0.root.inode?.fileSystem.type == "devpts" }
      .map { Path(mount: $0, dentry: $0.root) }
    kernel.fileSystem = { [unowned self] (kind) throws(Errno) in try kernelFileSystem(kind) }
    let programs = SentryPrograms(kernel, platform, namespace, original: original)
    programs.completesHome = !bundle.usesInit
    if !bundle.usesInit { try programs.check(bundle.configuration.process) }
    self.programs = programs
    try afterwards()
    process.image?.close()
    process.trees.close()
  }

  /// A workspace's, and those of a configuration's own.
  private func overlays(_ process: SentryProcess) throws(WallError) -> [String: Int32] {
    var made: [String: Int32] = [:]
    for item in process.mounts.items {
      guard case .overlay(let layers) = item.source else { continue }
      do throws(SystemError) {
        for tree in layers.lower + (layers.scratch.map { [$0] } ?? []) {
          try OverlayMount.stage(process.trees.descriptors[tree])
        }
        let mount = try OverlayMount.make(layers, item.options, process.trees, process.identity)
        made[item.destination] = try FileDescriptor.duplicate(mount.descriptor.rawValue, atLeast: 64).release()
      } catch {
        throw WallError("mount \(item.destination)", error)
      }
    }
    return made
  }

  private func kernelFileSystem(_ kind: String) throws(Errno) -> Inode? {
    switch kind {
    case "proc": ProcFileSystem.tree(kernel)
    case "sysfs": SysFileSystem.tree()
    case "devpts": TerminalDirectory.tree(kernel.terminals)
    case "mqueue": kernel.ipc.named
    // There are no control groups for guests to see.
    case "cgroup", "cgroup2": nil
    default: throw .noDevice
    }
  }

  /// Waits for the command, runs it, tells how it ended. Returns when it has.
  func serve(toldOn socket: Int32) -> Int32 {
    // With nobody left to tell there is nothing to do but end.
    tell = { reply in do throws(SystemError) { try reply.send(to: socket) } catch {} }
    let message: InitMessage?
    do throws(InitSocketError) { message = try InitMessage.receive(from: socket) } catch {
      tell(.failed(InitReply.Failure(errno: .invalid, step: .message)))
      return status
    }
    // The command outside is gone.
    guard let message else { return status }
    start(message)
    return run()
  }

  /// Waits for the word that starts the configuration's program: on the channel of the set-up, or on the socket in the sandbox's folder, where
  /// meanwhile further programs may be asked for.
  func serve(releasedOn channel: Int32, _ waiting: StartSocket.Ends) throws(WallError) -> Int32 {
    do throws(SystemError) {
      if try SetupChannel.awaitLast(channel) == .start {
        start(answering: channel, waiting)
      } else {
        _ = FileDescriptor(owning: channel)
        starter = try Starter(waiting.listener, kernel.hostEvents) { [unowned self] caller in
          starter = nil
          start(answering: caller, waiting)
        }
      }
    } catch {
      throw WallError("set-up of the sandbox", error)
    }
    return run()
  }

  /// Serves until the program has ended, or the keeper, and with it every guest: that is by SIGKILL alone, as when memory runs out.
  private func run() -> Int32 {
    if isDone { return status }
    platform.run(while: { [unowned self] in !isDone })
    if isDone { return status }
    tell(.exited(waitStatus: SIGKILL))
    return 128 + SIGKILL
  }

  private func start(answering caller: Int32, _ waiting: StartSocket.Ends) {
    let process = bundle.configuration.process
    let message = InitMessage(
      arguments: process.arguments, environment: process.environment, workingDirectory: process.workingDirectory,
      umask: process.user.umask, terminal: process.terminal)
    tell = { reply in
      switch reply {
      case .started: break
      case .failed(let failure): SetupChannel.report(caller, SentryPrograms.explain(failure, message))
      case .exited: return
      }
      // Its end tells the command that the program runs; nobody waits to be started any more.
      _ = FileDescriptor(owning: caller)
      waiting.close()
    }
    start(message)
  }

  private func start(_ message: InitMessage) {
    guard let programs else { return }
    let configuration = bundle.configuration.process
    let request = SentryPrograms.Request(
      message: message, credentials: Credentials(ExecRequest(configuration, hasTerminal: bridge != nil)),
      limits: configuration.rlimits, streams: bridge.map { .terminal($0) } ?? .host([0, 1, 2]),
      further: (0..<Int32(bundle.preservedDescriptors.count)).map { 3 + $0 },
      tell: { [unowned self] reply in
        if case .failed = reply { isDone = true }
        tell(reply)
      })
    let main = programs.start(request) { [unowned self] waited in
      tell(.exited(waitStatus: waited))
      // A process that is the first of its namespace ends by no signal of its own.
      status = ExitStatus(waitStatus: waited).code
      isDone = true
    }
    guard let main else { return }
    hasBegun = true
    signals.forward(to: main)
    platform.alarmed = { [unowned self] in signals.forward(SIGALRM) }
  }

  /// A further program.
  private func execute(_ asked: ControlSocket.Asked) {
    // The first program is process 1, and must be the sandbox's own; the command hears that its socket is closed.
    guard let programs, hasBegun else {
      asked.replies.close()
      for stream in asked.streams { stream.close() }
      asked.program?.close()
      return
    }
    do throws(Errno) {
      let replies = try ExecReplies(asked.replies, kernel.hostEvents)
      var streams = SentryPrograms.ProgramStreams.host(asked.streams.map(\.rawValue))
      if asked.request.hasTerminal {
        // The bridge keeps the terminal's far end.
        let far: FileDescriptor
        do throws(SystemError) { far = try FileDescriptor.duplicate(asked.streams[0].rawValue, atLeast: 64) } catch {
          throw error.errno
        }
        streams = .terminal(try Self.bridge(far, kernel))
      }
      let request = SentryPrograms.Request(
        message: asked.message, credentials: Credentials(asked.request), limits: asked.request.limits,
        streams: streams, program: asked.program?.rawValue, tell: { replies.tell($0) })
      let group = programs.start(request) { status in
        replies.tell(.exited(waitStatus: status))
        replies.end()
      }
      if let group {
        // It may just have ended.
        replies.signalled = { [unowned group] signal in
          if signal == SIGWINCH, case .terminal(let bridge) = streams { return bridge.copySize() }
          do throws(Errno) { try group.kernel.send(signal, to: group) } catch {}
        }
      }
    } catch {
      // The command hears that its socket is closed.
      asked.replies.close()
    }
    for stream in asked.streams { stream.close() }
    asked.program?.close()
  }
}

extension Credentials {
  /// As a configuration or a command outside names them.
  init(_ request: ExecRequest) {
    self.init()
    (user, effectiveUser, savedUser, fileUser) = (request.user, request.user, request.user, request.user)
    (group, effectiveGroup, savedGroup, fileGroup) = (request.group, request.group, request.group, request.group)
    supplementaryGroups = request.groups
    let sets = request.capabilities
    (effective, permitted, inheritable, bounding, ambient) = (sets[0], sets[1], sets[2], sets[3], sets[4])
    noNewPrivileges = request.forbidsPrivileges
  }
}

/// Signals that the command outside sends the sentry go on to the program.
final class SignalForwarder: Waiter {
  let descriptor: Int32
  let queue = WaitQueue()
  private var target: ThreadGroup?
  private let own = Process.id
  /// Called instead where the host's terminal has another size.
  var resized: (() -> Void)?

  init(signals: SignalSet = SignalSet(bits: .max)) throws(SystemError) {
    try signals.block()
    // SIGCHLD is the tracer's, where there is one; SIGALRM the ticks', which tell somebody's from their own: read here it would be anybody's.
    let others: SignalSet = [SIGCHLD, SIGALRM]
    descriptor = try SignalSet(bits: signals.bits & ~others.bits).descriptor().release()
    super.init()
    queue.add(self, for: .readable)
  }

  func forward(to group: ThreadGroup) {
    target = group
    wake(.readable)
  }

  override func wake(_ events: PollEvents) {
    if target == nil { return }
    while let (signal, sender) = next() {
      if signal == SIGCHLD { continue }
      // The sentry wrote for a guest, or a reply, where nobody reads any more: whose write it was is told by its own SIGPIPE.
      if signal == SIGPIPE, sender == own { continue }
      if signal == SIGWINCH, let resized {
        resized()
        continue
      }
      forward(signal)
    }
  }

  /// A signal, and who sent it as this process's namespace numbers it: the first and the fourth word of struct signalfd_siginfo (signalfd(2)).
  private func next() -> (signal: Int32, sender: Int32)? {
    // The descriptor never blocks; whatever fails leaves nothing to forward.
    guard let bytes = try? File.read(descriptor, atMost: 128), bytes.count == 128 else { return nil }
    func word(_ at: Int) -> Int32 {
      Int32(truncatingIfNeeded: (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[at + $1]) << (8 * UInt32($1)) })
    }
    return (word(0), word(12))
  }

  func forward(_ signal: Int32) {
    guard let target else { return }
    // The program may just have ended.
    do throws(Errno) { try target.kernel.send(signal, to: target) } catch {}
  }
}

/// Waits on the socket in the sandbox's folder for the command that says "start".
private final class Starter: Waiter {
  private let listener: OwnedDescriptor
  private let events: HostEvents
  private let queue = WaitQueue()
  private let started: (Int32) -> Void

  /// - Parameter started: called once, with the command's connection, which is the callee's.
  init(_ listener: OwnedDescriptor, _ events: HostEvents, _ started: @escaping (Int32) -> Void) throws(SystemError) {
    self.listener = listener
    self.events = events
    self.started = started
    super.init()
    queue.add(self, for: .readable)
    do throws(Errno) { try events.watch(listener.rawValue, queue) } catch { throw SystemError("epoll", "start", error) }
  }

  override func wake(_ told: PollEvents) {
    // A caller that was killed before it spoke: the next one may come.
    guard let caller = (try? StartSocket.take(listener.rawValue)) ?? nil else { return }
    leave()
    events.forget(listener.rawValue)
    started(caller)
  }
}
