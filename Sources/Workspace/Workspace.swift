import CLinux
public import Formats
import Linux
import Trees

/// A host folder given to a box through a private overlay: the box sees and changes it, the folder stays as it is until
/// somebody looks at the changes and applies them.
///
/// On disk, under `ROOT/workspaces/NAME/`: `workspace.json`, `baseline`, `lower` (a link to the folder), `upper`, `work`, and
/// while changes are applied `journal` and `progress`.
public struct Workspace: Sendable {
  public let record: WorkspaceRecord
  /// `ROOT/workspaces/NAME`.
  public let directory: String
  public var name: String { record.name }

  init(record: WorkspaceRecord, directory: String) {
    self.record = record
    self.directory = directory
  }

  static func directory(of name: String, in root: String) -> String { root + "/workspaces/" + name }

  /// Makes a workspace of a host folder. Nothing is left behind when it throws.
  /// - Parameters:
  ///   - name: [A-Za-z0-9_.-], at most 64 bytes, not beginning with "."; one in use is an error.
  ///   - folder: a path of the host's; links in it are followed now and never again.
  ///   - root: the state root (`--root`).
  ///   - sandbox: the id of the sandbox it is for, or "".
  public static func create(
    named name: String, folder: String, in root: String, sandbox: String = ""
  ) throws(WorkspaceError) -> Workspace {
    try checkName(name)
    if root.utf8.contains(UInt8(ascii: ":")) || root.utf8.contains(UInt8(ascii: ",")) {
      throw WorkspaceError(
        "workspace: the state root \"\(FormatError.presentable(root))\" has \":\" or \",\" in it, which overlayfs cannot take; choose another --root"
      )
    }
    let source: Folder
    do { source = try Folder(path: folder) } catch {
      throw WorkspaceError("workspace: \(FormatError.presentable(folder)): \(error.errno)")
    }
    let directory = directory(of: name, in: root)
    try attempt("make \(root)/workspaces") { () throws(SystemError) in
      try File.makeDirectories(root + "/workspaces", mode: 0o700)
    }
    try checkApart(source, root + "/workspaces", folder)
    do throws(SystemError) { try File.makeDirectory(directory, mode: 0o700) } catch {
      if error.errno != .exists { throw WorkspaceError("make \(directory)", error) }
      throw WorkspaceError(
        "workspace: \"\(name)\" exists; `immure workspace discard \(name)` frees the name, or choose another with --name"
      )
    }
    do throws(SystemError) {
      return try fill(directory, name: name, source: source, sandbox: sandbox)
    } catch {
      // The folder's half-made state is of no use; the error that matters is the one below.
      try? File.removeTree(directory)
      throw WorkspaceError("make the workspace of \(FormatError.presentable(folder))", error)
    }
  }

