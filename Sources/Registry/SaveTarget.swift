import CLinux
import Formats
import Images
import Linux

/// Where an archive's bytes go: a file that has its name only once all of it is there, or a stream.
struct SaveTarget: ~Copyable {
  private let file: FileDescriptor
  /// The folder, the name there, and the name that the file has until it is whole: nil where it has none (O_TMPFILE), so that not even
  /// kill -9 leaves anything. Absent for a stream.
  private let folder: FileDescriptor?
  /// The folder's number, as long as it is open.
  private let folderNumber: Int32?
  private let name: String
  private var temporary: String?
  private let shown: String
  private var isDone = false

  /// Bytes that went out before can be written over.
  var isFile: Bool { folderNumber != nil }

  private init(
    file: consuming FileDescriptor, folder: consuming FileDescriptor?, name: String, temporary: String?, shown: String
  ) {
    self.file = file
    folderNumber = folder?.rawValue
    self.folder = folder
    self.name = name
    self.temporary = temporary
    self.shown = shown
  }

  deinit {
    guard !isDone, let temporary, let folder = folderNumber else { return }
    // The error that led here is what is told.
    try? File.remove(temporary, at: folder)
  }

  /// Standard output.
  static func standardOutput() throws(ImageError) -> SaveTarget {
    guard !Terminal.isTerminal(1) else {
      throw ImageError(.usage, "save: an archive is nothing for a terminal: give -o FILE, or redirect standard output")
    }
    let file = try system("standard output") { () throws(SystemError) in try FileDescriptor.duplicate(1) }
    return SaveTarget(file: file, folder: nil, name: "", temporary: nil, shown: "standard output")
  }

  /// A file, which may be there already; what is no regular file (a pipe, a device) is written to as it is.
  static func file(_ path: String) throws(ImageError) -> SaveTarget {
    let shown = "\"\(FormatError.presentable(path))\""
    guard !path.isEmpty else { throw ImageError(.usage, "save: -o names nothing") }
    let kind: mode_t?
    do throws(SystemError) { kind = File.kind(try File.status(path)) } catch {
      guard error.errno == .noEntry else { throw SavePath.failure(shown, error) }
      kind = nil
    }
    guard let kind else { return try beside(path, shown) }
    if kind == mode_t(S_IFDIR) { throw ImageError(.usage, "save: \(shown) is a folder: give -o the name of a file") }
    do throws(SystemError) {
      if kind != mode_t(S_IFREG) {
        let file = try File.open(path, O_WRONLY)
        return SaveTarget(file: file, folder: nil, name: "", temporary: nil, shown: shown)
      }
    } catch { throw SavePath.failure(shown, error) }
    // Where a link leads is replaced, not the link.
    let target: String
    do throws(SystemError) {
      let there = try File.open(path, O_PATH)
      target = try File.readLink("/proc/self/fd/\(there.rawValue)")
    } catch { throw SavePath.failure(shown, error) }
    return try beside(target, shown)
  }

  private static func beside(_ path: String, _ shown: String) throws(ImageError) -> SaveTarget {
    let (parent, name) = try SavePath.split(path, shown)
    let folder: FileDescriptor
    do throws(SystemError) { folder = try File.open(parent, O_RDONLY | O_DIRECTORY) } catch {
      throw SavePath.failure(shown, error)
    }
    return try file(name, in: folder, shown)
  }

  /// A file of an open folder; what has the name there, a link too, is replaced.
  static func file(
    _ name: String, in folder: consuming FileDescriptor, _ shown: String, mode: UInt32 = 0o600
  ) throws(ImageError) -> SaveTarget {
    do throws(SystemError) {
      do throws(SystemError) {
        let file = try File.open(".", O_WRONLY | O_TMPFILE, mode: mode, at: folder.rawValue)
        return SaveTarget(file: file, folder: folder, name: name, temporary: nil, shown: shown)
      } catch  where [.notSupported, .isDirectory, .noEntry, .invalid].contains(error.errno) {
        // Not every file system has files without names.
      }
      let temporary = SavePath.temporary(name)
      let file = try File.open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode: mode, at: folder.rawValue)
      return SaveTarget(file: file, folder: folder, name: name, temporary: temporary, shown: shown)
    } catch { throw SavePath.failure(shown, error) }
  }

  func write(_ bytes: Span<UInt8>) throws(ImageError) {
    do throws(SystemError) { try File.writeAll(file.rawValue, bytes) } catch { throw SavePath.failure(shown, error) }
  }

  func write(_ bytes: [UInt8]) throws(ImageError) { try write(bytes.span) }

  /// Writes over what stands at a place; only where `isFile`.
  func write(_ bytes: [UInt8], at offset: Int64) throws(ImageError) {
    do throws(SystemError) { try File.writeAll(file.rawValue, bytes, at: UInt64(offset)) } catch {
      throw SavePath.failure(shown, error)
    }
  }

  /// Goes back to a place and forgets what came after it; only where `isFile`.
  func rewind(to offset: Int64) throws(ImageError) {
    do throws(SystemError) {
      try checked("ftruncate", "", systemCall(Int(SYS_ftruncate), word(file.rawValue), UInt(offset)))
      try checked("lseek", "", systemCall(Int(SYS_lseek), word(file.rawValue), UInt(offset), UInt(SEEK_SET)))
    } catch { throw SavePath.failure(shown, error) }
  }

  /// All is there: it goes to the disk, and gets its name.
  mutating func finish() throws(ImageError) {
    guard let folder = folderNumber else { return }
    do throws(SystemError) {
      try checked("fsync", "", systemCall(Int(SYS_fsync), word(file.rawValue)))
      let named: String
      if let temporary {
        named = temporary
      } else {
        named = SavePath.temporary(name)
        // One of a process that had this pid and was killed just here.
        do throws(SystemError) { try File.remove(named, at: folder) } catch  where error.errno == .noEntry {}
        let source = "/proc/self/fd/\(file.rawValue)"
        try checked(
          "link", named,
          source.withPathAddress { old in
            named.withPathAddress { new in
              systemCall(
                Int(SYS_linkat), word(File.currentDirectory), old, word(folder), new, word(AT_SYMLINK_FOLLOW))
            }
          })
        // From here on it is to be removed if the last step fails.
        temporary = named
      }
      try File.rename(named, to: name, from: folder, into: folder)
      isDone = true
    } catch { throw SavePath.failure(shown, error) }
  }
}

/// What targets of a save have in common: their names, and what is said when writing fails.
enum SavePath {
  /// The folder and the name in it.
  static func split(_ path: String, _ shown: String) throws(ImageError) -> (parent: String, name: String) {
    let name = String(path.split(separator: "/").last ?? "")
    guard !name.isEmpty, name != ".", name != "..", !path.utf8.contains(0) else {
      throw ImageError(.usage, "save: \(shown) names nothing that could be written")
    }
    return (File.parent(of: path) ?? (path.hasPrefix("/") ? "/" : "."), name)
  }

  static func temporary(_ name: String) -> String {
    // Names have 255 bytes at most.
    "." + String(decoding: Array(name.utf8.prefix(200)), as: UTF8.self) + ".immure-\(Process.id)"
  }

  static func failure(_ shown: String, _ error: SystemError) -> ImageError {
    switch error.errno {
    case .noSpace, Errno(rawValue: EDQUOT):
      ImageError("cannot write \(shown): the disk is full (\(error.errno)); make room, or save elsewhere")
    default: ImageError("cannot write \(shown): \(error.errno)")
    }
  }
}
