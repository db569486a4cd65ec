/// Which proxy a host is reached through, as the variables `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` say and as Go's clients
/// (podman, skopeo, Docker) read them (golang.org/x/net/http/httpproxy). The machine itself is never reached through one.
public struct ProxyRules: Sendable, Equatable {
  public struct Proxy: Sendable, Equatable {
    public var host: String
    public var port: Int
    public var isSOCKS: Bool
    /// `USER:PASSWORD`, decoded.
    public var credentials: String?
  }

  private let http: Proxy?
  private let https: Proxy?
  private let spared: [Spared]

  private enum Spared: Sendable, Equatable {
    case everything
    case network(IPAddress, bits: Int)
    /// A host's name, its port where one is given, and whether the host itself is meant and not only those below it.
    case name(String, port: Int?, itself: Bool)
    case address(IPAddress, port: Int?)
  }

  /// - Throws: `FormatError` for a proxy that is no URL, or of a kind that is not served. Unlike in Go one that makes no sense is not passed over.
  public init(http: String?, https: String?, spared: String?) throws(FormatError) {
    self.http = try Self.proxy(http, "HTTP_PROXY")
    self.https = try Self.proxy(https, "HTTPS_PROXY")
    self.spared = (spared ?? "").split(separator: ",").compactMap { Self.spared(String($0)) }
  }

  /// The proxy for a host; nil where it is reached directly.
  /// - Parameter host: without port; an IPv6 address with or without brackets.
  public func proxy(for host: String, port: Int, isSecure: Bool) -> Proxy? {
    guard let proxy = isSecure ? https : http else { return nil }
    var name = host.lowercased()
    if name.hasPrefix("["), name.hasSuffix("]") { name = String(name.dropFirst().dropLast()) }
    while name.hasSuffix(".") { name.removeLast() }
    let address = IPAddress(name)
    if name == "localhost" || address?.isLoopback == true { return nil }
    for rule in spared {
      switch rule {
      case .everything: return nil
      case .network(let base, let bits): if address?.isWithin(base, bits: bits) == true { return nil }
      case .address(let other, let wanted): if address == other, wanted == nil || wanted == port { return nil }
      case .name(let suffix, let wanted, let itself):
        guard wanted == nil || wanted == port else { continue }
        if itself && name == suffix || name.hasSuffix("." + suffix) { return nil }
      }
    }
    return proxy
  }

  private static func proxy(_ text: String?, _ variable: String) throws(FormatError) -> Proxy? {
    guard let text, !text.isEmpty else { return nil }
    // The text itself may hold a password.
    func wrong(_ problem: String) -> FormatError { FormatError(problem, keyPath: variable) }
    guard text.utf8.count <= 2048, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw wrong("is not a URL") }
    var rest = text[...]
    var isSOCKS = false
    if let colon = text.range(of: "://") {
      switch text[..<colon.lower].lowercased() {
      case "http": break
      case "socks5", "socks5h": isSOCKS = true
      case "https": throw wrong("names a proxy that is spoken to by TLS, which is not supported: http and socks5 are")
      default: throw wrong("is not the URL of a proxy: http://HOST:PORT and socks5://HOST:PORT are")
      }
      rest = text[colon.upper...]
    }
    rest = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    var credentials: String?
    if let at = rest.lastIndex(of: "@") {
      guard let decoded = Self.decoded(rest[..<at]) else { throw wrong("has a user that is not encoded as in a URL") }
      guard !isSOCKS else { throw wrong("names a user for a SOCKS proxy, which is not supported") }
      credentials = decoded
      rest = rest[rest.index(after: at)...]
    }
    guard let (host, port) = Self.hostAndPort(rest), !host.isEmpty else { throw wrong("is not a URL with a host") }
    return Proxy(host: host, port: port ?? (isSOCKS ? 1080 : 80), isSOCKS: isSOCKS, credentials: credentials)
  }

  private static func spared(_ text: String) -> Spared? {
    let rule = text.split(separator: " ").joined().lowercased()
    guard !rule.isEmpty else { return nil }
    if rule == "*" { return .everything }
    if let slash = rule.firstIndex(of: "/") {
      guard let base = IPAddress(String(rule[..<slash])), let bits = Int(rule[rule.index(after: slash)...]),
        (0...base.bytes.count * 8).contains(bits)
      else { return nil }
      return .network(base, bits: bits)
    }
    if let whole = IPAddress(rule) { return .address(whole, port: nil) }
    guard let (host, port) = hostAndPort(rule[...]) else { return nil }
    let bare = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
    if let address = IPAddress(bare) { return .address(address, port: port) }
    if host.hasPrefix("*.") { return .name(String(host.dropFirst(2)), port: port, itself: false) }
    if host.hasPrefix(".") { return .name(String(host.dropFirst()), port: port, itself: false) }
    return host.isEmpty ? nil : .name(host, port: port, itself: true)
  }

  private static func hostAndPort(_ text: Substring) -> (host: String, port: Int?)? {
    guard let colon = text.lastIndex(of: ":"), !text[colon...].contains("]") else { return (String(text), nil) }
    guard let port = Int(text[text.index(after: colon)...]), (1...65535).contains(port) else { return nil }
    return (String(text[..<colon]), port)
  }

  /// %XX undone.
  private static func decoded(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      if byte != UInt8(ascii: "%") {
        bytes.append(byte)
        continue
      }
      guard let high = rest.popFirst()?.hexDigit, let low = rest.popFirst()?.hexDigit else { return nil }
      bytes.append(high << 4 | low)
    }
    guard bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// An address as its 4 or 16 bytes (RFC 4291, 2.2); one of IPv4 that is written as one of IPv6 is the former.
