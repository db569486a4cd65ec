import Formats
import Linux
import Options
import Policy
import Walls

/// `ps`: a container's processes as the host numbers them.
enum ProcessTableVerb {
  static func ps(_ command: ParsedCommand, _ session: RuntimeSession) throws(RuntimeFailure) {
    let container = try RuntimeContainer.require(command.operands[0], session)
    guard try container.status() != .stopped else { throw RuntimeFailure("container not running") }
    guard let listing = try container.open().listing else {
      throw RuntimeFailure("the \(container.record.wall.rawValue) wall cannot list a container's processes")
    }
    let pids: [Int32]
    do throws(WallError) { pids = try listing.processes() } catch { throw RuntimeFailure(error) }
    switch command.value("format") ?? "table" {
    case "json": Output.print(.array(pids.map { .integer(Int64($0)) }))
    case "table": Output.write(table(pids))
    case let other: throw RuntimeFailure("invalid format option: \"\(FormatError.presentable(other))\": table or json")
    }
  }

  private static func table(_ pids: [Int32]) -> String {
    var rows = [["UID", "PID", "PPID", "RSS", "TIME", "CMD"]]
    for pid in pids {
      // One that has ended meanwhile is not listed.
      guard let status = ProcessTable.status(of: pid), let use = ProcessTable.use(of: pid) else { continue }
      let seconds = use.cpuMicroseconds / 1_000_000
      func two(_ number: UInt64) -> String { (number < 10 ? "0" : "") + "\(number)" }
      rows.append([
        "\(status.user)", "\(pid)", parent(pid), "\(use.residentBytes >> 10)",
        two(seconds / 3600) + ":" + two(seconds / 60 % 60) + ":" + two(seconds % 60), command(pid),
      ])
    }
    return TextTable.make(rows)
  }

  private static func parent(_ pid: Int32) -> String {
    guard let text = try? File.text("/proc/\(pid)/stat"), let close = text.utf8.lastIndex(of: UInt8(ascii: ")")) else {
      return "?"
    }
    let fields = text[text.index(after: close)...].split(separator: " ")
    return fields.count > 1 ? String(fields[1]) : "?"
  }

  /// The arguments are the program's to choose: nothing of them may reach a terminal as a control character.
  private static func command(_ pid: Int32) -> String {
    let bytes = (try? File.contents("/proc/\(pid)/cmdline")) ?? []
    let words = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    if words.isEmpty { return "[" + ((try? File.text("/proc/\(pid)/comm"))?.filter { $0 != "\n" } ?? "?") + "]" }
    return FormatError.presentable(words.joined(separator: " "))
  }
}
