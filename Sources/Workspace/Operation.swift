import Trees

/// One step of applying a workspace: what to do to one name of the host folder, and what must be there before.
struct Operation: Equatable {
  enum Kind: UInt8 {
    case removeFile = 1
    case removeFolder, makeFolder, putFile, putLink, setMode
  }
  var kind: Kind
  var path: RelativePath
  /// Permission bits afterwards; 0 where there are none.
  var mode: UInt32
  /// What the host has at this path when the step begins; nil is nothing.
  var expected: BaselineEntry?

  var isRemoval: Bool { kind == .removeFile || kind == .removeFolder }

  func write(to writer: inout ByteWriter) {
    writer.number(kind.rawValue)
    writer.string(path.bytes)
    writer.number(mode)
    writer.number(UInt8(expected == nil ? 0 : 1))
    expected?.write(to: &writer)
  }

  init(_ kind: Kind, _ path: RelativePath, mode: UInt32 = 0, expected: BaselineEntry?) {
    self.kind = kind
    self.path = path
    self.mode = mode
    self.expected = expected
  }

  init(from reader: inout ByteReader) throws(WorkspaceError) {
    guard let kind = Kind(rawValue: try reader.number()) else { throw reader.broken() }
    self.kind = kind
    path = try reader.path()
    mode = try reader.number()
    expected = try reader.number(UInt8.self) == 0 ? nil : try BaselineEntry(from: &reader)
  }
}

/// The steps of one application, in order: removals from the leaves up, folders from the root down, files and links, and the
/// permissions of folders when nothing is to be put into them any more.
struct Plan: Equatable {
  var operations: [Operation] = []

  private static let magic = Array("immure journal 1\n".utf8)

  init(_ changes: [Change], baseline: Baseline) {
    var removals: [Operation] = []
    var folders: [Operation] = []
    var files: [Operation] = []
    var modes: [Operation] = []
    func remove(_ path: RelativePath) {
      for inner in baseline.tree(at: path) {
        guard let entry = baseline[inner] else { continue }
        removals.append(Operation(entry.kind == .directory ? .removeFolder : .removeFile, inner, expected: entry))
      }
    }
    for change in changes {
      let before = baseline[change.path]
      let mode = change.newMode ?? 0
      if change.kind == .deleted {
        remove(change.path)
        continue
      }
      // A file in a link's place is renamed over it; only a folder must make way, or give way, first.
      let makesWay =
        change.kind == .typeChanged && (before?.kind == .directory || change.fileKind == .folder)
      if makesWay { remove(change.path) }
      let expected = makesWay ? nil : before
      switch change.fileKind {
      case .folder:
        if change.kind == .mode {
          modes.append(Operation(.setMode, change.path, mode: mode, expected: before))
        } else {
          folders.append(Operation(.makeFolder, change.path, mode: mode, expected: nil))
          if mode & 0o700 != 0o700 { modes.append(Operation(.setMode, change.path, mode: mode, expected: nil)) }
        }
      case .file: files.append(Operation(.putFile, change.path, mode: mode, expected: expected))
      case .link: files.append(Operation(.putLink, change.path, expected: expected))
      }
    }
    operations += removals.sorted { $1.path < $0.path }
    operations += folders.sorted { $0.path < $1.path }
    operations += files.sorted { $0.path < $1.path }
    // A folder's own permissions last, and those of inner ones before its own.
    operations += modes.sorted { $1.path < $0.path }
  }

  func bytes() -> [UInt8] {
    var writer = ByteWriter()
    for byte in Self.magic { writer.number(byte) }
    writer.number(UInt32(operations.count))
    for operation in operations { operation.write(to: &writer) }
    return writer.bytes
  }

  init(_ bytes: [UInt8]) throws(WorkspaceError) {
    var reader = ByteReader(bytes, source: "journal")
    for byte in Self.magic where try reader.number(UInt8.self) != byte { throw reader.broken() }
    let count = try reader.number(UInt32.self)
    for _ in 0..<count { operations.append(try Operation(from: &reader)) }
    if !reader.isAtEnd { throw reader.broken() }
  }

  /// Inodes that more than one step expects: hard links. The first step changes the change time of the others.
  var sharedInodes: Set<UInt64> {
    var seen: Set<UInt64> = []
    var shared: Set<UInt64> = []
    for operation in operations {
      if let expected = operation.expected, expected.kind != .directory, !seen.insert(expected.inode).inserted {
        shared.insert(expected.inode)
      }
    }
    return shared
  }
}
