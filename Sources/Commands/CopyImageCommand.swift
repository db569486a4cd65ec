import Formats
import Images
import Linux
import Options
import Registry

/// `image copy`: an image from one place to another.
enum CopyImageCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    let source = try ImagePlace(command.operands[0])
    let target = try ImagePlace(command.operands[1])
    var platform = Platform.host
    if let text = command.value("platform") { platform = try Platform(text) }
    let progress = try LineProgress.chosen(command)
    defer { progress.end() }
    let access = try RegistryWords.access(command)
    let adding = try Arrival.begin(store)
    // A pull names what it fetches: these names go again.
    let before = Set(try store.list().map(\.name))
    let image: Image
    var name: ImageReference?
    if case .registry(let reference) = source {
      let plan = try PullCommand.fetch(
        RegistryWords.bare(command.operands[0]), platform, access, store, progress)
      guard let found = try store.image(ofManifest: plan.manifestDigest, called: reference.familiar) else {
        throw ImageStore.noSuchImage(reference.familiar)
      }
      image = found
      name = reference.digest == nil ? reference : nil
    } else {
      (image, name) = try ImageCopy.take(source, platform: platform, in: store, progress)
    }
    let passing = try store.list().filter { !before.contains($0.name) }
    if case .registry(let reference) = target {
      _ = try PushCommand.send(try ImagePush(image, to: reference, from: store), to: reference, access, progress)
    } else {
      try ImageCopy.give(image, to: target, as: name, from: store, progress)
    }
    var wanted: String?
    if case .stored(let word) = target { wanted = try ImageName(word).canonical }
    for each in passing where each.name != wanted { _ = try store.removeName(each.name, force: true) }
    _ = consume adding
    // What came by and has no name.
    _ = try store.collectGarbage()
    progress.end()
    Output.print(image.configurationDigest.description + "\n")
    return 0
  }
}
