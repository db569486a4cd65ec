public import Formats
public import Images
import Linux

/// One blob on its way to a layer of the store. This process only passes its bytes on and verifies them: a confined worker inflates
/// and reads them, a second process writes the files, and the layer becomes part of the store once digest, size and diff id are
/// those announced.
public struct LayerInstallation: ~Copyable {
  /// The most that one layer may unpack to.
  public static let defaultLimit: Int64 = 64 << 30

  private let store: ImageStore
  private let layer: IncomingLayer
  private let announced: Descriptor?
  private var hash = ContentHash()
  /// The first bytes, which tell how the blob is compressed.
  private var start: [UInt8] = []
  private var worker: FileDescriptor?
  /// Why the blob could not be kept; nothing that comes later can mend it.
  public private(set) var failure: ImageError?
  private let processes: UnpackingProcesses

  private init(
    _ store: ImageStore, _ layer: consuming IncomingLayer, _ announced: Descriptor?,
    _ worker: consuming FileDescriptor?,
    _ processes: consuming UnpackingProcesses
  ) {
    self.store = store
    self.layer = layer
    self.announced = announced
    self.worker = worker
    self.processes = processes
  }

  /// - Parameter descriptor: what was announced; nil for a file that nobody announced.
  public static func begin(
    _ layer: consuming IncomingLayer, of descriptor: Descriptor?, in store: ImageStore,
    limit: Int64 = LayerInstallation.defaultLimit
  ) throws(ImageError) -> LayerInstallation {
    let what = "cannot start the processes that unpack layers"
    let pipe = try system(what) { () throws(SystemError) in try DescriptorPair.pipe() }
    let processes = try system(what) { () throws(SystemError) in
      try UnpackingProcesses.start(input: pipe.first.rawValue, tree: layer.tree.rawValue, limit: limit)
    }
    let worker = try system(what) { () throws(SystemError) in try pipe.second.duplicate() }
    return LayerInstallation(store, layer, descriptor, consume worker, processes)
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

  /// The blob's next bytes: kept, and passed on. Waits while the worker is busy.
  public mutating func feed(_ bytes: Span<UInt8>) throws(ImageError) {
    hash.update(bytes)
    if let announced, hash.count > announced.size {
      throw ImageError(.damaged, "the layer \(announced.digest) has more than the \(announced.size) bytes announced")
    }
    for index in bytes.indices where start.count < 4 { start.append(bytes[index]) }
    if let failure { throw failure }
    do throws(SystemError) { try File.writeAll(layer.blob.rawValue, bytes) } catch {
      let error = ImageError("cannot keep the layer in the image store", SystemError(error.call, "", error.errno))
      failure = error
      throw error
    }
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
    let (outcome, workerStatus) = try processes.wait()
    let size = hash.count
    let digest = hash.finish()
    if let announced, announced.digest != digest || announced.size != size {
      throw ImageError(
        .damaged,
        "the layer \(announced.digest) (\(announced.size) bytes) came as \(size) bytes with the digest \(digest): refused"
      )
    }
    switch outcome {
    case .failed(_, _) where workerStatus != .exited(0) && workerStatus != .exited(1):
      throw ImageError(
        .damaged, "the layer \(digest): the worker that reads it was ended by its confinement (\(workerStatus))")
    case .failed(let isDamaged, let message):
      throw ImageError(isDamaged ? .damaged : .failed, "layer \(digest.short): \(message)")
    case .done(let summary):
      if let diffID, diffID != summary.diffID {
        throw ImageError(
          .damaged,
          "the layer \(digest) unpacks to \(summary.diffID), but the image's configuration says \(diffID): refused")
      }
      try store.commit(layer, as: digest, summary)
      return (digest, size, summary)
    }
  }
}
