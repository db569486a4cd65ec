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
  /// An image's documents, verified anew, and its layers, whose blobs are here.
  /// - Throws: `damaged` where the store has other bytes than it was given; `notFound` where a layer came with an earlier version,
  ///   which did not keep blobs.
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

  /// A layer's blob as it was fetched, which the reader must verify.
  public func openLayer(_ digest: Digest) throws(ImageError) -> FileDescriptor {
    try system("cannot read the image store") { () throws(SystemError) in
      try File.open(blobPath(ofLayer: digest), O_RDONLY | O_NOFOLLOW)
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
