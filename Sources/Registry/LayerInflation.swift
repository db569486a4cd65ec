import Confinement
import Formats
import Images
import Linux

/// The process that inflates a kept blob while an image is saved: it reads the blob on its standard input and writes the tar within on
/// its standard output, with nothing else in reach (`Confinement.enterWorker`). What it writes is believed only by its digest.
public enum LayerInflation {
  /// The word it is started with.
  public static let role = "layer-inflater"

  /// Exit statuses: the blob cannot be inflated; the confinement could not be entered.
  private static let damaged: Int32 = 3
  private static let unconfined: Int32 = 4

  /// Does its work and ends the process.
  public static func run() -> Never {
    do throws(SystemError) {
      try Confinement.enterWorker(WorkerPlan(keep: [0, 1]))
    } catch { Process.exit(unconfined) }
    do throws(SystemError) { Process.exit(try inflate() ? 0 : damaged) } catch {
      // The other end has gone; it knows why.
      Process.exit(1)
    }
  }

  private static func inflate() throws(SystemError) -> Bool {
    var inflater = Inflater()
    var input = [UInt8](repeating: 0, count: 256 << 10)
    var failure: SystemError?
    func pass(_ chunk: Span<UInt8>) throws(FormatError) {
      do throws(SystemError) { try File.writeAll(1, chunk) } catch {
        failure = error
        throw FormatError("the reader has gone")
      }
    }
    do throws(FormatError) {
      while true {
        let count: Int
        do throws(SystemError) {
          var span = input.mutableSpan
          count = try File.read(0, into: &span)
        } catch {
          failure = error
          break
        }
        if count == 0 { break }
        try inflater.take(input.span.extracting(0..<count), pass)
      }
      if failure == nil { try inflater.finish(pass) }
    } catch {
      if failure == nil { return false }
    }
    if let failure { throw failure }
    return true
  }

  /// Inflates an open blob and hands the tar on piece by piece, to its end.
  /// - Returns: false where the blob is damaged.
  static func pass(
    _ blob: Int32, to give: (Span<UInt8>) throws(ImageError) -> Void
  ) throws(ImageError) -> Bool {
    let what = "cannot start the process that inflates layers"
    let pipe = try system(what) { () throws(SystemError) in try DescriptorPair.pipe() }
    let child = try system(what) { () throws(SystemError) in
      try Process.spawn(
        "/proc/self/exe", arguments: ["immure-front", role], environment: [],
        descriptors: [blob, pipe.second.rawValue])
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
    case .exited(unconfined): throw ImageError("the worker that inflates layers could not be confined")
    default: throw ImageError("the worker that inflates layers was ended (\(status))")
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
