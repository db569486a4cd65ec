import Linux
import SentryFiles

/// An open directory of a host folder: its names are those of the moment when it was read from its beginning.
final class HostOpenDirectory: OpenDirectory {
  private var names: [DirectoryEntry]?

  override func list(
    _ inode: Inode, from cookie: Int64, _ caller: FileCaller, _ give: (DirectoryEntry) -> Bool
  ) throws(Errno) {
    guard let inode = inode as? HostInode else { throw .stale }
    var all = names ?? []
    if cookie <= 2 || names == nil { all = try inode.snapshot() }
    names = all
    // Numbered from 3 on.
    var at = max(0, Int(clamping: cookie) - 2)
    while at < all.count {
      if !give(all[at]) { return }
      at += 1
    }
  }
}
