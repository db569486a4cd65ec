public import Formats
import Linux

/// The files that an image is mounted of.
public struct MountableFiles: Sendable, Equatable {
  /// Metadata over all layers, made here.
  public let metadata: String
  /// The layers' own images, in the order of its device table: the lowest first.
  public let devices: [String]

  public init(metadata: String, devices: [String]) {
    self.metadata = metadata
    self.devices = devices
  }
}

/// An image that is here whole: its configuration is read and every layer is there.
public struct Image: Sendable, Equatable {
  /// The name it was found by, as a person writes it.
  public let name: String
  public let manifestDigest: Digest
  public let configurationDigest: Digest
  public let configuration: ImageConfiguration
  /// The layers' folders in the store, the topmost first; one that an image has twice stands here once, where it is uppermost.
  let folders: [String]
  /// The folders of the unpacked layers, the topmost first. They are there once `ImageStore.unpacked` was asked for them.
  public let layerPaths: [String]
  /// What a mount is made of; nil where an earlier version stored a layer, which is a tree.
  public let files: MountableFiles?
}

/// Keeps an image's layers while a sandbox uses them: until it goes out of scope or the process that holds it dies. The
/// descriptor is inherited by fork and closed by exec, so a monitor that is forked goes on holding it.
public struct ImageLease: ~Copyable, Sendable {
  private let lock: StoreLock
  init(_ lock: consuming StoreLock) { self.lock = lock }

  /// The lock's descriptor, for the one who hands it on.
  public var descriptor: Int32 { lock.descriptor.rawValue }
}

extension ImageStore {
  /// Finds an image by a name, `oci:DIR[:TAG]`, or an id: six or more digits of its configuration's or manifest's digest.
  ///
  /// - Parameter platform: nil takes whichever is here.
  /// - Returns: nil where it is not here, not whole, for another platform, or (`oci:`) no longer what the folder holds.
  /// - Throws: `ImageError` where the text is no image name, or the store cannot be read.
  public func resolve(_ text: String, platform: Platform? = nil) throws(ImageError) -> Image? {
    guard let found = try find(text) else { return nil }
    if let platform, platform.distance(to: found.platform) == nil { return nil }
    return try image(found)
  }

  /// The name's entry that a person's words mean.
  func find(_ text: String) throws(ImageError) -> NamedImage? {
    if let digits = Self.identifier(text, prefixed: true) ?? Self.wholeIdentifier(text) { return try find(id: digits) }
    let name = try ImageName(text)
    if case .layout(let path, let tag) = name {
      let layout = LayoutDirectory(path: path)
      var found = try named(layout.imageName(tag: tag).canonical)
      if found == nil { found = try named(name.canonical) }
      guard let known = found else { return nil }
      // The folder is the user's and may have changed since, and the name may be another image's.
      let current = try layout.manifest(tag: tag, platform: known.platform).digest
      return current == known.manifest ? known : nil
    }
    if let found = try named(name.canonical) { return found }
    if let digits = Self.identifier(text, prefixed: false), let found = try find(id: digits) { return found }
    return try find(short: text)
  }

  /// The hexadecimal digits where the text may be an image's id.
  private static func identifier(_ text: String, prefixed: Bool) -> String? {
    let digits = prefixed ? text.dropFirst(7) : text[...]
    guard prefixed ? text.hasPrefix("sha256:") : true, (6...64).contains(digits.utf8.count) else { return nil }
    let isHex = digits.utf8.allSatisfy { ($0 >= 48 && $0 <= 57) || ($0 >= 97 && $0 <= 102) }
    return isHex ? String(digits) : nil
  }

  /// 64 digits are no name (`ImageReference` refuses them).
  private static func wholeIdentifier(_ text: String) -> String? {
    text.utf8.count == 64 ? identifier(text, prefixed: false) : nil
  }

  private func find(id digits: String) throws(ImageError) -> NamedImage? {
    let matches = try list().filter { $0.configuration.hex.hasPrefix(digits) || $0.manifest.hex.hasPrefix(digits) }
    guard let first = matches.first else { return nil }
    guard matches.allSatisfy({ $0.configuration == first.configuration }) else {
      throw ImageError(.usage, "\"\(digits)\" is the beginning of several images' ids: give more of it")
    }
    return first
  }

