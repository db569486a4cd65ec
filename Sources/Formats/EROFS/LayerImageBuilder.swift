/// From a layer's tar to its image and the log of what the image does not have of the tar: what the confined worker runs. It makes no
/// system call.
///
///     var builder = LayerImageBuilder()
///     for each chunk {
///       var position = 0
///       loop: while true {
///         switch try builder.next(chunk, at: &position) {
///         case .needsInput: break loop
///         case .drain: write builder.image and builder.headers
///         case .direct(let range): write builder.image, then chunk[range], to the image
///         }
///       }
///     }
///     while try builder.finishStep() { write builder.image and builder.headers }
///     let summary = try builder.finish()
///     write both once more, and summary.block0 at the image's beginning
public struct LayerImageBuilder: ~Copyable, Sendable {
  public enum Step: Sendable, Equatable {
    /// The chunk is used up.
    case needsInput
    /// `image` or `headers` is large: to be written out and removed before the next call.
    case drain
    /// After `image`, which is to be written out and removed, these bytes of the chunk belong into the image.
    case direct(Range<Int>)
  }

  private var reader: TarReader
  private var writer: EROFSLayerWriter
  private var log = TarHeaderLog()
  private var filePosition: Int64 = 0
  private var fileSize: Int64 = 0
  private var isEnded = false

  /// Contents of at least so many bytes are not copied.
  private static let shortestDirect = 32 << 10
  private static let largeOutput = 256 << 10

  /// - Parameter pool: the memory of what is known of the layer until its end.
  public init(limits: LayerLimits = LayerLimits(), pool: PagePool = PagePool()) {
    reader = TarReader(limits: TarLimits(limits))
    writer = EROFSLayerWriter(limits: limits, pool: pool)
  }

  /// To be appended to the image's file.
  public var image: [UInt8] { writer.output }
  /// To be appended to the log's file, or to what compresses it.
  public var headers: [UInt8] { log.bytes }
  public mutating func removeImage() { writer.removeOutput() }
  public mutating func removeHeaders() { log.removeAll() }

  /// Goes on with a chunk of the uncompressed tar; `position` moves over what was read of it.
  public mutating func next(_ chunk: Span<UInt8>, at position: inout Int) throws(FormatError) -> Step {
    while true {
      if let step = try advance(chunk, &position, direct: true) { return step }
    }
  }

  /// Takes a whole chunk; everything that comes of it is appended to `image` and `headers`.
  public mutating func feed(_ chunk: Span<UInt8>) throws(FormatError) {
    var position = 0
    while try advance(chunk, &position, direct: false) != .needsInput {}
  }

  private mutating func advance(
    _ chunk: Span<UInt8>, _ position: inout Int, direct: Bool
  ) throws(FormatError) -> Step? {
    let start = position
    switch try reader.next(chunk, at: &position) {
    case .entry(let entry):
      log.literal(chunk.extracting(start..<position))
      try finishFile()
      let record = try LayerTranslator.record(of: entry)
      fileSize = record.size
      try writer.add(record)
    case .data(let offset, let range):
      log.literal(chunk.extracting(start..<range.lowerBound))
      try writer.hole(offset - filePosition)
      filePosition = offset + Int64(range.count)
      let isDirect = direct && range.count >= Self.shortestDirect
      if isDirect { try writer.directData(range.count) } else { try writer.data(chunk.extracting(range)) }
      log.copy(from: writer.position - UInt64(range.count), count: UInt64(range.count))
      if isDirect { return .direct(range) }
    case .end: log.literal(chunk.extracting(start..<position))
    case .needsInput:
      log.literal(chunk.extracting(start..<position))
      return .needsInput
    }
    return direct && max(writer.output.count, log.bytes.count) >= Self.largeOutput ? .drain : nil
  }

  /// A sparse file may end in a hole.
  private mutating func finishFile() throws(FormatError) {
    try writer.hole(fileSize - filePosition)
    (filePosition, fileSize) = (0, 0)
  }

  /// The tar is at its end: writes the next piece of the metadata. False once all of it is there.
  public mutating func finishStep() throws(FormatError) -> Bool {
    if !isEnded {
      try reader.finish()
      try finishFile()
      log.finish()
      isEnded = true
    }
    return try writer.finishStep()
  }

  /// Writes what is left of the metadata.
  public mutating func finish() throws(FormatError) -> EROFSLayerWriter.Summary {
    while try finishStep() {}
    return try writer.finish()
  }
}
