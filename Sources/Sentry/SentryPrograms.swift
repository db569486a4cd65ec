import CLinux
import Confinement
import Formats
import Guest
import Linux
import SentryABI
import SentryFileSystems
import SentryFiles
import SentryMemory
import SentryPipes
import SentryPlatform
import SentryTasks
import SentryTerminals
import SentryWait
import Trees
import Walls

/// The programs that a command outside asked for: the sandbox's own, and those of `exec`.
final class SentryPrograms {
  /// What a program is to be, whoever asks.
  struct Request {
    let message: InitMessage
    let credentials: Credentials
    let limits: [ResourceLimit]
    let streams: ProgramStreams
    /// Descriptors of the host's that become its files from 3 up.
    var further: [Int32] = []
    /// The executable, where it is none of the sandbox's but the one that copies files.
    var program: Int32?
    let tell: (InitReply) -> Void
  }
  enum ProgramStreams {
    /// Descriptors that become the program's files: input, output, error.
    case host([Int32])
    case terminal(TerminalBridge)
  }
  struct Failure: Error {
    let errno: Errno
    let step: InitReply.Step
  }

  private struct Program {
    let group: ThreadGroup
    let bridge: TerminalBridge?
    let ended: (Int32) -> Void
  }
  private let kernel: Kernel
  private let platform: NotificationPlatform
  private let namespace: MountNamespace
  /// What the root began as; nil where guests write to it itself.
  private let original: Inode?
  private var programs: [Program] = []
  /// Whether programs without HOME get the folder that /etc/passwd names, as those of other runtimes do.
  var completesHome = false

  init(_ kernel: Kernel, _ platform: NotificationPlatform, _ namespace: MountNamespace, original: Inode?) {
    self.kernel = kernel
    self.platform = platform
    self.namespace = namespace
    self.original = original
    platform.reaped = { [unowned self] process, status in reaped(process, status) }
  }

  private func reaped(_ process: Int32, _ status: Int32) {
    guard let index = programs.firstIndex(where: { $0.group.id == process }) else { return }
    let program = programs.remove(at: index)
    program.bridge?.close()
    program.ended(status)
  }

  /// Starts a program; its beginning or what prevents it is told by the request's `tell`.
  /// - Parameter ended: called with the wait status once it has ended; not where it never began.
  /// - Returns: the process it will be; nil where it cannot begin, which was told.
  func start(_ request: Request, ended: @escaping (Int32) -> Void) -> ThreadGroup? {
    do throws(Failure) { return try launch(request, ended) } catch {
      request.tell(.failed(InitReply.Failure(errno: error.errno, step: error.step)))
      return nil
    }
  }

  private func launch(_ request: Request, _ ended: @escaping (Int32) -> Void) throws(Failure) -> ThreadGroup {
    let message = request.message
    let group = ThreadGroup(kernel: kernel, id: 0, parent: nil, session: 0, processGroup: 0)
    group.limits.take(request.limits)
    var mounts = namespace
    if let program = request.program {
      try hold(.execute) { () throws(Errno) in mounts = try transferNamespace(program) }
    }
    let paths = PathContext(mounts, umask: message.umask ?? 0o022)
    let descriptors = DescriptorTable(limit: Int32(clamping: group.limits[Limits.descriptors].soft))
    let task = Task(
      kernel: kernel, id: 0, hostID: 0, group: group, memory: GuestMemory(process: 0), descriptors: descriptors,
      paths: paths, credentials: request.credentials)
    group.tasks = [task]
    try hold(.directory) { () throws(Errno) in
      let place = try task.walk.find(Array(message.workingDirectory.utf8))
      guard place.inode?.kind == .directory else { throw .notDirectory }
      paths.current = place
    }
    var bridge: TerminalBridge?
    try hold(.descriptors) { () throws(Errno) in
      switch request.streams {
      case .host(let numbers): try give(numbers, to: descriptors)
      case .terminal(let terminal):
        bridge = terminal
        try give(terminal, to: descriptors)
      }
      try give(request.further, to: descriptors)
    }
    var path: [UInt8] = []
    try hold(.execute) { () throws(Errno) in
      if request.program != nil {
        path = Array((TransferGuest.place + "/" + TransferGuest.program).utf8)
      } else {
        path = try Self.search(message.arguments[0], message.environment, task)
      }
    }
    programs.append(Program(group: group, bridge: bridge, ended: ended))
    platform.start(
      Launch(
        path: path, arguments: message.arguments.map { Array($0.utf8) },
        environment: complete(message.environment, task).map { Array($0.utf8) }, task: task,
        started: { [unowned self] error in began(group, bridge, request, error) }))
    return group
  }

