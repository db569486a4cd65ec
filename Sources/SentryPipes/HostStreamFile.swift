import CLinux
public import Linux
public import SentryABI
public import SentryFiles
public import SentryMemory
public import SentryWait

/// A stream that the sandbox was given by the host: its standard input and outputs. The open file may be shared with other programs of
/// the host, so its flags are left alone: nothing is read or written before poll(2) says that it will not block.
public final class HostStreamFile: OpenFile {
  private let descriptor: Int32
  private let events: HostEvents
  private let changes = WaitQueue()
  /// Whether readiness can change: false for regular files and what else epoll refuses.
  private let isWatched: Bool
  private let isSeekable: Bool
  private var files: UnnamedFiles?

  /// - Parameter flags: as the guest shall see them; the access mode is the host's own.
  /// - Parameter files: where its inode is made.
  public init(
    owning descriptor: consuming FileDescriptor, flags: Int32, _ events: HostEvents,
    in files: UnnamedFiles = UnnamedFiles()
  ) {
    self.descriptor = descriptor.release()
    self.events = events
    let own = systemCall(Int(SYS_fcntl), word(self.descriptor), UInt(F_GETFL))
    isSeekable = systemCall(Int(SYS_lseek), word(self.descriptor), 0, UInt(SEEK_CUR)) >= 0
    do throws(Errno) {
      try events.watch(self.descriptor, changes)
      isWatched = true
    } catch {
      isWatched = false
    }
    super.init(flags: own < 0 ? flags : flags & ~3 | Int32(truncatingIfNeeded: own & (3 | Int(O_APPEND))))
    path = place(files, events)
    self.files = files
  }

  /// What fstat(2) shows, so that programs know a pipe from a file; opened again it is another name for the same stream.
  private func place(_ files: UnnamedFiles, _ events: HostEvents) -> Path? {
    var found = stat()
    // SAFETY: fstat fills one struct stat.
    let result = unsafe withUnsafeMutablePointer(to: &found) { pointer in
      systemCall(Int(SYS_fstat), word(descriptor), UInt(bitPattern: pointer))
    }
    guard result == 0, let kind = FileKind(mode: found.st_mode) else { return nil }
    let path = files.stream(kind, permissions: found.st_mode & 0o777, special: UInt64(found.st_rdev)) {
      [weak self, weak files] (flags) throws(Errno) in
      guard let self, let files, self.references > 0 else { throw .noSuchDevice }
      let copy: FileDescriptor
      do throws(SystemError) { copy = try FileDescriptor.duplicate(self.descriptor) } catch { throw error.errno }
      return HostStreamFile(owning: copy, flags: flags, events, in: files)
    }
    path.inode?.attributes.size = Int64(found.st_size)
    return path
  }

  public override func released() {
    if isWatched { events.forget(descriptor) }
    _ = systemCall(Int(SYS_close), word(descriptor))
  }

  public override var writesWhole: Bool { true }
  public override var queue: WaitQueue? { isWatched ? changes : nil }

  public override var readiness: PollEvents {
    guard isWatched else { return [.readable, .writable] }
    var asked = pollfd(fd: descriptor, events: Int16(POLLIN | POLLOUT | POLLPRI | 0x2000), revents: 0)
    var patience = timespec()
    // SAFETY: ppoll reads and fills one pollfd and reads one timespec, alive across the call; with a time of zero it does not block.
    _ = unsafe withUnsafeMutablePointer(to: &asked) { pointer in
      unsafe withUnsafeMutablePointer(to: &patience) { patience in
        systemCall(Int(SYS_ppoll), UInt(bitPattern: pointer), 1, UInt(bitPattern: patience), 0)
      }
    }
    return PollEvents(rawValue: UInt32(UInt16(bitPattern: asked.revents)))
  }

  public override func read(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    if buffer.remaining == 0 { return 0 }
    if offset == nil, isWatched, readiness.isDisjoint(with: [.readable, .hangup, .error]) { throw .again }
    // What the guest then has no place for is lost, to itself only.
    let bytes = try transfer(offset == nil ? Int(SYS_read) : Int(SYS_pread64), min(buffer.remaining, 65536), offset)
    return try buffer.put(bytes)
  }

