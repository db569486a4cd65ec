import CLinux

/// An IPv4 address, and prefixes of it.
public struct IPv4Address: Sendable, Hashable, CustomStringConvertible {
  /// In host order: 127.0.0.1 is 0x7F000001.
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
    rawValue = UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d)
  }

  /// Four decimal numbers without leading zeros; nil for every other text.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var value: UInt32 = 0
    for part in parts {
      guard part.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let byte = UInt8(part), String(byte) == part else {
        return nil
      }
      value = value << 8 | UInt32(byte)
    }
    rawValue = value
  }

  /// In network order.
  public var bytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: rawValue >> (24 - 8 * $0)) } }
  public var description: String { bytes.map { String($0) }.joined(separator: ".") }
}

/// An IPv4 prefix such as 10.0.0.0/8.
public struct IPv4Prefix: Sendable, Hashable, CustomStringConvertible {
  public let address: IPv4Address
  /// 0 to 32.
  public let length: UInt8
  public init(_ address: IPv4Address, _ length: UInt8) {
    self.address = address
    self.length = length
  }
  public func contains(_ other: IPv4Address) -> Bool {
    length == 0 || (address.rawValue ^ other.rawValue) >> (32 - UInt32(length)) == 0
  }
  public var description: String { "\(address)/\(length)" }
}

/// Per-device IPv4 settings (linux/ip.h, IPV4_DEVCONF_*): those of /proc/sys/net/ipv4/conf, set without a mounted /proc.
public enum IPv4DeviceSetting: UInt16, Sendable {
  case forwarding = 1
  case proxyARP = 3
}

extension RouteSocket {
  private static let create: UInt16 = 0x400
  private static let exclusive: UInt16 = 0x200
  private static let acknowledge: UInt16 = 0x4
  private static let dumpFlags: UInt16 = 0x300

  /// struct ifinfomsg: family, type, index, flags, change mask.
  private static func link(index: Int32 = 0, flags: UInt32 = 0, change: UInt32 = 0) -> [UInt8] {
    [0, 0, 0, 0] + NetlinkMessage.raw(index) + NetlinkMessage.raw(flags) + NetlinkMessage.raw(change)
  }

  /// Makes a pair of connected devices: `name` here, `peer` in the network namespace that `namespace` is open on (veth(4)).
  public borrowing func addPair(_ name: String, peer: String, in namespace: Int32) throws(SystemError) {
    var message = NetlinkMessage(
      type: UInt16(RTM_NEWLINK), flags: Self.create | Self.exclusive | Self.acknowledge, body: Self.link())
    message.attribute(UInt16(IFLA_IFNAME), name)
    message.nested(UInt16(IFLA_LINKINFO)) { info in
      let kind: UInt16 = 1
      let data: UInt16 = 2
      let peerInfo: UInt16 = 1
      info.attribute(kind, Array("veth".utf8))
      info.nested(data) { data in
        data.nested(peerInfo, prefix: Self.link()) { other in
          other.attribute(UInt16(IFLA_IFNAME), peer)
          other.attribute(UInt16(IFLA_NET_NS_FD), UInt32(bitPattern: namespace))
        }
      }
    }
    try perform(message, "add veth \(name)")
  }

  /// The number of a device of this namespace; ENODEV where there is none of that name.
  public borrowing func index(of name: String) throws(SystemError) -> Int32 {
    var found: Int32?
    var message = NetlinkMessage(type: UInt16(RTM_GETLINK), flags: Self.acknowledge, body: Self.link())
    message.attribute(UInt16(IFLA_IFNAME), name)
    try dump(message, "find device \(name)") { type, body in
      if type == UInt16(RTM_NEWLINK) { found = Netlink.number(body, at: 4, Int32.self) }
    }
    guard let found else { throw SystemError("netlink", "find device \(name)", .noDevice) }
    return found
  }

  public borrowing func setUp(_ index: Int32) throws(SystemError) {
    let up: UInt32 = 1
    try perform(
      NetlinkMessage(
        type: UInt16(RTM_NEWLINK), flags: Self.acknowledge, body: Self.link(index: index, flags: up, change: up)),
      "set device \(index) up")
  }

  /// The largest packet the device sends, in bytes.
  public borrowing func setMTU(_ mtu: UInt32, of index: Int32) throws(SystemError) {
    var message = NetlinkMessage(
      type: UInt16(RTM_NEWLINK), flags: Self.acknowledge, body: Self.link(index: index))
    message.attribute(UInt16(IFLA_MTU), mtu)
    try perform(message, "set mtu of device \(index)")
  }

