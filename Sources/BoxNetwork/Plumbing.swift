import Linux

/// Devices, addresses and routes of the box and of the gateway namespace.
struct Plumbing {
  static let boxDevice = "eth0"
  static let gatewayDevice = "box0"
  static let helperDevice = "tap0"
  /// The largest packet of a tap device: fewer, larger packets are what a user-mode stack is fast with.
  static let mtu: UInt32 = 65520

  let allowPrivate: Bool

  /// In the box's namespace: one device, one address, everything through the gateway.
  func setUpBox(gateway: Int32) throws(SystemError) {
    let routes = try RouteSocket()
    try routes.addPair(Self.boxDevice, peer: Self.gatewayDevice, in: gateway)
    try routes.setUp(try routes.index(of: "lo"))
    let device = try routes.index(of: Self.boxDevice)
    try routes.setMTU(Self.mtu, of: device)
    try routes.addAddress(IPv4Prefix(AddressPlan.box, 32), to: device)
    try routes.setUp(device)
    try routes.addRoute(IPv4Prefix(AddressPlan.gateway, 32), device: device)
    try routes.addRoute(IPv4Prefix(IPv4Address(0, 0, 0, 0), 0), device: device, gateway: AddressPlan.gateway)
  }

  /// In the gateway: the way back to the box, and everything that is refused, before there is any way out.
  func setUpGateway(refusing hostAddresses: [IPv4Address]) throws(SystemError) {
    let routes = try RouteSocket()
    for prefix in refused(hostAddresses) { try routes.prohibit(prefix) }
    // A refusal should be answered at once and every time, not once a second. Without a writable /proc/sys the box waits for
    // its own timeout instead: refused all the same.
    try? File.writeExisting("/proc/sys/net/ipv4/icmp_ratelimit", "0")
    try? File.writeExisting("/proc/sys/net/ipv4/icmp_msgs_per_sec", "10000")
    let device = try routes.index(of: Self.gatewayDevice)
    try routes.setMTU(Self.mtu, of: device)
    try routes.addAddress(IPv4Prefix(AddressPlan.gateway, 32), to: device)
    try routes.set(.forwarding, 1, of: device)
    try routes.setUp(device)
    try routes.addRoute(IPv4Prefix(AddressPlan.box, 32), device: device)
  }

  /// In the gateway, when the helper's device is there: the name server, and then everything else.
  func openGateway() throws(SystemError) {
    let routes = try RouteSocket()
    let device = try routes.index(of: Self.helperDevice)
    try routes.setMTU(Self.mtu, of: device)
    try routes.set(.forwarding, 1, of: device)
    // slirp4netns asks by ARP for the box's address, which is behind this device's namespace.
    try routes.set(.proxyARP, 1, of: device)
    try routes.setUp(device)
    try routes.addRoute(IPv4Prefix(AddressPlan.nameServer, 32), device: device, gateway: AddressPlan.helper)
    try routes.addRoute(IPv4Prefix(IPv4Address(0, 0, 0, 0), 0), device: device, gateway: AddressPlan.helper)
  }

  /// What the gateway refuses. The host's own addresses count as private: its services listen on them.
  func refused(_ hostAddresses: [IPv4Address]) -> [IPv4Prefix] {
    var prefixes = AddressPlan.never
    if !allowPrivate {
      prefixes += AddressPlan.special.filter { !prefixes.contains($0) }
      for address in Set(hostAddresses) where !prefixes.contains(where: { $0.contains(address) }) {
        prefixes.append(IPv4Prefix(address, 32))
      }
    }
    return prefixes
  }
}
