import Formats
import Images

/// What a process that makes something of a layer says in the end, as one JSON object. What the confined worker says is a claim.
enum LayerReport {
  struct Contents: Sendable, Equatable {
    var diffID: Digest
    var tarSize: Int64
    var bytes: Int64
    var entries: Int64
    var notes: [String]
    var imageSize: Int64
  }

  case done(Contents)
  /// The first is whether the layer is to blame; the other is the reason.
  case failed(isDamaged: Bool, String)

  init(_ error: ImageError) { self = .failed(isDamaged: error.kind == .damaged, error.message) }

  var json: JSONValue {
    switch self {
    case .done(let contents):
      [
        "diffID": .string(contents.diffID.description), "tarSize": .integer(contents.tarSize),
        "bytes": .integer(contents.bytes), "entries": .integer(contents.entries),
        "notes": .array(contents.notes.map { .string($0) }), "imageSize": .integer(contents.imageSize),
      ]
    case .failed(let isDamaged, let message): ["damaged": .bool(isDamaged), "failure": .string(message)]
    }
  }

  init(_ bytes: [UInt8]) throws(FormatError) {
    let node = try JSONNode.parse(bytes, source: "layer worker")
    if let failure = try node.optionalString("failure") {
      // One line, whatever it says.
      let line = String(decoding: failure.utf8.prefix(4096), as: UTF8.self).filter { !$0.isNewline && $0 != "\u{1B}" }
      self = .failed(isDamaged: try node.bool("damaged"), line)
      return
    }
    let notes = try node.strings("notes").prefix(64).map { FormatError.presentable($0) }
    self = .done(
      Contents(
        diffID: try node.required("diffID").digest(), tarSize: try node.integer("tarSize"),
        bytes: try node.integer("bytes"), entries: try node.integer("entries"), notes: Array(notes),
        imageSize: try node.integer("imageSize")))
  }
}
