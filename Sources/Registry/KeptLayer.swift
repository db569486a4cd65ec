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

  /// Bytes of the tar; nil where they are known only when it has gone by.
  func tarSize() throws(ImageError) -> Int64? {
    if isPlain { return descriptor.size }
    guard let known = try store.layer(descriptor.digest), known.tarSize > 0 else { return nil }
    return known.tarSize
  }

  /// Whether the bytes that were fetched are to be had.
  var hasBlob: Bool { isPlain || store.hasBlob(ofLayer: descriptor.digest) }

  /// What is handed on of the layer, as a file, and what is in it: the blob, else the tar compressed anew.
  func file() throws(ImageError) -> (Descriptor, SharedFile) {
    if let blob = try store.openBlob(ofLayer: descriptor.digest) { return (descriptor, SharedFile(blob)) }
    if !isPlain, case (let packed, .file(_, let file)) = try packed() { return (packed, file) }
    let file = SharedFile(try store.openTemporary())
    var size: Int64 = 0
    try tar { (chunk) throws(ImageError) in
      size += Int64(chunk.count)
      try system("cannot write the image store") { () throws(SystemError) in try File.writeAll(file.rawValue, chunk) }
    }
    return (Descriptor(mediaType: descriptor.mediaType, digest: diffID, size: size), file)
  }

  /// The blob as it was fetched; nil where it was not kept and is not the tar itself.
  func blob() throws(ImageError) -> KeptBytes? {
    if isPlain { return .tar(self) }
    guard let file = try store.openBlob(ofLayer: descriptor.digest) else { return nil }
    return .file(self, SharedFile(file))
  }

  /// The tar within, of which the image's configuration has the digest.
  func tar(_ give: (Span<UInt8>) throws(ImageError) -> Void) throws(ImageError) {
    var hash = ContentHash()
    func take(_ chunk: Span<UInt8>) throws(ImageError) {
      hash.update(chunk)
      guard hash.count <= Self.largest else { throw damage }
      try give(chunk)
    }
    let isWhole: Bool
    if let file = try store.openBlob(ofLayer: descriptor.digest) {
      if isPlain {
        try TarRebuilding.drain(file.rawValue, to: take)
        isWhole = true
      } else {
        isWhole = try TarRebuilding.pass(file.rawValue, to: take)
      }
    } else {
      let image = try store.openImage(ofLayer: descriptor.digest)
      let headers = try store.openHeaders(ofLayer: descriptor.digest)
      isWhole = try TarRebuilding.pass(image.rawValue, headers: headers.rawValue, to: take)
    }
    guard isWhole, hash.finish() == diffID else { throw damage }
  }

  /// The tar compressed anew, as the manifest says the layer is: the same bytes each time, but not those that were fetched.
  func packed() throws(ImageError) -> (Descriptor, KeptBytes) {
    let type: MediaType
    do throws(FormatError) { type = try MediaType(descriptor.mediaType) } catch {
      throw ImageError("the image store is damaged", error)
    }
    // Annotations tell of places in the blob that was (zstd:chunked, eStargz).
    guard case .layer(let compression) = type, compression != .none else {
      guard let size = try tarSize() else { throw damage }
      return (Descriptor(mediaType: descriptor.mediaType, digest: diffID, size: size), .tar(self))
    }
    let file = try store.openTemporary()
    try LayerPacking.pack(as: compression, into: file.rawValue) { (give) throws(ImageError) in try tar(give) }
    let stored = try StoredFile.reading(file.rawValue)
    let packed = KeptLayer(
      descriptor: Descriptor(mediaType: descriptor.mediaType, digest: stored.digest, size: stored.size),
      diffID: diffID, owner: owner, store: store)
    return (packed.descriptor, .file(packed, SharedFile(file)))
  }

  /// What a layer may unpack to, and its headers.
  private static let largest = LayerWorker.largest(LayerLimits())

  fileprivate var damage: ImageError { ImageStore.damaged("the layer \(descriptor.digest)", of: owner) }
}

/// Where a layer's bytes come from as they are handed on.
enum KeptBytes: Sendable {
  /// A file that holds what the layer's descriptor names.
  case file(KeptLayer, SharedFile)
  /// The layer's tar.
  case tar(KeptLayer)

  /// Hands them on, verified; more than once where that is asked for.
  func pass(_ give: (Span<UInt8>) throws(ImageError) -> Void) throws(ImageError) {
    switch self {
    case .tar(let layer): try layer.tar(give)
    case .file(let layer, let file):
      try system("cannot read a layer") { () throws(SystemError) in try File.rewind(file.rawValue) }
      var hash = ContentHash()
      try TarRebuilding.drain(file.rawValue) { chunk throws(ImageError) in
        hash.update(chunk)
        guard hash.count <= layer.descriptor.size else { throw layer.damage }
        try give(chunk)
      }
      guard hash.count == layer.descriptor.size, hash.finish() == layer.descriptor.digest else { throw layer.damage }
    }
  }
}

/// An open file in an array.
final class SharedFile: Sendable {
  private let file: FileDescriptor
  init(_ file: consuming FileDescriptor) { self.file = file }
  var rawValue: Int32 { file.rawValue }
}
