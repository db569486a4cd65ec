import Formats
import Images
import Linux
import Options
import Registry

/// `push`: an image into a registry, or into an archive or a folder.
enum PushCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    let word = command.operands[0]
    let target = command.operands.count > 1 ? command.operands[1] : word
    let progress = try LineProgress.chosen(command)
    defer { progress.end() }
    if command.operands.count > 1, case let place = try ImagePlace(target), place.isHere {
      let (image, name) = try ImageCopy.take(.stored(word), platform: .host, in: store, progress)
      let outcome = try ImageCopy.give(image, to: place, as: name, from: store, progress)
      for digest in outcome.manifests { Output.print(digest.description + "\n") }
      return 0
    }
    let access = try RegistryWords.access(command)
    for remark in access.configuration.remarks { progress.say(remark) }
    let reference = try destination(
      RegistryWords.bare(target), named: command.operands.count > 1, command, access, store)
    let digest = try send(try ImagePush(word, to: reference, from: store), to: reference, access, progress)
    progress.end()
    Output.print(digest.description + "\n")
    return 0
  }

  /// Sends it; the manifest's digest.
  static func send(
    _ push: consuming ImagePush, to reference: ImageReference, _ access: RegistryAccess, _ progress: LineProgress
  ) throws -> Digest {
    let endpoint = try access.destination(of: reference)
    let task = PushTask(push)
    return try Asynchronous.wait { () async throws(ImageError) in try await task.push.run(to: endpoint, progress) }
  }

  /// Where to. A short name goes where the image came from by that name; a new one must say its registry unless there is one only.
  private static func destination(
    _ text: String, named: Bool, _ command: ParsedCommand, _ access: RegistryAccess, _ store: ImageStore
  ) throws -> ImageReference {
    if !named {
      guard let image = try store.resolve(text), case .reference(let reference) = try ImageName(image.name) else {
        throw ImageStore.noSuchImage(text)
      }
      return reference
    }
    guard case .reference = try ImageName(text) else {
      throw UsageError(command.verb, "\"\(FormatError.presentable(text))\" is no place to push to")
    }
    let meanings: [ImageReference]
    do throws(FormatError) { meanings = try access.configuration.candidates(for: text) } catch {
      throw ImageError(.usage, "image \(error)")
    }
    guard meanings.count == 1 else {
      throw UsageError(
        command.verb, "\"\(FormatError.presentable(text))\" does not say which registry to push to: give the whole name"
      )
    }
    return meanings[0]
  }

  /// What is to be done, for the task that does it.
  private final class PushTask: Sendable {
    let push: ImagePush
    init(_ push: consuming ImagePush) { self.push = push }
  }
}
