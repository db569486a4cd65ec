import CLinux
import Linux
import SentryABI
import SentryFiles
import SentryMemory

/// A regular file in memory, or one from below that is read there until it is written.
final class MemoryFileInode: MemoryInode {
  /// Nil while the bytes are below.
  private var own: MemoryContents?
  /// What is below, open while somebody has this file open.
  private var source: OpenFile?
  private var users = 0
  /// Made by memfd_create(2), the only files that take seals here.
  var isSealable = false

  override init(_ system: MemoryFileSystem, _ attributes: FileAttributes, below: Inode?, isCounted: Bool = false) {
    super.init(system, attributes, below: below, isCounted: isCounted)
    if below == nil { own = MemoryContents(system.quota) }
  }

  override var isImmutable: Bool { own == nil && below?.isImmutable == true }
  override var endsAsTold: Bool { own != nil || isImmutable }

  override func change(_ change: AttributeChange) throws(Errno) {
    if let permissions = change.permissions, own?.sealsMode == true, (permissions ^ attributes.permissions) & 0o111 != 0
    {
      throw .notPermitted
    }
    try super.change(change)
  }

  override func open(_ flags: Int32, _ path: Path, _ caller: FileCaller) throws(Errno) -> OpenFile {
    if own == nil { _ = try lower(path) }
    return MemoryOpenFile(flags: flags, self, caller)
  }

  private func lower(_ path: Path) throws(Errno) -> OpenFile {
    if let source { return source }
    guard let below else { throw .inputOutput }
    let opened = try below.open(0, path, FileCaller(credentials: .init()))
    opened.retain()
    source = opened
    return opened
  }

  func use() { users += 1 }
  func unuse() {
    users -= 1
    if users == 0 { letSourceGo() }
  }
  private func letSourceGo() {
    source?.release()
    source = nil
  }

  /// The bytes as they may be written: copied from below at the first time.
  private func contents(keeping count: Int64 = .max) throws(Errno) -> MemoryContents {
    if let own { return own }
    let copy = MemoryContents(system.quota)
    if count > 0 {
      let wasOpen = source != nil
      let file = try lower(Path(unnamed: self, name: []))
      defer { if !wasOpen, users == 0 { letSourceGo() } }
      var offset: Int64 = 0
      while offset < count {
        let piece = try file.bytes(at: offset, count: Int(min(256 << 10, count - offset)))
        if piece.isEmpty { break }
        _ = try copy.store(piece, at: offset)
        offset += Int64(piece.count)
      }
    }
    own = copy
    bytesMayChange()
    letSourceGo()
    return copy
  }

  private func settle(_ contents: MemoryContents) {
    attributes.size = contents.size
    attributes.blocks = UInt64(clamping: contents.pages) &* 8
  }

  func read(_ buffer: inout GuestBuffer, at offset: Int64) throws(Errno) -> Int {
    if let own { return try own.read(&buffer, at: offset) }
    guard let source else { throw .inputOutput }
    return try source.read(&buffer, at: offset)
  }

  func write(_ buffer: inout GuestBuffer, at offset: Int64) throws(Errno) -> Int {
    let contents = try contents()
    let count = try contents.write(&buffer, at: offset)
    settle(contents)
    touch()
    return count
  }

  func bytes(at offset: Int64, count: Int) throws(Errno) -> [UInt8] {
    if let own { return try own.bytes(at: offset, count: count) }
    guard let source else { throw .inputOutput }
    return try source.bytes(at: offset, count: count)
  }

  func store(_ bytes: [UInt8], at offset: Int64) throws(Errno) -> Int {
    let contents = try contents()
    let count = try contents.store(bytes, at: offset)
    settle(contents)
    touch()
    return count
  }

  override func truncate(to size: Int64) throws(Errno) {
    let contents = try contents(keeping: size)
    try contents.truncate(to: size)
    settle(contents)
    touch()
  }

  func allocate(_ mode: Int32, _ offset: Int64, _ length: Int64) throws(Errno) {
    let contents = try contents()
    try contents.allocate(mode, offset, length)
    settle(contents)
    touch()
  }

  func seek(_ offset: Int64, _ whence: Int32) throws(Errno) -> Int64 {
    if let own { return try own.seek(offset, whence) }
    guard let source else { throw .inputOutput }
    return try source.seek(to: offset, from: whence)
  }

