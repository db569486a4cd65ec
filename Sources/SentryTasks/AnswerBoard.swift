import CLinux
public import Linux
import SentryABI
public import SentryFiles

/// What the stubs of all guests answer from, in memory that they can read and nobody but the sentry can write: what paths lead to, and pieces
/// of files (`struct answers_board` of guest/answers.h). Only what every guest may know is told there, whoever asked first.
@safe public final class AnswerBoard: AnswerGenerations {
  /// Sealed: who gets it can map it for reading alone (F_SEAL_FUTURE_WRITE of fcntl(2)).
  public let file: FileDescriptor
  private let memory: UnsafeMutableRawPointer
  private static let size = 0x285000
  private enum Paths {
    static let start = 4096
    static let size = 512
    static let count: UInt64 = 1024
    static let longest = 255
    /// Of the path's bytes within an entry.
    static let text = 176
  }
  private enum Pieces {
    static let start = Paths.start + Paths.size * Int(Paths.count)
    static let size = 32
    static let count: UInt64 = 512
    static let bytes = start + size * Int(count)
  }
  static let piece = 4096
  /// Bytes of a read that the stub answers.
  static let longest = 65536
  /// How often something else was asked for where a piece is told: one that is asked for again and again stays while a long file is read past it.
  private var others = [UInt8](repeating: 0, count: Int(Pieces.count))
  private static let patience: UInt8 = 4
  /// Hashes of what was asked for once. What is asked for a second time is told from then on.
  private var seen = [UInt32](repeating: 0, count: 1024)
  private var lastFile: UInt64 = 0
  /// Paths of guests that do not all see one tree cannot be told.
  public private(set) var isOff = false

  public static func make() throws(SystemError) -> AnswerBoard {
    let file = try MemoryFile.create("answers")
    let number = file.rawValue
    try checked("ftruncate", "answers", systemCall(Int(SYS_ftruncate), word(number), UInt(size)))
    let address = try checked(
      "mmap", "answers",
      systemCall(Int(SYS_mmap), 0, UInt(size), word(PROT_READ | PROT_WRITE), UInt(MAP_SHARED), word(number), 0))
    guard let start = unsafe UnsafeMutableRawPointer(bitPattern: address) else {
      throw SystemError("mmap", "answers", .noMemory)
    }
    // F_SEAL_FUTURE_WRITE (Linux 5.1) leaves this mapping alone.
    let futureWrite: Int32 = 0x10
    let seals = futureWrite | F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW
    try checked(
      "fcntl(F_ADD_SEALS)", "answers", systemCall(Int(SYS_fcntl), word(number), UInt(F_ADD_SEALS), word(seals)))
    return unsafe AnswerBoard(file, start)
  }

  private init(_ file: consuming FileDescriptor, _ memory: UnsafeMutableRawPointer) {
    self.file = file
    unsafe self.memory = memory
    super.init()
    changed()
  }
  deinit {
    // SAFETY: nothing of it was given out.
    unsafe munmap(memory, Self.size)
  }

  /// Ends it for good.
  public func turnOff() {
    isOff = true
    changed()
  }

  public override func changed() { put(isOff ? 0 : current, at: 0) }

