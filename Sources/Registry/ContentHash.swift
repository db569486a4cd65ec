import CCrypto
public import Formats

/// SHA-256 with the processor's own instructions (libcrypto), for layers' worth of bytes.
public struct ContentHash: ~Copyable {
  private var context = SHA256_CTX()
  /// Bytes seen so far.
  public private(set) var count: Int64 = 0

  public init() {
    // SAFETY: the context is this value's own; the call fills it.
    _ = unsafe SHA256_Init(&context)
  }

  public mutating func update(_ bytes: Span<UInt8>) {
    count += Int64(bytes.count)
    // SAFETY: the library reads within the span's bounds.
    unsafe bytes.withUnsafeBytes { buffer in
      _ = unsafe SHA256_Update(&context, buffer.baseAddress, buffer.count)
    }
  }

  /// The digest of all that was given; nothing more may be.
  public mutating func finish() -> Digest {
    var result = [UInt8](repeating: 0, count: 32)
    // SAFETY: the result has SHA-256's 32 bytes.
    unsafe result.withUnsafeMutableBufferPointer { buffer in
      _ = unsafe SHA256_Final(buffer.baseAddress, &context)
    }
    guard let digest = Digest(bytes: result.span) else { preconditionFailure("SHA-256 is 32 bytes") }
    return digest
  }
}
