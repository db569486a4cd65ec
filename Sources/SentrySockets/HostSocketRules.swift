public import Linux
import SentryABI

/// What of a guest's socket calls reaches the host's network code.
public enum HostSocketRules {
  static let netlink: Int32 = 16
  /// AF_INET, AF_INET6, AF_NETLINK (its route family, to ask only).
  static let domains: [Int32] = [2, 10, netlink]
  /// MSG_OOB, MSG_DONTROUTE, MSG_EOR, MSG_CONFIRM, MSG_MORE.
  static let sendFlags: Int32 = 0x1 | 0x4 | 0x80 | 0x800 | 0x8000
  /// MSG_OOB, MSG_PEEK, MSG_TRUNC, MSG_ERRQUEUE.
  static let receiveFlags: Int32 = 0x1 | 0x2 | 0x20 | 0x2000

  /// SOL_SOCKET options that are set, and those that are only asked for.
  private static let socket: Set<Int32> = [2, 5, 6, 7, 8, 9, 10, 13, 15, 18, 29, 35, 62]
  private static let socketAsked: Set<Int32> = [3, 4, 30, 38, 39]
  /// IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IPV6 (ip(7), tcp(7), udp(7), ipv6(7)).
  private static let settable: [Int32: Set<Int32>] = [
    0: [1, 2, 8, 10, 11, 12, 13, 14, 15, 24, 32, 33, 34, 35, 36, 49],
    6: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 18, 23, 25, 30],
    17: [1],
    41: [16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 49, 51, 66, 67],
    270: [3, 10, 11, 12],
  ]
  private static let asked: [Int32: Set<Int32>] = [6: [11], 41: [24]]

  static func isWritable(_ level: Int32, _ name: Int32) -> Bool {
    level == 1 ? socket.contains(name) : settable[level]?.contains(name) ?? false
  }
  static func isReadable(_ level: Int32, _ name: Int32) -> Bool {
    isWritable(level, name) || level == 1 && socketAsked.contains(name) || asked[level]?.contains(name) ?? false
  }

  /// ioctl(2) requests and the size of their argument in bytes: FIONREAD, SIOCOUTQ, SIOCATMARK, and what asks about an interface (struct
  /// ifreq, netdevice(7)).
  static let requests: [UInt32: Int] = [
    0x541B: 4, 0x5411: 4, 0x8905: 4, 0x8910: 40, 0x8913: 40, 0x8915: 40, 0x8919: 40, 0x891b: 40, 0x8921: 40, 0x8927: 40,
    0x8933: 40, 0x8942: 40,
  ]

  /// SIOCGIFCONF, whose argument holds a pointer.
  static let listInterfaces: UInt32 = 0x8912

  /// RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH, RTM_GETRULE (rtnetlink(7)).
  private static let questions: Set<UInt16> = [18, 22, 26, 30, 34]

  /// What is sent on a netlink socket: only the questions named here are asked. The kernel refuses changes of the route family before it
  /// looks at them, since the sentry has no CAP_NET_ADMIN (rtnetlink_rcv_msg, net/core/rtnetlink.c), and so answers with EPERM in the
  /// protocol's own words; other questions are sent as the change of the same kind, to be refused alike. Where a message is none the
  /// kernel stops reading (netlink_rcv_skb), and so does this.
  public static func restrictNetlink(_ bytes: inout [UInt8]) {
    let (header, firstOwn, isQuestion) = (16, UInt16(16), UInt16(2))
    var at = 0
    while bytes.count - at >= header {
      let length = Int(bytes.little32(at))
      guard length >= header, length <= bytes.count - at else { return }
      let type = bytes.little16(at + 4)
      if type >= firstOwn, type & 3 == isQuestion, !questions.contains(type) { bytes[at + 4] &= ~3 }
      at += (length + 3) & ~3
    }
  }
}

/// Control messages that go to the host with a send: of the levels that are its own (IPPROTO_IP, IPPROTO_UDP, IPPROTO_IPV6); SOL_SOCKET's
/// name tasks and files.
public enum HostSocketControl {
  /// - Throws: EINVAL.
  public static func check(_ bytes: [UInt8]) throws(Errno) {
    for message in ControlMessage.list(bytes) where ![0, 17, 41].contains(message.level) { throw .invalid }
  }
}
