import Images
import Linux

/// Ends an answer that trickles: silence is seen by the client's timeout, but a byte now and then would keep a connection for ever.
struct StallGuard {
  /// Fewer bytes a second than this, over the time that silence is borne, are none.
  private static let slowest: Int64 = 100

  private let endpoint: RegistryEndpoint
  private var start = Clock.monotonicNanoseconds()
  private var count: Int64 = 0

  init(_ endpoint: RegistryEndpoint) { self.endpoint = endpoint }

  /// So many more bytes have come.
  mutating func note(_ bytes: Int) throws(ImageError) {
    count += Int64(bytes)
    let now = Clock.monotonicNanoseconds()
    guard now - start >= UInt64(endpoint.stallSeconds) * 1_000_000_000 else { return }
    guard count >= endpoint.stallSeconds * Self.slowest else {
      throw ImageError("\(endpoint.host) has sent hardly anything for \(endpoint.stallSeconds) seconds")
    }
    start = now
    count = 0
  }
}
