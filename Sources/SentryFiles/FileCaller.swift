public import Linux
public import SentryABI

/// Who walks a path or opens a file.
public struct FileCaller {
  public let credentials: Credentials
  /// The process and thread ids as its pid namespace numbers them.
  public let process: Int32
  public let thread: Int32
  /// The task itself, for file systems above this module that must know it (proc, devpts); nil in the sentry's own walks.
  public let task: AnyObject?
  public init(credentials: Credentials, process: Int32 = 0, thread: Int32 = 0, task: AnyObject? = nil) {
    self.credentials = credentials
    self.process = process
    self.thread = thread
    self.task = task
  }
}

/// What access(2) asks for.
public struct FileAccess: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public static let execute = FileAccess(rawValue: 1)
  public static let write = FileAccess(rawValue: 2)
  public static let read = FileAccess(rawValue: 4)
}

extension Credentials {
  /// linux/capability.h.
  fileprivate static var overridesAccess: Int32 { 1 }
  fileprivate static var readsAndSearches: Int32 { 2 }
  static var actsAsOwner: Int32 { 3 }
  static var keepsSetID: Int32 { 4 }
  static var changesOwner: Int32 { 0 }
  static var makesNodes: Int32 { 27 }
  static var administers: Int32 { 21 }

  /// generic_permission() of fs/namei.c: owner, else group, else others; then the capabilities.
  /// - Throws: EACCES.
  public func check(_ access: FileAccess, of file: FileAttributes) throws(Errno) {
    var bits = file.permissions
    if file.user == fileUser { bits >>= 6 } else if isIn(group: file.group) { bits >>= 3 }
    if access.rawValue & ~bits & 7 == 0 { return }
    let isDirectory = file.kind == .directory
    // Nobody executes a file that has no execute bit at all.
    if has(Self.overridesAccess), isDirectory || !access.contains(.execute) || file.permissions & 0o111 != 0 { return }
    if has(Self.readsAndSearches), access == .read || isDirectory && !access.contains(.write) { return }
    throw .accessDenied
  }

  /// inode_owner_or_capable().
  public func owns(_ file: FileAttributes) -> Bool { file.user == fileUser || has(Self.actsAsOwner) }
}
