import CLinux
import Formats
import Images
import Linux
import Options
import Policy
import Trees
import Walls

/// `diff`, `export` and `commit`: what a sandbox made of its image's files. All of it is read by the wall's child in the box, which has the
/// box's rights and no others; this process sees paths and a stream.
enum RootVerbs {
  static func perform(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    do throws(WallError) {
      let word = command.operands[0]
      switch command.verb.name {
      case "diff": return try diff(word, json: try wantsJSON(command), session)
      case "export": return try export(word, to: command.value("output"), session)
      default: return try commit(word, command, session)
      }
    } catch {
      throw CommandError(1, error.message)
    }
  }

  private static func wantsJSON(_ command: ParsedCommand) throws(WallError) -> Bool {
    do throws(CommandError) { return try Listing.wantsJSON(command) } catch { throw WallError(error.message) }
  }

  // MARK: The sandbox

  private static func record(_ word: String, _ verb: String, _ session: Session) throws(WallError) -> SandboxRecord {
    let record = try session.record(word)
    guard record.condition(bootID: session.host.bootID).isLive, record.process != nil else {
      throw WallError(
        .gone,
        "sandbox \(record.name) does not run, and what it wrote was in memory: \(verb) wants one that runs or is paused"
      )
    }
    guard !record.image.isEmpty else {
      throw WallError(
        "sandbox \(record.name) has no image: its files are this machine's own; what it changed in a --workspace is shown by `immure workspace diff`"
      )
    }
    return record
  }

  private static func reading(_ record: SandboxRecord, _ verb: String, _ session: Session) throws(WallError)
    -> any RootReading
  {
    if let root = try session.open(record).root {
      guard record.status != .paused || root.readsWhilePaused else { throw Copy.isPaused(record) }
      return root
    }
    throw WallError(
      "sandbox \(record.name): \(verb) is for the container wall; behind the \(record.wall.rawValue) wall use `immure cp`"
    )
  }

  /// The image as it was when the sandbox began, whatever its name leads to now; the sandbox keeps its layers.
  private static func image(of record: SandboxRecord, _ session: Session) throws(WallError) -> ImageInUse {
    do {
      let store = ImageStore(root: session.store.root)
      if let text = record.details["image"],
        let image = try store.image(ofManifest: try Digest(text), called: record.image)
      {
        return try ImageUse.lease(image, session)
      }
    } catch let error as CommandError {
      throw WallError("sandbox \(record.name): \(error.message)")
    } catch { throw WallError("sandbox \(record.name): \(error)") }
    throw WallError("sandbox \(record.name): its image \(record.image) is not known any more")
  }

  // MARK: diff

  private static func diff(_ word: String, json: Bool, _ session: Session) throws(WallError) -> Int32 {
    let record = try record(word, "diff", session)
    let root = try image(of: record, session).root(.none)
    let stream = try pipe("diff")
    let work = try reading(record, "diff", session).changes(since: root, as: .list, to: stream.far.rawValue)
    stream.far.close()
    let bytes: [UInt8]
    do throws(SystemError) { bytes = try File.readAll(stream.near.rawValue, limit: 128 << 20) } catch {
      throw WallError("diff: sandbox \(record.name) changed too many files to list (\(error.errno))")
    }
    stream.near.close()
    let report = try work.finish()
    if let fatal = report.fatal { throw WallError("diff: \(fatal)") }
    var changes = bytes.split(separator: 0).map { (kind: $0.first ?? 0, path: Array($0.dropFirst())) }
    changes.sort { $0.path.lexicographicallyPrecedes($1.path) }
    if json {
      Output.print(
        JSONValue.array(
          changes.map {
            [
              "kind": .string(names[$0.kind] ?? "?"), "path": .string(String(decoding: $0.path, as: UTF8.self)),
            ]
          }
        ).text(indented: true))
    } else {
      var text = ""
      for change in changes {
        text +=
          String(decoding: [change.kind, UInt8(ascii: " ")], as: UTF8.self) + RelativePath.shown(change.path) + "\n"
      }
      Output.write(1, text)
    }
    return told(report, "diff") ? 0 : 1
  }

