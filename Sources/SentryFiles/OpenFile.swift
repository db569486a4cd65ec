public import Linux
public import SentryABI
public import SentryMemory
public import SentryWait

/// An open file description (open(2)): what descriptors name, shared by dup and fork. Every kind of file is a subclass.
///
/// No method blocks. One that would throws EAGAIN, also for a file that is not O_NONBLOCK: the call above then parks the task in
/// `queue` and calls again.
open class OpenFile {
  /// O_ACCMODE and the status flags (O_APPEND, O_NONBLOCK, O_DIRECT, O_PATH …), as open(2) and fcntl(2) number them.
  public final var flags: Int32 { didSet { if lender != nil { takeBack() } } }
  /// Where read(2) and write(2) go on, in bytes.
  public final var position: Int64 {
    get {
      if lender != nil, !isHeld { takeBack() }
      return kept
    }
    set {
      if lender != nil, !isHeld { takeBack() }
      kept = newValue
    }
  }
  private final var kept: Int64 = 0
  /// Whose process moves the position by itself.
  public private(set) final var lender: DescriptorAnswers?
  private final var isHeld = false
  /// Descriptors and calls in flight that name it; the last to let go calls `released`.
  public private(set) final var references = 0
  /// F_SETSIG of fcntl(2): what SIGIO would be.
  public final var signal: Int32 = 0
  /// For F_SETOWN and SIGIO.
  public final var owner: Int32 = 0
  /// Whose open(2) made it (the task's `identity`); 0 where another call did.
  public final var opener: UInt64 = 0
  /// It has taken a lock at some time; the last descriptor's close gives it back.
  public final var holdsLocks = false
  /// Where it was opened; files that no path leads to have an unnamed one (`Path(unnamed:name:)`), so that fstat(2) and
  /// /proc/PID/fd have something to show and to open again.
  public final var path: Path?
  public final var inode: Inode? { path?.dentry.inode }

  public init(flags: Int32) {
    self.flags = flags
    unsafe Self.open += 1
  }
  deinit { unsafe Self.open -= 1 }

  // SAFETY: the sentry is one thread; it serves one sandbox.
  nonisolated(unsafe) private static var open = 0
  /// Open files of the sandbox at most (/proc/sys/fs/file-max): each takes some hundred bytes of the sentry's memory.
  public static let mostOpen = 262_144
  /// Beyond it no descriptor is given: ENFILE.
  public static var areTooMany: Bool { unsafe open > mostOpen }

  public final func retain() {
    if lender != nil { takeBack() }
    references += 1
  }
  public final func release() {
    references -= 1
    guard references == 0 else { return }
    if holdsLocks {
      inode?.locks?.unlockWhole(ObjectIdentifier(self))
      inode?.locks?.unlock(ObjectIdentifier(self))
    }
    path?.tell(isWritable ? FileEvent.closedAfterWriting : FileEvent.closedUnwritten)
    released()
  }

  // MARK: A position that a process moves by itself

  /// Whether a process may be lent it: who reads from a descriptor that nobody else has is alone in moving it, and its flags are its own.
  public final var isLendable: Bool { references == 1 && flags & 3 == 0 && flags & 0o10000000 == 0 }

  /// The process moves the position from here on, until it is taken back: by whoever else gets at the file, or asks for it.
  /// - Returns: where it stands.
  public final func lend(to lender: DescriptorAnswers) -> Int64 {
    let now = position
    self.lender = lender
    return now
  }

  /// The sentry has the position again.
  public final func takeBack() {
    guard let lender else { return }
    self.lender = nil
    // Of a process that is gone, or has its page no more, what was known last.
    if let now = lender.position(of: self, takesBack: true), !isHeld { kept = now }
    isHeld = false
  }

  /// Nobody moves it any more, and nobody will ask where it stood.
  public final func dropLender() {
    lender = nil
    isHeld = false
  }

  /// For the length of a call of that process, all of which sleeps in it: the sentry moves the position, and it stays lent. One of several
  /// threads has it taken back, and lent anew when it is answered.
  /// - Returns: whether `letGo` must follow.
  public final func hold() -> Bool {
    guard let lender else { return false }
    guard !lender.movesMeanwhile, let now = lender.position(of: self, takesBack: false) else {
      takeBack()
      return false
    }
    (kept, before, isHeld) = (now, now, true)
    return true
  }
  public final func letGo() {
    guard isHeld else { return }
    isHeld = false
    if kept != before { lender?.move(self, to: kept) }
  }
  private final var before: Int64 = 0

