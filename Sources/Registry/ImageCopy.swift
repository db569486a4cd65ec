public import Formats
public import Images

/// Images between the store, folders, archives and registries. Whatever the source, its bytes pass through the store's intake: verified
/// and read by confined workers; what no name leads to afterwards is collected again.
public enum ImageCopy {
  /// Takes an image of a folder or an archive into the store without a name. The caller holds `ImageStore.beginAdding`.
  /// - Returns: the image, and the name that it had there.
  public static func take(
    _ place: ImagePlace, platform: Platform, in store: ImageStore, _ progress: any Progress
  ) throws(ImageError) -> (image: Image, name: ImageReference?) {
    switch place {
    case .stored(let word):
      guard let image = try store.resolve(word, platform: nil) else { throw ImageStore.noSuchImage(word) }
      // An id is no name; nor is a name that does not lead to it.
      let name = try? ImageReference(word)
      return (image, name.flatMap { $0.digest == nil && $0.familiar == image.name ? $0 : nil })
    case .layout(let path, let tag):
      let layout = LayoutDirectory(path: path)
      let plan = try LayoutSource.install(layout, tag: tag, platform: platform, as: nil, in: store, progress)
      guard case .reference(let name) = try layout.imageName(tag: tag) else { return (try image(plan, store), nil) }
      return (try image(plan, store), name)
    case .ociArchive(let path, let name):
      let folder = try ArchiveLoad.open(path, in: store)
      let layout = LayoutDirectory(path: folder.path)
      let entry = try choose(name, of: layout, path)
      let (digest, bytes) = try layout.manifest(entry.descriptor, platform: platform)
      let plan = try LayoutSource.install(layout, digest, bytes, as: nil, in: store, progress)
      _ = consume folder
      // A bare tag is no whole name.
      return (try image(plan, store), entry.fullName.flatMap { try? ImageReference($0) })
    case .dockerArchive(let path, let name):
      let folder = try ArchiveLoad.open(path, in: store)
      guard DockerArchive.isHere(folder.path) else {
        throw ImageError(
          .damaged, "\(FormatError.presentable(path)) is no archive of Docker's: it has no manifest.json")
      }
      let plan: ImagePlan
      do throws(ImageError) { plan = try DockerArchive.install(named: name, folder.path, in: store, progress) } catch {
        throw ImageError(error.kind, "\(FormatError.presentable(path)): \(error)")
      }
      _ = consume folder
      return (try image(plan, store), name)
    case .registry(let reference):
      throw ImageError(.usage, "\(reference.familiar): a registry's image is pulled")
    }
  }

  /// Hands an image of the store on under a name; nil leaves it without one where the place allows that.
  /// - Returns: what was written into a folder or an archive.
  @discardableResult
  public static func give(
    _ image: Image, to place: ImagePlace, as name: ImageReference?, from store: ImageStore, _ progress: any Progress
  ) throws(ImageError) -> ImageSave.Outcome {
    var outcome = ImageSave.Outcome(manifests: [image.manifestDigest])
    let lease = try store.lease(image)
    switch place {
    case .stored(let word):
      guard case .reference(let reference) = try ImageName(word), reference.digest == nil else {
        throw ImageError(.usage, "\"\(FormatError.presentable(word))\" cannot be given to an image: use NAME[:TAG]")
      }
      let layers = try store.parts(of: image).layers
      try store.name(
        NamedImage(
          name: .reference(reference), manifest: image.manifestDigest, configuration: image.configurationDigest,
          platform: image.configuration.platform, size: layers.reduce(0) { $0 + $1.descriptor.size }))
      _ = consume lease
    case .layout(let path, let tag):
      var given = name
      if let tag {
        guard case .reference(let own) = try LayoutDirectory(path: path).imageName(tag: tag) else {
          throw ImageError(
            .usage,
            "\"\(FormatError.presentable(path + ":" + tag))\": the folder's name and the tag make no image's name")
        }
        given = own
      }
      let saved = try saved(image, given, store, lease)
      if var layout = try SaveLayout.open(path) {
        outcome = try OCISave.write([saved], into: &layout, progress)
      } else {
        var folder = try SaveFolder.begin(path)
        outcome = try OCISave.write([saved], into: &folder, progress)
      }
    case .ociArchive(let path, let own):
      var given = name
      if let own { given = try reference(own, for: path) }
      var archive = SaveArchive(try SaveTarget.file(path))
      let saved = try saved(image, given, store, lease)
      outcome = try OCISave.write([saved], into: &archive, progress)
    case .dockerArchive(let path, let own):
      var archive = SaveArchive(try SaveTarget.file(path))
      let saved = try saved(image, own ?? name, store, lease)
      try DockerSave.write([saved], into: &archive, progress)
    case .registry(let reference):
      throw ImageError(.usage, "\(reference.familiar): a registry's image is pushed")
    }
    for line in outcome.lines { progress.say(line) }
    return outcome
  }

  private static func saved(
    _ image: Image, _ name: ImageReference?, _ store: ImageStore, _ lease: consuming ImageLease
  ) throws(ImageError) -> SavedImage {
    var saved = SavedImage(parts: try store.parts(of: image), store: store, lease: lease)
    saved.names = name.map { [$0] } ?? []
    return saved
  }

  private static func image(_ plan: ImagePlan, _ store: ImageStore) throws(ImageError) -> Image {
    guard let image = try store.image(ofManifest: plan.manifestDigest, called: plan.manifestDigest.short) else {
      throw ImageError("the image \(plan.manifestDigest.short) is not whole in the store")
    }
    return image
  }

  /// A bare tag is joined to the archive's own name, as `load` has it.
  private static func reference(_ name: String, for path: String) throws(ImageError) -> ImageReference {
    let isWhole = name.contains("/") || name.contains(":")
    var base = (path.split(separator: "/").last.map(String.init) ?? "image").lowercased()
    if base.hasSuffix(".tar") { base.removeLast(4) }
    do throws(FormatError) { return try ImageReference(isWhole ? name : base + ":" + name) } catch {
      throw ImageError(.usage, "image \(error)")
    }
  }

  private static func choose(
    _ name: String?, of layout: LayoutDirectory, _ path: String
  ) throws(ImageError) -> LayoutDirectory.Entry {
    let entries = try layout.entries()
    // Written as a tag, or whole.
    let whole = name.flatMap { try? ImageReference($0) }
    let matching = entries.filter { entry in
      guard let name else { return true }
      return entry.tag == name
        || whole != nil && [entry.fullName, entry.tag].contains { $0.flatMap { try? ImageReference($0) } == whole }
    }
    if matching.count == 1 { return matching[0] }
    let list = entries.compactMap { $0.fullName ?? $0.tag }.prefix(12).map { FormatError.presentable($0) }
    throw ImageError(
      matching.isEmpty ? .notFound : .usage,
      "\(FormatError.presentable(path)) has \(entries.count) images (\(list.joined(separator: ", "))): name one of them as oci-archive:FILE:NAME"
    )
  }
}
