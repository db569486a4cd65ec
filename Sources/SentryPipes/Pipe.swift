public import Linux
public import SentryFiles
public import SentryMemory
public import SentryWait

/// A pipe or FIFO (pipe(7)): bytes, and who holds its ends.
public final class Pipe {
  /// Writes of at most so many bytes are not torn (PIPE_BUF, limits.h).
  public static let atomic = 4096
  public static let standardCapacity = 65536
  /// What F_SETPIPE_SZ may ask for without privilege (/proc/sys/fs/pipe-max-size).
  public static let largestCapacity = 1_048_576

  public let ring = ByteRing(capacity: standardCapacity)
  /// Lengths of the packets in `ring`, where writers made them (O_DIRECT).
  var packets: [Int] = []
  public internal(set) var readers = 0
  public internal(set) var writers = 0
  /// How often an end was opened: who opens a FIFO waits for the other side's count to grow (fifo(7)).
  public internal(set) var readerOpens: UInt64 = 0
  public internal(set) var writerOpens: UInt64 = 0
  /// For both sides, and for those who wait in open(2).
  public let queue = WaitQueue()

  public init() {}

  var canWrite: Bool { ring.free >= Pipe.atomic }

  /// Bytes that the sentry itself has taken out of `ring`, as seen there.
  public func consumed(_ count: Int) {
    ring.drop(count)
    // Packets lose their bounds.
    packets.removeAll()
    queue.wake(.writable)
  }

  /// Bytes that the sentry itself has put into `ring`.
  public func produced(_ count: Int) {
    if !packets.isEmpty { packets.append(count) }
    if count > 0 { queue.wake(.readable) }
  }

  /// F_SETPIPE_SZ: whole pages, a power of two of them.
  /// - Returns: the new capacity in bytes.
  /// - Throws: EBUSY where more lies in it; EPERM beyond the limit; EINVAL.
  public func setCapacity(_ wanted: Int32) throws(Errno) -> Int {
    guard wanted >= 0 else { throw .invalid }
    var size = 4096
    while size < Int(wanted) { size *= 2 }
    guard size <= Pipe.largestCapacity else { throw .notPermitted }
    guard size >= ring.count else { throw .busy }
    ring.setCapacity(size)
    queue.wake(.writable)
    return size
  }

  /// Two open ends.
  /// - Parameter flags: O_NONBLOCK and O_DIRECT of pipe2(2).
  public static func pair(flags: Int32, in files: UnnamedFiles, user: UInt32, group: UInt32) -> (
    reading: PipeFile, writing: PipeFile
  ) {
    let pipe = Pipe()
    let ends = (PipeFile(pipe, flags: flags), PipeFile(pipe, flags: flags | 1))
    // Opened anew through /proc/PID/fd it waits for nobody, as a FIFO would (fifo_open, fs/pipe.c).
    let path = files.pipe(user: user, group: group) { (flags) throws(Errno) in PipeFile(pipe, flags: flags) }
    ends.0.path = path
    ends.1.path = path
    return ends
  }

  /// Makes the FIFOs of all file systems work.
  public static func serve(_ special: SpecialFiles) {
    special.fifo = { (inode, flags, path, caller) throws(Errno) in
      let pipe = inode.attachment as? Pipe ?? Pipe()
      inode.attachment = pipe
      return try PipeFile.open(fifo: pipe, flags: flags)
    }
  }
}
