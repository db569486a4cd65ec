import CLinux

/// An address of a device, of either family, as route netlink tells it.
public struct InterfaceAddress: Sendable, Equatable {
  public let device: Int32
  /// AF_INET or AF_INET6.
  let family: UInt8
  let prefix: UInt8
  let local: [UInt8]
  let peer: [UInt8]
}

extension RouteSocket {
  /// Every address of global scope that a person or program gave a device of this namespace; what the kernel made by itself is left out.
  public borrowing func globalAddresses() throws(SystemError) -> [InterfaceAddress] {
    let dumpFlags: UInt16 = 0x300
    let permanent: UInt8 = 0x80
    var result: [InterfaceAddress] = []
    for family in [UInt8(AF_INET), UInt8(AF_INET6)] {
      let message = NetlinkMessage(type: UInt16(RTM_GETADDR), flags: dumpFlags, body: [family, 0, 0, 0, 0, 0, 0, 0])
      try dump(message, "list addresses") { type, body in
        // struct ifaddrmsg: family, prefix length, flags, scope (0 is global), index.
        guard type == UInt16(RTM_NEWADDR), body.count >= 8, body[body.startIndex + 3] == 0,
          body[body.startIndex + 2] & permanent != 0
        else { return }
        var local: [UInt8] = []
        var peer: [UInt8] = []
        for (kind, payload) in Netlink.attributes(body, after: 8) {
          if kind == UInt16(IFA_LOCAL) { local = Array(payload) }
          if kind == UInt16(IFA_ADDRESS) { peer = Array(payload) }
        }
        result.append(
          InterfaceAddress(
            device: Netlink.number(body, at: 4, Int32.self), family: family, prefix: body[body.startIndex + 1],
            local: local, peer: peer))
      }
    }
    return result
  }

  /// Moves a device to another network namespace, under another name.
  public borrowing func move(_ index: Int32, named name: String, to namespace: Int32) throws(SystemError) {
    let acknowledge: UInt16 = 0x4
    var message = NetlinkMessage(
      type: UInt16(RTM_NEWLINK), flags: acknowledge,
      body: [0, 0, 0, 0] + NetlinkMessage.raw(index) + NetlinkMessage.raw(UInt32(0)) + NetlinkMessage.raw(UInt32(0)))
    message.attribute(UInt16(IFLA_IFNAME), name)
    message.attribute(UInt16(IFLA_NET_NS_FD), UInt32(bitPattern: namespace))
    try perform(message, "move device \(index) as \(name)")
  }

  public borrowing func add(_ address: InterfaceAddress, to index: Int32) throws(SystemError) {
    let flags: UInt16 = 0x400 | 0x200 | 0x4
    var message = NetlinkMessage(
      type: UInt16(RTM_NEWADDR), flags: flags,
      body: [address.family, address.prefix, 0, 0] + NetlinkMessage.raw(index))
    if !address.local.isEmpty { message.attribute(UInt16(IFA_LOCAL), address.local) }
    if !address.peer.isEmpty { message.attribute(UInt16(IFA_ADDRESS), address.peer) }
    try perform(message, "add an address to device \(index)")
  }
}
