import Confinement
import Formats
import Linux

/// The process that looks at an archive of images: inflates it, reads its tar and says on its standard output, as a layer stream,
/// what is in it. It has nothing but these two descriptors (`Confinement.enterWorker`).
public enum ArchiveReader {
  /// The word it is started with.
  public static let role = "archive-reader"

  /// Does its work and ends the process. - Parameter arguments: the most bytes that the layer may unpack to.
  public static func run(_ arguments: [String]) -> Never {
    do throws(SystemError) {
      try Confinement.enterWorker(WorkerPlan(keep: [0, 1]))
    } catch {
      var encoder = LayerStreamEncoder()
      encoder.failure("the worker that reads archives could not be confined: \(error)")
      // There is nobody else to tell.
      try? File.writeAll(1, encoder.bytes)
      Process.exit(1)
    }
    var limits = LayerLimits()
    if let bytes = arguments.first.flatMap({ Int64($0) }), bytes > 0 { limits.totalBytes = bytes }
    do throws(SystemError) { Process.exit(try translate(limits) ? 0 : 1) } catch {
      // The other end has gone; it knows why.
      Process.exit(1)
    }
  }

  private static func translate(_ limits: LayerLimits) throws(SystemError) -> Bool {
    var translator = LayerTranslator(limits: limits)
    do throws(FormatError) {
      var hash = ContentHash()
      var inflater = Inflater()
      var failure: SystemError?
      var input = [UInt8](repeating: 0, count: 256 << 10)
      // Members beside files' contents: headers and padding, three blocks for each at most, and room for long names.
      let most = limits.totalBytes + Int64(limits.entries) * 4096

      func take(_ chunk: Span<UInt8>) throws(FormatError) {
        hash.update(chunk)
        guard hash.count <= most else { throw FormatError("it unpacks to more than \(limits.totalBytes) bytes") }
        try translator.feed(chunk)
        if translator.encoder.bytes.count >= 64 << 10 { failure = failure ?? flush(&translator.encoder) }
      }
      while failure == nil {
        let count: Int
        do throws(SystemError) {
          var span = input.mutableSpan
          count = try File.read(0, into: &span)
        } catch {
          failure = error
          break
        }
        if count == 0 { break }
        try inflater.take(input.span.extracting(0..<count), take)
      }
      if failure == nil {
        try inflater.finish(take)
        try translator.finish(digest: hash.finish())
        failure = flush(&translator.encoder)
      }
      if failure != nil { return false }
      return true
    } catch {
      translator.encoder.failure(error.description)
      return flush(&translator.encoder) == nil && false
    }
  }

  private static func flush(_ encoder: inout LayerStreamEncoder) -> SystemError? {
    defer { encoder.removeAll() }
    do throws(SystemError) {
      try File.writeAll(1, encoder.bytes)
      return nil
    } catch { return error }
  }
}
