import Images
import Linux
import NIOCore

/// A blob's bytes as a request's body takes them: piece by piece, as fast as the registry reads.
struct BlobStream: AsyncSequence, Sendable {
  typealias Element = ByteBuffer

  fileprivate final class Source: Sendable {
    let file: Linux.FileDescriptor
    init(_ file: consuming Linux.FileDescriptor) { self.file = file }
  }

  fileprivate let source: Source
  /// Bytes that will go by.
  let count: Int64
  private let advance: @Sendable (Int64) -> Void

  /// - Parameter advance: told how many bytes have gone by.
  init(_ file: consuming Linux.FileDescriptor, count: Int64, _ advance: @escaping @Sendable (Int64) -> Void) {
    source = Source(file)
    self.count = count
    self.advance = advance
  }

  struct AsyncIterator: AsyncIteratorProtocol {
    fileprivate let source: Source
    fileprivate let count: Int64
    fileprivate let advance: @Sendable (Int64) -> Void
    private var done: Int64 = 0

    fileprivate init(_ source: Source, _ count: Int64, _ advance: @escaping @Sendable (Int64) -> Void) {
      self.source = source
      self.count = count
      self.advance = advance
    }

    mutating func next() async throws -> ByteBuffer? {
      guard done < count else { return nil }
      let bytes = try File.read(source.file.rawValue, atMost: Int(Swift.min(256 << 10, count - done)))
      // A blob that has become shorter ends the request: the length was announced.
      guard !bytes.isEmpty else { throw ImageError(.damaged, "a layer of the image store has become shorter") }
      done += Int64(bytes.count)
      advance(done)
      return ByteBuffer(bytes: bytes)
    }
  }

  func makeAsyncIterator() -> AsyncIterator { AsyncIterator(source, count, advance) }
}
