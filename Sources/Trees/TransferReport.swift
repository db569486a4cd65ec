/// What a transfer of files did: how much arrived, what was left out on purpose, what failed, and why it ended early.
public struct TransferReport: Sendable, Equatable {
  public var files: UInt64 = 0
  public var folders: UInt64 = 0
  public var links: UInt64 = 0
  public var bytes: UInt64 = 0
  /// Devices, sockets, pipes and file systems of the kernel's own, which are never copied.
  public var leftOut = Tally()
  /// Things that should have been copied and were not, or not whole.
  public var failed = Tally()
  /// Extended attributes that did not come along; their files did.
  public var attributes = Tally()
  /// Why it ended before everything was tried, in one line.
  public var fatal: String?
  /// The other end of the stream went away: it has the reason.
  public var isCut = false
  /// The signal that ended it.
  public var signal: Int32?

  public init() {}

  /// How many, and the first of them with the reason. Nothing in `first` acts on a terminal.
  public struct Tally: Sendable, Equatable {
    public var count: UInt64 = 0
    public var first = ""
    public init() {}
    public mutating func add(_ text: String) {
      if count == 0 { first = text }
      count += 1
    }
    public static func + (a: Tally, b: Tally) -> Tally {
      var sum = a.count > 0 ? a : b
      sum.count = a.count + b.count
      return sum
    }
  }

  /// A line for each field, for a pipe.
  public var encoded: [UInt8] {
    var text = "files \(files)\nfolders \(folders)\nlinks \(links)\nbytes \(bytes)\n"
    text += "left \(leftOut.count) \(leftOut.first)\nfailed \(failed.count) \(failed.first)\n"
    text += "attributes \(attributes.count) \(attributes.first)\n"
    if let fatal { text += "fatal \(fatal)\n" }
    if isCut { text += "cut\n" }
    if let signal { text += "signal \(signal)\n" }
    return Array((text + "end\n").utf8)
  }

  /// From `encoded`; nil where it is not whole, as from a process that was killed.
  public init?(encoded bytes: [UInt8]) {
    var isWhole = false
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 1)
      let rest = words.count > 1 ? words[1] : ""
      let tally = rest.split(separator: " ", maxSplits: 1)
      switch words[0] {
      case "files": files = UInt64(rest) ?? 0
      case "folders": folders = UInt64(rest) ?? 0
      case "links": links = UInt64(rest) ?? 0
      case "bytes": self.bytes = UInt64(rest) ?? 0
      case "left", "failed", "attributes":
        var value = Tally()
        value.count = tally.first.flatMap { UInt64($0) } ?? 0
        value.first = tally.count > 1 ? String(tally[1]) : ""
        switch words[0] {
        case "left": leftOut = value
        case "failed": failed = value
        default: attributes = value
        }
      case "fatal": fatal = String(rest)
      case "cut": isCut = true
      case "signal": signal = Int32(rest)
      case "end": isWhole = true
      default: return nil
      }
    }
    if !isWhole { return nil }
  }
}

/// What is to be read, as the user named it.
public struct TreeSource: Sendable, Equatable {
  /// "FOLDER/." stands for what is in the folder. Parts that are links are followed; a last one only with `followsLink` or a slash
  /// behind it.
  public var path: String
  public var followsLink: Bool
  public init(_ path: String, followsLink: Bool = false) {
    self.path = path
    self.followsLink = followsLink
  }
}

/// Where files are to land, and how.
public struct TreeTarget: Sendable, Equatable {
  public var path: String
  /// The stream is a tar archive of the user's, to be unpacked into the folder `path`; otherwise the stream is of one thing, whose
  /// place `path` is, by the rules of `docker cp`.
  public var isArchive: Bool
  /// Whether the owners in the stream are kept, and with them what gives power: set-user-id, capabilities and ACLs; otherwise files belong
  /// to the process that writes.
  public var keepsOwners: Bool
  public init(_ path: String, isArchive: Bool = false, keepsOwners: Bool = false) {
    self.path = path
    self.isArchive = isArchive
    self.keepsOwners = keepsOwners
  }
}

/// Why a transfer cannot go on, in one line.
struct TransferStop: Error {
  var message: String
  var isCut = false
  var signal: Int32?

  init(_ message: String) { self.message = message }

  /// The stream's other end is closed.
  static let cut: TransferStop = {
    var stop = TransferStop("the stream's other end was closed")
    stop.isCut = true
    return stop
  }()
}