  /// Writes of a shared mapping reach the file itself; what is only read may stay below.
  func hostDescriptor(writable: Bool) throws(Errno) -> Int32 {
    if !writable, own == nil, let source { return try source.hostDescriptor(writable: false) }
    let contents = try contents()
    return try contents.hostDescriptor(writable: writable)
  }

  func memoryContents() throws(Errno) -> MemoryContents { try contents() }

  /// Whoever cannot keep set-id bits takes them from what it writes, and everybody its capabilities.
  func loseSetID(_ credentials: Credentials) {
    loseCapabilities()
    let bits = attributes.permissions
    guard bits & 0o6000 != 0, !credentials.has(4) else { return }
    attributes.permissions = bits & ~(0o4000 | (bits & 0o010 != 0 ? 0o2000 : 0))
  }

  /// relatime of mount(8).
  func wasRead() {
    let now = FileTime.now()
    let old = attributes.accessed
    if old.seconds <= attributes.modified.seconds || old.seconds <= attributes.changed.seconds
      || now.seconds &- old.seconds >= 86400
    {
      attributes.accessed = now
    }
  }
}

/// An open file in memory.
final class MemoryOpenFile: OpenFile {
  private let file: MemoryFileInode
  private let credentials: Credentials

  init(flags: Int32, _ file: MemoryFileInode, _ caller: FileCaller) {
    self.file = file
    credentials = caller.credentials
    super.init(flags: flags)
    file.use()
  }
  deinit { file.unuse() }

  override func read(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    let start = offset ?? position
    guard start >= 0 else { throw .invalid }
    let count = try file.read(&buffer, at: start)
    if offset == nil { position = start + Int64(count) }
    if flags & OpenFlags.noAccessTime == 0, path?.mount.flags.contains(.noAccessTimes) == false { file.wasRead() }
    return count
  }

  override func write(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    let start = flags & OpenFlags.append != 0 ? file.attributes.size : offset ?? position
    guard start >= 0 else { throw .invalid }
    let count = try file.write(&buffer, at: start)
    if offset == nil { position = start + Int64(count) }
    file.loseSetID(credentials)
    return count
  }

  override func seek(to offset: Int64, from whence: Int32) throws(Errno) -> Int64 {
    position = try Positions.seek(offset, whence, position, file.attributes.size) { (offset, whence) throws(Errno) in
      try file.seek(offset, whence)
    }
    return position
  }

  override func truncate(to size: Int64) throws(Errno) {
    try file.truncate(to: size)
    file.loseSetID(credentials)
  }
  override func allocate(_ mode: Int32, _ offset: Int64, _ length: Int64) throws(Errno) {
    try file.allocate(mode, offset, length)
  }
  override func synchronize() throws(Errno) {}
  override func seals() throws(Errno) -> Int32 {
    // F_SEAL_SEAL: none may be added.
    guard file.isSealable else { return 1 }
    return try file.memoryContents().seals()
  }
  override func addSeals(_ seals: Int32) throws(Errno) {
    guard isWritable else { throw .notPermitted }
    guard seals & ~0x3f == 0 else { throw .invalid }
    guard file.isSealable else { throw .notPermitted }
    try file.memoryContents().addSeals(seals, isExecutable: file.attributes.permissions & 0o111 != 0)
  }
  override func bytes(at offset: Int64, count: Int) throws(Errno) -> [UInt8] {
    try file.bytes(at: offset, count: count)
  }
  override func store(_ bytes: [UInt8], at offset: Int64?) throws(Errno) -> Int {
    let start = flags & OpenFlags.append != 0 ? file.attributes.size : offset ?? position
    let count = try file.store(bytes, at: start)
    if offset == nil { position = start + Int64(count) }
    file.loseSetID(credentials)
    return count
  }
  override func hostDescriptor(writable: Bool) throws(Errno) -> Int32 {
    try file.hostDescriptor(writable: writable)
  }
}

/// lseek(2) of files that have a size.
enum Positions {
  static func seek(
    _ offset: Int64, _ whence: Int32, _ position: Int64, _ size: Int64,
    _ data: (Int64, Int32) throws(Errno) -> Int64
  ) throws(Errno) -> Int64 {
    let base: Int64
    switch whence {
    case 0: base = 0
    case 1: base = position
    case 2: base = size
    case 3, 4:
      guard offset >= 0, offset < size else { throw .noSuchDevice }
      return try data(offset, whence)
    default: throw .invalid
    }
    let (target, overflow) = base.addingReportingOverflow(offset)
    guard !overflow else { throw .overflow }
    guard target >= 0 else { throw .invalid }
    return target
  }
}
