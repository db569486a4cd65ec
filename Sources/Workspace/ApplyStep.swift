import CLinux
import Linux
import Trees

/// Carries out one step of a plan. Each may have been begun, or done, by a command that was killed.
struct ApplyStep {
  private let plan: Plan
  private let name: String
  private let sharedInodes: Set<UInt64>
  private let isRoot: Bool
  private let owner: (user: UInt32, group: UInt32)

  init(plan: Plan, name: String, host: borrowing Folder) throws(WorkspaceError) {
    self.plan = plan
    self.name = name
    sharedInodes = plan.sharedInodes
    isRoot = Process.effectiveUser == 0
    do {
      let status = try host.status()
      owner = (status.user, status.group)
    } catch {
      throw WorkspaceError("look at the host folder", error)
    }
  }

  func perform(
    _ index: Int, host: borrowing Folder, upper: borrowing Folder, progress: Progress, prepared: () -> Void
  ) throws(WorkspaceError) {
    let operation = plan.operations[index]
    let path = operation.path
    do throws(SystemError) {
      let folder = try host.folder(path.parent)
      let now = try folder.status(path.name)
      switch operation.kind {
      case .removeFile, .removeFolder:
        guard let now else { return }
        try check(operation, now)
        try folder.remove(path.name, directory: operation.kind == .removeFolder)
        try folder.sync()
      case .makeFolder:
        if let now {
          if now.isDirectory { return }
          throw SystemError("mkdir", path.shown, .exists)
        }
        try folder.makeDirectory(path.name, mode: 0o700)
        // Until this chown nobody but us and root can enter it.
        if isRoot { try folder.changeOwner(path.name, user: owner.user, group: owner.group) }
        try setMode(operation.mode | 0o700, of: path, host)
        try folder.sync()
      case .setMode: try setMode(operation.mode, of: path, host)
      case .putFile, .putLink:
        let temporary = Array(".immure-\(name)-\(index)".utf8)
        // Already in its place, when a command was killed after the rename.
        if progress.isPrepared(index, now), try folder.status(temporary) == nil { return }
        if try !progress.isPrepared(index, folder.status(temporary)) {
          if try folder.status(temporary) != nil { try folder.remove(temporary, directory: false) }
          try make(operation, temporary, in: folder, from: upper, replacing: now)
          guard let status = try folder.status(temporary) else { throw SystemError("create", path.shown, .noEntry) }
          do throws(WorkspaceError) { try progress.markPrepared(index, status) } catch {
            throw SystemError("note the progress of", path.shown, .inputOutput)
          }
          prepared()
        }
        try check(operation, try folder.status(path.name))
        try folder.rename(temporary, to: path.name, replacing: operation.expected != nil)
        try folder.sync()
      }
    } catch {
      let remedy =
        error.errno == .exists || error.errno == Errno(rawValue: ESTALE) || error.errno == .notEmpty
          || error.errno == .loop || error.errno == .notDirectory
        ? "; the host changed it meanwhile: put it back and apply again, which goes on from here" : ""
      throw WorkspaceError("workspace: apply \(path.shown): \(error)\(remedy)")
    }
  }

  /// The last look before a change: the name is what the plan expects.
  private func check(_ operation: Operation, _ now: FileStatus?) throws(SystemError) {
    switch (operation.expected, now) {
    case (nil, nil): return
    case (let expected?, let now?)
    where expected.matches(now, ignoringChangeTime: sharedInodes.contains(expected.inode)): return
    default: throw SystemError("check", operation.path.shown, Errno(rawValue: ESTALE))
    }
  }

  private func setMode(_ mode: UInt32, of path: RelativePath, _ host: borrowing Folder) throws(SystemError) {
    // Never a special bit, never through a link.
    let file = try host.open(path, O_RDONLY | O_DIRECTORY)
    try checked("fchmod", path.shown, systemCall(Int(SYS_fchmod), word(file.rawValue), UInt(mode & 0o777)))
  }

  /// Makes the new file or link beside its place, complete: content, owner, permissions, on the disk.
  private func make(
    _ operation: Operation, _ temporary: [UInt8], in folder: borrowing Folder, from upper: borrowing Folder,
    replacing now: FileStatus?
  ) throws(SystemError) {
    // A file keeps its owner when only its content changes; a new one belongs to the folder's owner.
    let keepsOwner = now?.kind == .regular && operation.kind == .putFile
    let user = keepsOwner ? now?.user ?? owner.user : owner.user
    let group = keepsOwner ? now?.group ?? owner.group : owner.group
    if operation.kind == .putLink {
      let source = try upper.folder(operation.path.parent)
      try folder.makeLink(temporary, to: try source.readLink(operation.path.name))
      if isRoot { try folder.changeOwner(temporary, user: user, group: group) }
      return
    }
    let source = try upper.open(operation.path, O_RDONLY | O_NONBLOCK)
    let status = FileStatus(try File.status("", at: source.rawValue))
    guard status.kind == .regular else { throw SystemError("read", operation.path.shown, .invalid) }
    let target = try folder.create(temporary)
    try FileCopy.copy(source.rawValue, to: target.rawValue, size: status.size)
    if isRoot {
      try checked(
        "fchown", operation.path.shown, systemCall(Int(SYS_fchown), word(target.rawValue), UInt(user), UInt(group)))
    }
    try checked(
      "fchmod", operation.path.shown,
      systemCall(Int(SYS_fchmod), word(target.rawValue), UInt(operation.mode & 0o777)))
    try checked("fsync", operation.path.shown, systemCall(Int(SYS_fsync), word(target.rawValue)))
  }
}

/// Copies a file's content, holes staying holes.
enum FileCopy {
  static func copy(_ source: Int32, to target: Int32, size: UInt64) throws(SystemError) {
    // Shares the blocks where the file system can (FICLONE).
    if systemCall(Int(SYS_ioctl), word(target), UInt(IMMURE_FICLONE), word(source)) == 0 { return }
    let seekData: UInt = 3
    let seekHole: UInt = 4
    let fromStart: UInt = 0
    var position = 0
    while position < Int(size) {
      let data = systemCall(Int(SYS_lseek), word(source), UInt(position), seekData)
      // ENXIO: nothing but a hole until the end.
      if data == -Int(ENXIO) { break }
      try checked("lseek", "SEEK_DATA", data)
      let hole = try checked("lseek", "SEEK_HOLE", systemCall(Int(SYS_lseek), word(source), UInt(data), seekHole))
      for file in [source, target] {
        try checked("lseek", "", systemCall(Int(SYS_lseek), word(file), UInt(data), fromStart))
      }
      var left = min(hole, Int(size)) - data
      while left > 0 {
        let bytes = try File.read(source, atMost: min(left, 256 << 10))
        if bytes.isEmpty { break }
        try File.writeAll(target, bytes)
        left -= bytes.count
      }
      position = hole
    }
    try checked("ftruncate", "", systemCall(Int(SYS_ftruncate), word(target), UInt(size)))
  }
}