  private static func fill(
    _ directory: String, name: String, source: borrowing Folder, sandbox: String
  ) throws(SystemError) -> Workspace {
    let status = try source.status()
    // The path without links, as the kernel has it.
    let path = try File.readLink("/proc/self/fd/\(source.raw)")
    try File.symlink(path, at: directory + "/lower")
    try File.makeDirectory(directory + "/upper", mode: 0o700)
    try File.makeDirectory(directory + "/work", mode: 0o700)
    // The merged root shows the upper folder's owner and permissions.
    let upper = try Folder(path: directory + "/upper")
    if Process.effectiveUser == 0 { try upper.changeOwner([UInt8(ascii: ".")], user: status.user, group: status.group) }
    try checked("fchmod", "upper", systemCall(Int(SYS_fchmod), word(upper.raw), UInt(status.mode & 0o777)))
    let file = try File.open(directory + "/baseline", O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
    let entries = try Baseline.record(source, to: file.rawValue)
    let record = WorkspaceRecord(
      name: name, folder: path, device: status.device, inode: status.inode, created: Clock.realTime().seconds,
      sandbox: sandbox, entries: entries)
    let own = try Folder(path: directory)
    try File.replaceAtomically("workspace.json", record.bytes(), at: own.raw)
    return Workspace(record: record, directory: directory)
  }

  /// An overlay's layers must not contain each other, and a box must not see its own upper folder.
  private static func checkApart(_ source: borrowing Folder, _ store: String, _ folder: String) throws(WorkspaceError) {
    let (inside, outside) = try attempt("look at \(store)") { () throws(SystemError) -> (Bool, Bool) in
      let source = try source.status()
      let here = try Folder(path: store).status()
      return (
        try isBeneath(store, device: source.device, inode: source.inode),
        try isBeneath(folder, device: here.device, inode: here.inode)
      )
    }
    if inside {
      throw WorkspaceError(
        "workspace: \(FormatError.presentable(folder)) holds immure's own state (\(store)); choose a folder beneath it, or another --root"
      )
    }
    if outside {
      throw WorkspaceError(
        "workspace: \(FormatError.presentable(folder)) lies in immure's own state (\(store)); choose another folder")
    }
  }

  /// Whether the folder at `path` is the one named, or lies beneath it.
  private static func isBeneath(_ path: String, device: UInt64, inode: UInt64) throws(SystemError) -> Bool {
    var folder = try File.open(path, O_PATH | O_DIRECTORY)
    var previous: FileStatus?
    while true {
      let status = FileStatus(try File.status("", at: folder.rawValue))
      if status.device == device && status.inode == inode { return true }
      if let previous, previous.device == status.device, previous.inode == status.inode { return false }
      previous = status
      folder = try File.open("..", O_PATH | O_DIRECTORY, at: folder.rawValue)
    }
  }

  static func checkName(_ name: String) throws(WorkspaceError) {
    let allowed = name.utf8.allSatisfy {
      switch $0 {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"):
        true
      default: false
      }
    }
    if !allowed || name.isEmpty || name.utf8.count > 64 || name.hasPrefix(".") {
      throw WorkspaceError(
        "workspace: \"\(FormatError.presentable(name))\" is not a name: letters, digits, \"_\", \".\" and \"-\", at most 64, not \".\" first"
      )
    }
  }

  /// An existing workspace.
  public static func open(named name: String, in root: String) throws(WorkspaceError) -> Workspace {
    try checkName(name)
    let directory = directory(of: name, in: root)
    let bytes: [UInt8]
    do throws(SystemError) { bytes = try File.contents(directory + "/workspace.json", limit: 1 << 20) } catch {
      if error.errno == .noEntry {
        throw WorkspaceError("workspace: there is none named \"\(name)\"; `immure workspace list` shows them")
      }
      throw WorkspaceError("read \(directory)/workspace.json", error)
    }
    do {
      return Workspace(record: try WorkspaceRecord(bytes, source: directory + "/workspace.json"), directory: directory)
    } catch {
      throw WorkspaceError("workspace: \(error)")
    }
  }

  /// Every workspace, by name. One that another command is just making or removing is left out.
  public static func list(in root: String) throws(WorkspaceError) -> [Workspace] {
    let names: [String]
    do throws(SystemError) { names = try File.names(inDirectory: root + "/workspaces") } catch {
      if error.errno == .noEntry { return [] }
      throw WorkspaceError("list \(root)/workspaces", error)
    }
    var result: [Workspace] = []
    for name in names.sorted() where !name.hasPrefix(".") {
      do throws(SystemError) { _ = try File.status(directory(of: name, in: root) + "/workspace.json") } catch {
        continue
      }
      result.append(try open(named: name, in: root))
    }
    return result
  }

  /// The overlay for a box: `userxattr` keeps overlayfs's marks readable without privileges and makes the same upper folder for
  /// root and user; no metacopy and no redirects, so that the upper folder says everything about itself.
  public func mount(at destination: String) -> MountConfiguration {
    MountConfiguration(
      destination: destination, type: "overlay", source: "overlay",
      options: [
        "lowerdir=\(directory)/lower", "upperdir=\(directory)/upper", "workdir=\(directory)/work", "userxattr",
        "redirect_dir=nofollow", "metacopy=off", "index=off", "nosuid", "nodev",
      ])
  }

  /// What the box changed.
  public func changes() throws(WorkspaceError) -> WorkspaceChanges {
    let upper = try attempt("open the upper folder") { () throws(SystemError) in try Folder(path: directory + "/upper")
    }
    return try UpperReader(upper: upper, host: try hostFolder(), baseline: try baseline()).read()
  }

  func baseline() throws(WorkspaceError) -> Baseline {
    let bytes = try attempt("read \(directory)/baseline") { () throws(SystemError) in
      try File.contents(directory + "/baseline", limit: 1 << 32)
    }
    return try Baseline.read(bytes)
  }

  /// The host folder, if it still is the one the workspace was made of.
  func hostFolder() throws(WorkspaceError) -> Folder {
    let shown = FormatError.presentable(record.folder)
    let folder = try attempt("open \(shown)") { () throws(SystemError) in try Folder(path: record.folder) }
    let status = try attempt("look at \(shown)") { () throws(SystemError) in try folder.status() }
    if status.device != record.device || status.inode != record.inode {
      throw WorkspaceError(
        "workspace: \(FormatError.presentable(record.folder)) is not the folder that \"\(name)\" was made of; put that one back, or discard the workspace"
      )
    }
    return folder
  }

  /// Holds the workspace against other commands; an error when one has it.
  func lock() throws(WorkspaceError) -> FileDescriptor {
    let file = try attempt("lock \(directory)") { () throws(SystemError) in
      try File.open(directory, O_RDONLY | O_DIRECTORY)
    }
    let isFree = try attempt("lock \(directory)") { () throws(SystemError) in
      try File.lock(file.rawValue, wait: false)
    }
    if !isFree { throw WorkspaceError("workspace: another command is working on \"\(name)\"; wait for it") }
    return file
  }

  /// Forgets the changes and the workspace. The host folder is not touched. One that is being applied is refused: the folder
  /// is half changed then, and applying again finishes it.
  public func discard(force: Bool = false) throws(WorkspaceError) {
    let lock = try lock()
    if !force, try hasJournal() {
      throw WorkspaceError(
        "workspace: \"\(name)\" is half applied; `immure workspace apply \(name)` finishes that, discard --force leaves it so"
      )
    }
    try remove()
    _ = lock
  }

  /// Takes the record away first, so that no half-removed workspace is ever taken for one.
  func remove() throws(WorkspaceError) {
    do throws(SystemError) {
      let own = try Folder(path: directory)
      do throws(SystemError) { try File.remove("workspace.json", at: own.raw) } catch  where error.errno == .noEntry {}
      do throws(SystemError) { try File.removeTree(directory) } catch  where error.errno == .noEntry {}
    } catch {
      throw WorkspaceError(
        "workspace: remove \(directory): \(error)"
          + (error.errno == .accessDenied ? "; the box's other ids own files there: remove it as root" : ""))
    }
  }
}
