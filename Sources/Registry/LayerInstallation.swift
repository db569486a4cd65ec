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
  private var blob: FileDescriptor?
  private let processes: UnpackingProcesses

  private init(
    _ store: ImageStore, _ layer: consuming IncomingLayer, _ announced: Descriptor?, _ blob: consuming FileDescriptor?,
    _ processes: consuming UnpackingProcesses
  ) {
    self.store = store
    self.layer = layer
    self.announced = announced
    self.blob = blob
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
    let blob = try system(what) { () throws(SystemError) in try pipe.second.duplicate() }
    return LayerInstallation(store, layer, descriptor, consume blob, processes)
  }

  /// Bytes given so far.
  public var count: Int64 { hash.count }

  /// The blob's next bytes. Waits while the worker is busy.
  public mutating func feed(_ bytes: Span<UInt8>) throws(ImageError) {
    hash.update(bytes)
    if let announced, hash.count > announced.size {
      throw ImageError(.damaged, "the layer \(announced.digest) has more than the \(announced.size) bytes announced")
    }
    guard let descriptor = blob?.rawValue else { return }
    do throws(SystemError) { try File.writeAll(descriptor, bytes) } catch {
      // The worker gave up and says why in the end; the digest is still of interest.
      guard error.errno == .brokenPipe else { throw ImageError("cannot pass the layer on", error) }
      blob = nil
    }
  }

  /// Says that no more bytes come, verifies everything and makes the layer part of the store.
  /// - Parameter diffID: what the image's configuration says of the uncompressed layer.
  public consuming func finish(diffID: Digest?) throws(ImageError) -> (digest: Digest, size: Int64, LayerSummary) {
    blob = nil
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