  private static let names: [UInt8: String] = [
    UInt8(ascii: "A"): "added", UInt8(ascii: "C"): "changed", UInt8(ascii: "D"): "deleted",
  ]

  // MARK: export

  private static func export(_ word: String, to path: String?, _ session: Session) throws(WallError) -> Int32 {
    let record = try record(word, "export", session)
    let reading = try reading(record, "export", session)
    let target: ExportTarget
    if let path, path != "-" {
      target = try ExportTarget.file(path)
    } else {
      guard !Terminal.isTerminal(1) else {
        throw WallError("export: an archive is nothing for a terminal: give -o FILE, or redirect standard output")
      }
      target = ExportTarget()
    }
    let work = try reading.export(to: target.descriptor)
    let report = try work.finish()
    if let fatal = report.fatal ?? (report.isCut ? "the stream's reader went away" : nil) {
      throw WallError("export: \(fatal)")
    }
    try target.finish()
    return told(report, "export") ? 0 : 1
  }

  // MARK: commit

  private static func commit(_ word: String, _ command: ParsedCommand, _ session: Session) throws(WallError) -> Int32 {
    let record = try record(word, "commit", session)
    let sandbox = try session.open(record)
    let reading = try reading(record, "commit", session)
    let root = try image(of: record, session).root(.none)
    let paused = try pause(record, sandbox, reading, command)
    defer { resume(paused, record) }
    let layer = try pipe("commit")
    let verdict = try pipe("commit")
    let front: Child
    do throws(SystemError) {
      try SignalSet.ignore(SIGPIPE)
      front = try Front.start(
        arguments(command, record, session), descriptors: [layer.near.rawValue, 1, 2, verdict.near.rawValue])
    } catch { throw WallError("cannot start immure-front", error) }
    layer.near.close()
    verdict.near.close()
    var failure: WallError?
    do throws(WallError) {
      let work = try reading.changes(since: root, as: .layer, to: layer.far.rawValue)
      layer.far.close()
      let report = try work.finish()
      if let fatal = report.fatal { throw WallError("commit: \(fatal)") }
      guard told(report, "commit") else { throw WallError("commit: nothing is made of half a sandbox") }
      // Where it was cut short, immure-front gave up and says why.
      if !report.isCut { try say("whole", to: verdict.far.rawValue) }
    } catch { failure = error }
    layer.far.close()
    verdict.far.close()
    let status: ExitStatus?
    do throws(SystemError) { status = try front.wait() } catch { throw WallError("commit", error) }
    if let failure { throw failure }
    return status == .exited(0) ? 0 : 1
  }

  private static func arguments(_ command: ParsedCommand, _ record: SandboxRecord, _ session: Session) -> [String] {
    var words = ["--root", session.store.root, "commit"]
    for change in command.all("change") { words += ["--change", change] }
    for name in ["message", "author"] {
      if let value = command.value(name) { words += ["--" + name, value] }
    }
    if command.flag("quiet") || !session.isTerminal { words.append("--quiet") }
    return words + ["--", record.id, command.operands[1]]
  }

  /// Stops its time, where that can be done and nobody said otherwise; nil where nothing is to be resumed.
  private static func pause(
    _ record: SandboxRecord, _ sandbox: any Sandbox, _ reading: any RootReading, _ command: ParsedCommand
  ) throws(WallError) -> (any Pausing)? {
    if command.flag("no-pause") || record.status == .paused { return nil }
    do throws(WallError) {
      guard reading.readsWhilePaused else {
        throw WallError("behind the \(record.wall.rawValue) wall nobody reads the files of a paused sandbox")
      }
      guard let pausing = sandbox.pausing else {
        throw WallError("the \(record.wall.rawValue) wall cannot pause sandbox \(record.name) here")
      }
      try pausing.pause()
      return pausing
    } catch {
      if command.flag("pause") { throw error }
      if !command.flag("quiet") {
        Output.complain(
          "commit: the sandbox runs on meanwhile, and its files may change while they are read (\(error.message))")
      }
      return nil
    }
  }