  private func put<Value: BitwiseCopyable>(_ value: Value, at offset: Int) {
    // SAFETY: all offsets come from the layout above, which ends at `size`; values are aligned by it.
    unsafe memory.storeBytes(of: value, toByteOffset: offset, as: Value.self)
  }
  private func put(_ bytes: [UInt8], at offset: Int) {
    // SAFETY: as above; callers bound the count by the field.
    unsafe bytes.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return }
      unsafe memory.advanced(by: offset).copyMemory(from: start, byteCount: bytes.count)
    }
  }

  /// Writes an entry so that who reads it meanwhile sees an odd number, or another than before.
  private func write(at offset: Int, _ body: () -> Void) {
    // SAFETY: as above.
    let before = unsafe memory.load(fromByteOffset: offset, as: UInt64.self)
    put(before | 1, at: offset)
    keepOrder()
    body()
    keepOrder()
    put((before | 1) &+ 1, at: offset)
  }

  /// No store before it is made after it: x86-64 keeps the order of the code, and no compiler moves stores across a system call.
  private func keepOrder() { _ = systemCall(Int(SYS_lseek), word(file.rawValue), 0, word(SEEK_CUR)) }

  /// FNV-1a, as in guest/answers.c.
  private static func hash(_ path: Span<UInt8>, kind: UInt64) -> UInt64 {
    var hash = 0xcbf2_9ce4_8422_2325 ^ kind
    for index in path.indices { hash = (hash ^ UInt64(path[index])) &* 0x100_0000_01b3 }
    return hash
  }

  private func isSecond(_ hash: UInt64) -> Bool {
    let mark = UInt32(truncatingIfNeeded: hash >> 20) | 1
    let index = Int((hash ^ hash >> 32) & 1023)
    defer { seen[index] = mark }
    return seen[index] == mark
  }

  /// Whether an entry says what it said still, of this.
  private func holds(_ entry: Int, _ what: UInt64, at offset: Int) -> Bool {
    // SAFETY: as in `put`.
    unsafe memory.load(fromByteOffset: entry + 8, as: UInt64.self) == current
      && memory.load(fromByteOffset: entry + offset, as: UInt64.self) == what
  }

  /// A path has been asked for: what it leads to, or that it leads nowhere, is told to everybody where that is so for everybody.
  /// - Returns: whether it is told.
  public func consider(_ path: Span<UInt8>, followsLast: Bool, _ walk: borrowing PathWalk) -> Bool {
    guard !isOff, !path.isEmpty, path[0] == 0x2f, path.count <= Paths.longest, walk.limits == [],
      walk.context.namespace.answers === self, walk.context.root == walk.context.namespace.root
    else { return false }
    let kind: UInt64 = followsLast ? 0 : 1
    let hash = Self.hash(path, kind: kind)
    let at = Paths.start + Paths.size * Int((hash ^ hash >> 32) % Paths.count)
    if holds(at, hash, at: 16) { return true }
    guard isSecond(hash) else { return false }
    // SAFETY: copied while it lives.
    let text = unsafe path.withUnsafeBufferPointer { unsafe [UInt8]($0) }
    return tell(text, followsLast: followsLast, walk, hash, at)
  }

  private func tell(_ path: [UInt8], followsLast: Bool, _ walk: borrowing PathWalk, _ hash: UInt64, _ at: Int) -> Bool {
    let trail = WalkTrail()
    var walk = copy walk
    walk.trail = trail
    var found: Inode?
    do throws(Errno) {
      found = try walk.land(path, followsLast: followsLast).place.inode
    } catch {
      guard error == .noEntry else { return false }
    }
    guard trail.isLasting else { return false }
    var status: [UInt8] = []
    if let found {
      guard found.fileSystem.tellsLasting, let record = try? found.status() else { return false }
      status = record.stat
      found.isAnswered(self)
    }
    for inode in trail.inodes { inode.isAnswered(self) }
    write(at: at) {
      put(current, at: at + 8)
      put(hash, at: at + 16)
      put(found == nil ? -ENOENT : 0, at: at + 24)
      put(UInt16(path.count), at: at + 28)
      put(UInt16(followsLast ? 0 : 1), at: at + 30)
      put(status, at: at + 32)
      put(path, at: at + Paths.text)
    }
    return true
  }

  /// By which the board knows a file's bytes; 0 where they are not everybody's to read, or may change.
  func number(of file: OpenFile) -> UInt64 {
    guard !isOff, file.isReadable, let place = file.path, let inode = place.inode, inode.kind == .regular,
      inode.isImmutable, inode.fileSystem.tellsLasting, inode.watchers == nil,
      inode.isEverybodys(executable: false)
    else { return 0 }
    // Everybody may walk to it.
    var at = place
    while true {
      if at.dentry === at.mount.root {
        guard let point = at.mount.point else { break }
        at = point
        continue
      }
      guard let parent = at.dentry.parent, let directory = parent.inode else { return 0 }
      guard directory.fileSystem.tellsLasting, directory.isEverybodys(executable: true),
        directory.watchers == nil
      else { return 0 }
      at = Path(mount: at.mount, dentry: parent)
    }
    guard at.mount.id != 0 else { return 0 }
    if inode.answerNumber == 0 {
      // `struct answered_descriptor` has 32 bits for it.
      guard lastFile < UInt64(UInt32.max) else { return 0 }
      lastFile &+= 1
      inode.answerNumber = lastFile
    }
    return inode.answerNumber
  }

  /// Bytes of a file have been read.
  /// - Parameters:
  ///   - number: not 0.
  ///   - count: at least 1.
  /// - Returns: whether all of them are told.
  @discardableResult
  func consider(_ file: OpenFile, _ number: UInt64, from offset: Int64, count: Int) -> Bool {
    let size = Int64(Self.piece)
    guard offset >= 0, (1...Self.longest).contains(count), offset <= .max - Int64(count) else { return false }
    var areTold = true
    for index in offset / size...(offset + Int64(count) - 1) / size {
      if !consider(file, number, at: index * size) { areTold = false }
    }
    return areTold
  }

  /// Whether a piece's place is free, or what is told there has been passed by often enough.
  private func gives(_ place: Int, _ at: Int) -> Bool {
    // SAFETY: as in `put`.
    let isFree = unsafe memory.load(fromByteOffset: at + 8, as: UInt64.self) != current
    others[place] = isFree ? Self.patience : min(others[place], Self.patience) + 1
    guard others[place] >= Self.patience else { return false }
    others[place] = 0
    return true
  }

  /// A piece of a file has been read.
  /// - Parameter number: not 0.
  /// - Returns: whether it is told.
  private func consider(_ file: OpenFile, _ number: UInt64, at offset: Int64) -> Bool {
    let index = UInt64(offset) / UInt64(Self.piece)
    let hash = (number &* 0x9e37_79b9_7f4a_7c15 &+ index) &* 0x100_0000_01b3
    let place = Int((number &* 31 &+ index) % Pieces.count)
    let at = Pieces.start + Pieces.size * place
    if holds(at, number, at: 16), holds(at, index, at: 24) { return true }
    guard isSecond(hash), gives(place, at) else { return false }
    // What cannot be read now is said to who reads it.
    guard let bytes = try? file.bytes(at: Int64(index) * Int64(Self.piece), count: Self.piece) else {
      return false
    }
    write(at: at) {
      put(current, at: at + 8)
      put(number, at: at + 16)
      put(index, at: at + 24)
      put(bytes, at: Pieces.bytes + Self.piece * place)
    }
    return true
  }
}
