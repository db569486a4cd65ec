import CLinux
import Confinement
import Formats
import Linux

/// Where a worker inflates a tar to while a second process, its child, computes the tar's digest from the same memory: the work of two
/// processors. The child reads a stranger's bytes too, and does nothing with them but SHA-256; it is confined like the worker, and has one
/// socket. What it says is a claim like the worker's own.
///
/// The memory is a ring of pieces. The worker says how many bytes the next one has (4 bytes, little endian), the child answers each with one
/// byte once it is read; to a count of 0 it answers with the digest, and ends.
@safe final class TarDigest: InflationBuffer {
  private static let pieces = 16
  /// The socket's number in the worker.
  static let descriptor: Int32 = 5

  private let memory: SharedMemory
  private var index = 0
  /// Pieces that were published and not answered.
  private var pending = 0
  /// Bytes of the tar so far.
  private(set) var count: Int64 = 0

  /// Starts the child. The caller has one thread, is not confined yet, and keeps `descriptor`.
  static func start() throws(SystemError) -> TarDigest {
    let memory = try SharedMemory(size: pieces * InflationBuffer.size)
    let ends = try DescriptorPair.sockets()
    // Nobody waits for it.
    try SignalSet.ignore(SIGCHLD)
    let child = try Process.clone(CloneArguments(flags: 0))
    if child == nil { run(memory, ends.second.rawValue) }
    try FileDescriptor.replace(descriptor, with: ends.first.rawValue)
    // It has its number already.
    if ends.first.rawValue == descriptor { _ = ends.release() }
    return TarDigest(memory)
  }

  private init(_ memory: SharedMemory) {
    self.memory = memory
    unsafe super.init(first: Self.piece(0, of: memory))
  }

  private static func piece(_ index: Int, of memory: SharedMemory) -> UnsafeMutableRawBufferPointer {
    let start = index * InflationBuffer.size
    return unsafe UnsafeMutableRawBufferPointer(rebasing: memory.bytes[start..<start + InflationBuffer.size])
  }

  override func publish(_ count: Int) throws(FormatError) {
    self.count += Int64(count)
    try say(count)
    pending += 1
  }

  override func advance() throws(FormatError) {
    index = (index + 1) % Self.pieces
    unsafe piece = Self.piece(index, of: memory)
    while pending >= Self.pieces { pending -= try answer(limit: Self.pieces).count }
  }

  /// The digest of all that was published; nothing more may be.
  func finish() throws(FormatError) -> Digest {
    while pending > 0 { pending -= try answer(limit: pending).count }
    try say(0)
    var bytes: [UInt8] = []
    while bytes.count < 32 { bytes += try answer(limit: 32 - bytes.count) }
    guard let digest = Digest(bytes: bytes.span) else { throw Self.lost }
    return digest
  }

  private func say(_ count: Int) throws(FormatError) {
    let bytes = (0..<4).map { UInt8(truncatingIfNeeded: count >> ($0 * 8)) }
    do throws(SystemError) { try File.writeAll(Self.descriptor, bytes) } catch { throw Self.lost }
  }

  private func answer(limit: Int) throws(FormatError) -> [UInt8] {
    let bytes: [UInt8]
    do throws(SystemError) { bytes = try File.read(Self.descriptor, atMost: limit) } catch { throw Self.lost }
    guard !bytes.isEmpty else { throw Self.lost }
    return bytes
  }

  private static let lost = FormatError("the process that computes the tar's digest has ended")

  // MARK: The child

  private static func run(_ memory: SharedMemory, _ socket: Int32) -> Never {
    do throws(SystemError) {
      try Confinement.enterWorker(WorkerPlan(keep: [socket], memory: 32 << 20))
      var hash = ContentHash()
      var index = 0
      let answer: [UInt8] = [1]
      while true {
        var word: [UInt8] = []
        while word.count < 4 {
          let more = try File.read(socket, atMost: 4 - word.count)
          // The worker has given up.
          if more.isEmpty { Process.exit(0) }
          word += more
        }
        let count = word.reversed().reduce(0) { $0 << 8 | Int($1) }
        // It may have been taken over; nothing but this layer's digest is at stake.
        guard count <= InflationBuffer.size else { Process.exit(1) }
        if count == 0 { break }
        // SAFETY: within the piece, which the worker does not write before it has the answer.
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: piece(index, of: memory)[..<count])
        unsafe hash.update(bytes.bindMemory(to: UInt8.self).span)
        index = (index + 1) % pieces
        try File.writeAll(socket, answer)
      }
      try File.writeAll(socket, hash.finish().bytes)
      Process.exit(0)
    } catch { Process.exit(1) }
  }
}
