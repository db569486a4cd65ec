import CLinux
public import Formats
public import Linux

/// What an image came as, for the one who hands it on: the documents' own bytes, and which blobs its layers are.
public struct ImageParts: Sendable {
  public let image: Image
  public let manifest: ImageManifest
  public let manifestBytes: [UInt8]
  public let configurationBytes: [UInt8]
  /// The lowest first, with the digest of the tar within; a layer may stand here twice.
  public let layers: [(descriptor: Descriptor, diffID: Digest)]
}

extension ImageStore {
  /// An image's documents, verified anew, and its layers, each of which can be handed on.
  /// - Throws: `damaged` where the store has other bytes than it was given; `notFound` where a layer came with an early version,
  ///   which kept nothing but a tree.
  public func parts(of image: Image) throws(ImageError) -> ImageParts {
    let manifestBytes = try document(image.manifestDigest, of: image)
    let configurationBytes = try document(image.configurationDigest, of: image)
    guard let manifest = try manifest(image.manifestDigest),
      manifest.layers.count == image.configuration.diffIDs.count
    else { throw Self.damaged("the manifest \(image.manifestDigest)", of: image.name) }
    for layer in manifest.layers where try !isWhole(layer.digest) {
      throw ImageError(
        .notFound,
        "the layer \(layer.digest.short) of \(image.name) was stored without the bytes it came as, as immure once did: pull, load or import the image again"
      )
    }
    return ImageParts(
      image: image, manifest: manifest, manifestBytes: manifestBytes, configurationBytes: configurationBytes,
      layers: zip(manifest.layers, image.configuration.diffIDs).map { (descriptor: $0, diffID: $1) })
  }

  /// A layer's blob as it was fetched, which the reader must verify; nil where it was not kept.
  public func openBlob(ofLayer digest: Digest) throws(ImageError) -> FileDescriptor? {
    guard File.exists(blobPath(ofLayer: digest)) else { return nil }
    return try openFile(blobPath(ofLayer: digest))
  }

  public func hasBlob(ofLayer digest: Digest) -> Bool { File.exists(blobPath(ofLayer: digest)) }

  /// A layer's EROFS image, of which nothing may be believed.
  public func openImage(ofLayer digest: Digest) throws(ImageError) -> FileDescriptor {
    try openFile(layers + "/" + digest.hex + "/" + Self.imageName)
  }

  /// The headers of a layer's tar (zstd), of which nothing may be believed.
  public func openHeaders(ofLayer digest: Digest) throws(ImageError) -> FileDescriptor {
    try openFile(layers + "/" + digest.hex + "/" + Self.headersName)
  }

  private func openFile(_ path: String) throws(ImageError) -> FileDescriptor {
    try system("cannot read the image store") { () throws(SystemError) in
      try File.open(path, O_RDONLY | O_NOFOLLOW)
    }
  }

  /// A file without a name in the store, for what is made and handed on at once.
  public func openTemporary() throws(ImageError) -> FileDescriptor {
    try system("cannot write the image store") { () throws(SystemError) in
      do throws(SystemError) { return try File.open(incoming, O_RDWR | O_TMPFILE, mode: 0o600) } catch
        where [.notSupported, .isDirectory, .noEntry, .invalid].contains(error.errno)
      {
        // Not every file system has files without names.
      }
      let path = incoming + "/temporary-\(Process.id)-\(String(Clock.monotonicNanoseconds(), radix: 36))"
      let file = try File.open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
      try File.remove(path)
      return file
    }
  }

  /// What is said where the store no longer has the bytes it was given.
  public static func damaged(_ part: String, of name: String) -> ImageError {
    ImageError(
      .damaged,
      "the image store is damaged: \(part) of \(name) is not what its digest says; `immure rmi \(name)`, then pull it again"
    )
  }

  private func document(_ digest: Digest, of image: Image) throws(ImageError) -> [UInt8] {
    guard let bytes = try blob(digest), Digest.of(bytes) == digest else {
      throw Self.damaged("the document \(digest)", of: image.name)
    }
    return bytes
  }
}
