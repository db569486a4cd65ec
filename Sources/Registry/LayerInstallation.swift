public import Formats
public import Images
import Linux

/// One blob on its way to a layer of the store. This process only passes its bytes on and verifies them: a confined worker inflates
/// and reads them and writes the layer's image, and the layer becomes part of the store once digest, size and diff id are those
/// announced.
public struct LayerInstallation: ~Copyable {
  /// The most that one layer may unpack to.
  public static let defaultLimit: Int64 = 64 << 30

  private let store: ImageStore
  private let layer: IncomingLayer
  private let announced: Descriptor?
  private var hash = ContentHash()
  /// What the worker writes, read behind it.
  private var image = FollowedFile()
  /// The first bytes, which tell how the blob is compressed.
  private var start: [UInt8] = []
  private var worker: FileDescriptor?
  /// Why the blob could not be kept; nothing that comes later can mend it.
  public private(set) var failure: ImageError?
  private let child: Child
  private let report: FileDescriptor

  private init(
    _ store: ImageStore, _ layer: consuming IncomingLayer, _ announced: Descriptor?,
    _ worker: consuming FileDescriptor?,
    _ child: consuming Child, _ report: consuming FileDescriptor
  ) {
    self.store = store
    self.layer = layer
    self.announced = announced
    self.worker = worker
    self.child = child
    self.report = report
  }

  /// - Parameter descriptor: what was announced; nil for a file that nobody announced.
  public static func begin(
    _ layer: consuming IncomingLayer, of descriptor: Descriptor?, in store: ImageStore,
    limit: Int64 = LayerInstallation.defaultLimit
  ) throws(ImageError) -> LayerInstallation {
    let what = "cannot start the worker that reads layers"
    let pipe = try system(what) { () throws(SystemError) in try DescriptorPair.pipe() }
    let reports = try system(what) { () throws(SystemError) in try DescriptorPair.pipe() }
    let spill = try store.openTemporary()
    let child = try system(what) { () throws(SystemError) in
      try Process.spawn(
        "/proc/self/exe", arguments: ["immure-front", LayerWorker.role, "\(limit)"], environment: [],
        descriptors: [
          pipe.first.rawValue, reports.second.rawValue, layer.image.rawValue, layer.headers.rawValue, spill.rawValue,
        ])
    }
    // So that the worker has something to do while this process computes digests.
    File.setPipeSize(pipe.second.rawValue, 1 << 20)
    let worker = try system(what) { () throws(SystemError) in try pipe.second.duplicate() }
    let report = try system(what) { () throws(SystemError) in try reports.first.duplicate() }
    return LayerInstallation(store, layer, descriptor, consume worker, child, report)
  }

  /// Bytes given so far.
  public var count: Int64 { hash.count }

  /// What the blob is by its first bytes: OCI's type of a layer. The worker decides by the same ones.
  public var mediaType: String {
    switch start {
    case _ where start.starts(with: [0x1F, 0x8B]): MediaType.ociLayerGzip
    case [0x28, 0xB5, 0x2F, 0xFD]: MediaType.ociLayerZstd
    default: MediaType.ociLayer
    }
  }

  /// The blob's next bytes: passed on, and kept where they are to be. Waits while the worker is busy.
  public mutating func feed(_ bytes: Span<UInt8>) throws(ImageError) {
    hash.update(bytes)
    if let announced, hash.count > announced.size {
      throw ImageError(.damaged, "the layer \(announced.digest) has more than the \(announced.size) bytes announced")
    }
    var index = 0
    while start.count < 4, index < bytes.count {
      start.append(bytes[index])
      index += 1
    }
    if let failure { throw failure }
    do throws(SystemError) {
      if let blob = layer.blob { try File.writeAll(blob, bytes) }
    } catch {
      let error = ImageError("cannot keep the layer in the image store", SystemError(error.call, "", error.errno))
      failure = error
      throw error
    }
    try image.follow(layer.image.rawValue)
    guard let descriptor = worker?.rawValue else { return }
    do throws(SystemError) { try File.writeAll(descriptor, bytes) } catch {
      // The worker gave up and says why in the end; the digest is still of interest.
      guard error.errno == .brokenPipe else { throw ImageError("cannot pass the layer on", error) }
      worker = nil
    }
  }

  /// Says that no more bytes come, verifies everything and makes the layer part of the store.
  /// - Parameter diffID: what the image's configuration says of the uncompressed layer.
  public consuming func finish(diffID: Digest?) throws(ImageError) -> (digest: Digest, size: Int64, LayerSummary) {
    worker = nil
    if let failure { throw failure }
    let said: [UInt8]
    let status: ExitStatus
    do throws(SystemError) {
      said = try File.readAll(report.rawValue, limit: 1 << 20)
      status = try child.wait() ?? .exited(1)
    } catch { throw ImageError("cannot read the worker's report", error) }
    let mediaType = mediaType
    let size = hash.count
    let digest = hash.finish()
    if let announced, announced.digest != digest || announced.size != size {
      throw ImageError(
        .damaged,
        "the layer \(announced.digest) (\(announced.size) bytes) came as \(size) bytes with the digest \(digest): refused"
      )
    }
    guard status == .exited(0), !said.isEmpty else {
      throw ImageError(
        .damaged, "the layer \(digest): the worker that reads it was ended by its confinement (\(status))")
    }
    let outcome: LayerReport
    do throws(FormatError) { outcome = try LayerReport(said) } catch {
      throw ImageError(.damaged, "the layer \(digest): \(error)")
    }
    switch outcome {
    case .failed(let isDamaged, let message):
      throw ImageError(isDamaged ? .damaged : .failed, "layer \(digest.short): \(message)")
    case .done(let contents):
      if let diffID, diffID != contents.diffID {
        throw ImageError(
          .damaged,
          "the layer \(digest) unpacks to \(contents.diffID), but the image's configuration says \(diffID): refused")
      }
      var summary = LayerSummary(
        diffID: contents.diffID, bytes: contents.bytes, entries: contents.entries, notes: contents.notes)
      summary.tarSize = contents.tarSize
      summary.blobSize = size
      summary.mediaType = mediaType
      // The worker has ended: nobody writes these files any more.
      try image.follow(layer.image.rawValue)
      summary.image = try image.finish(layer.image.rawValue)
      summary.headers = try StoredFile.reading(layer.headers.rawValue)
      try store.commit(layer, as: digest, summary)
      return (digest, size, summary)
    }
  }
}