  /// Mode 3 opens for neither (open(2), "Rare access modes").
  public final var isReadable: Bool { flags & 1 == 0 && flags & 0o10000000 == 0 }
  public final var isWritable: Bool { (1...2).contains(flags & 3) && flags & 0o10000000 == 0 }
  public final var isNonBlocking: Bool { flags & 0o4000 != 0 }

  /// A descriptor of it is closed in this table, be it the last or not (the kernel's `flush`).
  open func closing(_ table: ObjectIdentifier) {}

  /// The last descriptor was closed.
  open func released() {}

  /// Moves bytes to the guest.
  /// - Parameter offset: for pread(2); nil reads at `position` and moves it.
  /// - Returns: 0 at the end.
  open func read(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int { throw .invalid }

  /// Moves bytes from the guest; `offset` as in `read`.
  open func write(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int { throw .invalid }

  /// Whether a write(2) goes on until all bytes are moved, or would block and must not, as with pipes, streams and terminals.
  open var writesWhole: Bool { false }

  /// Whether reading and writing ask who calls: a terminal stops those in the background.
  open var isTerminal: Bool { false }

  /// A descriptor that the host's kernel reads in the guest's stead, as that of signalfd(2).
  open var nativeReader: Int32? { nil }

  /// lseek(2).
  open func seek(to offset: Int64, from whence: Int32) throws(Errno) -> Int64 { throw .illegalSeek }

  /// ftruncate(2).
  /// - Parameter size: not negative.
  open func truncate(to size: Int64) throws(Errno) { throw .invalid }

  /// fallocate(2); offset and length are not negative, their sum doesn't overflow.
  open func allocate(_ mode: Int32, _ offset: Int64, _ length: Int64) throws(Errno) { throw .noDevice }

  /// Seals of a memory file (F_GET_SEALS of fcntl(2)).
  open func seals() throws(Errno) -> Int32 { throw .invalid }
  /// - Throws: EINVAL for a file that has none, EPERM where no more may be added, EBUSY while it is mapped for writing.
  open func addSeals(_ seals: Int32) throws(Errno) { throw .invalid }

  /// fsync(2) and fdatasync(2).
  open func synchronize() throws(Errno) { throw .invalid }

  /// Whether open(2) still waits, as that of a FIFO for its other end: until then it sleeps in `queue`.
  open var isOpening: Bool { false }

  /// Bytes as the sentry itself reads them (sendfile(2), exec).
  /// - Parameter offset: not negative; the position stays.
  /// - Returns: fewer at the end.
  open func bytes(at offset: Int64, count: Int) throws(Errno) -> [UInt8] { throw .invalid }

  /// Bytes that the sentry itself writes (sendfile(2), copy_file_range(2)).
  /// - Parameter offset: nil writes as write(2) does, at the position.
  open func store(_ bytes: [UInt8], at offset: Int64?) throws(Errno) -> Int { throw .invalid }

  /// What poll(2) would tell now.
  open var readiness: PollEvents { [.readable, .writable] }
  /// What poll(2) tells beside POLLIN and POLLOUT: POLLRDNORM, POLLWRNORM, POLLWRBAND, where a kind of file has them.
  open var readableBands: UInt32 { 0x40 }
  open var writableBands: UInt32 { 0x100 }
  public final var readinessWithBands: PollEvents {
    let now = readiness
    return PollEvents(
      rawValue: now.rawValue | (now.contains(.readable) ? readableBands : 0)
        | (now.contains(.writable) ? writableBands : 0))
  }
  /// Where to wait for a change of `readiness`; nil for files that are always ready (regular ones: epoll refuses them with EPERM).
  open var queue: WaitQueue? { nil }

  /// ioctl(2).
  /// - Throws: ENOTTY for a request that the file doesn't know.
  open func control(_ request: UInt32, _ argument: GuestWord, _ caller: ControlCaller) throws(Errno) -> Int64 {
    throw .notTerminal
  }

  /// A descriptor of the host that the guest may map in this file's stead (mmap(2) at the same offsets), close-on-exec, owned by the file.
  /// - Parameter writable: whether a shared mapping could write to it.
  /// - Throws: ENODEV where the file cannot be mapped.
  open func hostDescriptor(writable: Bool) throws(Errno) -> Int32 { throw .noDevice }
}

/// Who makes an ioctl(2): its memory and identity, and for terminals the process group.
public struct ControlCaller {
  public let memory: GuestMemory
  public let credentials: Credentials
  /// The session and process group of the caller, as its pid namespace numbers them.
  public let session: Int32
  public let processGroup: Int32
  public init(memory: GuestMemory, credentials: Credentials, session: Int32, processGroup: Int32) {
    self.memory = memory
    self.credentials = credentials
    self.session = session
    self.processGroup = processGroup
  }
}
