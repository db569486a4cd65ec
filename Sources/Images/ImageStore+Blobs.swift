import CLinux
public import Formats
import Linux

extension ImageStore {
  /// A manifest's, index's or configuration's bytes; nil where it is not here. Verified when it was written.
  public func blob(_ digest: Digest) throws(ImageError) -> [UInt8]? {
    do throws(SystemError) {
      return try File.contents(blobs + "/" + digest.hex, limit: Int(Descriptor.maximumConfigurationSize))
    } catch {
      if error.errno == .noEntry { return nil }
      throw ImageError("cannot read the image store", error)
    }
  }

  /// Keeps a small blob under its digest.
  /// - Throws: `ImageError` of kind `damaged` where the bytes are not those the descriptor names.
  public func keep(_ bytes: [UInt8], as descriptor: Descriptor) throws(ImageError) {
    guard Int64(bytes.count) == descriptor.size else {
      throw ImageError(
        .damaged, "\(descriptor.digest) has \(bytes.count) bytes where \(descriptor.size) were announced")
    }
    try keep(bytes, as: descriptor.digest)
  }

  /// Keeps a small blob under its digest, which is verified.
  public func keep(_ bytes: [UInt8], as digest: Digest) throws(ImageError) {
    let actual = Digest.of(bytes)
    guard actual == digest else {
      throw ImageError(.damaged, "content that should be \(digest) is \(actual): refused")
    }
    try system("cannot write the image store") { () throws(SystemError) in
      if File.exists(blobs + "/" + digest.hex) { return }
      let folder = try File.open(blobs, O_RDONLY | O_DIRECTORY)
      try File.replaceAtomically(digest.hex, bytes, at: folder.rawValue, sync: true)
    }
  }
}

extension File {
  /// fsync(2).
  static func sync(_ descriptor: Int32) throws(SystemError) {
    try checked("fsync", "\(descriptor)", systemCall(Int(SYS_fsync), word(descriptor)))
  }

  /// syncfs(2): everything of the file system that the descriptor is on.
  static func syncFileSystem(of descriptor: Int32) throws(SystemError) {
    try checked("syncfs", "\(descriptor)", systemCall(Int(SYS_syncfs), word(descriptor)))
  }
}
