public import Linux
import SentryABI
public import SentryMemory

/// An open directory: getdents64(2) goes on where `position` stands: 0 is ".", 1 is "..", from 2 on it is the inode's.
open class OpenDirectory: OpenFile {
  public init(flags: Int32, _ path: Path) {
    super.init(flags: flags)
    self.path = path
  }

  public final override func seek(to offset: Int64, from whence: Int32) throws(Errno) -> Int64 {
    guard whence == 0 || whence == 1 else { throw .invalid }
    let (target, overflow) = (whence == 0 ? 0 : position).addingReportingOverflow(offset)
    guard !overflow, target >= 0 else { throw .invalid }
    position = target
    return target
  }

  public final override func read(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    throw .isDirectory
  }

  /// - Parameter give: false where there is no room for the entry, which is then the next one again.
  public final func entries(_ caller: FileCaller, _ give: (DirectoryEntry) -> Bool) throws(Errno) {
    guard let path, let inode = path.inode, !path.dentry.isRemoved else { throw .noEntry }
    if position == 0 {
      let dot = DirectoryEntry(name: [UInt8(ascii: ".")], inode: inode.number, kind: .directory, next: 1)
      guard give(dot) else { return }
      position = 1
    }
    if position == 1 {
      let above = path.dentry.parent?.inode ?? inode
      let dots = [UInt8(ascii: "."), UInt8(ascii: ".")]
      guard give(DirectoryEntry(name: dots, inode: above.number, kind: .directory, next: 2)) else { return }
      position = 2
    }
    var reached = position
    try list(inode, from: position, caller) { entry in
      guard give(entry) else { return false }
      reached = entry.next
      return true
    }
    position = reached
  }

  /// For directories whose order must be kept by who reads them.
  open func list(
    _ inode: Inode, from cookie: Int64, _ caller: FileCaller, _ give: (DirectoryEntry) -> Bool
  ) throws(Errno) {
    try inode.entries(from: cookie, caller, give)
  }
}

/// What O_PATH opens: a place, and nothing that can be done with its contents.
public final class PathFile: OpenFile {
  public init(_ path: Path, flags: Int32) {
    super.init(flags: flags)
    self.path = path
  }
  public override func read(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    throw .badDescriptor
  }
  public override func write(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    throw .badDescriptor
  }
  public override func seek(to offset: Int64, from whence: Int32) throws(Errno) -> Int64 { throw .badDescriptor }
}
