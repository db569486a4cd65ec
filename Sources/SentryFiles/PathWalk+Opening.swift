public import Linux
import SentryABI

extension PathWalk {
  /// open(2) without the descriptor.
  /// - Parameter mode: for a file that is made; the umask is taken off here.
  public func open(_ path: [UInt8], from start: Path? = nil, flags: Int32, mode: UInt32 = 0) throws(Errno) -> OpenFile {
    var flags = flags
    if flags & OpenFlags.path != 0 {
      flags &= OpenFlags.path | OpenFlags.directory | OpenFlags.noFollow | OpenFlags.closeOnExec
    }
    if flags & OpenFlags.temporaryFile & ~OpenFlags.directory != 0 {
      return try openUnnamed(path, start, flags, mode)
    }
    let follows =
      flags & OpenFlags.noFollow == 0
      && flags & (OpenFlags.create | OpenFlags.exclusive)
        != OpenFlags.create | OpenFlags.exclusive
    let creates = flags & OpenFlags.create != 0
    if !creates {
      // SAFETY: the bytes are read within the call.
      let known = try unsafe path.span.withUnsafeBytes { (path) throws(Errno) -> Path? in
        try unsafe self.known(path, from: start, followsLast: follows)
      }
      if let known { return try open(known, flags: flags) }
    }
    // A link before a slash is not followed: that is no name of a file (open_last_lookups of fs/namei.c).
    let isFolder = creates && path.last == UInt8(ascii: "/")
    let landing = try land(path, from: start, followsLast: follows && !isFolder, forName: creates)
    if creates {
      // What is made is no directory, whatever stands there (open_last_lookups of fs/namei.c).
      if landing.last == .name, landing.mustBeDirectory { throw .isDirectory }
      if landing.exists {
        if flags & OpenFlags.exclusive != 0 { throw .exists }
        if landing.mustBeDirectory || landing.place.inode?.kind == .directory { throw .isDirectory }
        if flags & OpenFlags.directory != 0 { throw .notDirectory }
      } else {
        if flags & OpenFlags.directory != 0 { throw .invalid }
        let made = try make(landing, .regular, mode & 0o7777, special: 0)
        // Who made it may open it, whatever its mode says.
        return try openThere(made, flags & ~OpenFlags.truncate)
      }
    }
    guard landing.exists else { throw .noEntry }
    let place = landing.place
    return try open(place, flags: flags)
  }

  /// Opens what a walk has found, permissions and kind checked.
  public func open(_ place: Path, flags: Int32) throws(Errno) -> OpenFile {
    guard let inode = place.inode else { throw .noEntry }
    if flags & OpenFlags.directory != 0, inode.kind != .directory { throw .notDirectory }
    if flags & OpenFlags.path != 0 { return PathFile(place, flags: flags & ~OpenFlags.closeOnExec) }
    let access = flags & OpenFlags.accessMode
    let writes = access != 0
    switch inode.kind {
    case .symbolicLink: throw .loop
    case .directory: if writes || flags & OpenFlags.truncate != 0 { throw .isDirectory }
    default: break
    }
    if !inode.fileSystem.isStable { try inode.refresh() }
    var needed: FileAccess = []
    if access != OpenFlags.writeOnly { needed.insert(.read) }
    if writes { needed.insert(.write) }
    if flags & OpenFlags.truncate != 0 { needed.insert(.write) }
    try caller.credentials.check(needed, of: inode.attributes)
    let isStored = inode.kind == .regular || inode.kind == .directory
    if needed.contains(.write), isStored, place.isReadOnly { throw .readOnlyFileSystem }
    if needed.contains(.write), inode.executions > 0 { throw .textBusy }
    if flags & OpenFlags.noAccessTime != 0, !caller.credentials.owns(inode.attributes) { throw .notPermitted }
    if flags & OpenFlags.truncate != 0, inode.kind == .regular {
      try inode.truncate(to: 0)
      place.tell(FileEvent.modified)
    }
    return try openThere(place, flags)
  }

  private func openThere(_ place: Path, _ flags: Int32) throws(Errno) -> OpenFile {
    guard let inode = place.inode else { throw .noEntry }
    let kept =
      flags
      & ~(OpenFlags.create | OpenFlags.exclusive | OpenFlags.noTerminal | OpenFlags.truncate
      | OpenFlags.closeOnExec)
    let file = try context.namespace.special.open(inode, kept | flags & OpenFlags.noTerminal, place, caller)
    // What a path leads to is opened for large files (force_o_largefile, linux/fcntl.h).
    file.flags = file.flags & ~OpenFlags.noTerminal | OpenFlags.largeFile
    if file.path == nil { file.path = place }
    // FMODE_CAN_ODIRECT: regular files alone (do_dentry_open of fs/open.c).
    if flags & OpenFlags.direct != 0, inode.kind != .regular, inode.kind != .blockDevice {
      file.retain()
      file.release()
      throw .invalid
    }
    place.tell(FileEvent.opened)
    return file
  }

  private func openUnnamed(_ path: [UInt8], _ start: Path?, _ flags: Int32, _ mode: UInt32) throws(Errno) -> OpenFile {
    guard flags & OpenFlags.accessMode != 0 else { throw .invalid }
    let directory = try find(path, from: start, followsLast: flags & OpenFlags.noFollow == 0)
    guard let inode = directory.inode, inode.kind == .directory else { throw .notDirectory }
    try caller.credentials.check([.write, .execute], of: inode.attributes)
    if directory.isReadOnly { throw .readOnlyFileSystem }
    let made = try inode.createUnnamed(newFile(.regular, mode & 0o7777 & ~context.umask, inode, 0))
    let name = Array("#\(made.number)".utf8)
    let place = Path(mount: directory.mount, dentry: Dentry(unnamed: made, in: directory.dentry, name: name))
    let file = try openThere(place, flags & ~OpenFlags.temporaryFile)
    file.flags |= OpenFlags.temporaryFile
    return file
  }

  /// A program for exec(2): a regular file that may be executed.
  /// - Throws: EACCES where it's no regular file, has no x bit, or its mount says noexec.
  public func openProgram(_ path: [UInt8], from start: Path? = nil, followsLast: Bool = true) throws(Errno) -> OpenFile
  {
    let place = try find(path, from: start, followsLast: followsLast)
    return try openProgram(place)
  }

  public func openProgram(_ place: Path) throws(Errno) -> OpenFile {
    guard let inode = place.inode else { throw .noEntry }
    if inode.kind == .symbolicLink { throw .loop }
    guard inode.kind == .regular, !place.mount.flags.contains(.noExecution) else { throw .accessDenied }
    if !inode.fileSystem.isStable { try inode.refresh() }
    try caller.credentials.check(.execute, of: inode.attributes)
    return try openThere(place, 0)
  }
}
