import Formats
import Images
import Linux

/// A layer of the store on its way out: its bytes are verified again as they go by, so that nothing leaves under a digest that it has not.
struct KeptLayer: Sendable {
  let descriptor: Descriptor
  let diffID: Digest
  /// The image that it is saved for, for messages.
  let owner: String
  let store: ImageStore

  /// Whether the blob is the tar itself.
  var isPlain: Bool { descriptor.digest == diffID }

  /// The blob as it was fetched.
  func blob(_ give: (Span<UInt8>) throws(ImageError) -> Void) throws(ImageError) {
    let file = try store.openLayer(descriptor.digest)
    var hash = ContentHash()
    try LayerInflation.drain(file.rawValue) { chunk throws(ImageError) in
      hash.update(chunk)
      guard hash.count <= descriptor.size else { throw damage }
      try give(chunk)
    }
    guard hash.count == descriptor.size, hash.finish() == descriptor.digest else { throw damage }
  }

  /// The tar within, of which the image's configuration has the digest.
  func tar(_ give: (Span<UInt8>) throws(ImageError) -> Void) throws(ImageError) {
    if isPlain { return try blob(give) }
    let file = try store.openLayer(descriptor.digest)
    var hash = ContentHash()
    let isWhole = try LayerInflation.pass(file.rawValue) { chunk throws(ImageError) in
      hash.update(chunk)
      guard hash.count <= Self.largest else { throw damage }
      try give(chunk)
    }
    guard isWhole, hash.finish() == diffID else { throw damage }
  }

  /// What a layer may unpack to, and its headers (`LayerWorker`).
  private static let largest = LayerInstallation.defaultLimit + Int64(LayerLimits().entries) * 4096

  private var damage: ImageError { ImageStore.damaged("the layer \(descriptor.digest)", of: owner) }
}
