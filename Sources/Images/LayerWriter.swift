import CLinux
public import Formats
import Linux

/// Writes a layer's entries as files into a folder that nobody else uses: the fallback of root filesystem sources, where a layer
/// cannot be mounted as it is.
///
/// Nothing the entries say is trusted. Every path is resolved by the kernel as if the folder were "/" (openat2(2),
/// RESOLVE_IN_ROOT); names are created with O_EXCL, links made or linked, never followed at their end. Whiteouts become what
/// overlayfs reads (a 0:0 character device, `opaque` attributes) once everything else is there: they hide what lies in lower layers
/// and nothing of their own (image-spec layer.md, "Whiteouts"). Folders get their mode and time last.
public struct LayerWriter: ~Copyable {
  public struct Options: Sendable, Equatable {
    /// False gives everything to the caller, as for a namespace with a single id.
    public var keepsOwners = true
    /// Bytes of file content at most.
    public var bytes: Int64 = 64 << 30
    public var entries: Int64 = 2_000_000
    public init() {}
  }

  let root: Int32
  let options: Options
  var notes = LayerNotes()
  private(set) var bytes: Int64 = 0
  private(set) var entries: Int64 = 0

  /// The folder of the entry before this one: archives are in order, so it is mostly the next one's too.
  var parentPath: [UInt8]?
  var parent: FileDescriptor?
  private var file: OpenFile?
  var folders: [FolderMetadata] = []
  private var whiteouts: [[UInt8]] = []
  private var opaque: [[UInt8]] = []
  /// Bytes of paths that are kept until the end.
  var keptBytes = 0
  static let maximumKeptBytes = 256 << 20

  private struct OpenFile: ~Copyable {
    let entry: LayerRecord
    let descriptor: FileDescriptor
    var end: Int64 = 0
    var endsInHole = false
  }

  struct FolderMetadata {
    let path: [UInt8]
    let mode: UInt32
    let seconds: Int64
    let nanoseconds: UInt32
  }

  /// - Parameter root: an empty folder, open for reading; it stays the caller's.
  public init(root: Int32, options: Options = Options()) {
    self.root = root
    self.options = options
    notes.ownersDropped = !options.keepsOwners
  }

  // MARK: Entries

  /// Makes the next entry; a file's content follows with `write` and `skip`.
  public mutating func add(_ entry: LayerRecord) throws(ImageError) {
    try finishFile()
    try count()
    let path = try Self.clean(entry.path)
    if entry.kind == .whiteout || entry.kind == .opaque { return try keepForEnd(entry.kind, path) }
    do throws(SystemError) { try make(entry, path) } catch { throw Self.failure(entry.path, error) }
  }

  /// The next content of the file that was added last.
  public mutating func write(_ content: Span<UInt8>) throws(ImageError) {
    guard var open = file.take() else { throw ImageError(.damaged, "the layer has content that belongs to no file") }
    guard Int64(content.count) <= open.entry.size - open.end else {
      throw Self.failure(open.entry.path, "has content beyond its \(open.entry.size) bytes")
    }
    bytes += Int64(content.count)
    guard bytes <= options.bytes else {
      throw ImageError(.damaged, "the layer unpacks to more than \(options.bytes) bytes: refused as a bomb")
    }
    do throws(SystemError) { try LayerTree.write(open.descriptor.rawValue, content, at: open.end) } catch {
      throw Self.failure(open.entry.path, error)
    }
    open.end += Int64(content.count)
    file = consume open
  }

  /// The next so many bytes of the file are a hole.
  public mutating func skip(_ count: Int64) throws(ImageError) {
    guard var open = file.take() else { throw ImageError(.damaged, "the layer has content that belongs to no file") }
    guard count >= 0, count <= open.entry.size - open.end else {
      throw Self.failure(open.entry.path, "has content beyond its \(open.entry.size) bytes")
    }
    open.end += count
    open.endsInHole = count > 0 || open.endsInHole
    file = consume open
  }

  private mutating func keepForEnd(_ kind: LayerRecord.Kind, _ path: [UInt8]) throws(ImageError) {
    keptBytes += path.count + 32
    guard keptBytes <= Self.maximumKeptBytes else {
      throw ImageError(.damaged, "the layer hides more names than can be remembered: refused as a bomb")
    }
    if kind == .opaque { return opaque.append(path) }
    guard !path.isEmpty else { throw ImageError(.damaged, "the layer would hide the whole root: refused") }
    whiteouts.append(path)
  }

