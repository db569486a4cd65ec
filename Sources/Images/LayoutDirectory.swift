import CLinux
public import Formats
public import Linux

/// A folder in OCI image layout (image-spec, image-layout.md), of which nothing is trusted: files are found beneath it without
/// following links, and every byte is verified against its digest.
public struct LayoutDirectory: Sendable {
  public let path: String
  public init(path: String) { self.path = path }

  /// An entry of `index.json` with its name there.
  public struct Entry: Sendable, Equatable {
    public var descriptor: Descriptor
    /// `org.opencontainers.image.ref.name`.
    public var tag: String?
    /// What tools that keep whole names write beside it.
    public var fullName: String?
  }

  /// The entries of `index.json` in order; the layout's version is checked.
  public func entries() throws(ImageError) -> [Entry] {
    let mark = try read("oci-layout", limit: 4096)
    let bytes = try read("index.json", limit: Int(Descriptor.maximumManifestSize))
    do throws(FormatError) {
      let layout = try JSONNode.parse(mark, source: path + "/oci-layout")
      let version = try layout.required("imageLayoutVersion")
      guard try version.string() == "1.0.0" else {
        throw version.failure("is not a layout version known here; 1.0.0 is")
      }
      guard
        case .index(let index) = try ImageDocument.parse(
          bytes, declared: nil, source: path + "/index.json")
      else { throw FormatError("is a manifest where an index should be", source: path + "/index.json") }
      return index.manifests.map {
        Entry(
          descriptor: $0, tag: $0.annotations["org.opencontainers.image.ref.name"],
          fullName: $0.annotations["io.containerd.image.name"])
      }
    } catch {
      throw ImageError("image layout", error)
    }
  }

  /// The name that an image of this folder has in the store: the folder's last part and the tag, `DIR:TAG`; a tag that is a whole name
  /// stands for itself. `oci:DIR:TAG` where these make no name.
  public func imageName(tag: String?) throws(ImageError) -> ImageName {
    // Without a tag it is the only image's own, where it has one.
    let word: String
    if let tag { word = tag } else { word = try entries().compactMap(\.tag).first ?? "latest" }
    let base = (path.split(separator: "/").last.map(String.init) ?? "").lowercased()
    let text = word.contains("/") || word.contains(":") ? word : base + ":" + word
    do throws(FormatError) { return .reference(try ImageReference(text)) } catch {
      return .layout(path: path, tag: tag)
    }
  }

  /// The manifest for a tag and platform: its descriptor and bytes, verified. Indexes within the index are followed, three deep.
  public func manifest(tag: String?, platform: Platform) throws(ImageError) -> (digest: Digest, bytes: [UInt8]) {
    let entries = try entries()
    let matching = tag.map { tag in entries.filter { $0.tag == tag } } ?? entries
    if matching.isEmpty {
      let tags = entries.compactMap(\.tag)
      let there = tags.isEmpty ? "no tag" : tags.prefix(12).map { FormatError.presentable($0) }.joined(separator: ", ")
      throw ImageError(
        .notFound, "the image layout \(path) has no image \"\(FormatError.presentable(tag ?? ""))\"; it has \(there)")
    }
    // A tag may stand on an image for each platform.
    let index = ImageIndex(manifests: matching.map(\.descriptor))
    if matching.count > 1 && tag == nil && Set(matching.map(\.tag)).count > 1 {
      let tags = matching.compactMap(\.tag).prefix(12).map { FormatError.presentable($0) }.joined(separator: ", ")
      throw ImageError(.usage, "the image layout \(path) has several images: name one of \(tags) as oci:DIR:TAG")
    }
    var descriptor = matching[0].descriptor
    if matching.count > 1 { descriptor = try choose(index, platform) }
    return try manifest(descriptor, platform: platform)
  }

  /// The manifest that a descriptor of the index leads to.
  public func manifest(_ entry: Descriptor, platform: Platform) throws(ImageError) -> (digest: Digest, bytes: [UInt8]) {
    var descriptor = entry
    for _ in 0..<4 {
      let bytes = try blob(descriptor)
      let document: ImageDocument
      do throws(FormatError) {
        document = try ImageDocument.parse(bytes, declared: descriptor.mediaType, source: "\(descriptor.digest)")
      } catch { throw ImageError("image layout \(path)", error) }
      switch document {
      case .manifest: return (descriptor.digest, bytes)
      case .index(let inner): descriptor = try choose(inner, platform)
      }
    }
    throw ImageError(.damaged, "the image layout \(path) nests indexes more than three deep")
  }

  private func choose(_ index: ImageIndex, _ platform: Platform) throws(ImageError) -> Descriptor {
    do throws(FormatError) { return try index.manifest(for: platform) } catch {
      throw ImageError("image layout \(path)", error)
    }
  }

  /// A small blob, verified.
  public func blob(_ descriptor: Descriptor) throws(ImageError) -> [UInt8] {
    let bytes = try read("blobs/sha256/" + descriptor.digest.hex, limit: Int(Descriptor.maximumConfigurationSize))
    let actual = Digest.of(bytes)
    guard Int64(bytes.count) == descriptor.size, actual == descriptor.digest else {
      throw ImageError(
        .damaged,
        "image layout \(path): the blob \(descriptor.digest) has \(bytes.count) bytes with the digest \(actual) where \(descriptor.size) were announced"
      )
    }
    return bytes
  }

  /// The file of a blob, which the reader must verify.
  public func open(_ descriptor: Descriptor) throws(ImageError) -> FileDescriptor {
    try open("blobs/sha256/" + descriptor.digest.hex)
  }

  private func open(_ name: String) throws(ImageError) -> FileDescriptor {
    try system("image layout \(path)") { () throws(SystemError) in
      let folder = try File.open(path, O_RDONLY | O_DIRECTORY)
      let file = try File.open(
        name, O_RDONLY | O_NONBLOCK, at: folder.rawValue, resolve: [.beneath, .noSymlinks, .noMagicLinks])
      guard try File.status("", at: file.rawValue).st_mode & UInt32(S_IFMT) == UInt32(S_IFREG) else {
        throw SystemError("open", name + " (not a regular file)", .invalid)
      }
      return file
    }
  }

  private func read(_ name: String, limit: Int) throws(ImageError) -> [UInt8] {
    let file = try open(name)
    return try system("image layout \(path)/\(name)") { () throws(SystemError) in
      try File.readAll(file.rawValue, limit: limit)
    }
  }
}