  private static func resume(_ pausing: (any Pausing)?, _ record: SandboxRecord) {
    guard let pausing else { return }
    do throws(WallError) { try pausing.resume() } catch {
      Output.complain("sandbox \(record.name) is still paused: `immure resume \(record.name)` (\(error.message))")
    }
  }

  private static func say(_ word: String, to descriptor: Int32) throws(WallError) {
    // Where immure-front has ended it has said why.
    do throws(SystemError) { try File.writeAll(descriptor, word) } catch  where error.errno == .brokenPipe {
    } catch { throw WallError("commit", error) }
  }

  // MARK: What they share

  /// Says what is not there or not whole; false where something that should be is not.
  private static func told(_ report: TransferReport, _ verb: String) -> Bool {
    func more(_ tally: TransferReport.Tally) -> String { tally.count > 1 ? " and \(tally.count - 1) more" : "" }
    if report.leftOut.count > 0 { Output.complain("\(verb): left out: \(report.leftOut.first)\(more(report.leftOut))") }
    if report.attributes.count > 0 {
      Output.complain("\(verb): attributes left out: \(report.attributes.first)\(more(report.attributes))")
    }
    if report.failed.count > 0 {
      Output.complain("\(verb): not read, or not whole: \(report.failed.first)\(more(report.failed))")
    }
    return report.failed.count == 0
  }

  private static func pipe(_ verb: String) throws(WallError) -> (near: OwnedDescriptor, far: OwnedDescriptor) {
    do throws(SystemError) {
      let ends = try DescriptorPair.pipe().release()
      return (
        OwnedDescriptor(FileDescriptor(owning: ends.first)), OwnedDescriptor(FileDescriptor(owning: ends.second))
      )
    } catch { throw WallError(verb, error) }
  }
}

/// Where an export goes: standard output, or a file that has its name only once all of it is there.
final class ExportTarget {
  let descriptor: Int32
  private let file: OwnedDescriptor?
  private let path: String
  private var temporary: String?

  /// Standard output.
  init() {
    descriptor = 1
    file = nil
    path = ""
  }

  private init(_ file: OwnedDescriptor, path: String, temporary: String?) {
    descriptor = file.rawValue
    self.file = file
    self.path = path
    self.temporary = temporary
  }

  deinit {
    // The error that led here is what is told.
    if let temporary { try? File.remove(temporary) }
  }

  /// What is no regular file (a pipe, a device) is written to as it is.
  static func file(_ path: String) throws(WallError) -> ExportTarget {
    let shown = FormatError.presentable(path)
    do throws(SystemError) {
      let kind: mode_t?
      do throws(SystemError) { kind = File.kind(try File.status(path)) } catch  where error.errno == .noEntry {
        kind = nil
      }
      if let kind, kind != mode_t(S_IFREG) {
        return ExportTarget(OwnedDescriptor(try File.open(path, O_WRONLY)), path: path, temporary: nil)
      }
      let temporary = path + ".immure-\(Process.id)"
      let file = try File.open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
      return ExportTarget(OwnedDescriptor(file), path: path, temporary: temporary)
    } catch { throw WallError("export: cannot write \"\(shown)\": \(error.errno)") }
  }

  func finish() throws(WallError) {
    guard let temporary else { return }
    do throws(SystemError) {
      try checked("fsync", "", systemCall(Int(SYS_fsync), word(descriptor)))
      try File.rename(temporary, to: path)
      self.temporary = nil
    } catch { throw WallError("export: cannot write \"\(FormatError.presentable(path))\": \(error.errno)") }
  }
}
