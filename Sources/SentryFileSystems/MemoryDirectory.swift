import Linux
import SentryABI
import SentryFiles

/// A directory in memory. What is below is taken over by name when it's looked up, and as a whole when it is listed or loses a name.
final class MemoryDirectory: MemoryInode {
  private enum Target {
    case here(MemoryInode)
    /// Known by name only.
    case below(UInt64, FileKind)
  }
  private struct Entry {
    let cookie: Int64
    var target: Target
  }
  private var names: [[UInt8]: Entry] = [:]
  /// In the order of cookies; nil where a name was taken away.
  private var order: [(cookie: Int64, name: [UInt8]?)] = []
  private var graves = 0
  private var last: Int64 = 2
  private var isLoaded: Bool

  override init(_ system: MemoryFileSystem, _ attributes: FileAttributes, below: Inode?, isCounted: Bool = false) {
    isLoaded = below == nil
    super.init(system, attributes, below: below, isCounted: isCounted)
  }

  /// A tree may be deeper than a stack: directories that nobody else holds are emptied one after the other.
  deinit {
    var left: [MemoryInode] = []
    for entry in names.values { if case .here(let inode) = entry.target { left.append(inode) } }
    names = [:]
    while var inode = left.popLast() {
      guard isKnownUniquelyReferenced(&inode), let directory = inode as? MemoryDirectory else { continue }
      for entry in directory.names.values { if case .here(let inode) = entry.target { left.append(inode) } }
      directory.names = [:]
    }
  }

  /// The sentry itself looks below: whoever may see it is decided here.
  private static var ourselves: FileCaller { FileCaller(credentials: .init()) }

  private func load() throws(Errno) {
    guard !isLoaded, let below else { return }
    var found: [DirectoryEntry] = []
    try below.entries(from: 2, Self.ourselves) {
      found.append($0)
      return true
    }
    for entry in found where names[entry.name] == nil { add(entry.name, .below(entry.inode, entry.kind)) }
    isLoaded = true
    self.below = below
  }

  private func add(_ name: [UInt8], _ target: Target) {
    last += 1
    names[name] = Entry(cookie: last, target: target)
    order.append((last, name))
  }

  private func take(_ name: [UInt8]) {
    guard let entry = names.removeValue(forKey: name), let at = index(entry.cookie) else { return }
    order[at].name = nil
    graves += 1
    if graves > 32, graves > order.count / 2 {
      order.removeAll { $0.name == nil }
      graves = 0
    }
  }

  /// Where a cookie stands, or the first one behind it.
  private func place(_ cookie: Int64) -> Int {
    var (low, high) = (0, order.count)
    while low < high {
      let middle = (low + high) / 2
      if order[middle].cookie < cookie { low = middle + 1 } else { high = middle }
    }
    return low
  }
  private func index(_ cookie: Int64) -> Int? {
    let at = place(cookie)
    return at < order.count && order[at].cookie == cookie ? at : nil
  }

  override func lookup(_ name: [UInt8], _ caller: FileCaller) throws(Errno) -> Inode? {
    try find(name)
  }

  private func find(_ name: [UInt8]) throws(Errno) -> MemoryInode? {
    if let entry = names[name] {
      if case .here(let inode) = entry.target { return inode }
    } else if isLoaded {
      return nil
    }
    guard let below, let found = try below.lookup(name, Self.ourselves) else { return nil }
    let inode = system.wrap(found)
    if names[name] == nil { add(name, .here(inode)) } else { names[name]?.target = .here(inode) }
    return inode
  }

  override func entries(
    from cookie: Int64, _ caller: FileCaller, _ give: (DirectoryEntry) -> Bool
  ) throws(Errno) {
    try load()
    var at = place(cookie)
    while at < order.count {
      let (cookie, name) = order[at]
      at += 1
      guard let name, let entry = names[name] else { continue }
      let (number, kind): (UInt64, FileKind)
      switch entry.target {
      case .here(let inode): (number, kind) = (inode.number, inode.kind)
      case .below(let below, let what): (number, kind) = (below, what)
      }
      if !give(DirectoryEntry(name: name, inode: number, kind: kind, next: cookie + 1)) { return }
    }
  }