  private func transfer(_ call: Int, _ count: Int, _ offset: Int64?) throws(Errno) -> [UInt8] {
    var result = 0
    // SAFETY: the kernel fills at most `count` bytes and tells how many.
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { storage, filled in
      result = systemCall(
        call, word(descriptor), UInt(bitPattern: storage.baseAddress), UInt(count),
        UInt(bitPattern: Int(offset ?? 0)))
      filled = max(0, result)
    }
    try check(result)
    return bytes
  }

  public override func write(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    if buffer.remaining == 0 { return 0 }
    let limit = try room()
    var copy = buffer
    let count = try send(try copy.take(limit), offset)
    buffer.skip(count)
    return count
  }

  public override func store(_ bytes: [UInt8], at offset: Int64?) throws(Errno) -> Int {
    try send(Array(bytes.prefix(try room())), offset)
  }

  /// What can be written without blocking.
  private func room() throws(Errno) -> Int {
    guard isWatched else { return 65536 }
    if readiness.isDisjoint(with: [.writable, .error, .hangup]) { throw .again }
    // A pipe that is ready takes PIPE_BUF bytes; a terminal at least 256 (WAKEUP_CHARS, drivers/tty/n_tty.c).
    return isHostTerminal ? 256 : 4096
  }

  private func send(_ bytes: [UInt8], _ offset: Int64?) throws(Errno) -> Int {
    // SAFETY: the kernel reads the bytes of the array, alive across the call.
    let result = unsafe bytes.span.withUnsafeBytes { bytes in
      systemCall(
        offset == nil ? Int(SYS_write) : Int(SYS_pwrite64), word(descriptor), UInt(bitPattern: bytes.baseAddress),
        UInt(bytes.count), UInt(bitPattern: Int(offset ?? 0)))
    }
    try check(result)
    return result
  }

  private lazy var isHostTerminal: Bool = {
    var size = winsize()
    // SAFETY: the kernel fills one winsize.
    return unsafe withUnsafeMutablePointer(to: &size) { pointer in
      systemCall(Int(SYS_ioctl), word(descriptor), UInt(IMMURE_TIOCGWINSZ), UInt(bitPattern: pointer)) == 0
    }
  }()

  public override func seek(to offset: Int64, from whence: Int32) throws(Errno) -> Int64 {
    guard isSeekable, (0...4).contains(whence) else { throw isSeekable ? .invalid : .illegalSeek }
    let result = systemCall(Int(SYS_lseek), word(descriptor), UInt(bitPattern: Int(offset)), word(whence))
    try check(result)
    return Int64(result)
  }

  /// What of ioctl(2) goes on to the host: settings and size of a terminal, and how much there is to read.
  /// - Parameter size: bytes of the argument; `stores`: whether the guest gives them, else it gets them.
  private static let requests: [(request: UInt32, size: Int, stores: Bool)] = [
    (0x5401, 36, false), (0x5402, 36, true), (0x5403, 36, true), (0x5404, 36, true), (0x802C_542A, 44, false),
    (0x402C_542B, 44, true), (0x402C_542C, 44, true), (0x402C_542D, 44, true), (0x5413, 8, false), (0x541B, 4, false),
    (0x5411, 4, false),
  ]

  public override func control(_ request: UInt32, _ argument: GuestWord, _ caller: ControlCaller) throws(Errno) -> Int64
  {
    guard let known = Self.requests.first(where: { $0.request == request }) else { throw .notTerminal }
    var bytes =
      known.stores
      ? try caller.memory.bytes(argument.address, count: known.size) : [UInt8](repeating: 0, count: known.size)
    // SAFETY: the kernel reads or fills as many bytes as the request says, and the array has them.
    let result = unsafe bytes.withUnsafeMutableBytes { bytes in
      systemCall(Int(SYS_ioctl), word(descriptor), UInt(request), UInt(bitPattern: bytes.baseAddress))
    }
    try check(result)
    if !known.stores { try caller.memory.store(bytes, at: argument.address) }
    return Int64(result)
  }

  private func check(_ result: Int) throws(Errno) {
    if result < 0 { throw Errno(rawValue: Int32(truncatingIfNeeded: -result)) }
  }
}
