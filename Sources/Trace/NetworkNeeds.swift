import Formats

/// The network that a run needs.
struct NetworkNeeds {
  enum Mode: Equatable { case none, user, host }
  private(set) var mode = Mode.none
  private(set) var allowsPrivate = false
  /// "127.0.0.1:8080:8080".
  private(set) var ports: [String] = []
  private(set) var reasons: [String] = []
  /// Sockets of the Internet that stay within the box: the jail refuses them together with the network.
  private(set) var usesLoopback = false
  /// Sockets of the host's services that it spoke to, paths first.
  private(set) var services: [String] = []

  init(_ facts: TraceFacts) {
    var listening: Set<UInt16> = []
    for listener in facts.listeners.keys where !listener.isDatagram { listening.insert(listener.port) }
    var publics: [Endpoint] = []
    var privates: [Endpoint] = []
    var hosts: [Endpoint] = []
    var looksUp = false
    var inside: [UInt16: Int] = [:]
    for (peer, count) in facts.connections {
      let isOwn = AddressKind(peer.address) == .loopback || AddressKind(peer.address) == .unspecified
      if isOwn && peer.isDatagram && peer.port != 53 {
        usesLoopback = true
      } else if isOwn && listening.contains(peer.port) && !peer.isDatagram {
        usesLoopback = true
        inside[peer.port, default: 0] += count
      } else if peer.port == 53 {
        looksUp = true
      } else if isOwn {
        hosts.append(peer)
      } else {
        if AddressKind(peer.address) == .other { publics.append(peer) } else { privates.append(peer) }
      }
    }
    for (listener, accepted) in facts.listeners {
      usesLoopback = true
      if !listener.isDatagram, accepted > inside[listener.port] ?? 0 {
        ports.append("127.0.0.1:\(listener.port):\(listener.port)")
        reasons.append("somebody outside connected to port \(listener.port), on which it listened")
      } else if AddressKind(listener.address) != .loopback {
        let text = "127.0.0.1:\(listener.port):\(listener.port)" + (listener.isDatagram ? "/udp" : "")
        reasons.append(
          "it listened on \(Self.text(listener)), to which nobody outside connected: ports = [\"\(text)\"] would let them"
        )
      }
    }
    ports.sort()
    if looksUp { reasons.append("it looked names up") }
    if !publics.isEmpty { reasons.append("it connected to " + Self.some(publics)) }
    if !privates.isEmpty { reasons.append("it connected to private addresses: " + Self.some(privates)) }
    if !hosts.isEmpty {
      reasons.append(
        "it connected to services of this machine, which only the host's own network reaches: " + Self.some(hosts))
    }
    allowsPrivate = !privates.isEmpty
    if !hosts.isEmpty {
      mode = .host
    } else if looksUp || allowsPrivate || !publics.isEmpty || !ports.isEmpty {
      mode = .user
    }
    services = facts.localConnections.subtracting(facts.localListeners).sorted { one, other in
      one.hasPrefix("/") != other.hasPrefix("/") ? one.hasPrefix("/") : one < other
    }
    reasons.sort()
  }

  private static func some(_ endpoints: [Endpoint]) -> String {
    let texts = endpoints.map(text).sorted()
    let first = texts.prefix(FileNeeds.mostNamed).joined(separator: ", ")
    return texts.count > FileNeeds.mostNamed ? first + " and \(texts.count - FileNeeds.mostNamed) more" : first
  }

  static func text(_ endpoint: Endpoint) -> String {
    let port = "\(endpoint.port)" + (endpoint.isDatagram ? "/udp" : "")
    if endpoint.address.count == 4 { return endpoint.address.map(String.init).joined(separator: ".") + ":" + port }
    var groups: [String] = []
    for index in stride(from: 0, to: endpoint.address.count - 1, by: 2) {
      groups.append(String(UInt16(endpoint.address[index]) << 8 | UInt16(endpoint.address[index + 1]), radix: 16))
    }
    return "[" + groups.joined(separator: ":") + "]:" + port
  }
}

/// What kind of address it is (RFC 6890), as far as a network rule asks.
enum AddressKind {
  case loopback, unspecified, local, other

  init(_ address: [UInt8]) {
    if address.allSatisfy({ $0 == 0 }) {
      self = .unspecified
    } else if address.count == 4 {
      switch (address[0], address[1]) {
      case (127, _): self = .loopback
      case (10, _), (192, 168), (169, 254), (172, 16...31), (100, 64...127), (224..., _): self = .local
      default: self = .other
      }
    } else if address.dropLast().allSatisfy({ $0 == 0 }) && address.last == 1 {
      self = .loopback
    } else if let first = address.first,
      first & 0xfe == 0xfc || first == 0xff || first == 0xfe && address[1] & 0xc0 >= 0x80
    {
      self = .local
    } else {
      self = .other
    }
  }
}
