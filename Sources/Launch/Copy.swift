import CLinux
import Formats
import Linux
import Options
import Policy
import Trees
import Walls

/// `cp`: files between this machine and a box that runs or is paused.
///
/// One half of the work is the box's side, done by the wall; the other is this process. Between them is a tar stream, and on this side
/// nothing is written but beneath the named place.
enum Copy {
  static func perform(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    let source = try CopyOperand(command.operands[0])
    let target = try CopyOperand(command.operands[1])
    do throws(WallError) {
      switch (source, target) {
      case (.box(let name, let path), .box(let other, _)):
        throw WallError(
          "cp: \(name):\(FormatError.presentable(path)) and \(other): are both in sandboxes: copy to this machine in between"
        )
      case (.box(let name, let path), _):
        return try copyOut(name, TreeSource(path, followsLink: command.flag("follow-link")), target, command, session)
      case (_, .box(let name, let path)):
        return try copyIn(source, name, path, command, session)
      default:
        throw WallError("cp: neither place is in a sandbox (NAME:PATH)")
      }
    } catch {
      throw CommandError(1, error.message)
    }
  }

  /// The wall's way to the files of a box that lives.
  static func files(_ name: String, _ session: Session) throws(WallError) -> any FileTransfer {
    let record = try session.record(name)
    guard record.condition(bootID: session.host.bootID).isLive, record.process != nil else {
      throw WallError(.gone, "sandbox \(record.name) does not run")
    }
    let sandbox = try session.open(record)
    if let files = sandbox.files {
      if record.status == .paused, sandbox.root?.readsWhilePaused == false { throw isPaused(record) }
      return files
    }
    throw WallError(
      "sandbox \(record.name): behind the wall \(record.wall.rawValue) as it stands here the paths are this machine's own: nothing is copied"
    )
  }

  /// Where who serves the files is stopped with the rest.
  static func isPaused(_ record: SandboxRecord) -> WallError {
    WallError(
      "sandbox \(record.name) is paused, and so is the sentry that has its files: `immure resume \(record.name)` first")
  }

  private static func copyOut(
    _ name: String, _ source: TreeSource, _ target: CopyOperand, _ command: ParsedCommand, _ session: Session
  ) throws(WallError) -> Int32 {
    let files = try files(name, session)
    guard case .host(let path) = target else {
      if Terminal.isTerminal(1) {
        throw WallError("cp: standard output is a terminal, which a tar stream is not for: send it into a file or pipe")
      }
      return tell(try files.send(source, to: 1).finish(), nil, "standard output", command, session)
    }
    let stream = try pipe()
    let work = try files.send(source, to: stream.far.rawValue)
    stream.far.close()
    let here: TransferReport
    do throws(SystemError) {
      // Half a file is removed, also when the terminal ends this.
      let set: SignalSet = [SIGINT, SIGTERM, SIGHUP]
      try set.block()
      let signals = try set.descriptor()
      // Set-user-id on a file of root's would be the box's word for a program of this machine's: only where root asks for it.
      let keeps = command.flag("archive")
      here = TreeUnpacker(place: .host, target: TreeTarget(path, keepsOwners: keeps)).unpack(
        from: stream.near.rawValue, signals: signals.rawValue)
    } catch {
      throw WallError("cp", error)
    }
    stream.near.close()
    return tell(try work.finish(), here, path, command, session)
  }