  private func isEmpty() throws(Errno) -> Bool {
    try load()
    return names.isEmpty
  }

  // MARK: Changes

  override func create(_ name: [UInt8], _ file: NewFile) throws(Errno) -> Inode {
    let made = try system.make(file)
    insert(name, made)
    return made
  }

  override func createLink(_ name: [UInt8], to text: [UInt8], _ file: NewFile) throws(Errno) -> Inode {
    try system.quota.addInode()
    let made = MemoryLink(system, system.fresh(file), text: text, below: nil, isCounted: true)
    insert(name, made)
    return made
  }

  override func createUnnamed(_ file: NewFile) throws(Errno) -> Inode {
    let made = try system.make(file)
    made.attributes.links = 0
    return made
  }

  override func link(_ name: [UInt8], to file: Inode) throws(Errno) {
    guard let inode = file as? MemoryInode, inode.system === system else { throw .crossDevice }
    guard inode.attributes.links < UInt32(Int32.max) else { throw .tooManyLinks }
    insert(name, inode)
    inode.attributes.links += 1
    inode.attributes.changed = .now()
  }

  private func insert(_ name: [UInt8], _ inode: MemoryInode) {
    add(name, .here(inode))
    if inode.kind == .directory { attributes.links &+= 1 }
    changed()
  }

  private func changed() {
    attributes.size = Int64(names.count) * 32
    touch()
  }

  /// A name goes; its file loses one.
  private func drop(_ name: [UInt8], _ inode: MemoryInode) {
    take(name)
    if inode.kind == .directory {
      attributes.links = max(2, attributes.links) - (attributes.links > 2 ? 1 : 0)
      inode.attributes.links = 0
    } else if inode.attributes.links > 0 {
      inode.attributes.links -= 1
    }
    inode.attributes.changed = .now()
  }

  override func remove(_ name: [UInt8], _ file: Inode) throws(Errno) {
    guard let inode = file as? MemoryInode else { throw .crossDevice }
    try load()
    if let directory = inode as? MemoryDirectory, !(try directory.isEmpty()) { throw .notEmpty }
    drop(name, inode)
    changed()
  }

  override func rename(
    _ name: [UInt8], _ file: Inode, to directory: Inode, _ newName: [UInt8], replacing victim: Inode?, exchanges: Bool
  ) throws(Errno) {
    guard let inode = file as? MemoryInode, let target = directory as? MemoryDirectory, target.system === system else {
      throw .crossDevice
    }
    try load()
    try target.load()
    let other = victim as? MemoryInode
    if exchanges {
      guard let other else { throw .noEntry }
      names[name]?.target = .here(other)
      target.names[newName]?.target = .here(inode)
      if target !== self {
        if inode.kind == .directory { moveLink(to: target) }
        if other.kind == .directory { target.moveLink(to: self) }
      }
      other.attributes.changed = .now()
    } else {
      if let directory = other as? MemoryDirectory, !(try directory.isEmpty()) { throw .notEmpty }
      if let other { target.drop(newName, other) }
      take(name)
      target.add(newName, .here(inode))
      if target !== self, inode.kind == .directory { moveLink(to: target) }
    }
    inode.attributes.changed = .now()
    changed()
    target.changed()
  }

  private func moveLink(to other: MemoryDirectory) {
    if attributes.links > 2 { attributes.links -= 1 }
    other.attributes.links &+= 1
  }

  override func open(_ flags: Int32, _ path: Path, _ caller: FileCaller) throws(Errno) -> OpenFile {
    OpenDirectory(flags: flags, path)
  }
}
