import CLinux
import Confinement
import Formats
import Images
import Linux

/// The process that puts a layer's tar together again, of its image (standard input) and the headers kept beside it (descriptor 2), and
/// writes it on its standard output, with nothing else in reach (`Confinement.enterWorker`). With the argument `inflate` standard input
/// is a kept blob, and the tar is what is in it. What it writes is believed only by its digest.
public enum TarRebuilding {
  /// The word it is started with.
  public static let role = "layer-tar"

  /// Exit statuses: the layer is damaged; the confinement could not be entered.
  private static let damaged: Int32 = 3
  private static let unconfined: Int32 = 4

  /// Does its work and ends the process.
  public static func run(_ arguments: [String]) -> Never {
    let inflates = arguments.first == "inflate"
    do throws(SystemError) {
      try Confinement.enterWorker(WorkerPlan(keep: inflates ? [0, 1] : [0, 1, 2]))
    } catch { Process.exit(unconfined) }
    var output = Output()
    do throws(FormatError) {
      if inflates {
        try inflate(0) { (chunk) throws(FormatError) in try output.write(chunk) }
      } else {
        try rebuild(&output)
      }
      Process.exit(0)
    } catch {
      // Where the other end has gone it knows why.
      Process.exit(output.hasFailed ? 1 : damaged)
    }
  }

  private struct Output: ~Copyable {
    var hasFailed = false

    mutating func write(_ bytes: Span<UInt8>) throws(FormatError) {
      do throws(SystemError) { try File.writeAll(1, bytes) } catch {
        hasFailed = true
        throw FormatError("the reader has gone")
      }
    }
  }

  private static func inflate(
    _ descriptor: Int32, _ give: (Span<UInt8>) throws(FormatError) -> Void
  ) throws(FormatError) {
    var inflater = Inflater()
    var input = [UInt8](repeating: 0, count: 256 << 10)
    while true {
      let count: Int
      do throws(SystemError) {
        var span = input.mutableSpan
        count = try File.read(descriptor, into: &span)
      } catch { throw FormatError("cannot be read (\(error.errno))") }
      if count == 0 { break }
      try inflater.take(input.span.extracting(0..<count), give)
    }
    try inflater.finish(give)
  }

  private static func rebuild(_ output: inout Output) throws(FormatError) {
    let image: ImageFile
    do throws(SystemError) { image = try ImageFile(0) } catch { throw FormatError("cannot be read (\(error.errno))") }
    var log = TarHeaderLogReader(imageSize: image.size)
    var buffer = [UInt8](repeating: 0, count: 256 << 10)
    let zeros = [UInt8](repeating: 0, count: 64 << 10)
    try inflate(2) { (chunk) throws(FormatError) in
      var position = 0
      while true {
        switch try log.next(chunk, at: &position) {
        case .needsInput: return
        case .literal(let range): try output.write(chunk.extracting(range))
        case .copy(let offset, let length):
          var done: UInt64 = 0
          while done < length {
            let count = Int(min(length - done, UInt64(buffer.count)))
            try image.read(at: offset + done, count: count, into: &buffer)
            try output.write(buffer.span.extracting(0..<count))
            done += UInt64(count)
          }
        case .zeros(let length):
          var left = length
          while left > 0 {
            let count = Int(min(left, UInt64(zeros.count)))
            try output.write(zeros.span.extracting(0..<count))
            left -= UInt64(count)
          }
        }
      }
    }
    try log.finish()
  }

  /// Hands the tar on piece by piece, to its end.
  /// - Parameters:
  ///   - file: the layer's image, or its blob.
  ///   - headers: of the tar, where the file is the image.
  /// - Returns: false where the layer is damaged.
  static func pass(
    _ file: Int32, headers: Int32? = nil, to give: (Span<UInt8>) throws(ImageError) -> Void
  ) throws(ImageError) -> Bool {
    let what = "cannot start the worker that reads layers"
    let pipe = try system(what) { () throws(SystemError) in try DescriptorPair.pipe() }
    let child = try system(what) { () throws(SystemError) in
      try Process.spawn(
        "/proc/self/exe", arguments: ["immure-front", role] + (headers == nil ? ["inflate"] : []), environment: [],
        descriptors: [file, pipe.second.rawValue] + (headers.map { [$0] } ?? []))
    }
    let reading = try system(what) { () throws(SystemError) in try pipe.first.duplicate() }
    // Ours would keep the pipe open.
    _ = consume pipe
    do throws(ImageError) { try drain(reading.rawValue, to: give) } catch {
      _ = consume reading
      // It ends by itself too, for want of a reader; waited for so that nothing of it is left.
      try? child.signal(9)
      _ = try? child.wait()
      throw error
    }
    let status = try system(what) { () throws(SystemError) in try child.wait() ?? .exited(1) }
    switch status {
    case .exited(0): return true
    case .exited(damaged): return false
    case .exited(unconfined): throw ImageError("the worker that reads layers could not be confined")
    default: throw ImageError("the worker that reads layers was ended (\(status))")
    }
  }

  /// Hands a descriptor's bytes on to their end.
  static func drain(
    _ descriptor: Int32, to give: (Span<UInt8>) throws(ImageError) -> Void
  ) throws(ImageError) {
    var buffer = [UInt8](repeating: 0, count: 256 << 10)
    while true {
      let count = try system("cannot read a layer") { () throws(SystemError) in
        var span = buffer.mutableSpan
        return try File.read(descriptor, into: &span)
      }
      if count == 0 { return }
      try give(buffer.span.extracting(0..<count))
    }
  }
}
