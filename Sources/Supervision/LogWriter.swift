import CLinux
import Formats
package import Linux

/// Where a line of a log came from.
package enum LogStream: String {
  case output = "stdout"
  case error = "stderr"
}

/// A detached sandbox's log: lines "TIME stdout|stderr F|P TEXT" as Kubernetes' container runtimes write them (CRI log format):
/// P is text whose line goes on in the next entry of the stream, F ends a line. Two files, `log` and the older `log.1`, hold at most the limit.
package final class LogWriter {
  static let name = "log"
  static let olderName = "log.1"
  private let directory: SharedDescriptor
  private let half: Int
  private var file: SharedDescriptor
  private var size = 0

  /// Opens a new log in the folder at `path`.
  package convenience init(path: String, limit: Int) throws(SystemError) {
    try self.init(SharedDescriptor(try File.open(path, O_RDONLY | O_DIRECTORY)), limit: limit)
  }

  /// Opens a new log in the folder.
  init(_ directory: SharedDescriptor, limit: Int) throws(SystemError) {
    self.directory = directory
    half = max(limit / 2, 4096)
    file = SharedDescriptor(try LogWriter.open(directory))
  }

  private static func open(_ directory: SharedDescriptor) throws(SystemError) -> FileDescriptor {
    try File.open(
      name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW, mode: 0o600, at: directory.rawValue)
  }

  /// Writes what was read from a stream at one time.
  package func write(_ stream: LogStream, _ bytes: [UInt8]) throws(SystemError) {
    let now = Clock.realTime()
    let time = Array(Timestamp.rfc3339(seconds: now.seconds, nanoseconds: now.nanoseconds).utf8)
    var entries: [UInt8] = []
    var start = 0
    while start < bytes.count {
      let end = bytes[start...].firstIndex(of: 10) ?? bytes.count
      // No entry is longer than a reader's line may be, nor than the file.
      for piece in stride(from: start, to: max(end, start + 1), by: 2048) {
        let stop = min(piece + 2048, end)
        let isWhole = stop == end && end < bytes.count
        if entries.count + time.count + 11 + (stop - piece) > 4000 {
          try put(entries)
          entries.removeAll(keepingCapacity: true)
        }
        entries += time
        entries += " \(stream.rawValue) \(isWhole ? "F" : "P") ".utf8
        entries += bytes[piece..<stop]
        entries.append(10)
      }
      start = end + 1
    }
    try put(entries)
  }

  private func put(_ entries: [UInt8]) throws(SystemError) {
    if entries.isEmpty { return }
    if size + entries.count > half { try rotate() }
    try File.writeAll(file.rawValue, entries)
    size += entries.count
  }

  private func rotate() throws(SystemError) {
    try File.rename(
      LogWriter.name, to: LogWriter.olderName, from: directory.rawValue, into: directory.rawValue)
    file = SharedDescriptor(try LogWriter.open(directory))
    size = 0
  }
}
