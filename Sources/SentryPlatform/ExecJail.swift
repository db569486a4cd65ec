import CLinux
import Linux

/// The only tree that the host's kernel sees when a guest executes something: in it every path that a guest ever executed is a link to the stub. So
/// whatever a racing thread writes into the path of an execve(2) after the sentry read it, the host can run nothing else.
struct ExecJail: ~Copyable {
  /// A tmpfs of its own: the stub, and beside it the guests' root.
  private let top: FileDescriptor
  /// What the guests' host root is.
  let root: FileDescriptor
  private var links = 0
  /// Paths that lead to the stub, of those that were executed lately.
  private var known: Set<[UInt8]> = []
  /// How many, and of how many bytes each at most.
  private static let (knownPaths, knownLength) = (256, 256)
  /// Links and folders beyond this are taken away again, all of them: a guest can make no more memory of them than these.
  private static let limit = 4096
  /// The stub in one file.
  struct Twin {
    fileprivate let name: String
    let inode: UInt64
  }
  /// It lies in two files, so that an execve(2) can be told from none: who runs one of them is given the other.
  private let twins: (Twin, Twin)

  /// Wants CAP_SYS_ADMIN in the user namespace.
  init() throws(SystemError) {
    let context = try FileSystemContext("tmpfs")
    try context.set("mode", "0755")
    try context.set("size", "16m")
    let mount = try context.mount([.noSetUserID, .noDevices, .noSymlinks])
    let top = FileDescriptor(owning: mount.release())
    let (one, other) = (try Self.make("stub", in: top.rawValue), try Self.make("twin", in: top.rawValue))
    try File.makeDirectory("root", mode: 0o755, at: top.rawValue)
    let root = try File.open("root", File.directoryOnly, at: top.rawValue)
    self.top = top
    self.root = root
    twins = (one, other)
  }

  private static func make(_ name: String, in folder: Int32) throws(SystemError) -> Twin {
    let file = try File.open(name, O_WRONLY | O_CREAT | O_EXCL, mode: 0o555, at: folder)
    try File.writeAll(file.rawValue, StubProgram.bytes)
    try File.changeMode(file.rawValue, 0o555)
    return Twin(name: name, inode: UInt64(try File.status("", at: file.rawValue).st_ino))
  }

  /// - Parameter inode: of the file that a process runs now.
  borrowing func other(than inode: UInt64) -> Twin { inode == twins.0.inode ? twins.1 : twins.0 }

  /// An open stub, for execveat(2).
  borrowing func openProgram(_ twin: Twin?) throws(SystemError) -> FileDescriptor {
    try File.open((twin ?? twins.0).name, O_RDONLY, at: top.rawValue)
  }

  /// Makes the host's walk of this path, from this tree's root, end at the stub.
  /// - Parameters:
  ///   - path: at most 4095 bytes, as the guest gave it.
  ///   - twin: which of the two files; nil for whichever is there.
  /// - Throws: ENAMETOOLONG, ENOSPC.
  mutating func link(_ path: [UInt8], to twin: Twin? = nil) throws(Errno) {
    if twin == nil, known.contains(path) { return }
    known.remove(path)
    try makeLink(path, twin)
    if path.count > Self.knownLength { return }
    if known.count >= Self.knownPaths { known.removeAll(keepingCapacity: true) }
    known.insert(path)
  }

  private mutating func makeLink(_ path: [UInt8], _ twin: Twin?) throws(Errno) {
    let components = path.split(separator: 0x2f).filter { $0 != [0x2e] }
    guard let name = components.last, name != [0x2e, 0x2e] else { throw .accessDenied }
    if links >= Self.limit { try empty() }
    if try place(components, twin) { return }
    // Something stands where a folder, or the link, must: the tree was a different one when that was executed.
    try empty()
    guard try place(components, twin) else { throw .noEntry }
  }

  /// - Returns: false where a file is in the way of a folder or a folder in the way of the file.
  private mutating func place(_ components: [ArraySlice<UInt8>], _ twin: Twin?) throws(Errno) -> Bool {
    var walked: [UInt8] = []
    var depth = 0
    for component in components.dropLast() {
      walked += (walked.isEmpty ? [] : [0x2f]) + component
      if component == [0x2e, 0x2e] {
        depth -= 1
        // Above the root is the root.
        if depth < 0 { (walked, depth) = ([], 0) }
        continue
      }
      depth += 1
      switch make(walked) {
      case 0: links += 1
      case -Int(EEXIST): break
      case -Int(ENOTDIR): return false
      case let error: throw Errno(rawValue: Int32(truncatingIfNeeded: -error))
      }
    }
    walked += (walked.isEmpty ? [] : [0x2f]) + (components.last ?? [])
    // Another guest that is just executing it may find nothing for that moment, as when all are taken away.
    if twin != nil { _ = withAddress(walked) { systemCall(Int(SYS_unlinkat), word(root.rawValue), $0, 0) } }
    let result = (twin ?? twins.0).name.withPathAddress { old in
      withAddress(walked) { new in
        systemCall(Int(SYS_linkat), word(top.rawValue), old, word(root.rawValue), new, 0)
      }
    }
    if result == 0 {
      links += 1
      return true
    }
    if result == -Int(ENOTDIR) { return false }
    guard result == -Int(EEXIST) else { throw Errno(rawValue: Int32(truncatingIfNeeded: -result)) }
    // A folder there already, or the link: opening it as a folder tells.
    let folder = withAddress(walked) {
      systemCall(Int(SYS_openat), word(root.rawValue), $0, UInt(O_PATH | O_DIRECTORY | O_CLOEXEC))
    }
    if folder < 0 { return true }
    _ = systemCall(Int(SYS_close), UInt(bitPattern: folder))
    return false
  }

  private borrowing func make(_ path: [UInt8]) -> Int {
    withAddress(path) { systemCall(Int(SYS_mkdirat), word(root.rawValue), $0, 0o755) }
  }

  /// Takes every link away. One that a guest is just about to execute fails there with ENOENT, and it tries again.
  private mutating func empty() throws(Errno) {
    links = 0
    known.removeAll(keepingCapacity: true)
    do throws(SystemError) { try File.removeContents(of: root.rawValue) } catch { throw error.errno }
  }

  private borrowing func withAddress(_ path: [UInt8], _ body: (UInt) -> Int) -> Int {
    let bytes = path + [0]
    // SAFETY: the address is used by one system call inside `body`, while the array lives.
    return unsafe bytes.withUnsafeBufferPointer { body(UInt(bitPattern: $0.baseAddress)) }
  }
}
