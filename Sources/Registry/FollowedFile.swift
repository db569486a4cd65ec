import CLinux
import Formats
import Images
import Linux

/// The digest of a file that another process appends to, computed while it grows, from memory and not from the disk. The first block comes
/// last: a layer's worker writes it at its end (`StoredFile.start`). Where the worker has written otherwise the digest is not the file's, and
/// `image fsck` calls the layer damaged.
struct FollowedFile: ~Copyable {
  /// Bytes of the first block.
  static let first: Int64 = 4096
  /// So many bytes at a time are given to the disk.
  private static let portion: Int64 = 8 << 20

  private var hash = ContentHash()
  private var position = FollowedFile.first
  private var given: Int64 = 0
  private var buffer = [UInt8](repeating: 0, count: 256 << 10)

  /// Reads what has been written since the last time.
  mutating func follow(_ file: Int32) throws(ImageError) {
    // Taken out: both it and the digest are used at once.
    var buffer = self.buffer
    self.buffer = []
    defer { self.buffer = buffer }
    do throws(SystemError) {
      while true {
        var span = buffer.mutableSpan
        let count = try File.read(file, into: &span, at: position)
        if count == 0 { break }
        hash.update(buffer.span.extracting(0..<count))
        position += Int64(count)
      }
    } catch { throw ImageError("cannot read a layer's file", error) }
    guard position - given >= Self.portion else { return }
    File.beginWriting(file, from: given, count: position - given)
    given = position
  }

  /// The file is whole and was followed to its end.
  consuming func finish(_ file: Int32) throws(ImageError) -> StoredFile {
    let head: [UInt8]
    do throws(SystemError) { head = try File.read(file, atMost: Int(Self.first), at: 0) } catch {
      throw ImageError("cannot read a layer's file", error)
    }
    hash.update(head.span)
    let size = head.count < Int(Self.first) ? Int64(head.count) : position
    return StoredFile(digest: hash.finish(), size: size, start: Self.first)
  }
}

extension StoredFile {
  /// What a file is from its first byte to its last, whatever was said of it.
  /// - Parameter start: where the digest is to begin; the bytes before come last.
  static func reading(_ descriptor: Int32, start: Int64 = 0) throws(ImageError) -> StoredFile {
    if start == FollowedFile.first {
      var file = FollowedFile()
      try file.follow(descriptor)
      return try file.finish(descriptor)
    }
    try system("cannot read a layer's file") { () throws(SystemError) in try File.rewind(descriptor) }
    var hash = ContentHash()
    try TarRebuilding.drain(descriptor) { chunk throws(ImageError) in hash.update(chunk) }
    let size = hash.count
    return StoredFile(digest: hash.finish(), size: size)
  }
}
