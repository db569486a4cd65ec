import CLinux
import Linux
import Trees

/// Reads an overlay's upper folder, which hostile code wrote, against the baseline (Documentation/filesystems/overlayfs.rst).
/// Files are looked at through descriptors; no link is followed, and no type is trusted that was not seen on the open file.
struct UpperReader: ~Copyable {
  private let upper: Folder
  private let host: Folder
  private let baseline: Baseline
  private var result = WorkspaceChanges()
  /// Folders still to be read.
  private var waiting: [(path: RelativePath, view: View)] = [(.root, .merged)]

  /// How the folder that was at this path in the baseline is seen through the upper folder of that path.
  private enum View {
    /// Names that the upper folder lacks are as they were.
    case merged
    /// The folder was emptied or made anew: names that the upper folder lacks are deleted.
    case replaced
    /// There was no folder here.
    case new
  }

  init(upper: consuming Folder, host: consuming Folder, baseline: Baseline) {
    self.upper = upper
    self.host = host
    self.baseline = baseline
  }

  consuming func read() throws(WorkspaceError) -> WorkspaceChanges {
    while let (path, view) = waiting.popLast() { try readFolder(path, view) }
    result.changes.sort { $0.path < $1.path }
    result.dropped.sort { $0.path < $1.path }
    return result
  }

  private mutating func readFolder(_ path: RelativePath, _ inherited: View) throws(WorkspaceError) {
    let folder: Folder
    do { folder = try upper.folder(path) } catch { throw failure(path, error) }
    try refuseRedirects(of: folder.raw, path)
    let opaque: [UInt8]?
    let names: [[UInt8]]
    do throws(SystemError) {
      opaque = try mark("opaque", of: folder.raw)
      names = try folder.names()
    } catch {
      throw failure(path, error)
    }
    let view: View = inherited == .merged && opaque == [UInt8(ascii: "y")] ? .replaced : inherited
    if view == .replaced {
      let here = Set(names)
      for child in baseline.children(of: path) where !here.contains(child.name) { addDeletion(child) }
    }
    // With "x" the folder may hold deleted names as empty files with an attribute (Linux 6.7).
    let whiteoutsAreFiles = opaque == [UInt8(ascii: "x")]
    for name in names {
      let child = path.appending(name)
      let status: FileStatus?
      do { status = try folder.status(name) } catch { throw failure(child, error) }
      guard let status else {
        throw WorkspaceError(
          "workspace: \(child.shown) went away while it was read: the sandbox still runs, stop it first")
      }
      try readName(child, status, in: folder, view, whiteoutsAreFiles)
    }
  }

  private mutating func readName(
    _ path: RelativePath, _ status: FileStatus, in folder: borrowing Folder, _ view: View, _ whiteoutsAreFiles: Bool
  ) throws(WorkspaceError) {
    if status.isWhiteoutDevice { return addDeletion(path) }
    switch status.kind {
    case .device: drop(path, .device)
    case .socket: drop(path, .socket)
    case .pipe: drop(path, .namedPipe)
    case .link: try readLink(path, status, in: folder)
    case .directory: readSubfolder(path, status, view)
    case .regular: try readFile(path, in: folder, whiteoutsAreFiles)
    }
  }

  private mutating func readSubfolder(_ path: RelativePath, _ status: FileStatus, _ parent: View) {
    dropIDBits(path, status)
    guard let before = baseline[path], before.kind == .directory else {
      add(path, baseline[path] == nil ? .added : .typeChanged, .folder, status)
      waiting.append((path, .new))
      return
    }
    if before.mode & 0o777 != status.permissions { add(path, .mode, .folder, status) }
    waiting.append((path, parent == .merged ? .merged : .replaced))
  }

  private mutating func readLink(
    _ path: RelativePath, _ status: FileStatus, in folder: borrowing Folder
  ) throws(WorkspaceError) {
    let target: [UInt8]
    do { target = try folder.readLink(path.name) } catch { throw failure(path, error) }
    guard let before = baseline[path] else { return add(path, .added, .link, status, target: target) }
    if before.kind != .link { return add(path, .typeChanged, .link, status, target: target) }
    if hostLink(path) != target { add(path, .modified, .link, status, target: target) }
  }

  /// Where the host's link of this path points; nil where it is none now.
  private func hostLink(_ path: RelativePath) -> [UInt8]? {
    // A link that is gone or unreadable differs from any; that it changed is found when it would be replaced.
    guard let folder = try? host.folder(path.parent) else { return nil }
    return try? folder.readLink(path.name)
  }

  private mutating func readFile(
    _ path: RelativePath, in folder: borrowing Folder, _ whiteoutsAreFiles: Bool
  ) throws(WorkspaceError) {
    let file = try open(path)
    let status: FileStatus
    let capabilities: [UInt8]?
    let whiteout: [UInt8]?
    do throws(SystemError) {
      status = FileStatus(try File.status("", at: file.rawValue))
      capabilities = try ExtendedAttribute.value("security.capability", of: file.rawValue)
      whiteout = whiteoutsAreFiles ? try mark("whiteout", of: file.rawValue) : nil
    } catch {
      throw failure(path, error)
    }
    guard status.kind == .regular else {
      throw WorkspaceError("workspace: \(path.shown) changed while it was read: the sandbox still runs, stop it first")
    }
    if whiteout != nil { return addDeletion(path) }
    try refuseRedirects(of: file.rawValue, path)
    dropIDBits(path, status)
    if capabilities != nil { drop(path, .fileCapabilities) }
    guard let before = baseline[path] else { return add(path, .added, .file, status) }
    if before.kind != .regular { return add(path, .typeChanged, .file, status) }
    let isSame = before.size == status.size ? try isSameContent(file.rawValue, path) : false
    if !isSame {
      add(path, .modified, .file, status)
    } else if before.mode & 0o777 != status.permissions {
      add(path, .mode, .file, status)
    }
  }