  /// The sandbox's mounts once more, and over /proc what the program that copies files is and wants (TransferGuest).
  private func transferNamespace(_ program: Int32) throws(Errno) -> MountNamespace {
    let own = namespace.copied().namespace
    let walk = PathWalk(PathContext(own, umask: 0), FileCaller(credentials: .all))
    func path(_ name: String) -> [UInt8] { Array((TransferGuest.place + "/" + name).utf8) }
    let place = try walk.find(Array(TransferGuest.place.utf8))
    try own.mount(MemoryFileSystem.tree(limit: 64 << 10, permissions: 0o700), on: place)
    try walk.make(.regular, at: path(TransferGuest.program), permissions: 0o700)
    let executable = try HostFolder.tree(program, isReadOnly: true, magic: 0)
    try own.mount(executable, on: try walk.find(path(TransferGuest.program)), flags: .readOnly)
    try walk.make(.directory, at: path(TransferGuest.processes), permissions: 0o700)
    guard let processes = try kernel.fileSystem?("proc") else { throw .noDevice }
    try own.mount(processes, on: try walk.find(path(TransferGuest.processes)))
    if let original {
      try walk.make(.directory, at: path(TransferGuest.original), permissions: 0o700)
      try own.mount(original, on: try walk.find(path(TransferGuest.original)), flags: .readOnly)
    }
    return own
  }

  private func began(_ group: ThreadGroup, _ bridge: TerminalBridge?, _ request: Request, _ error: Errno?) {
    if let error {
      programs.removeAll { $0.group === group }
      return request.tell(.failed(InitReply.Failure(errno: error, step: .execute)))
    }
    // What the host's kernel counts it must bound too. A limit that the sandbox's own is below already stays that.
    for kind in [Limits.cpu, Limits.data, Limits.addressSpace, Limits.lockedMemory, Limits.stack] {
      do throws(Errno) { try kernel.host.limit(group, kind, group.limits[kind]) } catch {}
    }
    if let bridge {
      bridge.control(
        JobCaller(process: group.id, session: group.id, processGroup: group.id, isAdministrator: false))
    }
    request.tell(.started)
  }

  private func give(_ numbers: [Int32], to descriptors: DescriptorTable) throws(Errno) {
    for number in numbers {
      let copy: FileDescriptor
      do throws(SystemError) { copy = try FileDescriptor.duplicate(number, atLeast: 64) } catch { throw error.errno }
      let file = HostStreamFile(owning: copy, flags: number == 0 ? O_RDONLY : O_WRONLY, kernel.hostEvents)
      _ = try descriptors.add(file, closesOnExec: false)
    }
  }

  private func give(_ bridge: TerminalBridge, to descriptors: DescriptorTable) throws(Errno) {
    for _ in 0..<3 {
      let file = try bridge.open(flags: O_RDWR)
      _ = try descriptors.add(file, closesOnExec: false)
    }
  }

  private func hold(_ step: InitReply.Step, _ body: () throws(Errno) -> Void) throws(Failure) {
    do throws(Errno) { try body() } catch { throw Failure(errno: error, step: step) }
  }