  private static func copyIn(
    _ source: CopyOperand, _ name: String, _ path: String, _ command: ParsedCommand, _ session: Session
  ) throws(WallError) -> Int32 {
    let files = try files(name, session)
    let shown = "\(name):\(path)"
    var target = TreeTarget(path, keepsOwners: command.flag("archive"))
    guard case .host(let own) = source else {
      if Terminal.isTerminal(0) { throw WallError("cp: standard input is a terminal: send a tar archive into it") }
      target.isArchive = true
      return tell(nil, try files.receive(target, from: 0).finish(), shown, command, session)
    }
    let stream = try pipe()
    let work = try files.receive(target, from: stream.near.rawValue)
    stream.near.close()
    let here: TransferReport
    do throws(SystemError) {
      try SignalSet.ignore(SIGPIPE)
      here = TreePacker(place: .host, output: stream.far.rawValue, reopener: try Reopener()).pack(
        TreeSource(own, followsLink: command.flag("follow-link")))
    } catch {
      throw WallError("cp", error)
    }
    stream.far.close()
    return tell(here, try work.finish(), shown, command, session)
  }

  private static func pipe() throws(WallError) -> (near: OwnedDescriptor, far: OwnedDescriptor) {
    do throws(SystemError) {
      let ends = try DescriptorPair.pipe().release()
      return (
        OwnedDescriptor(FileDescriptor(owning: ends.first)), OwnedDescriptor(FileDescriptor(owning: ends.second))
      )
    } catch {
      throw WallError("cp", error)
    }
  }

  /// Says what is not whole, and gives the exit status. The half that reads knows best why a stream ended early, unless the other half
  /// closed it.
  private static func tell(
    _ sent: TransferReport?, _ got: TransferReport?, _ target: String, _ command: ParsedCommand, _ session: Session
  ) -> Int32 {
    let arrived = got ?? sent ?? TransferReport()
    let fatal = sent?.fatal ?? got?.fatal ?? (sent?.isCut == true ? "the stream's reader went away" : nil)
    let leftOut = (sent?.leftOut ?? .init()) + (got?.leftOut ?? .init())
    let failed = (sent?.failed ?? .init()) + (got?.failed ?? .init())
    let shown = RelativePath.shown(Array(target.utf8))
    if leftOut.count > 0 {
      Output.complain(
        "cp: left out: \(leftOut.first)\(others(leftOut)); devices, sockets, pipes and the kernel's own file systems are not copied"
      )
    }
    let attributes = (sent?.attributes ?? .init()) + (got?.attributes ?? .init())
    if attributes.count > 0 { Output.complain("cp: attributes left out: \(attributes.first)\(others(attributes))") }
    if failed.count > 0 { Output.complain("cp: not copied, or not whole: \(failed.first)\(others(failed))") }
    if let fatal {
      let before = arrived.files + arrived.folders + arrived.links
      Output.complain("cp: \(fatal)" + (before > 0 ? "; \(shown) is incomplete: it ended after \(before) files" : ""))
    } else if session.isTerminal, !command.flag("quiet") {
      Output.complain("copied \(arrived.files) files, \(arrived.bytes) bytes, to \(shown)")
    }
    if let signal = got?.signal ?? sent?.signal { return 128 + signal }
    return fatal == nil && failed.count == 0 ? 0 : 1
  }

  private static func others(_ tally: TransferReport.Tally) -> String {
    tally.count > 1 ? " and \(tally.count - 1) more" : ""
  }
}

/// One side of `cp`, as Docker reads it: "-" is a stream, NAME:PATH is in a sandbox, and what begins with "/" or "." is this machine's
/// whatever colons are in it.
enum CopyOperand {
  case stream
  case host(String)
  case box(name: String, path: String)

  init(_ word: String) throws(CommandError) {
    if word == "-" {
      self = .stream
      return
    }
    let parts = word.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, !word.hasPrefix("/"), !word.hasPrefix(".") else {
      if word.isEmpty { throw CommandError(1, "cp: a path is empty") }
      self = .host(word)
      return
    }
    guard !parts[0].isEmpty, !parts[1].isEmpty else {
      throw CommandError(1, "cp: \"\(FormatError.presentable(word))\": give a sandbox and a path (NAME:PATH)")
    }
    // A path in a box begins at its root, as in Docker.
    self = .box(name: parts[0], path: parts[1].hasPrefix("/") ? parts[1] : "/" + parts[1])
  }
}
