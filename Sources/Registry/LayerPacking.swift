import Confinement
import Formats
import Images
import Linux

/// The process that compresses a layer's tar while an image is saved: it reads standard input and writes standard output, which is a
/// file, with nothing else in reach (`Confinement.enterWorker`): the tar is a stranger's, and compressors have had faults too.
public enum LayerPacking {
  /// The word it is started with.
  public static let role = "layer-packer"

  private static let unconfined: Int32 = 4

  /// Does its work and ends the process. - Parameter arguments: `gzip` or `zstd`.
  public static func run(_ arguments: [String]) -> Never {
    do throws(SystemError) {
      try Confinement.enterWorker(WorkerPlan(keep: [0, 1]))
    } catch { Process.exit(unconfined) }
    var gzip = GzipPacker()
    var zstd = ZstdPacker()
    let isZstd = arguments.first == "zstd"
    var failure: SystemError?
    func write(_ bytes: Span<UInt8>) throws(FormatError) {
      do throws(SystemError) { try File.writeAll(1, bytes) } catch {
        failure = error
        throw FormatError("cannot write")
      }
    }
    var input = [UInt8](repeating: 0, count: 256 << 10)
    do throws(FormatError) {
      while true {
        let count: Int
        do throws(SystemError) {
          var span = input.mutableSpan
          count = try File.read(0, into: &span)
        } catch {
          failure = error
          throw FormatError("cannot read")
        }
        let chunk = input.span.extracting(0..<count)
        if isZstd {
          try zstd.take(chunk, isLast: count == 0, write)
        } else {
          try gzip.take(chunk, isLast: count == 0, write)
        }
        if count == 0 { break }
      }
      Process.exit(0)
    } catch {
      // The error's own number, so that a full disk is told as one.
      Process.exit(failure.map { min(255, 64 + $0.errno.rawValue) } ?? 1)
    }
  }

  /// Compresses what `pass` hands on into an open file.
  static func pack(
    as compression: MediaType.Compression, into file: Int32,
    _ pass: (_ give: (Span<UInt8>) throws(ImageError) -> Void) throws(ImageError) -> Void
  ) throws(ImageError) {
    let what = "cannot start the worker that compresses layers"
    let pipe = try system(what) { () throws(SystemError) in try DescriptorPair.pipe() }
    let child = try system(what) { () throws(SystemError) in
      try Process.spawn(
        "/proc/self/exe", arguments: ["immure-front", role, compression == .zstd ? "zstd" : "gzip"], environment: [],
        descriptors: [pipe.first.rawValue, file])
    }
    let writing = try system(what) { () throws(SystemError) in try pipe.second.duplicate() }
    // Ours would keep the pipe open.
    _ = consume pipe
    do throws(ImageError) {
      try pass { (chunk) throws(ImageError) in
        do throws(SystemError) { try File.writeAll(writing.rawValue, chunk) } catch {
          // Why it gave up is its status.
          guard error.errno == .brokenPipe else { throw ImageError(what, error) }
        }
      }
    } catch {
      _ = consume writing
      // Nobody needs what it made; waited for so that nothing of it is left.
      try? child.signal(9)
      _ = try? child.wait()
      throw error
    }
    _ = consume writing
    switch try system(what, { () throws(SystemError) in try child.wait() ?? .exited(1) }) {
    case .exited(0): return
    case .exited(unconfined): throw ImageError("the worker that compresses layers could not be confined")
    case .exited(let code) where code > 64:
      throw ImageError("cannot compress a layer in the image store: \(Errno(rawValue: code - 64))")
    case let status: throw ImageError("the worker that compresses layers was ended (\(status))")
    }
  }
}
