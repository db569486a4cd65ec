import Linux

/// A name in a directory, and what it leads to (the kernel's `dentry`).
public final class Dentry {
  /// Nil for the root of a file system and for files without a name.
  public private(set) var parent: Dentry?
  public private(set) var name: [UInt8]
  /// Nil where the name is known not to be there.
  public private(set) var inode: Inode?
  /// The name was taken away while the file is still in use.
  public private(set) var isRemoved = false
  private var children: [[UInt8]: Dentry] = [:]
  /// A path that leads to it, or begins at it, is remembered (PathCache).
  var isKept = false
  /// Mounts on it, in any mount of its file system.
  var mounts = 0

  /// A root, or a file without a name, shown as `name`.
  public init(root inode: Inode, name: [UInt8] = []) {
    self.inode = inode
    self.name = name
  }
  /// A file that never had a name in the directory (O_TMPFILE).
  init(unnamed inode: Inode, in directory: Dentry, name: [UInt8]) {
    self.inode = inode
    parent = directory
    self.name = name
    isRemoved = true
  }
  private init(_ parent: Dentry, _ name: [UInt8], _ inode: Inode?) {
    self.parent = parent
    self.name = name
    self.inode = inode
  }

  /// A path may be deeper than a stack: parents that nobody else holds go one after the other.
  deinit {
    if isKept { PathCache.changed() }
    var above = parent
    parent = nil
    while above != nil, isKnownUniquelyReferenced(&above) {
      var next: Dentry?
      if let here = above { swap(&next, &here.parent) }
      above = next
    }
  }

  /// The entry of a name in this directory, negative ones too.
  func child(_ name: [UInt8], _ caller: FileCaller) throws(Errno) -> Dentry {
    guard let inode else { throw .noEntry }
    let known = children[name]
    if let known, inode.fileSystem.isStable { return known }
    // A directory without a name has no children any more, and gets none.
    let found = isRemoved ? nil : try inode.lookup(name, caller)
    if let known {
      if Self.isSame(known.inode, found) { return known }
      known.drop()
    }
    let child = Dentry(self, name, found)
    if !isRemoved, found != nil || inode.fileSystem.isStable { keep(child) }
    return child
  }

  private static func isSame(_ one: Inode?, _ other: Inode?) -> Bool {
    guard let one, let other else { return one == nil && other == nil }
    return one.isSame(as: other)
  }

  private func keep(_ child: Dentry) {
    children[child.name] = child
    inode?.fileSystem.dentries.added(to: self)
  }

  /// A negative entry becomes a file.
  func become(_ inode: Inode) {
    self.inode = inode
    if let parent, parent.children[name] !== self {
      PathCache.changed()
      parent.children[name]?.drop()
      parent.keep(self)
    }
  }

  /// Its name is gone; who has it open keeps it.
  func removed() {
    PathCache.changed()
    isRemoved = true
    drop()
  }

  private func drop() {
    guard let parent, parent.children[name] === self else { return }
    parent.children[name] = nil
    parent.inode?.fileSystem.dentries.count -= 1
  }

  /// rename(2): what had the new name is gone.
  func move(to directory: Dentry, _ newName: [UInt8]) {
    PathCache.changed()
    drop()
    directory.children[newName]?.removed()
    parent = directory
    name = newName
    directory.keep(self)
  }

  /// RENAME_EXCHANGE.
  func exchange(with other: Dentry) {
    PathCache.changed()
    let (place, name) = (parent, name)
    drop()
    other.drop()
    (parent, self.name) = (other.parent, other.name)
    (other.parent, other.name) = (place, name)
    parent?.keep(self)
    other.parent?.keep(other)
  }

  /// Its tree is mounted no more: names that nobody uses hold nothing any longer.
  func forget() {
    guard !children.isEmpty else { return }
    inode?.fileSystem.dentries.count -= DentryCache.forget(from: self)
  }

  /// Whether it is `other` or somewhere beneath it.
  func isWithin(_ other: Dentry) -> Bool {
    var at: Dentry? = self
    while let here = at {
      if here === other { return true }
      at = here.parent
    }
    return false
  }

  /// Forgets children that nobody else holds and that have none themselves.
  /// - Returns: how many.
  fileprivate func prune() -> Int {
    var dropped = 0
    for name in Array(children.keys) {
      guard let index = children.index(forKey: name), children.values[index].children.isEmpty,
        children.values[index].mounts == 0, isKnownUniquelyReferenced(&children.values[index])
      else { continue }
      children.remove(at: index)
      dropped += 1
    }
    return dropped
  }

  fileprivate var directories: [Dentry] { children.values.filter { !$0.children.isEmpty } }

  fileprivate var root: Dentry {
    var at = self
    while let parent = at.parent { at = parent }
    return at
  }
}

/// Bounds the names that a file system's dentries remember: a guest asks for as many as it likes.
final class DentryCache {
  static var limit: Int { 16384 }
  var count = 0
  /// Beyond it what nobody uses is forgotten.
  private var next = DentryCache.limit

  /// Forgets what nobody else holds.
  /// - Returns: how many names.
  static func forget(from root: Dentry) -> Int {
    // Every directory stands behind the one it is in, so that leaves go first.
    var list = [root]
    var at = 0
    while at < list.count {
      list += list[at].directories
      at += 1
    }
    var dropped = 0
    while let last = list.popLast() { dropped += last.prune() }
    return dropped
  }

  func added(to directory: Dentry) {
    count += 1
    if count <= next { return }
    count -= Self.forget(from: directory.root)
    // What is in use may be more than the limit; not asked about at every name.
    next = max(Self.limit, count + Self.limit / 2)
  }
}
