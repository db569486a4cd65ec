import Formats
import Images
import Linux

/// The process that writes a layer's or an archive's files: it reads the worker's stream on its standard input, writes into the folder that is
/// descriptor 3, which it takes for its root, and says on its standard output, as one JSON object, what came of it. Where the
/// caller is not root it moves into a user namespace with his subordinate ids first. Descriptor 4 is the folder's lock, which it only holds.
public enum LayerUnpacker {
  /// The word it is started with.
  public static let role = "layer-writer"

  /// Does its work and ends the process.
  /// - Parameter arguments: the most bytes that the layer may unpack to; `plain` for an archive of other things, whose owners do
  ///   not matter.
  public static func run(_ arguments: [String]) -> Never {
    var report: LayerReport
    do throws(ImageError) { report = .done(try unpack(arguments)) } catch {
      report = LayerReport(error)
      // Nobody needs half a layer, and not everybody could remove it.
      try? LayerWriter.clear(3)
    }
    do throws(SystemError) { try File.writeAll(1, report.json.bytes()) } catch { Process.exit(1) }
    Process.exit(0)
  }

  private static func unpack(_ arguments: [String]) throws(ImageError) -> LayerReport.Contents {
    var options = LayerWriter.Options()
    if let bytes = arguments.first.flatMap({ Int64($0) }), bytes > 0 { options.bytes = bytes }
    let isPlain = arguments.dropFirst().first == "plain"
    do throws(SystemError) {
      if isPlain {
        options.keepsOwners = false
      } else {
        options.keepsOwners = try OwnNamespace.enter() != .one
      }
      _ = Identity.setUmask(0)
      // A second wall round the writer: even a wrong path could only end in here.
      do throws(SystemError) { try Identity.changeRoot(to: 3) } catch  where error.errno == .notPermitted {}
    } catch {
      throw ImageError("cannot unpack layers as this user", error)
    }
    var limits = LayerLimits()
    limits.totalBytes = options.bytes
    var decoder = LayerStreamDecoder(limits: limits)
    var writer = LayerWriter(root: 3, options: options)
    var input = [UInt8](repeating: 0, count: 256 << 10)
    while true {
      let count = try read(&input)
      if count == 0 { break }
      try apply(input.span.extracting(0..<count), &decoder, &writer)
    }
    let end: LayerStreamDecoder.End
    do throws(FormatError) { end = try decoder.finish() } catch { throw ImageError(.damaged, error.description) }
    try writer.finish()
    let summary = writer.summary(diffID: end.digest)
    return LayerReport.Contents(
      diffID: summary.diffID, tarSize: 0, bytes: summary.bytes, entries: summary.entries, notes: summary.notes,
      imageSize: 0)
  }

  private static func apply(
    _ chunk: Span<UInt8>, _ decoder: inout LayerStreamDecoder, _ writer: inout LayerWriter
  ) throws(ImageError) {
    var position = 0
    while true {
      let event: LayerStreamDecoder.Event
      do throws(FormatError) { event = try decoder.next(chunk, at: &position) } catch {
        throw ImageError(.damaged, error.description)
      }
      switch event {
      case .entry(let record): try writer.add(record)
      case .data(let range): try writer.write(chunk.extracting(range))
      case .hole(let count): try writer.skip(count)
      case .needsInput: return
      }
    }
  }

  private static func read(_ buffer: inout [UInt8]) throws(ImageError) -> Int {
    do throws(SystemError) {
      var span = buffer.mutableSpan
      return try File.read(0, into: &span)
    } catch {
      throw ImageError("cannot read the layer's stream", error)
    }
  }
}
