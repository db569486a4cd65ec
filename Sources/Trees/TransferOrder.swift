import CLinux
package import Linux

/// What is to be done with a box's files by who sees them as the box does, and the words that name it where that is a program of its own.
package enum TransferOrder: Sendable, Equatable {
  case send(TreeSource)
  case receive(TreeTarget)
  /// The root, or how it differs from what it began as.
  case root(RootForm)
  /// A regular file of at most so many bytes.
  case read(String, Int)

  package var words: [String] {
    switch self {
    case .send(let source): ["send", source.path, source.followsLink ? "follow" : ""]
    case .receive(let target):
      ["receive", target.path, target.isArchive ? "archive" : "", target.keepsOwners ? "owners" : ""]
    case .root(.archive): ["root", "archive"]
    case .root(.layer): ["root", "layer"]
    case .root(.list): ["root", "list"]
    case .read(let path, let limit): ["read", path, "\(limit)"]
    }
  }

  /// From `words`; nil for others.
  package init?(words: [String]) {
    switch (words.first, words.count) {
    case ("send", 3): self = .send(TreeSource(words[1], followsLink: words[2] == "follow"))
    case ("receive", 4):
      self = .receive(TreeTarget(words[1], isArchive: words[2] == "archive", keepsOwners: words[3] == "owners"))
    case ("root", 2):
      switch words[1] {
      case "archive": self = .root(.archive)
      case "layer": self = .root(.layer)
      case "list": self = .root(.list)
      default: return nil
      }
    case ("read", 3):
      guard let limit = Int(words[2]), limit >= 0 else { return nil }
      self = .read(words[1], limit)
    default: return nil
    }
  }

  /// Whether it compares the root with what it began as.
  package var wantsOriginal: Bool {
    switch self {
    case .root(.layer), .root(.list): true
    case .root(.archive), .send, .receive, .read: false
    }
  }

  /// Whether the stream is read, and files are written.
  package var isReceiving: Bool { if case .receive = self { true } else { false } }

  /// - Parameters:
  ///   - stream: a tar archive, a list or a file's bytes, into which or from which it goes.
  ///   - original: what the root began as.
  ///   - signals: a signalfd(2); a signal on it ends a receiving order with nothing half written.
  package func perform(
    in place: TreePlace, stream: Int32, _ reopener: consuming Reopener, original: consuming FileDescriptor?,
    signals: Int32?
  ) throws(SystemError) -> TransferReport {
    switch self {
    case .send(let source): return TreePacker(place: place, output: stream, reopener: reopener).pack(source)
    case .root(let form):
      let packer = TreePacker(place: place, output: stream, reopener: reopener)
      return try RootPacker(packer, since: original, as: form).pack()
    case .receive(let target): return TreeUnpacker(place: place, target: target).unpack(from: stream, signals: signals)
    case .read(let path, let limit):
      var report = TransferReport()
      if try FileReading.copy(path, in: place, to: stream, limit: limit, reopener) { report.files = 1 }
      return report
    }
  }

  /// What ends a receiving order early, blocked and to be read from the returned descriptor for the rest of the process's life.
  package static func endingSignals() throws(SystemError) -> Int32 {
    let set: SignalSet = [SIGINT, SIGTERM, SIGHUP]
    try set.block()
    return try set.descriptor().release()
  }
}
