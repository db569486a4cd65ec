import CLinux
public import Formats
public import Images
public import Linux

/// A layer on its way to a registry: what it is there, and its bytes.
public protocol PushLayer: Sendable {
  /// What the image's manifest calls it.
  var original: Descriptor { get }
  /// What is pushed: the same where the blob is kept, another digest and size where it was compressed anew. Called once, before `open`.
  func prepare() throws(ImageError) -> Descriptor
  /// The bytes of what was prepared, from an offset on: a file or the reading end of a pipe.
  func open(from offset: Int64) throws(ImageError) -> FileDescriptor
}

/// A layer whose blob is in the store as it was fetched.
struct KeptPushLayer: PushLayer {
  let layer: KeptLayer
  var original: Descriptor { layer.descriptor }

  func prepare() -> Descriptor { layer.descriptor }

  func open(from offset: Int64) throws(ImageError) -> FileDescriptor {
    let file = try layer.store.openLayer(layer.descriptor.digest)
    _ = try system("cannot read a layer") { () throws(SystemError) in
      try checked("lseek", "", systemCall(Int(SYS_lseek), word(file.rawValue), UInt(offset), UInt(SEEK_SET)))
    }
    return file
  }
}
