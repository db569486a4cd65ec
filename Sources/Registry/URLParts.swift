/// What is needed of a URL (RFC 3986): an absolute http or https one.
struct URLParts: Sendable, Equatable {
  let scheme: String
  /// In lower case, an IPv6 address in brackets.
  let host: String
  let port: Int?
  /// Path and query, beginning with a slash.
  let rest: String

  /// Scheme, host and port: what must be equal for credentials to go along.
  var origin: String { "\(scheme)://\(host):\(port ?? (scheme == "https" ? 443 : 80))" }
  var hasQuery: Bool { rest.contains("?") }
  var text: String { scheme + "://" + host + (port.map { ":\($0)" } ?? "") + rest }

  /// Nil for anything else, also for one with a user in it, with spaces, control characters or letters outside ASCII.
  init?(_ text: String) {
    guard text.utf8.count <= 8192, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
    let lower = text.lowercased()
    if lower.hasPrefix("https://") {
      scheme = "https"
    } else if lower.hasPrefix("http://") {
      scheme = "http"
    } else {
      return nil
    }
    let after = text.dropFirst(scheme.utf8.count + 3)
    let authority = after.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    guard !authority.contains("@") else { return nil }
    var path = after[authority.endIndex...].prefix { $0 != "#" }
    if path.isEmpty { path = "/" }
    rest = path.hasPrefix("/") ? String(path) : "/" + path
    var name = authority
    var number: Int?
    if let colon = authority.lastIndex(of: ":"), authority[colon...].contains("]") == false {
      guard let value = Int(authority[authority.index(after: colon)...]), (1...65535).contains(value) else {
        return nil
      }
      number = value
      name = authority[..<colon]
    }
    guard !name.isEmpty else { return nil }
    host = name.lowercased()
    port = number
  }

  /// A redirect's target, seen from the URL that answered.
  init?(_ location: String, relativeTo base: String) {
    if let absolute = URLParts(location) {
      self = absolute
      return
    }
    guard let from = URLParts(base), location.hasPrefix("/"), !location.hasPrefix("//") else { return nil }
    let port = from.port.map { ":\($0)" } ?? ""
    self.init(from.scheme + "://" + from.host + port + location)
  }

  /// For a query's value or a form: all but unreserved characters as %XX (RFC 3986, 2.3).
  static func escaped(_ text: String) -> String {
    var result = ""
    for byte in text.utf8 {
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
        result.unicodeScalars.append(UnicodeScalar(byte))
      default:
        let hex = String(byte, radix: 16, uppercase: true)
        result += "%" + (hex.utf8.count == 1 ? "0" + hex : hex)
      }
    }
    return result
  }
}
