import CLinux
import Confinement
import Formats
import Guest
import Linux
import SentryABI
import SentryCalls
import SentryFileSystems
import SentryFiles
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
  private let socket: Int32
  private let kernel = Kernel()
  private let platform: NotificationPlatform
  private let special = SpecialFiles()
  private let signals: SignalForwarder
  private var bridge: TerminalBridge?
  private var programs: SentryPrograms?
  private var control: ControlSocket?
  private var isDone = false

  /// Makes what wants privileges: the guests' own namespaces, and what is kept of /proc.
  init(_ process: SentryProcess, socket: Int32) throws(WallError) {
    bundle = process.bundle
    self.socket = socket
    do throws(SystemError) {
      try HostFiles.prepare()
      HostProcessors.prepare()
      signals = try SignalForwarder()
      let processes = try FileSystemContext("proc").mount([.noSetUserID, .noDevices, .noExecute])
      let folder = FileDescriptor(owning: processes.release())
      let hasClone3 = GuestSpace.shutUserNamespaces(folder.rawValue)
      let space = try GuestSpace(
        processes: folder,
        filter: StubFilter(.of(bundle), asksForAbsent: bundle.debug, hasClone3: hasClone3))
      do throws(Errno) {
        platform = try NotificationPlatform(kernel, CallTable.all, space)
        try kernel.hostEvents.watch(signals.descriptor, signals.queue)
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
    }
    MemoryDevices.add(to: special)
    Pipe.serve(special)
    TerminalDirectory.serve(special, kernel.terminals)
    if let bridge { signals.resized = { [unowned bridge] in bridge.copySize() } }
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
  func prepare(root: Int32, _ process: SentryProcess) throws(WallError) {
    let overlays = try overlays(process)
    defer { for descriptor in overlays.values { _ = FileDescriptor(owning: descriptor) } }
    let world = SentryWorld(
      bundle: bundle, mounts: process.mounts, scratch: process.scratch, trees: process.trees.descriptors,
      overlays: overlays,
      kernelFileSystem: kernelFileSystem)
    let namespace = try world.make(root: root, special: special)
    kernel.terminals.mounted = namespace.mounts.last { $0.root.inode?.fileSystem.type == "devpts" }
      .map { Path(mount: $0, dentry: $0.root) }
    programs = SentryPrograms(kernel, platform, namespace)
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
    // There are no control groups for guests to see.
    case "cgroup", "cgroup2": nil
    default: throw .noDevice
    }
  }

  /// Waits for the command, runs it, tells how it ended. Returns when it has.
  func serve() {
    let message: InitMessage?
    do throws(InitSocketError) { message = try InitMessage.receive(from: socket) } catch {
      return tell(.failed(InitReply.Failure(errno: .invalid, step: .message)))
    }
    // The command outside is gone.
    guard let message, let programs else { return }
    let configuration = bundle.configuration.process
    let request = SentryPrograms.Request(
      message: message, credentials: Credentials(ExecRequest(configuration, hasTerminal: bridge != nil)),
      limits: configuration.rlimits, streams: bridge.map { .terminal($0) } ?? .host([0, 1, 2]),
      tell: { [unowned self] reply in
        if case .failed = reply { isDone = true }
        tell(reply)
      })
    let main = programs.start(request) { [unowned self] status in
      tell(.exited(waitStatus: status))
      isDone = true
    }
    guard let main else { return }
    signals.forward(to: main)
    platform.run(while: { [unowned self] in !isDone })
  }

  private func tell(_ reply: InitReply) {
    // With nobody left to tell there is nothing to do but end.
    do throws(SystemError) { try reply.send(to: socket) } catch {}
  }

  /// A further program.
  private func execute(_ asked: ControlSocket.Asked) {
    guard let programs else { return }
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
        streams: streams, tell: { replies.tell($0) })
      let group = programs.start(request) { status in
        replies.tell(.exited(waitStatus: status))
        replies.end()
      }
      if let group {
        // It may just have ended.
        replies.signalled = { [unowned group] signal in
          do throws(Errno) { try group.kernel.send(signal, to: group) } catch {}
        }
      }
    } catch {
      // The command hears that its socket is closed.
      asked.replies.close()
    }
    for stream in asked.streams { stream.close() }
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
    noNewPrivileges = true
  }
}

/// Signals that the command outside sends the sentry go on to the program.
final class SignalForwarder: Waiter {
  let descriptor: Int32
  let queue = WaitQueue()
  private var target: ThreadGroup?
  /// Called instead where the host's terminal has another size.
  var resized: (() -> Void)?

  init(signals: SignalSet = SignalSet(bits: .max)) throws(SystemError) {
    try signals.block()
    descriptor = try signals.descriptor().release()
    super.init()
    queue.add(self, for: .readable)
  }

  func forward(to group: ThreadGroup) {
    target = group
    wake(.readable)
  }

  override func wake(_ events: PollEvents) {
    guard let target else { return }
    // The descriptor never blocks; whatever fails leaves nothing to forward.
    while let signal = (try? SignalSet.next(descriptor)) ?? nil {
      if signal == SIGCHLD { continue }
      if signal == SIGWINCH, let resized {
        resized()
        continue
      }
      // The program may just have ended.
      do throws(Errno) { try target.kernel.send(signal, to: target) } catch {}
    }
  }
}
