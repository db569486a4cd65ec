public import Linux
import SentryABI

/// Names that come and go (fs/namei.c: may_create, may_delete, vfs_rename).
extension PathWalk {
  /// mkdir(2), mknod(2), the name of a socket.
  /// - Parameter permissions: the umask is taken off here.
  @discardableResult
  public func make(
    _ kind: FileKind, at path: [UInt8], from start: Path? = nil, permissions: UInt32, special: UInt64 = 0
  ) throws(Errno) -> Path {
    let landing = try land(path, from: start, followsLast: false, forName: true)
    if landing.exists { throw .exists }
    if landing.mustBeDirectory, kind != .directory { throw .noEntry }
    return try make(landing, kind, permissions, special: special)
  }

  func make(_ landing: Landing, _ kind: FileKind, _ permissions: UInt32, special: UInt64) throws(Errno) -> Path {
    let directory = try mayChange(landing.parent)
    let isDevice = kind == .characterDevice || kind == .blockDevice
    // A whiteout's number may be made by everybody (vfs_mknod).
    if isDevice, special != 0 || kind == .blockDevice, !caller.credentials.has(Credentials.makesNodes) {
      throw .notPermitted
    }
    let file = newFile(kind, permissions & ~context.umask, directory, special)
    let inode = try directory.create(landing.name, file)
    landing.place.dentry.become(inode)
    tell(directory, FileEvent.created, landing.name, kind)
    return landing.place
  }

  /// Owner and group of a new file: a directory with the set-group-id bit hands its group down.
  func newFile(_ kind: FileKind, _ permissions: UInt32, _ directory: Inode, _ special: UInt64) -> NewFile {
    let inherits = directory.attributes.permissions & 0o2000 != 0
    let bits = inherits && kind == .directory ? permissions | 0o2000 : permissions
    return NewFile(
      kind: kind, permissions: bits, user: caller.credentials.fileUser,
      group: inherits ? directory.attributes.group : caller.credentials.fileGroup, special: special)
  }

  /// symlink(2).
  public func makeLink(_ text: [UInt8], at path: [UInt8], from start: Path? = nil) throws(Errno) {
    guard !text.isEmpty else { throw .noEntry }
    let landing = try land(path, from: start, followsLast: false, forName: true)
    if landing.exists { throw .exists }
    if landing.mustBeDirectory { throw .noEntry }
    let directory = try mayChange(landing.parent)
    let inode = try directory.createLink(landing.name, to: text, newFile(.symbolicLink, 0o777, directory, 0))
    landing.place.dentry.become(inode)
    tell(directory, FileEvent.created, landing.name, .symbolicLink)
  }

  /// What `make` would say, of a name that is not to stay.
  public func mayMake(_ path: [UInt8]) throws(Errno) {
    let landing = try land(path, followsLast: false, forName: true)
    if landing.exists { throw .exists }
    if landing.mustBeDirectory { throw .noEntry }
    _ = try mayChange(landing.parent)
  }

  /// link(2): one more name for a file.
  /// - Parameter source: nil for an open file that no path leads to.
  public func link(_ source: Path?, at path: [UInt8], from start: Path? = nil) throws(Errno) {
    let landing = try land(path, from: start, followsLast: false, forName: true)
    if landing.exists { throw .exists }
    if landing.mustBeDirectory { throw .noEntry }
    if landing.parent.isReadOnly { throw .readOnlyFileSystem }
    guard let inode = source?.inode else { throw source == nil ? .crossDevice : .noEntry }
    guard source?.mount === landing.parent.mount else { throw .crossDevice }
    // fs.protected_hardlinks, as every distribution sets it; before the directory's permissions (do_linkat of fs/namei.c).
    if !caller.credentials.owns(inode.attributes) {
      let isOdd =
        inode.kind != .regular || inode.attributes.permissions & 0o4000 != 0
        || inode.attributes.permissions & 0o2010 == 0o2010
      if isOdd { throw .notPermitted }
      do throws(Errno) {
        try caller.credentials.check([.read, .write], of: inode.attributes)
      } catch {
        throw .notPermitted
      }
    }
    let directory = try mayChange(landing.parent)
    if inode.kind == .directory { throw .notPermitted }
    try directory.link(landing.name, to: inode)
    landing.place.dentry.become(inode)
    tell(directory, FileEvent.created, landing.name, inode.kind)
  }

  /// unlink(2) and rmdir(2).
  public func remove(_ path: [UInt8], from start: Path? = nil, isDirectory: Bool) throws(Errno) {
    let landing = try land(path, from: start, followsLast: false, forName: true)
    switch landing.last {
    case .name: break
    case .dot: throw isDirectory ? .invalid : .isDirectory
    case .dotDot: throw isDirectory ? .notEmpty : .isDirectory
    case .root: throw isDirectory ? .busy : .isDirectory
    }
    let dentry = landing.place.dentry
    guard let inode = dentry.inode else { throw .noEntry }
    let covered = landing.place.mount !== landing.parent.mount
    let directory = try mayRemove(inode, in: landing.parent)
    if isDirectory {
      if inode.kind != .directory { throw .notDirectory }
    } else {
      if landing.mustBeDirectory { throw inode.kind == .directory ? .isDirectory : .notDirectory }
      if inode.kind == .directory { throw .isDirectory }
    }
    if covered || context.namespace.isPoint(dentry) { throw .busy }
    try directory.remove(landing.name, inode)
    let name = landing.name
    dentry.removed()
    tell(directory, FileEvent.removed, name, inode.kind)
    inode.watchers?.happened(
      isDirectory || inode.attributes.links == 0 ? FileEvent.removedSelf : FileEvent.attributes, name: nil, cookie: 0)
  }

