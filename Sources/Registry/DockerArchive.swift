import CLinux
import Formats
import Images
import Linux

/// Images out of the archive that `docker save` and `podman save` write, already unpacked into a private folder: `manifest.json` lists
/// configurations and layers by path (docker/docker, image/tarexport). Nothing of it is trusted: paths are followed beneath the folder
/// only, digests are computed here, and each layer must unpack to what its configuration says.
enum DockerArchive {
  /// Whether the folder holds one.
  static func isHere(_ folder: String) -> Bool { File.exists(folder + "/manifest.json") }

  /// - Returns: the names the images have now.
  static func install(_ folder: String, in store: ImageStore, _ progress: any Progress) throws(ImageError) -> [String] {
    let bytes = try read("manifest.json", in: folder, limit: Int(Descriptor.maximumManifestSize))
    var names: [String] = []
    do {
      for image in try JSONNode.parse(bytes, source: "manifest.json").elements() {
        let plan = try install(
          configuration: try image.string("Config"), layers: try image.strings("Layers"), folder, store, progress)
        let tags = try image.optionalStrings("RepoTags") ?? []
        if tags.isEmpty { names.append(try name("load:" + plan.manifest.configuration.digest.short, plan, store)) }
        for tag in tags { names.append(try name(tag, plan, store)) }
      }
    } catch let error as ImageError {
      throw error
    } catch {
      throw ImageError(.damaged, "\(error)")
    }
    return names
  }

  /// Takes one image into the store without a name: the one that has this name there, or the only one.
  static func install(
    named wanted: ImageReference?, _ folder: String, in store: ImageStore, _ progress: any Progress
  ) throws(ImageError) -> ImagePlan {
    let bytes = try read("manifest.json", in: folder, limit: Int(Descriptor.maximumManifestSize))
    do {
      var there: [String] = []
      let images = try JSONNode.parse(bytes, source: "manifest.json").elements()
      for image in images {
        let tags = try image.optionalStrings("RepoTags") ?? []
        there += tags
        // A name that is none cannot be the one that is looked for.
        let names = tags.compactMap { try? ImageReference($0) }
        guard wanted.map(names.contains) ?? (images.count == 1) else { continue }
        return try install(
          configuration: try image.string("Config"), layers: try image.strings("Layers"), folder, store, progress)
      }
      let list = there.prefix(12).map { FormatError.presentable($0) }.joined(separator: ", ")
      throw ImageError(
        .notFound, "the archive has \(images.count) images (\(list)): name one of them as docker-archive:FILE:NAME")
    } catch let error as ImageError {
      throw error
    } catch {
      throw ImageError(.damaged, "\(error)")
    }
  }

  private static func name(_ text: String, _ plan: ImagePlan, _ store: ImageStore) throws(ImageError) -> String {
    let name = try ImageName(text)
    guard case .reference = name else {
      throw ImageError(.damaged, "\"\(FormatError.presentable(text))\" is no image's name")
    }
    try plan.name(name, in: store)
    return name.familiar + " " + plan.manifest.configuration.digest.short
  }

  private static func install(
    configuration path: String, layers: [String], _ folder: String, _ store: ImageStore, _ progress: any Progress
  ) throws(ImageError) -> ImagePlan {
    let configuration = try read(path, in: folder, limit: Int(Descriptor.maximumConfigurationSize))
    let parsed: ImageConfiguration
    do throws(FormatError) { parsed = try ImageConfiguration.parse(configuration, source: path) } catch {
      throw ImageError("image", error)
    }
    guard parsed.diffIDs.count == layers.count else {
      throw ImageError(
        .damaged,
        "manifest.json lists \(layers.count) layers where \(FormatError.presentable(path)) has \(parsed.diffIDs.count)")
    }
    var descriptors: [Descriptor] = []
    for (layer, diffID) in zip(layers, parsed.diffIDs) {
      descriptors.append(try install(layer: layer, diffID, folder, store, progress))
    }
    let manifest = ImageManifest(
      configuration: Descriptor(
        mediaType: MediaType.ociConfiguration, digest: Digest.of(configuration), size: Int64(configuration.count)),
      layers: descriptors)
    let bytes = manifest.json.bytes()
    return try ImagePlan(
      manifestDigest: Digest.of(bytes), manifestBytes: bytes, configurationBytes: configuration, in: store, of: path)
  }

  /// Layers lie in the archive uncompressed, so that a blob's digest is its diff id; where one is here already it is not read.
  private static func install(
    layer path: String, _ diffID: Digest, _ folder: String, _ store: ImageStore, _ progress: any Progress
  ) throws(ImageError) -> Descriptor {
    let file = try open(path, in: folder)
    let size = try system(path) { () throws(SystemError) in Int64(try File.status("", at: file.rawValue).st_size) }
    let expected = Descriptor(mediaType: MediaType.ociLayer, digest: diffID, size: size)
    if try store.isWhole(diffID) {
      progress.finish(expected, isNew: false)
      return expected
    }
    var installation = try LayerInstallation.begin(try store.beginLayer(), of: nil, in: store)
    try LayoutSource.feed(file.rawValue, to: &installation) { _ in }
    // Some tools put compressed layers there.
    let mediaType = installation.mediaType
    let (digest, count, _) = try installation.finish(diffID: diffID)
    progress.finish(expected, isNew: true)
    return Descriptor(mediaType: mediaType, digest: digest, size: count)
  }

  private static func open(_ path: String, in folder: String) throws(ImageError) -> FileDescriptor {
    try system("archive member \"\(FormatError.presentable(path))\"") { () throws(SystemError) in
      let root = try File.open(folder, O_RDONLY | O_DIRECTORY)
      // Older Docker writes links between layers of one archive.
      let file = try File.open(
        path, O_RDONLY | O_NONBLOCK, at: root.rawValue, resolve: [.inRoot, .noMagicLinks, .noMountCrossing])
      guard try File.status("", at: file.rawValue).st_mode & UInt32(S_IFMT) == UInt32(S_IFREG) else {
        throw SystemError("open", "not a regular file", .invalid)
      }
      return file
    }
  }

  private static func read(_ path: String, in folder: String, limit: Int) throws(ImageError) -> [UInt8] {
    let file = try open(path, in: folder)
    return try system("archive member \"\(FormatError.presentable(path))\"") { () throws(SystemError) in
      try File.readAll(file.rawValue, limit: limit)
    }
  }
}
