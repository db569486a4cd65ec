import CLinux
public import Formats
public import Images
public import Linux
import Synchronization

/// A layer on its way to a registry: what it is there, and its bytes.
public protocol PushLayer: Sendable {
  /// What the image's manifest calls it.
  var original: Descriptor { get }
  /// Whether `prepare` gives that; else what the registry has of it spares compressing it.
  var isKept: Bool { get }
  /// What is pushed: the same where the blob is kept, another digest and size where it was compressed anew. Called once, before `open`.
  func prepare() throws(ImageError) -> Descriptor
  /// The bytes of what was prepared, from an offset on: a file or the reading end of a pipe.
  func open(from offset: Int64) throws(ImageError) -> FileDescriptor
}

/// A layer of the store: its blob where that was kept, else what its tar is when it is compressed anew.
final class KeptPushLayer: PushLayer {
  private let layer: KeptLayer
  private let file = Mutex<SharedFile?>(nil)
  let original: Descriptor
  /// Whether what is pushed is what was fetched.
  let isKept: Bool

  init(_ layer: KeptLayer) {
    self.layer = layer
    original = layer.descriptor
    isKept = layer.hasBlob
  }

  func prepare() throws(ImageError) -> Descriptor {
    let (descriptor, made) = try layer.file()
    file.withLock { $0 = made }
    return descriptor
  }

  func open(from offset: Int64) throws(ImageError) -> FileDescriptor {
    guard let shared = file.withLock({ $0 }) else { throw ImageError("the layer \(original.digest) was not prepared") }
    return try system("cannot read a layer") { () throws(SystemError) in
      // Its own position, whoever else reads it.
      let opened = try File.open("/proc/self/fd/\(shared.rawValue)", O_RDONLY)
      try checked("lseek", "", systemCall(Int(SYS_lseek), word(opened.rawValue), UInt(offset), UInt(SEEK_SET)))
      return opened
    }
  }
}
