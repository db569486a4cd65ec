import CLinux
import Formats
import Linux
import Options
import Policy
import Walls

/// `create`: a container that waits to be started by another command.
enum Creation {
  static func create(_ command: ParsedCommand, _ session: RuntimeSession) throws(RuntimeFailure) {
    let request = try CreationRequest(command)
    if request.bundle.configuration.process.terminal && request.consoleSocket == nil {
      throw RuntimeFailure("cannot allocate tty if immure-oci will detach without setting console socket")
    }
    let raised = try RaisedContainer(request, session)
    try raised.finish { () throws(RuntimeFailure) in
      guard let parting = raised.sandbox.parting else {
        throw RuntimeFailure(
          "the \(raised.record.wall.rawValue) wall cannot leave a container waiting for start: use run")
      }
      do throws(WallError) { try parting.leave() } catch { throw RuntimeFailure(error) }
    }
  }
}

/// What `create` and `run` are asked for.
struct CreationRequest {
  let id: String
  let bundle: RuntimeBundle
  let consoleSocket: String?
  let pidFile: String?
  let preserved: [Int32]

  init(_ command: ParsedCommand) throws(RuntimeFailure) {
    for (name, why) in [
      ("no-pivot", "the root is always entered by pivot_root"),
      ("no-new-keyring", "a container never has the host's keys"),
    ] where command.flag(name) { throw RuntimeFailure("--\(name) is not supported: \(why)") }
    id = command.operands[0]
    try RuntimeContainer.check(id)
    try OwnProtection.apply()
    preserved = try PreservedDescriptors.numbers(command)
    bundle = try RuntimeBundle(path: command.value("bundle"))
    consoleSocket = command.value("console-socket").flatMap { $0.isEmpty ? nil : $0 }
    pidFile = command.value("pid-file").flatMap { $0.isEmpty ? nil : $0 }
    if consoleSocket != nil && !bundle.configuration.process.terminal {
      throw RuntimeFailure("cannot use console socket if immure-oci will not detach or allocate tty")
    }
    CodeMappings.releaseOwn()
  }
}

/// Descriptors that go on to the container's process under their own numbers: --preserve-fds, and LISTEN_FDS as systemd passes
/// sockets (sd_listen_fds(3)).
enum PreservedDescriptors {
  /// Ours stand above: they must not be run over while they are still needed.
  static let limit = 60

  static func numbers(_ command: ParsedCommand) throws(RuntimeFailure) -> [Int32] {
    var count = 0
    if let text = command.value("preserve-fds") {
      guard let number = Int(text), number >= 0 else {
        throw RuntimeFailure("--preserve-fds \"\(FormatError.presentable(text))\": give a number")
      }
      count = number
    }
    if let text = Process.environment("LISTEN_FDS"), let number = Int(text), number > 0 { count += number }
    guard count <= limit else { throw RuntimeFailure("--preserve-fds \(count): at most \(limit) can be passed") }
    let numbers = (0..<Int32(count)).map { 3 + $0 }
    for number in numbers where !FileDescriptor.isOpen(number) {
      throw RuntimeFailure(
        "please check that preserved-fd \(number - 3) (of \(count)) is present: descriptor \(number) is not open")
    }
    return numbers
  }
}

/// This command's own image must not be writable through a container's /proc before a process of it stands there.
enum OwnProtection {
  static func apply() throws(RuntimeFailure) {
    do throws(SystemError) { try OwnImage.protect() } catch {
      throw RuntimeFailure("cannot protect immure's own executable from the container", error)
    }
  }
}

/// A container that this command raised: it stands in the store, and waits to be left or started.
struct RaisedContainer {
  let request: CreationRequest
  let session: RuntimeSession
  let sandbox: any Sandbox
  private(set) var record: SandboxRecord

