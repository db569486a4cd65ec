import CLinux
import Formats
import Foundation
import Linux
import Supervision
import Testing

@Suite(.serialized, .timeLimit(.minutes(60))) struct LogTests {
  let folder: Folder
  init() throws { folder = try Folder() }

  private func sizes() throws -> [Int] {
    try ["log", "log.1"].map { name in
      File.exists(folder.path + "/" + name) ? Int(try File.status(folder.path + "/" + name).st_size) : 0
    }
  }

  private func read(_ options: LogOptions = LogOptions()) throws -> [UInt8] {
    let path = folder.path
    let output = try rawPipe()
    let reading = Beside { () throws -> Bool in
      defer { close(output.writer) }
      var reader = try LogReader(directory: path, options, output: output.writer, error: output.writer)
      return try reader.run(monitor: nil)
    }
    let bytes = try readRest(output.reader)
    #expect(try reading.get())
    close(output.reader)
    return bytes
  }

  @Test func itIsRotatedAndNeverLargerThanTheLimit() throws {
    let writer = try LogWriter(path: folder.path, limit: 20_000)
    var lines: [String] = []
    for number in 0..<1000 {
      lines.append("line number \(number)")
      try writer.write(.output, Array("line number \(number)\n".utf8))
      #expect(try sizes().reduce(0, +) <= 20_000)
    }
    let text = String(decoding: try read(), as: UTF8.self)
    let shown = text.split(separator: "\n").map(String.init)
    // The newest lines, without a gap, over both files.
    #expect(shown.count > 100)
    #expect(shown == lines.suffix(shown.count))
  }

  @Test(arguments: [
    "", "\n", "a", "a\n", "a\nb", "\n\n", "a\n\nb\n", String(repeating: "x", count: 5000),
    String(repeating: "y", count: 4096) + "\n", String(repeating: "z\n", count: 3000),
  ])
  func whatIsWrittenIsShown(text: String) throws {
    let writer = try LogWriter(path: folder.path, limit: 16 << 20)
    try writer.write(.output, Array(text.utf8))
    #expect(try read() == Array(text.utf8))
  }

  @Test func followingSurvivesRotationsAndEndsWithTheMonitor() throws {
    let writer = try LogWriter(path: folder.path, limit: 200_000)
    // A process whose end is the monitor's.
    let monitor = try ShellBox("read x", input: try rawPipe().reader, output: 2, error: 2)
    let output = try rawPipe()
    let path = folder.path
    let pidfd = monitor.exitDescriptor
    try writer.write(.output, Array("0\n".utf8))
    let reading = Beside { () throws -> Bool in
      defer { close(output.writer) }
      var options = LogOptions()
      options.follow = true
      var reader = try LogReader(directory: path, options, output: output.writer, error: output.writer)
      return try reader.run(monitor: pidfd)
    }
    // Each line is awaited before more than one file's worth is written behind it, so that none can be lost.
    for number in 0..<10_000 {
      if number > 0 { try writer.write(.output, Array("\(number)\n".utf8)) }
      if number % 500 == 499 {
        var line = ""
        repeat { line = try readLine(output.reader) } while line != "\(number)"
      }
    }
    #expect(File.exists(folder.path + "/log.1"))
    try writer.write(.output, Array("last".utf8))
    kill(monitor.pid, SIGKILL)
    #expect(String(decoding: try readRest(output.reader), as: UTF8.self) == "last")
    #expect(try reading.get())
  }

  @Test(arguments: [
    ((Int64(0), Int64(0)), "1970-01-01T00:00:00.000000000Z"),
    ((951_782_400, 5), "2000-02-29T00:00:00.000000005Z"),
    ((1_709_251_199, 999_999_999), "2024-02-29T23:59:59.999999999Z"),
    ((4_102_444_800, 0), "2100-01-01T00:00:00.000000000Z"),
  ])
  func timesAreWrittenAsTheyAre(time: (Int64, Int64), text: String) {
    #expect(Timestamp.rfc3339(seconds: time.0, nanoseconds: time.1) == text)
  }
}
