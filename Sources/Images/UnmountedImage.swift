import CLinux
import Formats
import Linux
public import Walls

/// Single files of an image that nobody mounted, read through the reader that takes nothing for granted: for walls without the right to
/// mount, and for what is looked up before one is raised.
public struct UnmountedImage: ~Copyable {
  private let files: ImageFiles
  private var reader: EROFSReader<Source>

  /// - Throws: `damaged` where the files are not what the store made.
  public init(_ image: ImageMount) throws(ImageError) {
    let opened = try ImageFiles(MountableFiles(metadata: image.metadata, devices: image.devices))
    let first = opened.descriptors[0]
    let source = try system("cannot read the image \(image.metadata)") { () throws(SystemError) in try Source(first) }
    do throws(FormatError) { reader = try EROFSReader(source) } catch {
      throw ImageError("the image \(image.metadata)", error)
    }
    files = opened
  }

  /// The bytes of a regular file, whose path leads within the image through at most 40 links, as for a process in it; nil where there is
  /// none, or one of more than `limit` bytes.
  public mutating func contents(of path: String, limit: Int) throws(ImageError) -> [UInt8]? {
    do throws(FormatError) {
      guard let id = try reader.resolve(Array(path.utf8)) else { return nil }
      let file = try reader.inode(id)
      guard file.kind == .file, file.size <= UInt64(limit) else { return nil }
      var bytes: [UInt8] = []
      for extent in try reader.extents(of: file) {
        if extent.isHole {
          bytes.append(contentsOf: repeatElement(0, count: Int(extent.length)))
        } else {
          guard extent.device < files.descriptors.count else {
            throw FormatError("contents lie in an image that is not there")
          }
          bytes += try Source.read(files.descriptors[extent.device], at: extent.offset, count: Int(extent.length))
        }
      }
      return bytes
    } catch { throw ImageError("the image \(files.path)", error) }
  }

  /// An open file of the image.
  private struct Source: EROFSSource {
    let descriptor: Int32
    let size: UInt64

    init(_ descriptor: Int32) throws(SystemError) {
      self.descriptor = descriptor
      size = UInt64(try File.status("", at: descriptor).st_size)
    }

    func read(at offset: UInt64, into bytes: inout MutableSpan<UInt8>) throws(FormatError) {
      let read = try Self.read(descriptor, at: offset, count: bytes.count)
      for index in 0..<read.count { bytes[index] = read[index] }
    }

    /// So many bytes from an offset on.
    static func read(_ descriptor: Int32, at offset: UInt64, count: Int) throws(FormatError) -> [UInt8] {
      var bytes: [UInt8] = []
      while bytes.count < count {
        let piece: [UInt8]
        do throws(SystemError) {
          piece = try File.read(descriptor, atMost: count - bytes.count, at: Int(clamping: offset) + bytes.count)
        } catch { throw FormatError("cannot be read (\(error.errno))", source: "EROFS image") }
        guard !piece.isEmpty else { throw FormatError("the image ends before it should", source: "EROFS image") }
        bytes += piece
      }
      return bytes
    }
  }
}
