import CLinux
import Linux

/// Carries bytes from one descriptor to another, in order and each once, with one buffer between: a sink that takes nothing
/// holds the source back.
struct Pump {
  /// What a write to the sink may do.
  enum Sink {
    /// Ours alone, and non-blocking.
    case own
    /// Shared with other processes, so blocking as they left it: it is written to when poll(2) says so, at most PIPE_BUF bytes,
    /// which then do not block (pipe(7)).
    case shared
  }

  let source: Int32
  let sink: Int32
  private let kind: Sink
  private let capacity: Int
  private let watchesSink: Bool
  private var buffer: [UInt8] = []
  private var written = 0
  /// Whether more can come.
  private(set) var sourceIsOpen = true
  /// Nobody takes what is written (EPIPE, EIO).
  private(set) var sinkIsBroken = false
  private var sourceEntry: Int?
  private var sinkEntry: Int?

  /// `watchesSink` false leaves a sink that broke unnoticed until something is written to it.
  init(from source: Int32, to sink: Int32, _ kind: Sink, capacity: Int = 32 << 10, watchesSink: Bool = true) {
    self.source = source
    self.sink = sink
    self.kind = kind
    self.capacity = capacity
    self.watchesSink = watchesSink
  }

  var isEmpty: Bool { written == buffer.count }
  /// Everything that came has been passed on, and no more comes.
  var isFinished: Bool { (!sourceIsOpen && isEmpty) || sinkIsBroken }

  mutating func prepare(_ list: inout WaitList) {
    sourceEntry = nil
    sinkEntry = nil
    if sinkIsBroken { return }
    if sourceIsOpen && isEmpty { sourceEntry = list.add(source, POLLIN) }
    if !isEmpty {
      sinkEntry = list.add(sink, POLLOUT)
    } else if sourceIsOpen && watchesSink {
      // Only its breaking.
      sinkEntry = list.add(sink, 0)
    }
  }

  /// Moves what can be moved after a wait; the number of bytes that were read.
  mutating func proceed(_ list: WaitList) throws(SystemError) -> Int {
    var count = 0
    if list.events(sourceEntry) != 0 { count = try fill() }
    let sinkEvents = list.events(sinkEntry)
    if isEmpty {
      if sinkEvents & (POLLERR | POLLHUP | POLLNVAL) != 0 { sinkIsBroken = true }
    } else if kind == .own || sinkEvents != 0 {
      try flush()
    }
    return count
  }

  /// Reads once if the buffer is empty; 0 at the end and when nothing is there.
  mutating func fill() throws(SystemError) -> Int {
    guard sourceIsOpen, isEmpty else { return 0 }
    do throws(SystemError) {
      buffer = try File.read(source, atMost: capacity)
      written = 0
    } catch {
      if error.errno == .again { return 0 }
      // A pseudoterminal whose other end is closed everywhere, or a terminal that hung up.
      guard error.errno == .inputOutput || error.errno == .badDescriptor else { throw error }
      buffer = []
      written = 0
    }
    if buffer.isEmpty { sourceIsOpen = false }
    return buffer.count
  }

  /// Writes once or until the sink takes no more.
  mutating func flush() throws(SystemError) {
    while !isEmpty && !sinkIsBroken {
      let most = kind == .own ? buffer.count - written : min(buffer.count - written, 4096)
      do throws(SystemError) {
        written += try File.write(sink, buffer.span.extracting(written..<(written + most)))
      } catch {
        if error.errno == .again { return }
        guard error.errno == .brokenPipe || error.errno == .inputOutput || error.errno == .badDescriptor else {
          throw error
        }
        sinkIsBroken = true
      }
      if kind == .shared { return }
    }
  }

  /// No more is read; what is in the buffer still goes out.
  mutating func closeSource() { sourceIsOpen = false }

  /// Drops the last bytes of what was just read.
  mutating func drop(last count: Int) { buffer.removeLast(min(count, buffer.count - written)) }

  /// Puts bytes behind what is in the buffer.
  mutating func append(_ bytes: [UInt8]) {
    if isEmpty {
      buffer = bytes
      written = 0
    } else {
      buffer += bytes
    }
  }
}
