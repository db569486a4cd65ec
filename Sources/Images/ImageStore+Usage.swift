public import Formats
import Linux
public import Trees

/// What the store takes on the disk, by what it is for.
public struct StoreUse: Sendable {
  public struct Layer: Sendable {
    public let digest: Digest
    public let use: DiskUse
    /// The images (by their manifests) that have it.
    public let images: Set<Digest>
    /// Whether a living sandbox, or a command that saves, holds one of these.
    public let isActive: Bool
  }
  public struct Entry: Sendable {
    public let manifest: Digest
    public let configuration: Digest
    /// None where a sandbox lives longer than the image's last name.
    public let names: [String]
    public let isActive: Bool
    /// Its layers, and those of them that no other image has.
    public let size: Int64
    public let own: Int64
  }
  public var images: [Entry] = []
  public var layers: [Layer] = []
  /// Manifests, configurations, merged metadata, names, locks, and copies to look into.
  public var documents = DiskUse()
  /// What is in the making, or was left by commands that were killed.
  public var unfinished = DiskUse()
  public var unfinishedCount = 0

  /// What `image prune -a` would free of the layers.
  public var reclaimable: Int64 { layers.reduce(0) { $0 + ($1.isActive ? 0 : $1.use.bytes) } }
}

extension ImageStore {
  /// Measures everything. Only sound while this process has one thread where it is not root's.
  public func use() throws(ImageError) -> StoreUse {
    var use = StoreUse()
    var images: [Digest: [NamedImage]] = [:]
    for image in try list() { images[image.manifest, default: []].append(image) }
    var active = Set<Digest>()
    for name in try entries(of: locks) where name.hasPrefix("image-") {
      guard let digest = Self.digest(String(name.dropFirst(6))), try isLeased(digest) else { continue }
      active.insert(digest)
      if images[digest] == nil { images[digest] = [] }
    }
    for view in try allViews() {
      active.insert(view.manifest)
      if images[view.manifest] == nil { images[view.manifest] = [] }
    }
    var users: [String: Set<Digest>] = [:]
    var parts: [Digest: ImageManifest] = [:]
    for digest in images.keys {
      guard let manifest = try manifest(digest) else { continue }
      parts[digest] = manifest
      for layer in manifest.layers { users[layer.digest.hex, default: []].insert(digest) }
    }
    var sizes: [String: Int64] = [:]
    let others = [blobs, merged, names, locks, views, directory + "/mounts"]
    let measured = try measure(try entries(of: layers).map { layers + "/" + $0 } + [incoming] + others)
    for name in try entries(of: layers) {
      guard let each = measured[layers + "/" + name], let digest = Self.digest(name) else { continue }
      let users = users[name] ?? []
      sizes[name] = each.bytes
      use.layers.append(
        StoreUse.Layer(digest: digest, use: each, images: users, isActive: !users.isDisjoint(with: active)))
    }
    for (digest, manifest) in parts.sorted(by: { $0.key.hex < $1.key.hex }) {
      let digests = Set(manifest.layers.map(\.digest.hex))
      let own = digests.filter { users[$0]?.count == 1 }
      use.images.append(
        StoreUse.Entry(
          manifest: digest, configuration: manifest.configuration.digest,
          names: (images[digest] ?? []).map(\.familiar).sorted(), isActive: active.contains(digest),
          size: digests.reduce(0) { $0 + (sizes[$1] ?? 0) }, own: own.reduce(0) { $0 + (sizes[$1] ?? 0) }))
    }
    use.documents = others.reduce(DiskUse()) { $0 + (measured[$1] ?? DiskUse()) }
    use.unfinished = measured[incoming] ?? DiskUse()
    use.unfinishedCount = try entries(of: incoming).count
    return use
  }

  /// Bytes that the whole store takes on the disk.
  public func diskBytes() throws(ImageError) -> Int64 { try measure([directory])[directory]?.bytes ?? 0 }

  /// By path. A user's layers belong to ids that he is only in a namespace of his own: the paths are measured there, in a child.
  private func measure(_ paths: [String]) throws(ImageError) -> [String: DiskUse] {
    try system("cannot measure the image store") { () throws(SystemError) in
      if Process.effectiveUser == 0 {
        var found: [String: DiskUse] = [:]
        for path in paths { found[path] = try DiskUse.of(path) }
        return found
      }
      let pipe = try DescriptorPair.pipe()
      guard let child = try Process.clone(CloneArguments(flags: 0)) else {
        do throws(SystemError) {
          _ = try OwnNamespace.enter()
          for path in paths {
            let use = try DiskUse.of(path)
            try File.writeAll(pipe.second.rawValue, "\(use.bytes) \(use.files)\n")
          }
          Process.exit(0)
        } catch { Process.exit(error.errno.rawValue & 0xFF) }
      }
      let near = try pipe.first.duplicate()
      _ = consume pipe
      let text = String(decoding: try File.readAll(near.rawValue), as: UTF8.self)
      switch try child.wait() {
      case .exited(0): break
      case .exited(let code): throw SystemError("stat", directory, Errno(rawValue: code))
      default: throw SystemError("stat", directory, .interrupted)
      }
      var found: [String: DiskUse] = [:]
      for (path, line) in zip(paths, text.split(separator: "\n")) {
        let numbers = line.split(separator: " ").compactMap { Int64($0) }
        guard numbers.count == 2 else { throw SystemError("stat", path, .invalid) }
        var use = DiskUse()
        use.bytes = numbers[0]
        use.files = numbers[1]
        found[path] = use
      }
      return found
    }
  }
}

extension ImageStore {
  /// Takes every name away whose image no living sandbox uses and no command is saving; the images go with `collectGarbage`.
  /// - Returns: the names taken away.
  public func removeUnused() throws(ImageError) -> [NamedImage] {
    let adding = try beginAdding()
    var removed: [NamedImage] = []
    for image in try list() {
      if try isLeased(image.manifest) { continue }
      if try isViewed(image.manifest) { continue }
      try forget(image.name)
      removed.append(image)
    }
    _ = consume adding
    return removed
  }
}
