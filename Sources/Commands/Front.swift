import Formats
import Images
import Linux
import Options
import Registry
import Walls

/// The verbs of `immure-front`, and the processes of its own that read and write layers.
public enum Front {
  /// Runs the command line this process was started with; the exit status.
  public static func main() -> Int32 {
    SignalSet.keepEndsOfChildren()
    let words = Array(Process.arguments.dropFirst())
    // Before anything else: these begin with one thread and a stranger's bytes.
    switch words.first {
    case LayerWorker.role: LayerWorker.run(Array(words.dropFirst()))
    case LayerUnpacker.role: LayerUnpacker.run(Array(words.dropFirst()))
    case ArchiveReader.role: ArchiveReader.run(Array(words.dropFirst()))
    case TreeReader.role: TreeReader.run(Array(words.dropFirst()))
    case MetadataMaking.role: MetadataMaking.run(Array(words.dropFirst()))
    case TarRebuilding.role: TarRebuilding.run(Array(words.dropFirst()))
    case LayerPacking.role: LayerPacking.run(Array(words.dropFirst()))
    case MissingParts.metadata, MissingParts.trees: MissingParts.run(words)
    default: break
    }
    do {
      // A worker that ends early is an error to read, not a reason to die.
      try SignalSet.ignore(brokenPipe)
      switch try CommandLineReading(words) {
      case .help(nil): Output.print(Help.overview())
      case .help(let verb?): Output.print(Help.page(verb))
      case .version: Output.print("immure \(Help.version)\n")
      case .command(let command): return try perform(command)
      }
      return 0
    } catch let error as UsageError {
      Output.complain(error.description)
      // 125 is for `run` and `exec` only, which tell the box's failure from ours.
      return 1
    } catch let error as ImageError {
      Output.complain(error.message)
      return 1
    } catch {
      Output.complain("\(error)")
      return 1
    }
  }

  private static let brokenPipe: Int32 = 13

  private static func perform(_ command: ParsedCommand) throws -> Int32 {
    let root = try command.value("root").map(absolute) ?? SandboxStore.defaultRoot(isRoot: Process.effectiveUser == 0)
    var store = ImageStore(root: root)
    store.keepsBlobs = command.flag("keep-blobs")
    switch command.verb.name {
    case "import": return try ImportCommand.run(command, store)
    case "pull": return try PullCommand.run(command, store)
    case "push": return try PushCommand.run(command, store)
    case "login": return try LoginCommand.run(command, store)
    case "logout": return try LogoutCommand.run(command, store)
    case "load": return try LoadCommand.run(command, store)
    case "save": return try SaveCommand.run(command, store)
    case "images": return try ImagesCommand.run(command, store)
    case "rmi": return try RemoveImagesCommand.run(command, store)
    case "tag": return try TagCommand.run(command, store)
    case "history", "image history": return try HistoryCommand.run(command, store)
    case "image prune": return try ImagePruneCommand.run(command, store)
    case "image mount": return try MountImageCommand.run(command, store)
    case "image unmount", "image umount": return try UnmountImageCommand.run(command, store)
    case "image copy": return try CopyImageCommand.run(command, store)
    case "commit": return try CommitCommand.run(command, store)
    case "image fsck": return try CheckImagesCommand.run(command, store)
    case "image inspect": return try InspectImageCommand.run(command, store)
    default:
      Output.complain("immure-front does not know the command \"\(command.verb.name)\"; `immure` does")
      return 1
    }
  }

  private static func absolute(_ path: String) throws -> String {
    if path.hasPrefix("/") { return path }
    return try File.readLink("/proc/self/cwd") + "/" + path
  }
}

/// Standard output and error of a command.
enum Output {
  static func print(_ text: String) {
    // Nobody is left to tell where standard output is closed.
    try? File.writeAll(1, text)
  }

  static func complain(_ line: String) {
    try? File.writeAll(2, "immure: \(line)\n")
  }
}