  /// Throws where the program is plainly not there, so that `create` already tells.
  func check(_ process: ProcessConfiguration) throws(WallError) {
    let name = process.arguments.first ?? ""
    let group = ThreadGroup(kernel: kernel, id: 0, parent: nil, session: 0, processGroup: 0)
    // The sentry's own powers: what only the program's user may not run is met when it is run.
    let task = Task(
      kernel: kernel, id: 0, hostID: 0, group: group, memory: GuestMemory(process: 0),
      descriptors: DescriptorTable(limit: 0), paths: PathContext(namespace, umask: 0o022), credentials: .all)
    do throws(Errno) { _ = try Self.search(name, process.environment, task) } catch {
      throw ProgramFailure.explain(name, error, wasSearched: !name.utf8.contains(UInt8(ascii: "/")))
    }
  }

  private func complete(_ environment: [String], _ task: Task) -> [String] {
    if !completesHome || environment.contains(where: { $0.hasPrefix("HOME=") }) { return environment }
    return environment + ["HOME=" + (home(of: task.credentials.user) ?? "/")]
  }

  /// The sixth field of the user's line (passwd(5)); nil where there is none, or no plain file of a sensible size.
  private func home(of user: UInt32) -> String? {
    guard let text = contents(of: "/etc/passwd", limit: 1 << 20) else { return nil }
    for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
      let fields = line.split(separator: ":", omittingEmptySubsequences: false)
      if fields.count == 7, fields[2] == "\(user)", fields[5].hasPrefix("/"), !fields[5].utf8.contains(0) {
        return String(fields[5])
      }
    }
    return nil
  }

  /// The bytes of a regular file of the guests'; nil where there is none of at most `limit` bytes.
  func contents(of path: String, limit: Int) -> [UInt8]? {
    let walk = PathWalk(PathContext(namespace, umask: 0), FileCaller(credentials: .all))
    // Whatever fails says that nothing is known.
    guard let place = try? walk.find(Array(path.utf8)), let inode = place.inode, inode.kind == .regular,
      inode.attributes.size <= Int64(limit),
      let file = try? inode.open(O_RDONLY, place, FileCaller(credentials: .all))
    else { return nil }
    file.retain()
    defer { file.release() }
    return try? file.bytes(at: 0, count: limit)
  }

  /// Why a program did not begin, in the words that clients read.
  static func explain(_ failure: InitReply.Failure, _ message: InitMessage) -> WallError {
    guard failure.step == .execute else { return WallError(failure.describe(message)) }
    let name = message.arguments.first ?? ""
    return ProgramFailure.explain(name, failure.errno, wasSearched: !name.utf8.contains(UInt8(ascii: "/")))
  }

  /// As execvp(3) looks for a program in the guest's PATH.
  private static func search(_ name: String, _ environment: [String], _ task: Task) throws(Errno) -> [UInt8] {
    let bytes = Array(name.utf8)
    if bytes.isEmpty { throw .noEntry }
    if bytes.contains(UInt8(ascii: "/")) {
      try task.walk.openProgram(bytes).letGo()
      return bytes
    }
    let path = environment.last { $0.hasPrefix("PATH=") }?.dropFirst(5) ?? "/usr/local/bin:/usr/bin:/bin"
    var failure = Errno.noEntry
    for folder in path.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false) {
      let candidate = (folder.isEmpty ? [UInt8(ascii: ".")] : Array(folder)) + [UInt8(ascii: "/")] + bytes
      do throws(Errno) {
        try task.walk.openProgram(candidate).letGo()
        return candidate
      } catch  where error == .accessDenied {
        failure = error
      } catch {
        // Not there: the next folder may have it.
      }
    }
    throw failure
  }
}

extension OpenFile {
  /// Opened only to see that it can be.
  fileprivate func letGo() {
    retain()
    release()
  }
}

extension Limits {
  fileprivate mutating func take(_ limits: [ResourceLimit]) {
    for limit in limits where limit.kind >= 0 && limit.kind < Limits.count {
      self[limit.kind] = Pair(soft: limit.soft, hard: limit.hard)
    }
  }
}
