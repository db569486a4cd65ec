import Formats
import Linux
import Trees

/// One name of the folder as it was when the workspace was made. A file with the same device, inode, change time and size is
/// the same file with the same content: the change time cannot be set (stat(2)).
struct BaselineEntry: Equatable {
  var device: UInt64
  var inode: UInt64
  var mode: UInt32
  var size: UInt64
  var changeSeconds: Int64
  var changeNanoseconds: UInt32

  init(_ status: FileStatus) {
    device = status.device
    inode = status.inode
    mode = status.mode
    size = status.size
    changeSeconds = status.changeSeconds
    changeNanoseconds = status.changeNanoseconds
  }

  var kind: FileStatus.Kind {
    FileStatus.Kind(mode: mode)
  }

  /// Whether a name still is what it was. Of a folder only its identity counts: its times change with its entries.
  func matches(_ status: FileStatus, ignoringChangeTime: Bool = false) -> Bool {
    guard device == status.device, inode == status.inode, kind == status.kind else { return false }
    if kind == .directory { return true }
    if size != status.size { return false }
    return ignoringChangeTime
      || changeSeconds == status.changeSeconds && changeNanoseconds == status.changeNanoseconds
  }

  func write(to writer: inout ByteWriter) {
    writer.number(device)
    writer.number(inode)
    writer.number(mode)
    writer.number(size)
    writer.number(changeSeconds)
    writer.number(changeNanoseconds)
  }

  init(from reader: inout ByteReader) throws(WorkspaceError) {
    device = try reader.number()
    inode = try reader.number()
    mode = try reader.number()
    size = try reader.number()
    changeSeconds = try reader.number()
    changeNanoseconds = try reader.number()
  }
}

/// Every name of a folder at one moment: made by one walk, kept in one file.
struct Baseline {
  private(set) var entries: [RelativePath: BaselineEntry] = [:]
  private var children: [RelativePath: [RelativePath]] = [:]

  subscript(path: RelativePath) -> BaselineEntry? { entries[path] }

  /// The names directly in a folder, in byte order.
  func children(of path: RelativePath) -> [RelativePath] { children[path] ?? [] }

  /// A path and everything that was beneath it, the folder before its entries.
  func tree(at path: RelativePath) -> [RelativePath] {
    guard entries[path] != nil else { return [] }
    var result: [RelativePath] = []
    var waiting = [path]
    while let next = waiting.popLast() {
      result.append(next)
      waiting += children(of: next)
    }
    return result
  }

  private static let magic = Array("immure baseline 1\n".utf8)

  /// Walks the folder and writes what it finds. Other file systems mounted in it are named and not entered, as an overlay
  /// does not show them either.
  /// - Returns: how many names there are.
  static func record(_ folder: borrowing Folder, to file: Int32) throws(SystemError) -> Int {
    var writer = ByteWriter()
    var count = 0
    let device = try folder.status().device
    for byte in magic { writer.number(byte) }
    var waiting: [RelativePath] = [.root]
    while let path = waiting.popLast() {
      let inner = try folder.folder(path)
      var deeper: [RelativePath] = []
      for name in try inner.names() {
        // A name that went away since the listing was never there.
        guard let status = try inner.status(name) else { continue }
        let child = path.appending(name)
        writer.string(child.bytes)
        BaselineEntry(status).write(to: &writer)
        count += 1
        if status.isDirectory && status.device == device { deeper.append(child) }
      }
      waiting += deeper.reversed()
      if writer.bytes.count > 256 << 10 { try File.writeAll(file, writer.take()) }
    }
    try File.writeAll(file, writer.take())
    return count
  }

  static func read(_ bytes: [UInt8]) throws(WorkspaceError) -> Baseline {
    var reader = ByteReader(bytes, source: "baseline")
    for byte in magic where try reader.number(UInt8.self) != byte { throw reader.broken() }
    var baseline = Baseline()
    while !reader.isAtEnd {
      let path = try reader.path()
      baseline.entries[path] = try BaselineEntry(from: &reader)
      baseline.children[path.parent, default: []].append(path)
    }
    return baseline
  }
}
