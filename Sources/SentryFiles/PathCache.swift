import CLinux
public import Linux
import SentryABI

/// Where paths that were walked lately ended, so that a path asked for again costs a comparison and no walk.
///
/// Kept are walks through file systems that change by guests' calls alone (`FileSystem.isStable`). Whatever may make such a path lead
/// elsewhere, a name taken away or moved, a mount, a directory's owner or mode, makes all that is kept stale (`PathCache.changed`). A
/// new name does not: it comes to be in the dentry that stood for its absence. Places are not held: a dentry that is kept here says when it ends.
final class PathCache {
  private nonisolated(unsafe) static var changes: UInt64 = 1
  /// What is kept anywhere is worth nothing from here on.
  static func changed() {
    // SAFETY: the sentry has one thread; tests that have more count one by one.
    unsafe immure_count(&changes)
  }

  private struct Entry {
    /// As they were when it was kept; 0 for none.
    var changes: UInt64 = 0
    var hash: UInt64 = 0
    var followsLast = false
    var start: ObjectIdentifier?
    var startMount: ObjectIdentifier?
    var root: ObjectIdentifier?
    var rootMount: ObjectIdentifier?
    var user: UInt32 = 0
    var group: UInt32 = 0
    var capabilities: UInt64 = 0
    var groups: [UInt32] = []
    var path: [UInt8] = []
    unowned(unsafe) var mount: Mount?
    unowned(unsafe) var dentry: Dentry?
  }
  private var entries: [Entry] = []
  /// Entries, a power of two, and the longest path.
  private static var size: Int { 1024 }
  static var longest: Int { 255 }

  /// Who walks from where, by names that hold nothing.
  struct Walk: BitwiseCopyable {
    let start: ObjectIdentifier
    let startMount: ObjectIdentifier
    let root: ObjectIdentifier
    let rootMount: ObjectIdentifier
    let user: UInt32
    let group: UInt32
    let capabilities: UInt64
    let followsLast: Bool
  }

  /// - Returns: nil where nothing is known; a place without an inode where it is known that nothing is there.
  func find(_ path: UnsafeRawBufferPointer, _ walk: Walk, groups: borrowing [UInt32]) -> Path? {
    if entries.isEmpty { return nil }
    let hash = unsafe Self.hash(path)
    let index = Int(truncatingIfNeeded: hash) & (Self.size - 1)
    // SAFETY: objects of an entry that is not stale live: a dentry's end makes it stale, and a mount's.
    guard unsafe entries[index].changes == Self.changes, entries[index].hash == hash,
      entries[index].followsLast == walk.followsLast, entries[index].start == walk.start,
      entries[index].startMount == walk.startMount, entries[index].root == walk.root,
      entries[index].rootMount == walk.rootMount, entries[index].user == walk.user, entries[index].group == walk.group,
      entries[index].capabilities == walk.capabilities, entries[index].groups == groups,
      unsafe entries[index].path.withUnsafeBytes({ unsafe Self.isSame($0, path) }),
      let mount = unsafe entries[index].mount, let dentry = unsafe entries[index].dentry
    else { return nil }
    return Path(mount: mount, dentry: dentry)
  }

  func keep(
    _ path: UnsafeRawBufferPointer, _ walk: Walk, groups: [UInt32], from start: Path, root: Path, _ found: Path
  ) {
    // Mounts without a number end with whoever has them.
    guard path.count <= Self.longest, found.mount.id != 0, start.mount.id != 0, root.mount.id != 0 else { return }
    if entries.isEmpty { entries = [Entry](repeating: Entry(), count: Self.size) }
    for place in [found, start, root] { place.dentry.isKept = true }
    let hash = unsafe Self.hash(path)
    let entry = unsafe Entry(
      changes: Self.changes, hash: hash, followsLast: walk.followsLast, start: walk.start,
      startMount: walk.startMount, root: walk.root, rootMount: walk.rootMount, user: walk.user, group: walk.group,
      capabilities: walk.capabilities, groups: groups, path: [UInt8](path), mount: found.mount, dentry: found.dentry)
    entries[Int(truncatingIfNeeded: hash) & (Self.size - 1)] = entry
  }

  private static func isSame(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
    unsafe one.count == other.count && one.elementsEqual(other)
  }

  /// FNV-1a over words; guests that choose paths which share a place only take each other's.
  private static func hash(_ path: UnsafeRawBufferPointer) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ UInt64(path.count)
    var at = 0
    while at + 8 <= path.count {
      // SAFETY: eight bytes from `at` lie within.
      hash = unsafe (hash ^ path.loadUnaligned(fromByteOffset: at, as: UInt64.self)) &* 0x0000_0100_0000_01b3
      hash ^= hash >> 29
      at += 8
    }
    while at < path.count {
      hash = unsafe (hash ^ UInt64(path[at])) &* 0x0000_0100_0000_01b3
      at += 1
    }
    return hash ^ hash >> 32
  }
}

extension PathWalk {
  /// What is at the end of a path that was walked before; nil where that is not known.
  /// - Parameter path: not empty, without a NUL.
  /// - Throws: ENOENT, where that is known.
  public func known(
    _ path: UnsafeRawBufferPointer, from start: Path? = nil, followsLast: Bool = true
  ) throws(Errno) -> Path? {
    guard limits.isEmpty, trail == nil, path.count <= PathCache.longest else { return nil }
    guard
      let found = unsafe context.namespace.paths.find(
        path, walk(start, followsLast), groups: caller.credentials.supplementaryGroups)
    else { return nil }
    guard let inode = found.inode else { throw .noEntry }
    // Where nothing was, somebody made a link since: it is to be followed.
    if followsLast, inode.kind == .symbolicLink { return nil }
    return found
  }

  func keep(_ path: [UInt8], from start: Path?, followsLast: Bool, _ found: Path) {
    unsafe path.span.withUnsafeBytes {
      unsafe context.namespace.paths.keep(
        $0, walk(start, followsLast), groups: caller.credentials.supplementaryGroups, from: start ?? context.current,
        root: context.root, found)
    }
  }

  private func walk(_ start: Path?, _ followsLast: Bool) -> PathCache.Walk {
    let identity =
      if let start {
        (ObjectIdentifier(start.dentry), ObjectIdentifier(start.mount))
      } else {
        (ObjectIdentifier(context.current.dentry), ObjectIdentifier(context.current.mount))
      }
    return PathCache.Walk(
      start: identity.0, startMount: identity.1, root: ObjectIdentifier(context.root.dentry),
      rootMount: ObjectIdentifier(context.root.mount), user: caller.credentials.fileUser,
      group: caller.credentials.fileGroup, capabilities: caller.credentials.effective, followsLast: followsLast)
  }
}
