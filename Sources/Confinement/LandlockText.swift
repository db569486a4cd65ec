public import Formats
public import Linux

/// Landlock rules as text, one annotation of a configuration: words of the form KEY=VALUE, separated by commas or line ends.
///
///     read=/usr,read=/etc,write=/tmp,write=/var/lib/app,connect=443,bind=8080,scope=abstract,scope=signals
///
/// - `read=PATH`: look at, read and run what is there and below; `write=PATH`: also change, make and remove. Where one of the two is
///   written, files elsewhere are out of reach.
/// - `connect=PORT`, `bind=PORT`: TCP. Where one of the two is written, no other port may be connected to or bound; `none` is no port.
/// - `scope=abstract`, `scope=signals`: no abstract Unix sockets of, and no signals to, processes outside the box.
///
/// A path is the box's. One that does not exist is an error: a rule that grants nothing is a mistake.
extension LandlockRuleset {
  /// The annotation's name.
  public static let annotation = "dev.immure.landlock"

  public init(text: String) throws(FormatError) {
    self.init(files: nil)
    func refuse(_ word: Substring, _ problem: String) -> FormatError {
      FormatError(problem, offending: String(word), keyPath: "annotations[\"\(Self.annotation)\"]")
    }
    for word in text.split(whereSeparator: { $0 == "," || $0 == "\n" }) {
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2 else { throw refuse(word, "is not KEY=VALUE") }
      let value = String(parts[1])
      switch parts[0] {
      case "read", "write":
        guard value.hasPrefix("/") else { throw refuse(word, "has no absolute path") }
        let rights: Landlock.FileRights = parts[0] == "read" ? .reading : .reading.union(.writing)
        files = (files ?? []) + [FileGrant(.path(value, optional: false), rights)]
      case "connect", "bind":
        ports = ports ?? []
        if value == "none" { continue }
        guard let port = UInt16(value), port > 0 else { throw refuse(word, "has no port: 1 to 65535, or none") }
        ports?.append(PortGrant(port, parts[0] == "connect" ? .connectTCP : .bindTCP))
      case "scope":
        switch value {
        case "abstract": scopes.insert(.abstractSockets)
        case "signals": scopes.insert(.signals)
        default: throw refuse(word, "is no scope: abstract, signals")
        }
      default: throw refuse(word, "has a key that is not known: read, write, connect, bind, scope")
      }
    }
    if files == nil && ports == nil && scopes.isEmpty {
      throw FormatError("has no rule in it", keyPath: "annotations[\"\(Self.annotation)\"]")
    }
  }

  /// What of the text this kernel cannot hold; empty is all held. Narrower than `notHeld`: the text promises nothing of ioctl on devices
  /// and of sockets that have a path.
  public func textNotHeld(by abi: Landlock.ABI?) -> [String] {
    guard let abi else { return ["Landlock is not available in this kernel"] }
    var lacks: [String] = []
    func needs(_ version: Int, _ what: String) {
      if abi.version < version { lacks.append("\(what): Landlock ABI \(version), this kernel has \(abi.version)") }
    }
    if files != nil { needs(3, "read, write") }
    if ports != nil { needs(4, "connect, bind") }
    if !scopes.isEmpty { needs(6, "scope") }
    return lacks
  }
}