  /// A mark of overlayfs: in `user.overlay.*` where the overlay was mounted in a user namespace, else in `trusted.overlay.*`. A
  /// box that can write the one that is not overlayfs's claims a deletion that it could as well have made.
  private func mark(_ name: String, of descriptor: Int32) throws(SystemError) -> [UInt8]? {
    if let value = try ExtendedAttribute.value("user.overlay." + name, of: descriptor) { return value }
    return try ExtendedAttribute.value("trusted.overlay." + name, of: descriptor)
  }

  private func open(_ path: RelativePath) throws(WorkspaceError) -> FileDescriptor {
    // What was a regular file a moment ago may be a pipe now: O_NONBLOCK keeps the open from waiting.
    do { return try upper.open(path, O_RDONLY | O_NONBLOCK) } catch { throw failure(path, error) }
  }

  /// Whether the host's file of this path has the same bytes; false where it cannot be read.
  private func isSameContent(_ file: Int32, _ path: RelativePath) throws(WorkspaceError) -> Bool {
    // An unreadable host file counts as different: the change is shown, and applying it looks at the file again.
    guard let other = try? host.open(path, O_RDONLY | O_NONBLOCK) else { return false }
    do throws(SystemError) {
      guard FileStatus(try File.status("", at: other.rawValue)).kind == .regular else { return false }
      while true {
        let here = try File.read(file, atMost: 64 << 10)
        var there: [UInt8] = []
        while there.count < max(here.count, 1) {
          let more = try File.read(other.rawValue, atMost: max(here.count, 1) - there.count)
          if more.isEmpty { break }
          there += more
        }
        if here != there { return false }
        if here.isEmpty { return true }
      }
    } catch {
      throw failure(path, error)
    }
  }

  /// A path elsewhere, or content elsewhere, is what the mount options forbid: somebody else wrote it here.
  private func refuseRedirects(of descriptor: Int32, _ path: RelativePath) throws(WorkspaceError) {
    for attribute in [
      "user.overlay.redirect", "user.overlay.metacopy", "trusted.overlay.redirect", "trusted.overlay.metacopy",
    ] {
      let value: [UInt8]?
      do { value = try ExtendedAttribute.value(attribute, of: descriptor) } catch { throw failure(path, error) }
      if value != nil {
        throw WorkspaceError(
          "workspace: \(path.shown) has the attribute \(attribute), which this overlay never writes; look at it by hand or discard it"
        )
      }
    }
  }

  // MARK: What was found

  private mutating func drop(_ path: RelativePath, _ what: DroppedItem.What) {
    result.dropped.append(DroppedItem(path: path, what: what))
  }

  private mutating func dropIDBits(_ path: RelativePath, _ status: FileStatus) {
    if status.mode & UInt32(S_ISUID) != 0 { drop(path, .setUserID) }
    // On a folder the bit only chooses the group of new files; it is taken away all the same.
    if status.mode & UInt32(S_ISGID) != 0 { drop(path, .setGroupID) }
  }

  private mutating func addDeletion(_ path: RelativePath) {
    guard let before = baseline[path] else { return }
    let kind: Change.FileKind =
      switch before.kind {
      case .directory: .folder
      case .link: .link
      default: .file
      }
    result.changes.append(
      Change(
        path: path, kind: .deleted, fileKind: kind, oldMode: before.mode & 0o777, newMode: nil, size: 0, target: nil,
        warnings: []))
  }

  private mutating func add(
    _ path: RelativePath, _ kind: Change.Kind, _ fileKind: Change.FileKind, _ status: FileStatus, target: [UInt8]? = nil
  ) {
    let before = baseline[path]
    var warnings: [String] = []
    if let reason = HostExecution.reason(for: path) { warnings.append(reason) }
    let wasExecutable = before.map { $0.kind == .regular && $0.mode & 0o111 != 0 } ?? false
    if fileKind == .file, status.mode & 0o111 != 0 {
      if !wasExecutable {
        warnings.append("new executable")
      } else if kind == .modified {
        warnings.append("executable")
      }
    }
    if let target, HostExecution.leadsOutside(target, from: path) { warnings.append("link leads out of the folder") }
    result.changes.append(
      Change(
        path: path, kind: kind, fileKind: fileKind, oldMode: before.map { $0.mode & 0o777 },
        newMode: fileKind == .link ? nil : status.permissions, size: fileKind == .file ? status.size : 0,
        target: target,
        warnings: warnings))
  }

  private func failure(_ path: RelativePath, _ error: SystemError) -> WorkspaceError {
    let name = path.isRoot ? "the upper folder" : path.shown
    return WorkspaceError("workspace: read \(name): \(error.errno)")
  }
}