  /// RENAME_NOREPLACE, RENAME_EXCHANGE.
  public struct RenameFlags: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let noReplace = RenameFlags(rawValue: 1)
    public static let exchange = RenameFlags(rawValue: 2)
  }

  /// renameat2(2).
  public func rename(
    _ oldPath: [UInt8], from oldStart: Path? = nil, to newPath: [UInt8], from newStart: Path? = nil,
    flags: RenameFlags = []
  ) throws(Errno) {
    try rename(oldPath, from: oldStart, flags: flags) { () throws(Errno) in (newPath, newStart) }
  }

  /// - Parameter next: the new name, asked for once the old one has been walked to.
  public func rename(
    _ oldPath: [UInt8], from oldStart: Path?, flags: RenameFlags,
    to next: () throws(Errno) -> (path: [UInt8], start: Path?)
  ) throws(Errno) {
    let old = try land(oldPath, from: oldStart, followsLast: false, forName: true)
    let (newPath, newStart) = try next()
    let new: Landing
    do throws(Errno) {
      new = try land(newPath, from: newStart, followsLast: false, forName: true)
    } catch {
      // Of the last names the old one is looked up first.
      throw error == .nameTooLong && old.last == .name && !old.exists ? .noEntry : error
    }
    guard old.parent.mount === new.parent.mount else { throw .crossDevice }
    guard old.last == .name, new.last == .name else {
      throw flags.contains(.noReplace) && new.last != .name ? .exists : .busy
    }
    guard let inode = old.place.inode else { throw .noEntry }
    if flags.contains(.noReplace), new.exists { throw .exists }
    if flags.contains(.exchange), !new.exists { throw .noEntry }
    if flags.contains(.exchange), new.mustBeDirectory, new.place.inode?.kind != .directory { throw .notDirectory }
    if inode.kind != .directory {
      if old.mustBeDirectory { throw .notDirectory }
      if new.mustBeDirectory, !flags.contains(.exchange) { throw .notDirectory }
    }
    // A directory never goes beneath itself.
    if new.parent.dentry.isWithin(old.place.dentry) { throw .invalid }
    let target = new.place.inode
    if old.parent.dentry.isWithin(new.place.dentry) { throw flags.contains(.exchange) ? .invalid : .notEmpty }
    // Two names of one file stay both, whoever asks (vfs_rename).
    if let target, target === inode { return }
    let directory = try mayRemove(inode, in: old.parent)
    let newDirectory = try mayChange(new.parent)
    if let target {
      _ = try mayRemove(target, in: new.parent)
      if !flags.contains(.exchange) {
        if inode.kind == .directory, target.kind != .directory { throw .notDirectory }
        if inode.kind != .directory, target.kind == .directory { throw .isDirectory }
      }
    }
    if old.place.mount !== old.parent.mount || new.place.mount !== new.parent.mount { throw .busy }
    if context.namespace.isPoint(old.place.dentry) || context.namespace.isPoint(new.place.dentry) { throw .busy }
    // Whoever moves a directory to another parent changes its "..".
    if inode.kind == .directory, old.parent.dentry !== new.parent.dentry {
      try caller.credentials.check(.write, of: inode.attributes)
    }
    let (oldName, newName) = (old.name, new.name)
    try directory.rename(
      oldName, inode, to: newDirectory, newName, replacing: target, exchanges: flags.contains(.exchange))
    if flags.contains(.exchange) {
      old.place.dentry.exchange(with: new.place.dentry)
    } else {
      if target != nil { new.place.dentry.removed() }
      old.place.dentry.move(to: new.parent.dentry, newName)
    }
    tellMove(directory, oldName, newDirectory, newName, inode, target, flags)
  }

  private func tellMove(
    _ directory: Inode, _ oldName: [UInt8], _ newDirectory: Inode, _ newName: [UInt8], _ inode: Inode,
    _ target: Inode?, _ flags: RenameFlags
  ) {
    if directory.watchers == nil, newDirectory.watchers == nil, inode.watchers == nil, target?.watchers == nil {
      return
    }
    let kind = inode.kind == .directory ? FileEvent.isDirectory : 0
    let cookie = context.namespace.nextCookie()
    directory.watchers?.happened(FileEvent.movedFrom | kind, name: oldName, cookie: cookie)
    newDirectory.watchers?.happened(FileEvent.movedTo | kind, name: newName, cookie: cookie)
    inode.watchers?.happened(FileEvent.movedSelf, name: nil, cookie: 0)
    if let target, !flags.contains(.exchange) {
      target.watchers?.happened(
        target.attributes.links == 0 || target.kind == .directory ? FileEvent.removedSelf : FileEvent.attributes,
        name: nil, cookie: 0)
    }
  }

  private func tell(_ directory: Inode, _ event: UInt32, _ name: [UInt8], _ kind: FileKind) {
    directory.watchers?.happened(event | (kind == .directory ? FileEvent.isDirectory : 0), name: name, cookie: 0)
  }

  /// - Throws: ENOTDIR, ENOENT (the directory was removed), EROFS, EACCES.
  private func mayChange(_ place: Path) throws(Errno) -> Inode {
    guard let directory = place.inode, !place.dentry.isRemoved else { throw .noEntry }
    guard directory.kind == .directory else { throw .notDirectory }
    if place.isReadOnly { throw .readOnlyFileSystem }
    try caller.credentials.check([.write, .execute], of: directory.attributes)
    return directory
  }

  /// As above, and the sticky bit: only owners take names away.
  private func mayRemove(_ file: Inode, in place: Path) throws(Errno) -> Inode {
    let directory = try mayChange(place)
    if directory.attributes.permissions & 0o1000 != 0, file.attributes.user != caller.credentials.fileUser,
      !caller.credentials.owns(directory.attributes)
    {
      throw .notPermitted
    }
    return directory
  }
}
