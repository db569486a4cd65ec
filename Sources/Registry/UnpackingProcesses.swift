import Formats
import Images
import Linux

/// The two processes that make a folder of an archive or of a layer's image: the confined worker, which reads it, and the writer.
struct UnpackingProcesses: ~Copyable {
  private let worker: Child
  private let writer: Child
  private let report: FileDescriptor

  private init(worker: consuming Child, writer: consuming Child, report: consuming FileDescriptor) {
    self.worker = worker
    self.writer = writer
    self.report = report
  }

  /// - Parameters:
  ///   - role: of the worker.
  ///   - input: what the worker reads.
  ///   - tree: the folder to fill.
  ///   - lock: the folder's (flock(2)), which the writer holds too: were this process killed, the writer would go on for a while, and
  ///     whoever clears the folder meanwhile would find names come and go.
  ///   - devices: further files that the worker reads.
  ///   - isPlain: whether owners do not matter.
  static func start(
    _ role: String, input: Int32, devices: [Int32] = [], tree: Int32, lock: Int32, limit: Int64,
    isPlain: Bool
  ) throws(SystemError) -> UnpackingProcesses {
    let stream = try DescriptorPair.pipe()
    let reportPipe = try DescriptorPair.pipe()
    let own = "/proc/self/exe"
    let worker = try Process.spawn(
      own, arguments: ["immure-front", role, "\(limit)", "\(devices.count)"], environment: [],
      descriptors: [input, stream.second.rawValue] + devices)
    let writer = try Process.spawn(
      own, arguments: ["immure-front", LayerUnpacker.role, "\(limit)"] + (isPlain ? ["plain"] : []),
      environment: ["PATH=/usr/bin:/bin"],
      descriptors: [stream.first.rawValue, reportPipe.second.rawValue, 2, tree, lock])
    let report = try reportPipe.first.duplicate()
    return UnpackingProcesses(worker: worker, writer: writer, report: report)
  }

  /// Waits until both have ended; what the writer said, and how the worker ended.
  func wait() throws(ImageError) -> (LayerReport, worker: ExitStatus) {
    do {
      let bytes = try File.readAll(report.rawValue, limit: 1 << 20)
      let workerStatus = try worker.wait() ?? .exited(1)
      let writerStatus = try writer.wait() ?? .exited(1)
      guard !bytes.isEmpty else {
        throw ImageError("the process that writes layers ended without a word (\(writerStatus))")
      }
      return (try LayerReport(bytes), workerStatus)
    } catch let error as ImageError {
      throw error
    } catch {
      throw ImageError("cannot unpack: \(error)")
    }
  }
}
