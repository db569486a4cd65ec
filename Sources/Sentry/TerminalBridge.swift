import CLinux
import Linux
import SentryFiles
import SentryTasks
import SentryTerminals
import SentryWait

/// Carries bytes and sizes between a terminal of the host's, whose near end the command outside holds, and the guests' own: the
/// host's is raw, everything that a terminal does is done by the guests'.
final class TerminalBridge: Waiter {
  private let host: Int32
  private let master: MasterFile
  private let queue = WaitQueue()
  /// What the one side has given and the other has no room for.
  private var typed: ArraySlice<UInt8> = []
  private var shown: ArraySlice<UInt8> = []
  private var isMoving = false
  private static let piece = 4096

  /// - Parameter host: the far end, kept for as long as the sandbox lives.
  init(host: Int32, _ kernel: Kernel) throws(Errno) {
    self.host = host
    master = try kernel.terminals.openMaster(flags: O_RDWR)
    master.retain()
    master.unlock()
    super.init()
    do throws(SystemError) {
      try Linux.Terminal.setAttributes(host, try Linux.Terminal.attributes(host).raw)
      try FileDescriptor.setNonBlocking(host, true)
    } catch {
      throw error.errno
    }
    queue.add(self)
    try kernel.hostEvents.watch(host, queue)
    master.queue?.add(self)
    resize()
  }

  var terminal: SentryTerminals.Terminal { master.terminal }

  /// The host's terminal has another size (SIGWINCH).
  func resize() {
    // Hung up: nobody looks at it.
    guard let size = try? Linux.Terminal.size(host) else { return }
    master.terminal.setWindow(SentryTerminals.WindowSize(rows: size.rows, columns: size.columns))
  }

  override func wake(_ events: PollEvents) {
    // What is moved wakes the other side's queue, in which this stands too.
    if isMoving { return }
    isMoving = true
    // A terminal that is not the sentry's own controlling one tells of no new size by a signal.
    resize()
    while moveTyped() || moveShown() {}
    isMoving = false
  }

  /// - Returns: whether anything moved.
  private func moveTyped() -> Bool {
    if typed.isEmpty { typed = read() }
    let count = typed.isEmpty ? 0 : master.type(typed)
    typed = typed.dropFirst(count)
    return count > 0
  }

  private func moveShown() -> Bool {
    if shown.isEmpty { shown = master.takeOutput(Self.piece)[...] }
    let count = shown.isEmpty ? 0 : write(shown)
    shown = shown.dropFirst(count)
    return count > 0
  }

  /// What was put out last goes to the host before the sentry ends.
  func flush() {
    while moveShown() {}
  }

  private func read() -> ArraySlice<UInt8> {
    // EAGAIN: nothing; EIO: hung up, and the host's kernel has told the sentry so (SIGHUP).
    ((try? File.read(host, atMost: Self.piece)) ?? [])[...]
  }

  private func write(_ bytes: ArraySlice<UInt8>) -> Int {
    // SAFETY: the kernel reads within the slice, which the closure keeps alive.
    let result = unsafe bytes.withUnsafeBytes { buffer in
      systemCall(Int(SYS_write), word(host), UInt(bitPattern: buffer.baseAddress), UInt(buffer.count))
    }
    // Nobody reads it any more: it is as good as shown.
    if result == -Int(EIO) { return bytes.count }
    return max(0, result)
  }
}