  init(_ request: CreationRequest, _ session: RuntimeSession) throws(RuntimeFailure) {
    self.request = request
    self.session = session
    let configuration = request.bundle.configuration
    let wall = try session.wall(for: configuration)
    let id = RuntimeContainer.sandbox(request.id)
    let bundle = try request.bundle.walled(
      id: id, container: request.id, session, preserved: request.preserved)
    var record = SandboxRecord(
      id: id, name: id, wall: wall.name, image: "", command: configuration.process.arguments,
      created: Clock.realTime().seconds, bootID: session.host.bootID, detached: true, removeAtExit: false)
    record.supervisor = ProcessIdentity(pid: Process.id)
    record.details = RaisedContainer.details(request, bundle)
    do throws(WallError) {
      for (key, value) in try wall.traces(of: bundle) { record.details[key] = value }
    } catch {
      throw RuntimeFailure(error)
    }
    CodeMappings.releaseOwn()
    do throws(WallError) { try session.store.create(record) } catch {
      if File.exists(session.store.directory(id)) {
        throw RuntimeFailure("container with given ID already exists: \(request.id)")
      }
      throw RuntimeFailure(error)
    }
    do throws(RuntimeFailure) {
      try RaisedContainer.keep(request.bundle.text, in: session.store.directory(id))
      do throws(WallError) {
        sandbox = try wall.create(bundle, streams: RaisedContainer.streams(configuration.process), on: session.host)
      } catch {
        throw RuntimeFailure("unable to start container process: " + error.message)
      }
    } catch {
      // The error that stopped it is the one to tell.
      try? session.store.remove(id, name: nil)
      throw error
    }
    record.process = sandbox.process
    for (key, value) in sandbox.details { record.details[key] = value }
    record.status = .created
    record.supervisor = nil
    self.record = record
  }

  /// Records the container, hands its terminal and its pid out, and does `last`. When it throws, the container is gone.
  func finish(_ last: () throws(RuntimeFailure) -> Void) throws(RuntimeFailure) {
    do throws(RuntimeFailure) {
      do throws(WallError) { try session.store.write(record) } catch { throw RuntimeFailure(error) }
      if let path = request.consoleSocket, let terminal = sandbox.terminal {
        try ConsoleSocket.send(terminal, to: path)
      }
      if let path = request.pidFile { try PidFile.write(sandbox.process.pid, to: path) }
      try last()
    } catch {
      discard()
      throw error
    }
  }

  func discard() {
    // What failed first is what is told; the container must go whatever its own state.
    try? sandbox.destroy()
    try? session.store.remove(record.id, name: nil)
  }

  private static func streams(_ process: ProcessConfiguration) -> Streams {
    guard process.terminal else { return .descriptors(input: 0, output: 1, error: 2) }
    return .terminal(WindowSize(process))
  }

  private static func details(_ request: CreationRequest, _ bundle: Bundle) -> [String: String] {
    typealias Detail = RuntimeContainer.Detail
    let now = Clock.realTime()
    var details = [
      Detail.id: request.id, Detail.bundle: request.bundle.path,
      Detail.version: request.bundle.configuration.ociVersion,
      Detail.created: Timestamp.rfc3339(seconds: now.seconds, nanoseconds: now.nanoseconds),
    ]
    if case .directory(let path, _) = bundle.root { details[Detail.rootfs] = path }
    for (key, value) in bundle.configuration.annotations { details[Detail.annotation + key] = value }
    return details
  }

  private static func keep(_ text: [UInt8], in directory: String) throws(RuntimeFailure) {
    do throws(SystemError) {
      let file = try File.open(directory + "/config.json", O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
      try File.writeAll(file.rawValue, text)
    } catch {
      throw RuntimeFailure("cannot keep the container's configuration", error)
    }
  }
}

extension WindowSize {
  /// As the configuration says; a terminal begins with nothing else than 0 by 0, and whoever shows it sets its size.
  init(_ process: ProcessConfiguration) {
    self.init(rows: process.consoleSize?.height ?? 0, columns: process.consoleSize?.width ?? 0)
  }
}
