import CLinux
import Linux
public import Walls

/// What of a log is shown.
public struct LogOptions: Sendable {
  /// Go on with what is written until the sandbox has ended.
  public var follow = false
  /// Only the last so many lines.
  public var tail: Int?
  /// The time before each line.
  public var timestamps = false
  /// Only lines at or after this time: RFC 3339 in UTC as the log has it; a prefix such as "2026-11-24" will do.
  public var since: String?
  /// Only lines before this time, likewise.
  public var until: String?
  public init() {}
}

/// Shows the log of a detached sandbox.
public struct LogReader {
  private let options: LogOptions
  private let directory: SharedDescriptor
  private let path: String
  private let output: Int32
  private let error: Int32
  private var skip = 0
  private var seen = 0
  private var counting = false
  /// For each stream whether its last piece was left open, so that a time stands once per line.
  private var isOpen: [Bool] = [false, false]

  /// `directory` is the sandbox's folder.
  public init(directory path: String, _ options: LogOptions, output: Int32 = 1, error: Int32 = 2) throws(WallError) {
    self.options = options
    self.path = path
    self.output = output
    self.error = error
    do throws(SystemError) {
      directory = SharedDescriptor(try File.open(path, O_RDONLY | O_DIRECTORY))
    } catch { throw WallError("the sandbox's folder", error) }
  }

  /// Prints the log; with `follow` until the process behind `monitor` (a pidfd) has ended. False when nobody reads the output.
  public mutating func run(monitor: Int32?) throws(WallError) -> Bool {
    do throws(SystemError) {
      return try print(monitor)
    } catch {
      if error.errno == .brokenPipe { return false }
      if error.errno == .noEntry { throw WallError("the sandbox has no log: it was not started with -d") }
      throw WallError("reading the log", error)
    }
  }

  private mutating func print(_ monitor: Int32?) throws(SystemError) -> Bool {
    let watch = options.follow ? SharedDescriptor(try FileWatch.descriptor([path])) : nil
    // The newer file first: if it is rotated away in between, it is what the older name then means.
    var current = SharedDescriptor(try File.open(LogWriter.name, O_RDONLY, at: directory.rawValue))
    let older = try openOlder()
    if let tail = options.tail {
      counting = true
      if let older { try show(older, from: 0) }
      _ = try show(current, from: 0)
      counting = false
      skip = max(0, seen - tail)
      seen = 0
      isOpen = [false, false]
    }
    if let older, try inode(older) != inode(current) { try show(older, from: 0) }
    var offset = try show(current, from: 0)
    guard let watch, let monitor else { return true }
    var list = WaitList()
    while true {
      list.removeAll()
      let change = list.add(watch.rawValue, POLLIN)
      let end = list.add(monitor, POLLIN)
      // The output's reader going away ends it also while nothing is written.
      let reader = list.add(output, 0)
      try list.wait(nanoseconds: nil)
      if list.events(reader) & (POLLERR | POLLHUP) != 0 { return false }
      if list.events(change) != 0 { try FileWatch.drain(watch.rawValue) }
      let hasEnded = list.events(end) != 0
      offset = try show(current, from: offset)
      while let next = try successor(of: current) {
        // What was written between the last look and the rotation.
        _ = try show(current, from: offset)
        current = next
        offset = try show(current, from: 0)
      }
      if hasEnded { return true }
    }
  }

  private func openOlder() throws(SystemError) -> SharedDescriptor? {
    do throws(SystemError) {
      return SharedDescriptor(try File.open(LogWriter.olderName, O_RDONLY, at: directory.rawValue))
    } catch {
      if error.errno == .noEntry { return nil }
      throw error
    }
  }

  /// The file written after `file`, once it was rotated; nil while it is still the newest.
  private func successor(of file: SharedDescriptor) throws(SystemError) -> SharedDescriptor? {
    let newest: SharedDescriptor
    do throws(SystemError) {
      newest = SharedDescriptor(try File.open(LogWriter.name, O_RDONLY, at: directory.rawValue))
    } catch {
      // Between the rename and the new file, or the sandbox was removed: then there is no more.
      if error.errno == .noEntry { return nil }
      throw error
    }
    let own = try inode(file)
    if try inode(newest) == own { return nil }
    // Rotated more than once since: the older file comes first.
    if let older = try openOlder(), try inode(older) != own, try inode(older) != inode(newest) { return older }
    return newest
  }

  private func inode(_ file: SharedDescriptor) throws(SystemError) -> UInt64 {
    UInt64(try File.status("", at: file.rawValue).st_ino)
  }

  /// Shows the whole entries from `offset` on; where the next begins.
  @discardableResult
  private mutating func show(_ file: SharedDescriptor, from offset: Int) throws(SystemError) -> Int {
    var position = offset
    var rest: [UInt8] = []
    while true {
      let chunk = try File.read(file.rawValue, atMost: 32 << 10, at: position + rest.count)
      if chunk.isEmpty { return position }
      rest += chunk
      var start = 0
      var texts = LogTexts()
      while let end = rest[start...].firstIndex(of: 10) {
        if let entry = LogEntry(rest[start..<end]) { take(entry, &texts) }
        start = end + 1
      }
      position += start
      rest.removeFirst(start)
      if !texts.output.isEmpty { try File.writeAll(output, texts.output) }
      if !texts.error.isEmpty { try File.writeAll(error, texts.error) }
    }
  }

  private mutating func take(_ entry: LogEntry, _ texts: inout LogTexts) {
    if let since = options.since, entry.time < since { return }
    if let until = options.until, entry.time >= until { return }
    let index = entry.stream == .output ? 0 : 1
    let begins = !isOpen[index]
    isOpen[index] = !entry.isWhole
    // A line counts where it begins, so that its pieces stay together.
    if begins { seen += 1 }
    if counting || seen <= skip { return }
    var text: [UInt8] = []
    if begins && options.timestamps { text += "\(entry.time) ".utf8 }
    text += entry.text
    if entry.isWhole { text.append(10) }
    if entry.stream == .output { texts.output += text } else { texts.error += text }
  }
}

private struct LogTexts {
  var output: [UInt8] = []
  var error: [UInt8] = []
}

/// One entry of a log file.
struct LogEntry {
  let time: String
  let stream: LogStream
  let isWhole: Bool
  let text: ArraySlice<UInt8>

  /// Nil for a line that is none, such as one cut off when the disk was full.
  init?(_ line: ArraySlice<UInt8>) {
    let parts = line.split(separator: 32, maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count == 4, let stream = LogStream(rawValue: String(decoding: parts[1], as: UTF8.self)) else {
      return nil
    }
    time = String(decoding: parts[0], as: UTF8.self)
    self.stream = stream
    guard parts[2].elementsEqual([70]) || parts[2].elementsEqual([80]) else { return nil }
    isWhole = parts[2].elementsEqual([70])
    text = parts[3]
  }
}
