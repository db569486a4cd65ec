import Formats
import Images
import Linux
import Options
import Registry

/// `import`: a root file system in a tar file becomes an image.
enum ImportCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    let name = try ImageName(command.operands[1])
    guard case .reference(let reference) = name, reference.digest == nil else {
      throw UsageError(
        command.verb, "\"\(FormatError.presentable(command.operands[1]))\" cannot name an image: use NAME[:TAG]")
    }
    var configuration = ImageConfiguration(platform: .host)
    configuration.created = Timestamp.rfc3339(seconds: Clock.realTime().seconds)
    configuration.history = [
      ImageConfiguration.History(created: configuration.created, createdBy: "immure import")
    ]
    configuration.command = command.value("cmd").map(words) ?? []
    configuration.entrypoint = command.value("entrypoint").map(words) ?? []
    configuration.workingDirectory = command.value("workdir") ?? ""
    configuration.user = command.value("user") ?? ""
    if let folder = command.value("workdir"), !folder.hasPrefix("/") {
      throw UsageError(command.verb, "--workdir \"\(FormatError.presentable(folder))\" is not an absolute path")
    }
    for entry in command.all("env") {
      guard let first = entry.first, first != "=", entry.contains("=") else {
        throw UsageError(command.verb, "--env \"\(FormatError.presentable(entry))\" is not NAME=VALUE")
      }
      configuration.environment.append(entry)
    }
    if !configuration.environment.contains(where: { $0.hasPrefix("PATH=") }) {
      configuration.environment.append("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    }

    let adding = try Arrival.begin(store)
    let progress = LineProgress.chosen(quiet: command.flag("quiet"))
    let id = try RootImport.install(command.operands[0], as: name, configuration, in: store, progress)
    _ = consume adding
    Output.print(id.description + "\n")
    return 0
  }

  private static func words(_ text: String) -> [String] { text.split(separator: " ").map(String.init) }
}

/// `load`: images out of an OCI archive or Docker's.
enum LoadCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    let option = command.value("input")
    guard option == nil || command.operands.isEmpty else {
      throw UsageError(command.verb, "the archive is named twice: give FILE or --input, not both")
    }
    let path = option ?? command.operands.first ?? "-"
    guard path != "-" || !Terminal.isTerminal(0) else {
      throw UsageError(command.verb, "no archive: give FILE, or send it to standard input")
    }
    let adding = try Arrival.begin(store)
    let progress = LineProgress.chosen(quiet: command.flag("quiet"))
    let names = try ArchiveLoad.install(path, in: store, progress)
    _ = consume adding
    for name in names { Output.print("loaded \(name)\n") }
    return 0
  }
}

enum Arrival {
  /// Clears what killed commands left, and keeps the store from being collected until the value ends.
  static func begin(_ store: ImageStore) throws(ImageError) -> Adding {
    try store.prepare()
    try store.clearLeftovers()
    return try store.beginAdding()
  }
}
