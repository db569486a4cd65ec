import CLinux
public import Formats
import Linux

/// A name in the store and what it leads to.
public struct NamedImage: Sendable, Equatable {
  /// `ImageName.canonical`.
  public var name: String
  /// As a person writes it.
  public var familiar: String
  public var manifest: Digest
  public var configuration: Digest
  public var platform: Platform
  /// Bytes of the layers as they were fetched.
  public var size: Int64
  /// When it came into the store: seconds since 1970.
  public var stored: Int64

  public init(
    name: ImageName, manifest: Digest, configuration: Digest, platform: Platform, size: Int64,
    stored: Int64? = nil
  ) {
    self.name = name.canonical
    self.familiar = name.familiar
    self.manifest = manifest
    self.configuration = configuration
    self.platform = platform
    self.size = size
    self.stored = stored ?? Clock.realTime().seconds
  }

  init(_ node: JSONNode) throws(FormatError) {
    name = try node.string("name")
    familiar = try node.string("familiar")
    manifest = try node.required("manifest").digest()
    configuration = try node.required("configuration").digest()
    platform = try Platform(try node.string("platform"))
    size = try node.integer("size")
    stored = try node.integer("stored")
  }

  var json: JSONValue {
    [
      "name": .string(name), "familiar": .string(familiar), "manifest": .string(manifest.description),
      "configuration": .string(configuration.description), "platform": .string(platform.description),
      "size": .integer(size), "stored": .integer(stored),
    ]
  }
}

extension ImageStore {
  func file(of name: String) -> String { Digest.of(Array(name.utf8)).hex }

  /// What a canonical name leads to; nil where there is no such name.
  func named(_ canonical: String) throws(ImageError) -> NamedImage? {
    try readName(file(of: canonical))
  }

  func readName(_ file: String) throws(ImageError) -> NamedImage? {
    let path = names + "/" + file
    let bytes: [UInt8]
    do throws(SystemError) { bytes = try File.contents(path, limit: 64 << 10) } catch {
      if error.errno == .noEntry { return nil }
      throw ImageError("cannot read the image store", error)
    }
    do throws(FormatError) { return try NamedImage(try JSONNode.parse(bytes, source: path)) } catch {
      throw ImageError("the image store is damaged (remove the file and pull again)", error)
    }
  }

  /// Every name, sorted.
  public func list() throws(ImageError) -> [NamedImage] {
    var found: [NamedImage] = []
    for file in try entries(of: names) where !file.hasPrefix(".") {
      if let image = try readName(file) { found.append(image) }
    }
    return found.sorted { $0.familiar < $1.familiar }
  }

  /// Lets a name lead to an image, in place of what it led to. The image's blobs and layers must be there.
  public func name(_ image: NamedImage) throws(ImageError) {
    try system("cannot write the image store") { () throws(SystemError) in
      let folder = try File.open(names, O_RDONLY | O_DIRECTORY)
      try File.replaceAtomically(file(of: image.name), image.json.bytes(), at: folder.rawValue, sync: true)
      try File.sync(folder.rawValue)
    }
  }

  func forget(_ canonical: String) throws(ImageError) {
    do throws(SystemError) { try File.remove(names + "/" + file(of: canonical)) } catch {
      if error.errno != .noEntry { throw ImageError("cannot write the image store", error) }
    }
  }

  /// The names in one of the store's folders, sorted; none where the folder is not there.
  func entries(of folder: String) throws(ImageError) -> [String] {
    do throws(SystemError) { return try File.names(inDirectory: folder).sorted() } catch {
      if error.errno == .noEntry { return [] }
      throw ImageError("cannot read the image store", error)
    }
  }
}