  /// Finishes the last file, the whiteouts and the folders.
  public mutating func finish() throws(ImageError) {
    try finishFile()
    for path in whiteouts {
      do throws(SystemError) { try makeWhiteout(path) } catch { throw Self.failure(path, error) }
    }
    for path in opaque {
      do throws(SystemError) { try makeOpaque(path) } catch { throw Self.failure(path, error) }
    }
    parent = nil
    for folder in folders {
      do throws(SystemError) { try finish(folder) } catch { throw Self.failure(folder.path, error) }
    }
  }

  /// What was written, for the layer's record.
  public func summary(diffID: Digest) -> LayerSummary {
    LayerSummary(diffID: diffID, bytes: bytes, entries: entries, notes: notes.lines)
  }

  /// Removes everything in the folder: what a layer that failed left.
  public static func clear(_ root: Int32) throws(ImageError) {
    do throws(SystemError) { try LayerTree.empty(root) } catch { throw ImageError("cannot clear the layer", error) }
  }

  // MARK: Making

  private mutating func make(_ entry: LayerRecord, _ path: [UInt8]) throws(SystemError) {
    guard let name = Self.lastComponent(path) else {
      // The root itself is never replaced: only a folder may speak of it.
      guard entry.kind == .directory else { throw SystemError("replace", "the root", .invalid) }
      if options.keepsOwners {
        try LayerTree.changeOwner([], user: entry.uid, group: entry.gid, at: root)
      }
      try set(entry.attributes, of: root)
      return try keepFolder(entry, path)
    }
    let folder = try openParent(of: path)
    switch entry.kind {
    case .directory:
      try makeFolder(name, at: folder)
      if options.keepsOwners { try LayerTree.changeOwner(name, user: entry.uid, group: entry.gid, at: folder) }
      if !entry.attributes.isEmpty {
        let open = try LayerTree.openDirectory(name, at: folder)
        try set(entry.attributes, of: open.rawValue)
      }
      try keepFolder(entry, path)
    case .file:
      try clear(name, at: folder)
      file = OpenFile(entry: entry, descriptor: try LayerTree.create(name, at: folder))
    case .symbolicLink:
      try clear(name, at: folder)
      try LayerTree.makeLink(entry.target, name, at: folder)
      try finishNode(entry, name, at: folder)
    case .hardLink:
      try makeHardLink(entry, name, at: folder)
    case .fifo:
      try clear(name, at: folder)
      try LayerTree.makeNode(name, mode: UInt32(S_IFIFO) | 0o600, at: folder)
      try finishNode(entry, name, at: folder)
    case .characterDevice, .blockDevice:
      try clear(name, at: folder)
      try makeDevice(entry, name, at: folder)
    case .whiteout, .opaque: return
    }
  }

  private mutating func makeDevice(_ entry: LayerRecord, _ name: [UInt8], at folder: Int32) throws(SystemError) {
    let isCharacter = entry.kind == .characterDevice
    // What overlayfs itself reads as a whiteout is no device of anybody's.
    if isCharacter && entry.deviceMajor == 0 && entry.deviceMinor == 0 {
      throw SystemError("mknod", "character device 0:0, which overlayfs reads as a whiteout", .invalid)
    }
    do throws(SystemError) {
      try LayerTree.makeNode(
        name, mode: UInt32(isCharacter ? S_IFCHR : S_IFBLK) | 0o600,
        device: immure_makedev(entry.deviceMajor, entry.deviceMinor), at: folder)
    } catch {
      // Only root of the machine makes devices; a box gets its own /dev in any case.
      guard error.errno == .notPermitted else { throw error }
      notes.devicesSkipped += 1
      return
    }
    try finishNode(entry, name, at: folder)
  }

  private mutating func makeHardLink(_ entry: LayerRecord, _ name: [UInt8], at folder: Int32) throws(SystemError) {
    let target: [UInt8]
    do throws(ImageError) { target = try Self.clean(entry.target) } catch {
      throw SystemError("link", "to \(String(decoding: entry.target.prefix(80), as: UTF8.self))", .invalid)
    }
    guard let targetName = Self.lastComponent(target) else { throw SystemError("link", "to the root", .invalid) }
    if target == (try? Self.clean(entry.path)) { return }
    let targetFolder = try LayerTree.open(
      Self.folder(of: target), pathOnly | O_DIRECTORY, root: root,
      resolve: [.inRoot, .noMagicLinks, .noMountCrossing])
    // The target may be a folder that removing the old name would empty: look first.
    guard let kind = try LayerTree.kind(targetName, at: targetFolder.rawValue) else {
      throw SystemError(
        "link", "to \(String(decoding: entry.target.prefix(80), as: UTF8.self)), which this layer does not have",
        .noEntry)
    }
    guard kind != UInt32(S_IFDIR) else { throw SystemError("link", "to a folder", .notPermitted) }
    try clear(name, at: folder)
    try LayerTree.makeHardLink(targetName, at: targetFolder.rawValue, name, at: folder)
  }

