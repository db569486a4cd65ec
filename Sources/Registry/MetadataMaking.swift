import Confinement
import Formats
import Images
import Linux

/// The process that writes one EROFS image of metadata over several layers, into descriptor 2: it reads the metadata in the layers'
/// images, descriptors 4 and on, through the reader that takes nothing for granted (`EROFSReader`), and has nothing else in reach but
/// descriptor 3, a file for what its memory has no room for (`SpillFile`). Only what it writes is ever mounted. It is another process than those that read strangers' tars, one for each image, and what it reads is
/// not a stranger's bytes as they came but what such a process made of them.
public enum MetadataMaking {
  /// The word it is started with.
  public static let role = "layer-merger"

  private static let output: Int32 = 2
  private static let spill: Int32 = 3
  private static let firstLayer: Int32 = 4

  /// Does its work and ends the process. - Parameter arguments: how many layers there are.
  public static func run(_ arguments: [String]) -> Never {
    let count = arguments.first.flatMap { Int32($0) } ?? 0
    let layers = count > 0 && count <= maximumLayers ? Array(firstLayer..<firstLayer + count) : []
    let limits = LayerLimits()
    let pool: PagePool
    do throws(SystemError) {
      pool = PagePool(spill: try SpillFile(spill))
      try Confinement.enterWorker(
        WorkerPlan(keep: [1, output, spill] + layers, memory: 1 << 30, fileSize: UInt64(limits.entries) * 8192))
    } catch { say("the worker that reads layers could not be confined: \(error)", isDamaged: false) }
    var failure: SystemError?
    do throws(FormatError) {
      var merger = EROFSMerger(limits: limits, pool: pool)
      func drain() throws(FormatError) {
        do throws(SystemError) { try File.writeAll(output, merger.output) } catch {
          failure = error
          throw FormatError("cannot write")
        }
        merger.removeOutput()
      }
      for layer in layers {
        let file: ImageFile
        do throws(SystemError) { file = try ImageFile(layer) } catch {
          failure = error
          throw FormatError("cannot read")
        }
        var reader = try EROFSReader(file)
        try merger.add(&reader)
      }
      while try merger.finishStep() { try drain() }
      let summary = try merger.finish()
      try drain()
      do throws(SystemError) { try File.writeAll(output, summary.block0, at: 0) } catch {
        failure = error
        throw FormatError("cannot write")
      }
      Process.exit(0)
    } catch {
      if let failure { say("cannot write the image's metadata: \(failure.errno)", isDamaged: false) }
      say("the layers' images cannot be put together: \(error)", isDamaged: true)
    }
  }

  private static func say(_ message: String, isDamaged: Bool) -> Never {
    // Where nobody reads it there is nobody to tell.
    try? File.writeAll(1, LayerReport.failed(isDamaged: isDamaged, message).json.bytes())
    Process.exit(1)
  }

  /// Devices of one EROFS image are counted in 16 bits; an image has fewer layers by far, and so have descriptors.
  static let maximumLayers: Int32 = 500

  /// Makes the metadata of an image's layers, where it is not here yet and all of them have images.
  static func ensure(_ stack: [Digest], in store: ImageStore) throws(ImageError) {
    guard !store.hasMetadata(stack), store.haveImages(stack), stack.count <= Int(maximumLayers) else { return }
    let metadata = try store.beginMetadata()
    try make(stack, into: metadata.file.rawValue, in: store)
    try store.commit(metadata, over: stack)
  }

  /// Writes the metadata of layers into an empty file.
  static func make(_ stack: [Digest], into file: Int32, in store: ImageStore) throws(ImageError) {
    let what = "cannot start the worker that reads layers"
    let reports = try system(what) { () throws(SystemError) in try DescriptorPair.pipe() }
    let nothing = try system(what) { () throws(SystemError) in try File.open("/dev/null", 0) }
    let spill = try store.openTemporary()
    var layers: [SharedFile] = []
    for layer in stack { layers.append(SharedFile(try store.openImage(ofLayer: layer))) }
    let child = try system(what) { () throws(SystemError) in
      try Process.spawn(
        "/proc/self/exe", arguments: ["immure-front", role, "\(stack.count)"], environment: [],
        descriptors: [nothing.rawValue, reports.second.rawValue, file, spill.rawValue] + layers.map(\.rawValue))
    }
    let reading = try system(what) { () throws(SystemError) in try reports.first.duplicate() }
    _ = consume reports
    do {
      let said = try File.readAll(reading.rawValue, limit: 1 << 16)
      let status = try child.wait() ?? .exited(1)
      if status == .exited(0) { return }
      guard !said.isEmpty, case .failed(let isDamaged, let message) = try LayerReport(said) else {
        throw ImageError("the worker that puts layers together was ended (\(status))")
      }
      throw ImageError(isDamaged ? .damaged : .failed, message)
    } catch let error as ImageError {
      throw error
    } catch {
      throw ImageError("cannot put layers together: \(error)")
    }
  }
}
