import Confinement
import Formats
import Linux

/// The process that looks at a stranger's layer: it reads the blob on its standard input, inflates it, and writes the layer's EROFS image
/// into descriptor 2 and the headers of its tar into descriptor 3; on its standard output it says, as one JSON object, what came of it.
/// Descriptor 4 is a file for what its memory has no room for (`SpillFile`). It has nothing but these five (`Confinement.enterWorker`), and a
/// socket to a child that computes the tar's digest meanwhile (`TarDigest`).
///
/// Taken over by what it reads, it can write anything into two files of this one layer, up to a bound, and say anything about them. The
/// command that started it believes neither: it computes the files' digests itself, the layer bears the digest of its blob, which the
/// command computed too, and the image is never mounted (`MetadataMaking`).
public enum LayerWorker {
  /// The word it is started with.
  public static let role = "layer-worker"

  static let image: Int32 = 2
  static let headers: Int32 = 3
  static let spill: Int32 = 4

  /// Does its work and ends the process. - Parameter arguments: the most bytes that the layer may unpack to.
  public static func run(_ arguments: [String]) -> Never {
    var limits = LayerLimits()
    if let bytes = arguments.first.flatMap({ Int64($0) }), bytes > 0 { limits.totalBytes = bytes }
    let tar: TarDigest
    let pool: PagePool
    do throws(SystemError) {
      tar = try TarDigest.start()
      pool = PagePool(spill: try SpillFile(spill))
      // Contents up to the limit, each file filled up to a block, and metadata.
      let size = UInt64(largest(limits)) + UInt64(limits.entries) * 8192
      try Confinement.enterWorker(
        WorkerPlan(keep: [0, 1, image, headers, spill, TarDigest.descriptor], fileSize: size))
    } catch {
      say(.failed(isDamaged: false, "the worker that reads layers could not be confined: \(error)"))
    }
    var writing = Writing(limits, tar, pool)
    do throws(FormatError) {
      try writing.run()
      say(.done(writing.report))
    } catch {
      if let failure = writing.failure {
        say(.failed(isDamaged: false, "cannot write the layer: \(failure.errno)"))
      }
      say(.failed(isDamaged: true, error.description))
    }
  }

  private static func say(_ report: LayerReport) -> Never {
    // Where nobody reads it there is nobody to tell.
    try? File.writeAll(1, report.json.bytes())
    Process.exit(0)
  }

  /// Bytes of a tar at most: contents, and for each entry headers and padding, three blocks at most, and room for long names.
  static func largest(_ limits: LayerLimits) -> Int64 { limits.totalBytes + Int64(limits.entries) * 4096 }

  private struct Writing: ~Copyable {
    let limits: LayerLimits
    var builder: LayerImageBuilder
    let tar: TarDigest
    var contents = BlockWriter(LayerWorker.image)
    var packer = ZstdPacker()
    var summary: EROFSLayerWriter.Summary?
    var diffID: Digest?
    /// Why a file could not be written or the blob not be read, where that ended it.
    var failure: SystemError?

    init(_ limits: LayerLimits, _ tar: TarDigest, _ pool: PagePool) {
      self.limits = limits
      self.tar = tar
      builder = LayerImageBuilder(limits: limits, pool: pool)
    }

    var report: LayerReport.Contents {
      LayerReport.Contents(
        diffID: diffID ?? Digest.of([]), tarSize: tar.count, bytes: summary?.bytes ?? 0,
        entries: summary?.entries ?? 0,
        notes: summary?.notes ?? [], imageSize: Int64(clamping: summary?.size ?? 0))
    }

    mutating func run() throws(FormatError) {
      var inflater = Inflater(into: tar)
      var input = [UInt8](repeating: 0, count: 256 << 10)
      while true {
        let count: Int
        do throws(SystemError) {
          var span = input.mutableSpan
          count = try File.read(0, into: &span)
        } catch { throw stopped(error) }
        if count == 0 { break }
        try inflater.take(input.span.extracting(0..<count)) { (chunk) throws(FormatError) in try self.take(chunk) }
      }
      try inflater.finish { (chunk) throws(FormatError) in try self.take(chunk) }
      while try builder.finishStep() { try drain() }
      let summary = try builder.finish()
      try drain()
      let nothing: [UInt8] = []
      try pack(nothing.span, isLast: true)
      do throws(SystemError) {
        try contents.flush()
        try File.writeAll(image, summary.block0, at: 0)
      } catch { throw stopped(error) }
      diffID = try tar.finish()
      self.summary = summary
    }

    private mutating func take(_ chunk: Span<UInt8>) throws(FormatError) {
      guard tar.count <= largest(limits) else {
        throw FormatError("the layer unpacks to more than \(limits.totalBytes) bytes")
      }
      var position = 0
      while true {
        switch try builder.next(chunk, at: &position) {
        case .needsInput: return
        case .drain: try drain()
        case .direct(let range):
          try drainImage()
          do throws(SystemError) { try contents.append(chunk.extracting(range)) } catch { throw stopped(error) }
        }
      }
    }

    private mutating func drain() throws(FormatError) {
      try drainImage()
      if !builder.headers.isEmpty {
        let headers = builder.headers
        try pack(headers.span, isLast: false)
        builder.removeHeaders()
      }
    }

    private mutating func drainImage() throws(FormatError) {
      if builder.image.isEmpty { return }
      let image = builder.image
      do throws(SystemError) { try contents.append(image.span) } catch { throw stopped(error) }
      builder.removeImage()
    }

    private mutating func pack(_ bytes: Span<UInt8>, isLast: Bool) throws(FormatError) {
      var failure: SystemError?
      try packer.take(bytes, isLast: isLast) { (chunk) throws(FormatError) in
        do throws(SystemError) { try File.writeAll(headers, chunk) } catch {
          failure = error
          throw FormatError("cannot write")
        }
      }
      if let failure { throw stopped(failure) }
    }

    private mutating func stopped(_ error: SystemError) -> FormatError {
      failure = error
      return FormatError("\(error)")
    }
  }
}