  /// Makes a folder; one that is there stays with all that is in it, anything else gives way.
  private mutating func makeFolder(_ name: [UInt8], at folder: Int32) throws(SystemError) {
    do throws(SystemError) { return try LayerTree.makeDirectory(name, mode: 0o700, at: folder) } catch {
      guard error.errno == .exists else { throw error }
    }
    if try LayerTree.kind(name, at: folder) == UInt32(S_IFDIR) { return }
    try clear(name, at: folder)
    try LayerTree.makeDirectory(name, mode: 0o700, at: folder)
  }

  /// Removes what an earlier entry made under the name.
  private mutating func clear(_ name: [UInt8], at folder: Int32) throws(SystemError) {
    do throws(SystemError) { return try LayerTree.remove(name, at: folder) } catch {
      if error.errno == .noEntry { return }
      guard error.errno == .isDirectory || error.errno == .notPermitted else { throw error }
    }
    let open = try LayerTree.openDirectory(name, at: folder)
    try LayerTree.empty(open.rawValue)
    try LayerTree.removeDirectory(name, at: folder)
    // `folder` itself stands: only what is below it has gone. But the kept descriptor may be below.
    forgetParent(unless: folder)
  }

  private mutating func finishNode(_ entry: LayerRecord, _ name: [UInt8], at folder: Int32) throws(SystemError) {
    if options.keepsOwners { try LayerTree.changeOwner(name, user: entry.uid, group: entry.gid, at: folder) }
    if entry.kind != .symbolicLink { try LayerTree.changeMode(name, entry.mode & 0o7777, at: folder) }
    for attribute in entry.attributes { notes.refuse(attribute.name) }
    try LayerTree.changeTime(
      name, seconds: entry.modified, nanoseconds: entry.modifiedNanoseconds, at: folder)
  }

  private mutating func finishFile() throws(ImageError) {
    guard let open = file.take() else { return }
    let entry = open.entry
    let descriptor = open.descriptor.rawValue
    do throws(SystemError) {
      if open.end < entry.size || open.endsInHole { try LayerTree.setSize(descriptor, entry.size) }
      // chown clears setuid and file capabilities: owner, mode, attributes, in this order (chown(2)).
      if options.keepsOwners { try LayerTree.changeOwner([], user: entry.uid, group: entry.gid, at: descriptor) }
      try LayerTree.changeMode(descriptor, entry.mode & 0o7777)
      try set(entry.attributes, of: descriptor)
      try LayerTree.changeTime(nil, seconds: entry.modified, nanoseconds: entry.modifiedNanoseconds, at: descriptor)
    } catch {
      throw Self.failure(entry.path, error)
    }
  }

  /// `security.capability`, POSIX ACLs and `user.*` but overlayfs's own; anything else (`trusted.*`, labels of a security module)
  /// would speak to the host and is refused and noted.
  private mutating func set(_ attributes: [TarEntry.Attribute], of descriptor: Int32) throws(SystemError) {
    for attribute in attributes {
      let name = String(decoding: attribute.name, as: UTF8.self)
      let isKnown =
        name == "security.capability" || name == "system.posix_acl_access" || name == "system.posix_acl_default"
        || (name.hasPrefix("user.") && !name.hasPrefix("user.overlay."))
      guard isKnown else {
        notes.refuse(attribute.name)
        continue
      }
      do throws(SystemError) { try LayerTree.setAttribute(attribute.name, attribute.value, descriptor) } catch {
        // The file system of the store, or a namespace without that right, does not have it.
        guard error.errno == .notSupported || error.errno == .notPermitted else { throw error }
        notes.refuse(attribute.name)
      }
    }
  }

  // MARK: Bounds and errors

  private mutating func count() throws(ImageError) {
    entries += 1
    guard entries <= options.entries else {
      throw ImageError(.damaged, "the layer has more than \(options.entries) entries: refused as a bomb")
    }
  }

  static func failure(_ path: [UInt8], _ problem: String) -> ImageError {
    ImageError(
      .damaged,
      "layer entry \"\(FormatError.presentable(String(decoding: path.prefix(512), as: UTF8.self)))\" \(problem)")
  }

  static func failure(_ path: [UInt8], _ error: SystemError) -> ImageError {
    let shown = FormatError.presentable(String(decoding: path.prefix(512), as: UTF8.self))
    return ImageError("cannot unpack layer entry \"\(shown)\"", error)
  }
}

/// O_PATH (fcntl.h has it under _GNU_SOURCE only as a macro that does not import everywhere).
let pathOnly: Int32 = 0o10000000
