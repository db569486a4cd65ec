import Linux

/// A descriptor that several values hold; closed when the last of them is gone.
final class SharedDescriptor {
  private let descriptor: FileDescriptor
  init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
  var rawValue: Int32 { descriptor.rawValue }
}
