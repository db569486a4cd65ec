import Formats
import Images
import Linux
import Options
import Registry
import Walls

/// `commit`, the half that knows the store: the layer comes on standard input from the process that reads the sandbox's files, and on
/// descriptor 3 what became of it. Started by `immure`, which does the other half.
enum CommitCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    guard FileDescriptor.isOpen(verdict) else {
      Output.complain("commit is a command of `immure`, which starts immure-front for it")
      return 1
    }
    guard case .reference(let reference) = try ImageName(command.operands[1]), reference.digest == nil else {
      throw UsageError(
        command.verb, "\"\(FormatError.presentable(command.operands[1]))\" cannot name an image: use NAME[:TAG]")
    }
    let sandboxes = SandboxStore(root: File.parent(of: store.directory) ?? "/")
    let record = try sandboxes.load(try sandboxes.find(command.operands[0]))
    guard let digest = try record.details["image"].map({ try Digest($0) }),
      let base = try store.image(ofManifest: digest, called: record.image)
    else { throw ImageError(.notFound, "the image of sandbox \(record.name) is not in the store any more") }

    let adding = try Arrival.begin(store)
    let progress = LineProgress.chosen(quiet: command.flag("quiet"))
    defer { progress.end() }
    var step = ImageConfiguration.History()
    step.created = Timestamp.rfc3339(seconds: Clock.realTime().seconds)
    step.createdBy = record.command.joined(separator: " ")
    step.author = command.value("author")
    step.comment = command.value("message")
    let id: Digest
    do {
      id = try CommittedImage.make(
        of: base, as: reference, changes: command.all("change"), step: step, layer: 0, in: store, progress
      ) {
        guard try File.readAll(verdict, limit: 64) == Array("whole".utf8) else { throw Unconfirmed() }
      }
    } catch is Unconfirmed {
      // `immure` says why.
      return 1
    }
    _ = consume adding
    Output.print(id.description + "\n")
    return 0
  }

  private static let verdict: Int32 = 3
  private struct Unconfirmed: Error {}
}
