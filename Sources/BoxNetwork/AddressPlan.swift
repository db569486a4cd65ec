import Linux

/// The addresses of the user-mode network: a /24 out of 198.18.0.0/15, which RFC 2544 sets apart for benchmarks, so that it
/// shadows no network a host is really on.
///
///     box eth0 198.18.0.100 --- box0 198.18.0.1 [gateway namespace] tap0 --- 198.18.0.2 pasta or slirp4netns --- host
enum AddressPlan {
  static let network = IPv4Prefix(IPv4Address(198, 18, 0, 0), 24)
  /// slirp4netns takes .2 and .3 of its network for these two; pasta is told.
  static let helper = IPv4Address(198, 18, 0, 2)
  static let nameServer = IPv4Address(198, 18, 0, 3)
  static let gateway = IPv4Address(198, 18, 0, 1)
  static let box = IPv4Address(198, 18, 0, 100)

  /// Addresses that are not the Internet's (RFC 6890 and the registry it began; 100.64/10 is RFC 6598, 169.254/16 holds the
  /// clouds' metadata services): refused unless a policy allows private ones.
  static let special: [IPv4Prefix] = [
    IPv4Prefix(IPv4Address(0, 0, 0, 0), 8),
    IPv4Prefix(IPv4Address(10, 0, 0, 0), 8),
    IPv4Prefix(IPv4Address(100, 64, 0, 0), 10),
    IPv4Prefix(IPv4Address(127, 0, 0, 0), 8),
    IPv4Prefix(IPv4Address(169, 254, 0, 0), 16),
    IPv4Prefix(IPv4Address(172, 16, 0, 0), 12),
    IPv4Prefix(IPv4Address(192, 0, 0, 0), 24),
    IPv4Prefix(IPv4Address(192, 0, 2, 0), 24),
    IPv4Prefix(IPv4Address(192, 88, 99, 0), 24),
    IPv4Prefix(IPv4Address(192, 168, 0, 0), 16),
    IPv4Prefix(IPv4Address(198, 18, 0, 0), 15),
    IPv4Prefix(IPv4Address(198, 51, 100, 0), 24),
    IPv4Prefix(IPv4Address(203, 0, 113, 0), 24),
    IPv4Prefix(IPv4Address(224, 0, 0, 0), 4),
    IPv4Prefix(IPv4Address(240, 0, 0, 0), 4),
  ]

  /// Never forwarded, whatever a policy allows: the plan's own addresses, loopback, "this network", multicast, broadcast.
  static let never: [IPv4Prefix] = [
    IPv4Prefix(IPv4Address(0, 0, 0, 0), 8),
    IPv4Prefix(IPv4Address(127, 0, 0, 0), 8),
    network,
    IPv4Prefix(IPv4Address(224, 0, 0, 0), 4),
    IPv4Prefix(IPv4Address(240, 0, 0, 0), 4),
  ]
}
