extension PortForward {
  /// `[ADDRESS:]HOST:BOX[/tcp|/udp]` of `-p` and of `network.ports`; an IPv6 address stands in brackets.
  public static func parse(_ text: String, option: String = "--publish") throws(PolicyError) -> PortForward {
    try parse(text, Subject(option: option))
  }

  static func parse(_ text: String, _ subject: Subject) throws(PolicyError) -> PortForward {
    let wanted = "is not [ADDRESS:]HOST:BOX[/udp] (\"8080:80\")"
    var rest = Substring(text)
    var udp = false
    if let slash = rest.lastIndex(of: "/") {
      switch rest[rest.index(after: slash)...] {
      case "tcp": break
      case "udp": udp = true
      default: throw subject.failure("has a protocol that is neither tcp nor udp", text)
      }
      rest = rest[..<slash]
    }
    var address: String?
    if rest.hasPrefix("[") {
      guard let close = rest.firstIndex(of: "]"), rest[close...].hasPrefix("]:") else {
        throw subject.failure(wanted, text)
      }
      let inside = rest[rest.index(after: rest.startIndex)..<close]
      guard inside.contains(":"), inside.utf8.allSatisfy({ isHex($0) || $0 == 58 || $0 == 46 }) else {
        throw subject.failure("has no IPv6 address between its brackets", text)
      }
      address = String(inside)
      rest = rest[close...].dropFirst(2)
    }
    var parts = rest.split(separator: ":", omittingEmptySubsequences: false)
    if parts.count == 3, address == nil {
      guard isIPv4(parts[0]) else {
        throw subject.failure("has an address that is neither IPv4 nor IPv6 in brackets", text)
      }
      address = String(parts.removeFirst())
    }
    if parts.count == 1 { throw subject.failure("does not name the host's port: write HOST:BOX (\"8080:80\")", text) }
    if parts.count != 2 { throw subject.failure(wanted, text) }
    if rest.contains("-") {
      throw subject.failure("is a range of ports, which is not supported: one -p for each", text)
    }
    guard let host = port(parts[0]), let box = port(parts[1]) else {
      throw subject.failure("has a port that is not a number from 1 to 65535", text)
    }
    return PortForward(address: address, hostPort: host, boxPort: box, udp: udp)
  }

  /// "127.0.0.1:8080:80/udp", as it is written.
  public var text: String {
    var text = "\(hostPort):\(boxPort)" + (udp ? "/udp" : "")
    if let address { text = (address.contains(":") ? "[\(address)]" : address) + ":" + text }
    return text
  }

  private static func port(_ text: Substring) -> UInt16? {
    guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let number = UInt16(text), number > 0 else {
      return nil
    }
    return number
  }

  private static func isHex(_ byte: UInt8) -> Bool {
    (byte >= 48 && byte <= 57) || (byte | 32 >= 97 && byte | 32 <= 102)
  }

  private static func isIPv4(_ text: Substring) -> Bool {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4
      && parts.allSatisfy { part in
        (1...3).contains(part.utf8.count) && part.utf8.allSatisfy { $0 >= 48 && $0 <= 57 }
          && UInt8(part) != nil && (part == "0" || !part.hasPrefix("0"))
      }
  }
}
