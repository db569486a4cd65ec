/// Flags of open(2) (asm-generic/fcntl.h; x86-64 numbers them so).
public enum OpenFlags {
  public static let accessMode: Int32 = 3
  public static let writeOnly: Int32 = 1
  public static let readWrite: Int32 = 2
  public static let create: Int32 = 0o100
  public static let exclusive: Int32 = 0o200
  public static let noTerminal: Int32 = 0o400
  public static let truncate: Int32 = 0o1000
  public static let append: Int32 = 0o2000
  public static let nonBlocking: Int32 = 0o4000
  public static let dataSync: Int32 = 0o10000
  public static let asynchronous: Int32 = 0o20000
  public static let direct: Int32 = 0o40000
  public static let largeFile: Int32 = 0o100000
  public static let directory: Int32 = 0o200000
  public static let noFollow: Int32 = 0o400000
  public static let noAccessTime: Int32 = 0o1000000
  public static let closeOnExec: Int32 = 0o2000000
  public static let sync: Int32 = 0o4010000
  public static let path: Int32 = 0o10000000
  public static let temporaryFile: Int32 = 0o20200000
  /// All that openat2(2) knows; open(2) passes over others.
  public static let all: Int32 =
    3 | create | exclusive | noTerminal | truncate | append | nonBlocking | dataSync | asynchronous | direct | largeFile
    | directory | noFollow | noAccessTime | closeOnExec | sync | path | temporaryFile
  /// Whether they go together (build_open_flags of fs/open.c, Linux 6.4): a directory is not made by opening it, an unnamed file is made in
  /// a directory and to be written.
  public static func areTogether(_ flags: Int32) -> Bool {
    if flags & path != 0 { return true }
    if flags & (create | directory) == create | directory { return false }
    if flags & temporaryFile & ~directory == 0 { return true }
    return flags & directory != 0 && flags & accessMode != 0
  }
  /// What fcntl(2) F_SETFL changes.
  public static let settable: Int32 = append | nonBlocking | asynchronous | direct | noAccessTime
}

/// Events of inotify(7).
public enum FileEvent {
  public static let accessed: UInt32 = 0x1
  public static let modified: UInt32 = 0x2
  public static let attributes: UInt32 = 0x4
  public static let closedAfterWriting: UInt32 = 0x8
  public static let closedUnwritten: UInt32 = 0x10
  public static let opened: UInt32 = 0x20
  public static let movedFrom: UInt32 = 0x40
  public static let movedTo: UInt32 = 0x80
  public static let created: UInt32 = 0x100
  public static let removed: UInt32 = 0x200
  public static let removedSelf: UInt32 = 0x400
  public static let movedSelf: UInt32 = 0x800
  public static let unmounted: UInt32 = 0x2000
  public static let isDirectory: UInt32 = 0x4000_0000
}

extension OpenFile {
  /// Tells those who watch the file of a read or write.
  public final func tell(_ event: UInt32) {
    if !FileWatchers.areNone { path?.tell(event) }
  }
}

extension Path {
  /// Tells those who watch the file and the directory that it is in.
  func tell(_ event: UInt32) {
    guard let inode else { return }
    let parent = dentry.parent?.inode
    if inode.watchers == nil, parent?.watchers == nil { return }
    let events = event | (inode.kind == .directory ? FileEvent.isDirectory : 0)
    parent?.watchers?.happened(events, name: dentry.name, cookie: 0)
    inode.watchers?.happened(events, name: nil, cookie: 0)
  }
}