  /// The image with its configuration, or nil where a part is missing.
  func image(_ found: NamedImage) throws(ImageError) -> Image? {
    guard let manifest = try manifest(found.manifest), let bytes = try blob(found.configuration) else { return nil }
    let configuration: ImageConfiguration
    do throws(FormatError) { configuration = try ImageConfiguration.parse(bytes) } catch {
      throw ImageError("image \(found.familiar)", error)
    }
    return try image(manifest, found.manifest, configuration, called: found.familiar)
  }

  private func image(
    _ manifest: ImageManifest, _ digest: Digest, _ configuration: ImageConfiguration, called name: String
  ) throws(ImageError) -> Image? {
    var layers: [Digest] = []
    for layer in manifest.layers.reversed() where !layers.contains(layer.digest) { layers.append(layer.digest) }
    let folders = layers.map { self.layers + "/" + $0.hex }
    for folder in folders where !File.exists(folder + "/layer.json") { return nil }
    let devices = folders.reversed().map { $0 + "/" + Self.imageName }
    let hasImages = devices.allSatisfy { File.exists($0) }
    return Image(
      name: name, manifestDigest: digest, configurationDigest: manifest.configuration.digest,
      configuration: configuration, folders: folders, layerPaths: layers.map(treePath(ofLayer:)),
      files: hasImages ? MountableFiles(metadata: mergedPath(layers.reversed()), devices: devices) : nil)
  }

  func manifest(_ digest: Digest) throws(ImageError) -> ImageManifest? {
    guard let bytes = try blob(digest) else { return nil }
    do throws(FormatError) {
      guard case .manifest(let manifest) = try ImageDocument.parse(bytes) else { return nil }
      return manifest
    } catch {
      throw ImageError("the image store is damaged at \(digest)", error)
    }
  }

  /// The image of a manifest, under a name that need not lead to it any more; nil where a part of it is missing.
  public func image(ofManifest digest: Digest, called name: String) throws(ImageError) -> Image? {
    guard let manifest = try manifest(digest), let bytes = try blob(manifest.configuration.digest) else { return nil }
    let configuration: ImageConfiguration
    do throws(FormatError) { configuration = try ImageConfiguration.parse(bytes) } catch {
      throw ImageError("image \(name)", error)
    }
    return try image(manifest, digest, configuration, called: name)
  }

  /// Keeps the image's layers from being removed while the lease lives.
  /// - Throws: `notFound` where the image was removed since it was looked up.
  public func lease(_ image: Image) throws(ImageError) -> ImageLease {
    guard let lock = try lock(Self.leaseName(image.manifestDigest), exclusive: false) else {
      throw ImageError("the image \(image.name) is locked by another command")
    }
    try waitForCollector(image)
    for folder in image.folders where !File.exists(folder + "/layer.json") {
      throw ImageError(.notFound, "the image \(image.name) was removed by another command: try again")
    }
    if let files = image.files, !File.exists(files.metadata) { try MakingProgram.run("image-metadata", self, image) }
    return ImageLease(lock)
  }

  /// One who collects garbage has looked at the leases there were, and does not see one that is taken now. What has a name meanwhile had it
  /// then, for none is given while he works; else he is waited for.
  private func waitForCollector(_ image: Image) throws(ImageError) {
    if try storeLock(exclusive: false, wait: false) != nil { return }
    for known in try list() where known.manifest == image.manifestDigest { return }
    _ = try storeLock(exclusive: false, wait: true)
  }

  static func leaseName(_ manifest: Digest) -> String { "image-" + manifest.hex }

  static let imageName = "layer.erofs"
  static let headersName = "layer.headers"

  func blobPath(ofLayer digest: Digest) -> String { layers + "/" + digest.hex + "/blob" }
}

extension ImageStore {
  /// All that is known about an image.
  public func inspection(of image: Image) throws(ImageError) -> JSONValue {
    var layers: [JSONValue] = []
    for descriptor in try manifest(image.manifestDigest)?.layers ?? [] {
      let summary = try layer(descriptor.digest)
      layers.append([
        "digest": .string(descriptor.digest.description), "size": .integer(descriptor.size),
        "diffID": summary.map { .string($0.diffID.description) } ?? .null,
        "unpackedSize": summary.map { .integer($0.bytes) } ?? .null,
        "notes": .array(((summary?.notes ?? []) + (try treeNotes(descriptor.digest))).map { .string($0) }),
      ])
    }
    let names = try list().filter { $0.manifest == image.manifestDigest }
    return [
      "name": .string(image.name), "names": .array(names.map { .string($0.familiar) }),
      "id": .string(image.configurationDigest.description), "manifest": .string(image.manifestDigest.description),
      "configuration": image.configuration.json, "layers": .array(layers),
    ]
  }
}
