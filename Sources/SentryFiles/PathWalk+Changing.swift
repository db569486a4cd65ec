public import Linux
import SentryABI

/// What chmod(2), chown(2), utimensat(2) and truncate(2) check (fs/attr.c, setattr_prepare).
extension PathWalk {
  public func changePermissions(_ place: Path, to permissions: UInt32) throws(Errno) {
    let inode = try writable(place)
    if inode.kind == .unnamed { throw .notSupported }
    // Before it is asked whose it is (notify_change of fs/attr.c).
    if inode.kind == .symbolicLink { throw .notSupported }
    guard caller.credentials.owns(inode.attributes) else { throw .notPermitted }
    var bits = permissions & 0o7777
    // Only members of its group give a file or directory the set-group-id bit (setattr_prepare).
    if !caller.credentials.isIn(group: inode.attributes.group),
      !caller.credentials.has(Credentials.keepsSetID)
    {
      bits &= ~0o2000
    }
    try apply(AttributeChange(permissions: bits), to: inode, place)
  }

  /// - Parameter user: nil leaves it.
  public func changeOwner(_ place: Path, user: UInt32?, group: UInt32?) throws(Errno) {
    let inode = try writable(place)
    if inode.kind == .unnamed { throw .notSupported }
    let file = inode.attributes
    if !caller.credentials.has(Credentials.changesOwner) {
      guard file.user == caller.credentials.fileUser || user == nil && group == nil else { throw .notPermitted }
      if let user, user != file.user { throw .notPermitted }
      if let group, group != file.group, !caller.credentials.isIn(group: group) { throw .notPermitted }
    }
    var change = AttributeChange(user: user, group: group)
    // A program of another owner is not run as the old one.
    if inode.kind != .directory, user != nil || group != nil {
      var bits = file.permissions & ~0o4000
      if bits & 0o010 != 0 { bits &= ~0o2000 }
      if bits != file.permissions { change.permissions = bits }
    }
    try apply(change, to: inode, place)
  }

  /// - Parameter accessed: nil leaves it.
  /// - Parameter isNow: both are the present time, which also those may set who can write the file.
  public func changeTimes(_ place: Path, accessed: FileTime?, modified: FileTime?, isNow: Bool) throws(Errno) {
    let inode = try writable(place)
    if accessed == nil, modified == nil { return }
    if !caller.credentials.owns(inode.attributes) {
      guard isNow else { throw .notPermitted }
      try caller.credentials.check(.write, of: inode.attributes)
    }
    try apply(AttributeChange(accessed: accessed, modified: modified), to: inode, place)
  }

  /// What truncate(2) asks for before it looks at the size.
  public func mayTruncate(_ place: Path) throws(Errno) {
    guard let inode = place.inode else { throw .noEntry }
    if inode.kind == .directory { throw .isDirectory }
    guard inode.kind == .regular else { throw .invalid }
    if !inode.fileSystem.isStable { try inode.refresh() }
    try caller.credentials.check(.write, of: inode.attributes)
    if place.isReadOnly { throw .readOnlyFileSystem }
  }

  /// truncate(2).
  public func truncate(_ place: Path, to size: Int64) throws(Errno) {
    try mayTruncate(place)
    try place.inode?.truncate(to: size)
    place.tell(FileEvent.modified)
  }

  /// access(2).
  public func check(_ access: FileAccess, _ place: Path) throws(Errno) {
    guard let inode = place.inode else { throw .noEntry }
    if !inode.fileSystem.isStable { try inode.refresh() }
    try caller.credentials.check(access, of: inode.attributes)
    let isStored = inode.kind == .regular || inode.kind == .directory || inode.kind == .symbolicLink
    if access.contains(.write), isStored, place.isReadOnly { throw .readOnlyFileSystem }
    if access.contains(.execute), inode.kind == .regular, place.mount.flags.contains(.noExecution) {
      throw .accessDenied
    }
  }

  /// The inode of a place where attributes may be written.
  public func writable(_ place: Path) throws(Errno) -> Inode {
    guard let inode = place.inode else { throw .noEntry }
    if place.isReadOnly { throw .readOnlyFileSystem }
    if !inode.fileSystem.isStable { try inode.refresh() }
    return inode
  }

  private func apply(_ change: AttributeChange, to inode: Inode, _ place: Path) throws(Errno) {
    try inode.change(change)
    if inode.kind == .directory { PathCache.changed() }
    place.tell(FileEvent.attributes)
  }
}