  /// Sets a device's IPv4 setting in whichever namespace this socket is.
  public borrowing func set(_ setting: IPv4DeviceSetting, _ value: UInt32, of index: Int32) throws(SystemError) {
    var message = NetlinkMessage(
      type: UInt16(RTM_SETLINK), flags: Self.acknowledge, body: Self.link(index: index))
    message.nested(UInt16(IFLA_AF_SPEC)) { families in
      families.nested(UInt16(AF_INET)) { inet in
        let configuration: UInt16 = 1
        inet.nested(configuration) { $0.attribute(setting.rawValue, value) }
      }
    }
    try perform(message, "set \(setting) of device \(index)")
  }

  public borrowing func addAddress(_ prefix: IPv4Prefix, to index: Int32) throws(SystemError) {
    // struct ifaddrmsg: family, prefix length, flags, scope, index.
    var message = NetlinkMessage(
      type: UInt16(RTM_NEWADDR), flags: Self.create | Self.exclusive | Self.acknowledge,
      body: [UInt8(AF_INET), prefix.length, 0, 0] + NetlinkMessage.raw(index))
    message.attribute(UInt16(IFA_LOCAL), prefix.address.bytes)
    message.attribute(UInt16(IFA_ADDRESS), prefix.address.bytes)
    try perform(message, "add address \(prefix)")
  }

  /// Adds a route in the main table: through a device, and a gateway that is taken to be on the device's link.
  public borrowing func addRoute(
    _ destination: IPv4Prefix, device: Int32, gateway: IPv4Address? = nil
  ) throws(SystemError) {
    let onLink: UInt32 = 4
    var message = route(
      destination, kind: UInt8(RTN_UNICAST), scope: gateway == nil ? 253 : 0, flags: gateway == nil ? 0 : onLink)
    message.attribute(UInt16(RTA_OIF.rawValue), device)
    if let gateway { message.attribute(UInt16(RTA_GATEWAY.rawValue), gateway.bytes) }
    try perform(message, "add route \(destination)")
  }

  /// Adds a route that answers every packet for the prefix with "administratively prohibited".
  public borrowing func prohibit(_ destination: IPv4Prefix) throws(SystemError) {
    try perform(route(destination, kind: UInt8(RTN_PROHIBIT), scope: 0, flags: 0), "prohibit \(destination)")
  }

  private borrowing func route(
    _ destination: IPv4Prefix, kind: UInt8, scope: UInt8, flags: UInt32
  ) -> NetlinkMessage {
    let mainTable: UInt8 = 254
    let bootProtocol: UInt8 = 3
    // struct rtmsg: family, destination and source lengths, tos, table, protocol, scope, type, flags.
    var message = NetlinkMessage(
      type: UInt16(RTM_NEWROUTE), flags: Self.create | Self.exclusive | Self.acknowledge,
      body: [UInt8(AF_INET), destination.length, 0, 0, mainTable, bootProtocol, scope, kind] + NetlinkMessage.raw(flags)
    )
    if destination.length > 0 { message.attribute(UInt16(RTA_DST.rawValue), destination.address.bytes) }
    return message
  }

  /// Every IPv4 address of this namespace's devices.
  public borrowing func addresses() throws(SystemError) -> [IPv4Address] {
    var result: [IPv4Address] = []
    let message = NetlinkMessage(
      type: UInt16(RTM_GETADDR), flags: Self.dumpFlags, body: [UInt8(AF_INET), 0, 0, 0, 0, 0, 0, 0])
    try dump(message, "list addresses") { type, body in
      guard type == UInt16(RTM_NEWADDR) else { return }
      for (kind, payload) in Netlink.attributes(body, after: 8) where kind == UInt16(IFA_LOCAL) && payload.count == 4 {
        result.append(IPv4Address(rawValue: Netlink.number(payload, at: 0, UInt32.self).byteSwapped))
      }
    }
    return result
  }

  /// Whether this namespace has a default route for IPv4.
  public borrowing func hasDefaultRoute() throws(SystemError) -> Bool {
    var found = false
    let message = NetlinkMessage(
      type: UInt16(RTM_GETROUTE), flags: Self.dumpFlags, body: [UInt8(AF_INET)] + [UInt8](repeating: 0, count: 11))
    try dump(message, "list routes") { type, body in
      guard type == UInt16(RTM_NEWROUTE) else { return }
      let destinationLength = Netlink.number(body, at: 1, UInt8.self)
      let kind = Netlink.number(body, at: 7, UInt8.self)
      if destinationLength == 0 && kind == UInt8(RTN_UNICAST) { found = true }
    }
    return found
  }
}
