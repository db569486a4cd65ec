/// Where a process stands in the tree (the kernel's `fs_struct`): shared by CLONE_FS, copied by fork.
public final class PathContext {
  public let namespace: MountNamespace
  /// What "/" means.
  public var root: Path
  public var current: Path
  public var umask: UInt32
  public init(_ namespace: MountNamespace, root: Path? = nil, current: Path? = nil, umask: UInt32 = 0o022) {
    self.namespace = namespace
    self.root = root ?? namespace.root
    self.current = current ?? self.root
    self.umask = umask
  }

  /// For fork(2) and unshare(2).
  public func copy() -> PathContext { PathContext(namespace, root: root, current: current, umask: umask) }
}