public struct IPAddress: Sendable, Hashable {
  public let bytes: [UInt8]

  /// Nil for what is no address: zones, ports and numbers with leading zeros are none.
  public init?(_ text: String) {
    guard text.utf8.count <= 45 else { return nil }
    if !text.contains(":") {
      guard let four = Self.four(text[...]) else { return nil }
      bytes = four
      return
    }
    let digits = Array(text.utf8)
    let colon = UInt8(ascii: ":")
    // At most one "::", which stands for the zeros that are missing.
    let gap = digits.indices.dropLast().first { digits[$0] == colon && digits[$0 + 1] == colon }
    let all: [UInt8]
    if let gap {
      guard let head = Self.groups(digits[..<gap], mayEndInFour: false),
        let tail = Self.groups(digits[(gap + 2)...], mayEndInFour: true), head.count + tail.count <= 14
      else { return nil }
      all = head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
    } else {
      guard let whole = Self.groups(digits[...], mayEndInFour: true) else { return nil }
      all = whole
    }
    guard all.count == 16 else { return nil }
    bytes = all.starts(with: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255]) ? Array(all[12...]) : all
  }

  public var isLoopback: Bool {
    bytes.count == 4 ? bytes[0] == 127 : bytes == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
  }

  /// Whether its first bits are those of a network.
  public func isWithin(_ base: IPAddress, bits: Int) -> Bool {
    guard base.bytes.count == bytes.count, (0...bytes.count * 8).contains(bits) else { return false }
    for index in 0..<bits where (bytes[index / 8] ^ base.bytes[index / 8]) >> UInt8(7 - index % 8) & 1 != 0 {
      return false
    }
    return true
  }

  /// Groups of four hexadecimal digits, the last two of which may be an address of IPv4.
  private static func groups(_ digits: ArraySlice<UInt8>, mayEndInFour: Bool) -> [UInt8]? {
    if digits.isEmpty { return [] }
    let parts = String(decoding: digits, as: UTF8.self).split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count <= 8 else { return nil }
    var bytes: [UInt8] = []
    for (index, part) in parts.enumerated() {
      if mayEndInFour, index == parts.count - 1, let four = four(part) {
        bytes += four
        continue
      }
      guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy({ $0.hexDigit != nil }),
        let word = UInt16(part, radix: 16)
      else { return nil }
      bytes += [UInt8(word >> 8), UInt8(word & 255)]
    }
    return bytes
  }

  private static func four(_ text: Substring) -> [UInt8]? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var bytes: [UInt8] = []
    for part in parts {
      guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
        part.utf8.count == 1 || part.utf8.first != 0x30, let byte = UInt8(part)
      else { return nil }
      bytes.append(byte)
    }
    return bytes
  }
}

extension String {
  /// Where a text stands first.
  fileprivate func range(of wanted: String) -> (lower: Index, upper: Index)? {
    let bytes = Array(utf8)
    let other = Array(wanted.utf8)
    guard bytes.count >= other.count else { return nil }
    for start in 0...(bytes.count - other.count) where bytes[start..<(start + other.count)].elementsEqual(other) {
      return (
        utf8.index(utf8.startIndex, offsetBy: start), utf8.index(utf8.startIndex, offsetBy: start + other.count)
      )
    }
    return nil
  }
}
