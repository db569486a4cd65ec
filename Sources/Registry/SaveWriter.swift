import CLinux
import Formats
import Images
import Linux

/// What a saved image is written into, member by member: an archive or a folder. The same members in the same order give the same bytes.
protocol SaveWriter: ~Copyable {
  mutating func add(folder path: String) throws(ImageError)
  mutating func add(_ path: String, _ bytes: [UInt8]) throws(ImageError)
  /// - Parameters:
  ///   - size: nil where it is known only when all has gone by.
  ///   - pass: hands the contents to what it is given; it may be called twice.
  mutating func add(
    _ path: String, size: Int64?,
    _ pass: (_ give: (Span<UInt8>) throws(ImageError) -> Void) throws(ImageError) -> Void
  ) throws(ImageError)
  mutating func finish() throws(ImageError)
}

/// A tar archive: members belong to root and have no time.
struct SaveArchive: SaveWriter, ~Copyable {
  private var target: SaveTarget
  private var position: Int64 = 0

  init(_ target: consuming SaveTarget) { self.target = target }

  mutating func add(folder path: String) throws(ImageError) { try write(header(.directory, path, 0)) }

  mutating func add(_ path: String, _ bytes: [UInt8]) throws(ImageError) {
    try write(header(.file, path, Int64(bytes.count)))
    try write(bytes)
    try write(TarWriter.padding(after: Int64(bytes.count)))
  }

  mutating func add(
    _ path: String, size: Int64?,
    _ pass: (_ give: (Span<UInt8>) throws(ImageError) -> Void) throws(ImageError) -> Void
  ) throws(ImageError) {
    var size = size
    let start = position
    if size == nil && !target.isFile {
      // A stream cannot be mended afterwards.
      var count: Int64 = 0
      try pass { (chunk) throws(ImageError) in count += Int64(chunk.count) }
      size = count
    }
    if try contents(path, size ?? 0, pass) == size { return }
    guard size == nil else { throw ImageError("\(path) changed while it was saved") }
    let count = position - start - 512
    let header = try header(.file, path, count)
    if header.count == 512 {
      try target.write(header, at: start)
      return try write(TarWriter.padding(after: count))
    }
    // Eight gigabytes and more take another header before the first.
    try target.rewind(to: start)
    position = start
    guard try contents(path, count, pass) == count else { throw ImageError("\(path) changed while it was saved") }
  }

  /// A header that tells of `size` bytes and what is handed on; padded where that is as many.
  private mutating func contents(
    _ path: String, _ size: Int64, _ pass: (_ give: (Span<UInt8>) throws(ImageError) -> Void) throws(ImageError) -> Void
  ) throws(ImageError) -> Int64 {
    try write(header(.file, path, size))
    var count: Int64 = 0
    try pass { (chunk) throws(ImageError) in
      try target.write(chunk)
      count += Int64(chunk.count)
    }
    position += count
    if count == size { try write(TarWriter.padding(after: count)) }
    return count
  }

  mutating func finish() throws(ImageError) {
    try write(TarWriter.end)
    try target.finish()
  }

  private func header(_ kind: TarEntry.Kind, _ path: String, _ size: Int64) throws(ImageError) -> [UInt8] {
    var entry = TarEntry(kind: kind, path: Array(path.utf8))
    entry.mode = kind == .directory ? 0o755 : 0o644
    entry.size = size
    do throws(FormatError) { return try TarWriter.header(for: entry) } catch { throw ImageError("save", error) }
  }

  private mutating func write(_ bytes: [UInt8]) throws(ImageError) {
    try target.write(bytes)
    position += Int64(bytes.count)
  }
}

/// A folder, which has its name only once all is in it.
struct SaveFolder: SaveWriter, ~Copyable {
  private let parent: FileDescriptor
  private let folder: FileDescriptor
  private let name: String
  private let temporary: String
  private let shown: String
  private var isDone = false

  private init(
    parent: consuming FileDescriptor, folder: consuming FileDescriptor, name: String, temporary: String, shown: String
  ) {
    self.parent = parent
    self.folder = folder
    self.name = name
    self.temporary = temporary
    self.shown = shown
  }

  deinit {
    // The error that led here is what is told.
    if !isDone { try? File.removeTree(temporary, at: parent.rawValue) }
  }

  /// - Parameter path: of a folder that is not there, or is empty.
  static func begin(_ path: String) throws(ImageError) -> SaveFolder {
    let shown = "\"\(FormatError.presentable(path))\""
    let (above, name) = try SavePath.split(path, shown)
    do throws(SystemError) {
      let parent = try File.open(above, O_RDONLY | O_DIRECTORY)
      if File.exists(name, at: parent.rawValue) {
        let isEmpty: Bool
        do throws(SystemError) { isEmpty = try File.names(inDirectory: name, at: parent.rawValue).isEmpty } catch {
          throw error
        }
        if !isEmpty { throw SystemError("rename", name, .notEmpty) }
      }
      let temporary = SavePath.temporary(name)
      try File.makeDirectory(temporary, mode: 0o755, at: parent.rawValue)
      let folder = try File.open(temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: parent.rawValue)
      return SaveFolder(parent: parent, folder: folder, name: name, temporary: temporary, shown: shown)
    } catch { throw SavePath.failure(shown, error) }
  }

  mutating func add(folder path: String) throws(ImageError) {
    do throws(SystemError) { try File.makeDirectory(path, mode: 0o755, at: folder.rawValue) } catch {
      throw SavePath.failure(shown, error)
    }
  }

  mutating func add(_ path: String, _ bytes: [UInt8]) throws(ImageError) {
    try add(path, size: nil) { (give) throws(ImageError) in try give(bytes.span) }
  }

  mutating func add(
    _ path: String, size: Int64?,
    _ pass: (_ give: (Span<UInt8>) throws(ImageError) -> Void) throws(ImageError) -> Void
  ) throws(ImageError) {
    let file = try create(path)
    try pass { (chunk) throws(ImageError) in
      do throws(SystemError) { try File.writeAll(file.rawValue, chunk) } catch { throw SavePath.failure(shown, error) }
    }
  }

  private func create(_ path: String) throws(ImageError) -> FileDescriptor {
    do throws(SystemError) {
      return try File.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o644, at: folder.rawValue)
    } catch { throw SavePath.failure(shown, error) }
  }

  mutating func finish() throws(ImageError) {
    do throws(SystemError) {
      try checked("syncfs", "", systemCall(Int(SYS_syncfs), word(folder.rawValue)))
      try File.rename(temporary, to: name, from: parent.rawValue, into: parent.rawValue)
      isDone = true
    } catch { throw SavePath.failure(shown, error) }
  }
}
