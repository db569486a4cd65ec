import CLinux
import Formats
package import Linux

/// How a root's files are written down.
public enum RootForm: Sendable, Equatable {
  /// All of them, as a tar archive.
  case archive
  /// What differs from a tree below, as the tar of an image's layer (image-spec, layer.md: whiteouts).
  case layer
  /// What differs, a record for each: "A", "C" or "D", the path from the root, NUL.
  case list
}

/// Walks a root that hostile code changes meanwhile and, beside it, the tree that it began as, and writes what differs.
///
/// A file whose change time is that of its original was not touched: an overlay shows the original's own, and nobody can set one. All
/// others are compared: kind, mode, owner, time, attributes, contents. No mount is entered, no link followed (openat2(2)), and two
/// folders and two files are open at a time, however deep the tree is.
package final class RootPacker {
  private let packer: TreePacker
  private let top: Folder
  private let base: OwnedDescriptor?
  private let form: RootForm
  private struct Waiting {
    let path: RelativePath
    /// Whether the original has a folder there too.
    let hasBase: Bool
    /// Whether nothing but its time is another one.
    var isTouched = false
  }
  private var waiting = [Waiting(path: .root, hasBase: true)]
  /// Folders that stand in the stream already.
  private var told: Set<RelativePath> = []
  /// Bytes of names in both.
  private var held = 0

  /// - Parameters:
  ///   - packer: of a place whose root is the tree.
  ///   - base: what the tree began as; nil for an archive.
  package init(_ packer: TreePacker, since base: consuming FileDescriptor?, as form: RootForm) throws(SystemError) {
    self.packer = packer
    self.form = form
    top = Folder(owning: try packer.place.open("/", O_RDONLY | O_DIRECTORY))
    if let base = base { self.base = OwnedDescriptor(base) } else { self.base = nil }
  }

  /// Writes the whole stream; what happened is told, nothing is thrown. Once only.
  package func pack() -> TransferReport {
    do throws(TransferStop) {
      while let next = waiting.popLast() {
        held -= next.path.bytes.count + 64
        try walk(next)
      }
      if form != .list { try packer.write(TarWriter.end) }
      try packer.flush()
    } catch {
      if error.isCut { packer.report.isCut = true } else { packer.report.fatal = error.message }
    }
    return packer.report
  }

  // MARK: Walking

  private func walk(_ next: Waiting) throws(TransferStop) {
    let path = next.path
    guard let folder = find(path), let names = list(folder, path) else { return }
    guard next.hasBase, let base else {
      var inner: [Waiting] = []
      for name in names { try consider(name, path, folder, nil, &inner) }
      return try push(inner)
    }
    let old = try original(path, base.rawValue)
    let oldNames: [[UInt8]]
    do throws(SystemError) {
      oldNames = try old.names(limit: TreePacker.maximumMembers).sorted { $0.lexicographicallyPrecedes($1) }
    } catch { throw TransferStop("the image's \(path.shown): \(error)") }
    mounts = 0
    try compare(path, folder, names, old, oldNames)
    // A place for a mount was made in it by whoever made the box: that is no change of the code's.
    if next.isTouched, mounts == 0, !told.contains(path), let node = try? FoundNode(top.open(path, O_PATH)),
      node.kind == .directory
    {
      try tell(node, path, isNew: false)
    }
  }

  private func find(_ path: RelativePath) -> Folder? {
    do throws(SystemError) { return try top.folder(path) } catch {
      // Gone or something else since it was found, or something was mounted over it: none of the tree's any more.
      if ![.noEntry, .notDirectory, .loop, .crossDevice].contains(error.errno) {
        packer.fail(path.bytes, "\(error.errno)")
      }
      return nil
    }
  }

  private func list(_ folder: borrowing Folder, _ path: RelativePath) -> [[UInt8]]? {
    do throws(SystemError) {
      return try folder.names(limit: TreePacker.maximumMembers).sorted { $0.lexicographicallyPrecedes($1) }
    } catch {
      packer.fail(path.bytes, "\(error.errno)")
      return nil
    }
  }

  private func original(_ path: RelativePath, _ base: Int32) throws(TransferStop) -> Folder {
    do throws(SystemError) {
      return try Folder.withDescriptor(base) { (base) throws(SystemError) in try base.folder(path) }
    } catch { throw TransferStop("the image's \(path.shown): \(error)") }
  }

  private func compare(
    _ path: RelativePath, _ folder: borrowing Folder, _ names: [[UInt8]], _ old: borrowing Folder, _ oldNames: [[UInt8]]
  ) throws(TransferStop) {
    var gone: [[UInt8]] = []
    var inner: [Waiting] = []
    var stayed = 0
    var next = 0
    for name in names {
      while next < oldNames.count, oldNames[next].lexicographicallyPrecedes(name) {
        gone.append(oldNames[next])
        next += 1
      }
      guard next < oldNames.count, oldNames[next] == name else {
        try consider(name, path, folder, nil, &inner)
        continue
      }
      next += 1
      if try consider(name, path, folder, Original(status: status(name, old), name: name, folder: old.raw), &inner) {
        stayed += 1
      } else {
        gone.append(name)
      }
    }
    gone += oldNames[next...]
    var marked: [[UInt8]] = []
    for name in gone where try status(name, old) != nil { marked.append(name) }
    gone = marked
    if form == .layer, stayed == 0, gone.count > 1 {
      // Nothing of the folder is left: one mark for all of it.
      try tellAncestors(of: path.appending(Array("x".utf8)))
      try packer.add(TarEntry(kind: .file, path: path.appending(Array(".wh..wh..opq".utf8)).bytes))
    } else {
      for name in gone { try tellGone(name, path) }
    }
    try push(inner)
  }

  /// What an image has under a name; nil for overlayfs's mark of a deleted one, which a single layer shows as it is.
  private func status(_ name: [UInt8], _ old: borrowing Folder) throws(TransferStop) -> stat? {
    do throws(SystemError) {
      guard let status = try old.fullStatus(name), !FileStatus(status).isWhiteoutDevice else { return nil }
      return status
    } catch { throw TransferStop("the image's \(RelativePath.shown(name)): \(error)") }
  }

  private func push(_ inner: [Waiting]) throws(TransferStop) {
    for next in inner.reversed() {
      waiting.append(next)
      try hold(next.path)
    }
  }

  private func hold(_ path: RelativePath) throws(TransferStop) {
    held += path.bytes.count + 64
    if held > TreePacker.maximumWaiting { throw TransferStop("the tree has more names than memory should hold") }
  }

  // MARK: One name

  private struct Original {
    let status: stat
    let name: [UInt8]
    /// The folder that it is in.
    let folder: Int32

    init?(status: stat?, name: [UInt8], folder: Int32) {
      guard let status else { return nil }
      self.status = status
      self.name = name
      self.folder = folder
    }
  }

  /// False where nothing is there any more.
  @discardableResult
  private func consider(
    _ name: [UInt8], _ path: RelativePath, _ folder: borrowing Folder, _ original: Original?,
    _ inner: inout [Waiting]
  ) throws(TransferStop) -> Bool {
    let child = path.appending(name)
    guard child.bytes.count <= TreePacker.maximumPath else {
      packer.fail(
        Array(child.bytes.prefix(100)), "lies too deep: its path has more than \(TreePacker.maximumPath) bytes")
      return true
    }
    let node: FoundNode
    do throws(SystemError) {
      node = try FoundNode(folder.open(RelativePath.root.appending(name), O_PATH))
    } catch {
      if error.errno == .noEntry { return false }
      if error.errno == .crossDevice { return try tellMount(child, name, folder) }
      packer.fail(child.bytes, "\(error.errno)")
      return true
    }
    let isFolder = node.kind == .directory
    let wasFolder = original.map { FileStatus.Kind(mode: $0.status.st_mode) == .directory } ?? false
    if let original, isUnchanged(node, original) {
      if isFolder {
        let isTouched = !same(node.status.st_mtim, original.status.st_mtim)
        inner.append(Waiting(path: child, hasBase: true, isTouched: isTouched))
      }
      return true
    }
    try tell(node, child, isNew: original == nil)
    if isFolder { inner.append(Waiting(path: child, hasBase: wasFolder)) }
    return true
  }

  private func isUnchanged(_ node: FoundNode, _ original: Original) -> Bool {
    let (new, old) = (node.status, original.status)
    guard new.st_mode == old.st_mode, new.st_uid == old.st_uid, new.st_gid == old.st_gid else { return false }
    // A folder's time says only that names came or went: these are looked at anyway.
    if node.kind != .directory {
      guard same(new.st_mtim, old.st_mtim), new.st_size == old.st_size, new.st_rdev == old.st_rdev else { return false }
    }
    if same(new.st_ctim, old.st_ctim) { return true }
    // Taken for changed where it cannot be told: it is then written, or says why not.
    return (try? isEqual(node, original)) ?? false
  }

  private func same(_ a: timespec, _ b: timespec) -> Bool { a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec }

  private func isEqual(_ node: FoundNode, _ original: Original) throws(SystemError) -> Bool {
    let name = original.name
    switch node.kind {
    case .directory, .regular:
      let isFile = node.kind == .regular
      let flags = isFile ? O_RDONLY | O_NONBLOCK | O_NOCTTY : O_RDONLY | O_DIRECTORY
      let new = try packer.reopener.open(node.descriptor.rawValue, flags)
      let old = try Folder.withDescriptor(original.folder) { (folder) throws(SystemError) in
        try folder.open(RelativePath.root.appending(name), flags)
      }
      guard try attributes(new.rawValue) == attributes(old.rawValue) else { return false }
      return isFile ? try hasSameBytes(new.rawValue, old.rawValue) : true
    case .link:
      let old = try Folder.withDescriptor(original.folder) { (folder) throws(SystemError) in try folder.readLink(name) }
      return try Folder.readLink(node.descriptor.rawValue) == old
    case .device, .pipe, .socket: return true
    }
  }

  private func attributes(_ descriptor: Int32) throws(SystemError) -> [[UInt8]: [UInt8]] {
    var found: [[UInt8]: [UInt8]] = [:]
    for name in try ExtendedAttribute.names(of: descriptor) where ExtendedAttribute.isKept(name) {
      found[name] = try ExtendedAttribute.whole(name, of: descriptor)
    }
    return found
  }

  private func hasSameBytes(_ a: Int32, _ b: Int32) throws(SystemError) -> Bool {
    while true {
      let first = try File.read(a, atMost: TreePacker.chunk)
      var second = try File.read(b, atMost: max(first.count, 1))
      // Both are regular: a short read is the end.
      while second.count < first.count {
        let more = try File.read(b, atMost: first.count - second.count)
        if more.isEmpty { break }
        second += more
      }
      if first != second { return false }
      if first.isEmpty { return true }
    }
  }

  // MARK: The stream

  private func tell(_ node: FoundNode, _ path: RelativePath, isNew: Bool) throws(TransferStop) {
    try tellAncestors(of: path)
    if node.kind == .directory { try tellOnce(path) }
    if form == .list { return try record(isNew ? "A" : "C", path) }
    guard !path.name.starts(with: ".wh.".utf8) else {
      packer.report.leftOut.add("\(path.shown) has a name that stands for a deletion in a layer")
      return
    }
    switch node.kind {
    case .regular: try packer.addFile(node, as: path.bytes)
    case .link: try packer.addLink(node, as: path.bytes)
    case .directory: try addFolder(node, path)
    case .pipe: try packer.add(packer.entry(.fifo, node, path.bytes))
    case .device where node.status.st_rdev != 0: try packer.add(device(node, path))
    case .device, .socket: packer.report.leftOut.add("\(path.shown) is a \(node.kind.word)")
    }
  }

  /// Numbers only, which a box's files never open anything by; 0:0 is overlayfs's mark of a deleted name.
  private func device(_ node: FoundNode, _ path: RelativePath) -> TarEntry {
    let isBlock = node.status.st_mode & UInt32(S_IFMT) == UInt32(S_IFBLK)
    var entry = packer.entry(isBlock ? .blockDevice : .characterDevice, node, path.bytes)
    // makedev(3): major in bits 8 to 19 and 32 to 63, minor in the others.
    let number = UInt64(node.status.st_rdev)
    entry.deviceMajor = UInt32(truncatingIfNeeded: (number >> 8 & 0xfff) | (number >> 32 & ~0xfff))
    entry.deviceMinor = UInt32(truncatingIfNeeded: (number & 0xff) | (number >> 12 & 0xffff_ff00))
    return entry
  }

  private func addFolder(_ node: FoundNode, _ path: RelativePath) throws(TransferStop) {
    let opened: FileDescriptor
    do throws(SystemError) { opened = try packer.reopener.open(node.descriptor.rawValue, O_RDONLY | O_DIRECTORY) } catch
    {
      return packer.fail(path.bytes, "\(error.errno)")
    }
    try packer.addFolder(node, opened.rawValue, as: path.bytes)
  }

  /// The folders on the way, each once, before what is in them.
  private func tellAncestors(of path: RelativePath) throws(TransferStop) {
    var missing: [RelativePath] = []
    var above = path.parent
    while !above.isRoot, !told.contains(above) {
      missing.append(above)
      above = above.parent
    }
    for folder in missing.reversed() {
      try tellOnce(folder)
      if form == .list {
        try record("C", folder)
        continue
      }
      // Gone meanwhile: what is in it will not be found either.
      guard let node = try? FoundNode(top.open(folder, O_PATH)), node.kind == .directory else { continue }
      try addFolder(node, folder)
    }
  }

  private func tellOnce(_ path: RelativePath) throws(TransferStop) {
    if told.insert(path).inserted { try hold(path) }
  }

  private func tellGone(_ name: [UInt8], _ path: RelativePath) throws(TransferStop) {
    try tellAncestors(of: path.appending(name))
    if form == .list { return try record("D", path.appending(name)) }
    guard form == .layer else { return }
    let mark = path.appending(Array(".wh.".utf8) + name)
    guard mark.name.count <= 255 else {
      packer.fail(path.appending(name).bytes, "was deleted, and its name is too long for a layer to say so")
      return
    }
    try packer.add(TarEntry(kind: .file, path: mark.bytes))
  }

  /// In an archive a mount is an empty folder, as `docker export` has it; elsewhere it is nothing that the code made. True: the name is there.
  private func tellMount(_ path: RelativePath, _ name: [UInt8], _ folder: borrowing Folder) throws(TransferStop) -> Bool
  {
    mounts += 1
    guard form == .archive else { return true }
    // What is mounted there may be somebody else's, and may say what it likes: its permissions are believed, for /tmp is to stay what it is.
    guard let status = try? folder.status(name), status.isDirectory else { return true }
    try tellAncestors(of: path)
    var entry = TarEntry(kind: .directory, path: path.bytes)
    entry.mode = status.mode & 0o1777
    try packer.add(entry)
    return true
  }

  private func record(_ kind: String, _ path: RelativePath) throws(TransferStop) {
    records += 1
    guard records <= TreePacker.maximumMembers else {
      throw TransferStop("more than \(TreePacker.maximumMembers) files were changed")
    }
    try packer.write(Array(kind.utf8) + [UInt8(ascii: "/")] + path.bytes + [0])
    packer.report.files += 1
  }
  private var records = 0
  /// In the folder that is looked at.
  private var mounts = 0
}
