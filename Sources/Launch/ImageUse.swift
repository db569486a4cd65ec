import Formats
import Images
import Linux
import Options
import Walls

/// An image that this command uses: its layers cannot be removed while this process, or a monitor forked from it, lives.
struct ImageInUse {
  let image: Image
  /// Where the kernel has its files; nil where they are unpacked.
  var mount: ImageMount?
  var pin: ImagePin?
  /// Why they are unpacked, where that is worth saying.
  var notes: [String] = []

  var name: String { image.name }
  /// The digest of its manifest.
  var manifest: String { image.manifestDigest.description }
  var configuration: ImageConfiguration { image.configuration }

  func root(_ scratch: Scratch) -> RootFilesystem {
    if let mount { return .image(mount, scratch: scratch) }
    return .layers(paths: image.layerPaths, scratch: scratch)
  }

  var json: JSONValue {
    [
      "name": .string(image.name), "manifest": .string(image.manifestDigest.description),
      "id": .string(image.configurationDigest.description), "configuration": image.configuration.json,
    ]
  }
}

/// Finding an image in the store, and having it pulled.
enum ImageUse {
  /// The image of `run`: found as --pull says, else fetched by immure-front.
  static func need(_ word: String, _ command: ParsedCommand, _ session: Session) throws(CommandError) -> ImageInUse {
    let when = command.value("pull") ?? "missing"
    guard ["missing", "always", "never"].contains(when) else {
      throw CommandError(125, "--pull \"\(FormatError.presentable(when))\": there are missing, always and never")
    }
    let platform = command.value("platform")
    if when != "always", let found = try lookUp(word, platform, session) { return try lease(found, session) }
    if when == "never" {
      throw CommandError(
        125, "there is no image \"\(FormatError.presentable(word))\" here, and --pull never forbids fetching it")
    }
    try pull(word, platform, quiet: command.flag("quiet"), session)
    guard let found = try lookUp(word, platform, session) else {
      throw CommandError(
        125,
        "image \"\(FormatError.presentable(word))\" was pulled, but is not for the platform \(platform ?? "of this machine")"
      )
    }
    return try lease(found, session)
  }

  /// The image of a name for `inspect`; nil where there is none.
  static func find(_ word: String, _ session: Session) throws(CommandError) -> ImageInUse? {
    do throws(ImageError) {
      return try ImageStore(root: session.store.root).resolve(word).map { ImageInUse(image: $0) }
    } catch {
      if error.kind == .usage { return nil }
      throw CommandError(1, error.message)
    }
  }

  private static func lookUp(_ word: String, _ platform: String?, _ session: Session) throws(CommandError) -> Image? {
    do {
      let wanted = try platform.map { text throws(FormatError) in try Platform(text) }
      return try ImageStore(root: session.store.root).resolve(word, platform: wanted)
    } catch let error as ImageError {
      throw CommandError(125, error.message)
    } catch {
      throw CommandError(125, "--platform \"\(FormatError.presentable(platform ?? ""))\": \(error)")
    }
  }

  /// Keeps it from being removed while this process lives, and has its files mounted or unpacked.
  static func lease(_ image: Image, _ session: Session) throws(CommandError) -> ImageInUse {
    do throws(ImageError) {
      let store = ImageStore(root: session.store.root)
      let lease = try store.lease(image)
      // Held by the descriptor for as long as this process lives: until the box has ended.
      _ = try duplicated(lease.descriptor)
      var used = ImageInUse(image: image)
      if let files = image.files {
        switch try ImageLadder(folder: store.directory, isRoot: session.host.isRoot).mount(files) {
        case .mounted(let mount, let pin):
          used.mount = mount
          used.pin = pin
          return used
        case .unpack(let why): if let why { used.notes.append("the image was unpacked: \(why)") }
        }
      }
      _ = try store.unpacked(image)
      return used
    } catch {
      throw CommandError(125, error.message)
    }
  }

  private static func duplicated(_ descriptor: Int32) throws(ImageError) -> Int32 {
    do throws(SystemError) { return try FileDescriptor.duplicate(descriptor).release() } catch {
      throw ImageError("cannot keep the image in use", error)
    }
  }

  private static func pull(_ word: String, _ platform: String?, quiet: Bool, _ session: Session) throws(CommandError) {
    var arguments = ["--root", session.store.root, "pull"]
    if let platform { arguments += ["--platform", platform] }
    if quiet || !session.isTerminal { arguments.append("--quiet") }
    let status: ExitStatus
    do throws(SystemError) { status = try Front.run(arguments + ["--", word]) } catch {
      throw CommandError(125, "cannot start immure-front: \(error)")
    }
    // immure-front has said why.
    if status != .exited(0) {
      throw CommandError(125, "image \"\(FormatError.presentable(word))\" is not here and could not be pulled")
    }
  }
}
