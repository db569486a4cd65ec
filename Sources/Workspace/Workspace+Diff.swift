import CLinux
import Formats
import Linux
import Trees

extension Workspace {
  /// Bytes above which a file's lines are not compared.
  private static let textLimit: UInt64 = 1 << 20

  /// The changes for a person: a line for each, then what was dropped; with `lines`, a unified diff of text files in between.
  /// Nothing that the box wrote can act on a terminal: control and direction-changing characters are escaped.
  public func describe(_ found: WorkspaceChanges, lines: Bool) throws(WorkspaceError) -> String {
    var text = ""
    for change in found.changes {
      text += Workspace.line(change) + "\n"
      if lines, change.fileKind == .file, change.kind == .modified || change.kind == .added {
        text += try difference(change)
      }
    }
    for item in found.dropped {
      text += "   \(item.path.shown): \(item.what.words) is never applied\n"
    }
    return text
  }

  /// "M  src/a.py", "A  run.sh  [new executable]".
  static func line(_ change: Change) -> String {
    let mark =
      switch change.kind {
      case .added: "A"
      case .modified: "M"
      case .deleted: "D"
      case .typeChanged: "T"
      case .mode: "P"
      }
    var line = "\(mark)  \(change.path.shown)"
    if change.fileKind == .folder { line += "/" }
    if let target = change.target { line += " -> \(RelativePath.shown(target))" }
    if change.kind == .mode, let old = change.oldMode, let new = change.newMode {
      line += "  \(String(old, radix: 8)) -> \(String(new, radix: 8))"
    }
    if !change.warnings.isEmpty { line += "  [\(change.warnings.joined(separator: "; "))]" }
    return line
  }

  private func difference(_ change: Change) throws(WorkspaceError) -> String {
    guard change.size <= Self.textLimit else { return "" }
    let upper = try attempt("open the upper folder") { () throws(SystemError) in try Folder(path: directory + "/upper")
    }
    let new = try contents(of: change.path, in: upper)
    var old: [UInt8] = []
    if change.kind == .modified {
      let host = try hostFolder()
      // A host file that is gone, or has become something else, has no lines to compare with.
      old = (try? contents(of: change.path, in: host)) ?? []
    }
    if new.contains(0) || old.contains(0) { return "   (binary)\n" }
    guard let hunks = LineDifference.unified(old, new) else { return "   (too different to show line by line)\n" }
    return Workspace.visible(hunks)
  }

  private func contents(of path: RelativePath, in folder: borrowing Folder) throws(WorkspaceError) -> [UInt8] {
    try attempt("read \(path.shown)") { () throws(SystemError) in
      let file = try folder.open(path, O_RDONLY | O_NONBLOCK)
      return try File.readAll(file.rawValue, limit: Int(Self.textLimit))
    }
  }

  /// The text with everything escaped that a terminal or a reader's eye would be deceived by; tabs and line ends stay.
  static func visible(_ bytes: [UInt8]) -> String {
    var result = ""
    for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
      switch scalar {
      case "\n", "\t": result.unicodeScalars.append(scalar)
      default:
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned:
          result += "\\u{" + String(scalar.value, radix: 16) + "}"
        default: result.unicodeScalars.append(scalar)
        }
      }
    }
    return result
  }

  /// The changes as JSON, one object.
  public func json(_ found: WorkspaceChanges) -> [UInt8] {
    var writer = JSONWriter(indented: true)
    writer.beginObject()
    writer.key("name")
    writer.string(name)
    writer.key("folder")
    writer.string(record.folder)
    writer.key("changes")
    writer.beginArray()
    for change in found.changes { write(change, to: &writer) }
    writer.endArray()
    writer.key("dropped")
    writer.beginArray()
    for item in found.dropped {
      writer.beginObject()
      write(item.path, to: &writer)
      writer.key("what")
      writer.string(item.what.rawValue)
      writer.endObject()
    }
    writer.endArray()
    writer.endObject()
    return writer.bytes + [UInt8(ascii: "\n")]
  }

  private func write(_ change: Change, to writer: inout JSONWriter) {
    writer.beginObject()
    write(change.path, to: &writer)
    writer.key("change")
    writer.string(change.kind.rawValue)
    writer.key("type")
    writer.string(change.fileKind.rawValue)
    for (key, mode) in [("oldMode", change.oldMode), ("newMode", change.newMode)] {
      guard let mode else { continue }
      writer.key(key)
      writer.string("0" + String(mode, radix: 8))
    }
    if change.fileKind == .file && change.kind != .deleted {
      writer.key("size")
      writer.integer(change.size)
    }
    if let target = change.target {
      writer.key("target")
      writer.string(String(decoding: target, as: UTF8.self))
    }
    if !change.warnings.isEmpty {
      writer.key("warnings")
      writer.beginArray()
      for warning in change.warnings { writer.string(warning) }
      writer.endArray()
    }
    writer.endObject()
  }

  /// A name that is not UTF-8 is also given exactly, in hexadecimal.
  private func write(_ path: RelativePath, to writer: inout JSONWriter) {
    writer.key("path")
    writer.string(path.text)
    if path.isText { return }
    writer.key("pathBytes")
    let digits = Array("0123456789abcdef".utf8)
    writer.string(
      String(decoding: path.bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self))
  }
}
