import Formats
import Linux
import Options
import Registry
import Synchronization

/// Progress on standard error: on a terminal one line with a bar that is drawn over, else a line for each layer that is done, or JSON
/// events, one a line.
final class LineProgress: Progress {
  private enum Form { case quiet, bar, lines, events }

  private struct State {
    var known: [Digest: (done: Int64, total: Int64)] = [:]
    var told: [Digest: UInt64] = [:]
    var finished = 0
    var lastDrawn: UInt64 = 0
    var isDrawn = false
  }

  private let form: Form
  private let state = Mutex(State())

  private init(_ form: Form) { self.form = form }

  static func chosen(quiet: Bool) -> LineProgress {
    LineProgress(quiet ? .quiet : Terminal.isTerminal(2) ? .bar : .lines)
  }

  /// By `--quiet` and `--progress`.
  static func chosen(_ command: ParsedCommand) throws(UsageError) -> LineProgress {
    switch command.value("progress") ?? "auto" {
    case "auto": return chosen(quiet: command.flag("quiet"))
    case "plain": return LineProgress(command.flag("quiet") ? .quiet : .lines)
    case "json": return LineProgress(command.flag("quiet") ? .quiet : .events)
    case let other:
      throw UsageError(
        command.verb, "--progress \"\(FormatError.presentable(other))\": there are auto, plain and json")
    }
  }

  /// One event, its name first.
  private func tell(_ event: String, _ fields: [(String, JSONValue)]) {
    var object = JSONObject()
    object["event"] = .string(event)
    for (key, value) in fields { object[key] = value }
    // Nobody is left to tell where standard error is closed.
    try? File.writeAll(2, JSONValue.object(object).text() + "\n")
  }

  func begin(_ layer: Descriptor) {
    state.withLock { $0.known[layer.digest] = (0, layer.size) }
    if form == .events {
      tell("layer", [("digest", .string(layer.digest.description)), ("size", .integer(layer.size))])
    }
    draw(force: true)
  }

  func advance(_ layer: Descriptor, to bytes: Int64) {
    state.withLock { $0.known[layer.digest]?.done = bytes }
    if form == .events { advanced(layer, bytes) }
    draw(force: false)
  }

  func finish(_ layer: Descriptor, isNew: Bool) {
    state.withLock {
      $0.finished += 1
      $0.known[layer.digest] = (layer.size, layer.size)
    }
    if form == .events {
      tell(
        "done",
        [
          ("digest", .string(layer.digest.description)), ("size", .integer(layer.size)), ("wasThere", .bool(!isNew)),
        ])
    } else if form == .bar && isNew {
      draw(force: true)
    } else {
      say("layer \(layer.digest.short) \(ImagesCommand.size(layer.size))\(isNew ? "" : ": here already")")
    }
  }

  func say(_ line: String) {
    guard form != .quiet else { return }
    if form == .events { return tell("note", [("text", .string(line))]) }
    end()
    Output.complain(line)
  }

  /// At most four events a second for a layer.
  private func advanced(_ layer: Descriptor, _ bytes: Int64) {
    let now = Clock.monotonicNanoseconds()
    let isDue = state.withLock { state in
      if let last = state.told[layer.digest], now - last < 250_000_000 { return false }
      state.told[layer.digest] = now
      return true
    }
    guard isDue else { return }
    tell(
      "progress",
      [("digest", .string(layer.digest.description)), ("done", .integer(bytes)), ("size", .integer(layer.size))])
  }

  /// Takes the bar away.
  func end() {
    let wasDrawn = state.withLock { state in
      defer { state.isDrawn = false }
      return state.isDrawn
    }
    // Only the look of the terminal is at stake.
    if wasDrawn { try? File.writeAll(2, "\r\u{1B}[K") }
  }

  /// At most ten times a second.
  private func draw(force: Bool) {
    guard form == .bar else { return }
    let now = Clock.monotonicNanoseconds()
    let line: String? = state.withLock { state in
      guard force || now - state.lastDrawn > 100_000_000 else { return nil }
      state.lastDrawn = now
      state.isDrawn = true
      let done = state.known.values.reduce(0) { $0 + $1.done }
      let total = max(1, state.known.values.reduce(0) { $0 + $1.total })
      let width = 28
      let filled = Int(Int64(width) * done / total)
      let bar = String(repeating: "=", count: filled) + String(repeating: " ", count: width - filled)
      return
        "\r\u{1B}[K[\(bar)] \(ImagesCommand.size(done)) of \(ImagesCommand.size(total)), \(state.finished) layers done"
    }
    // Only the look of the terminal is at stake.
    if let line { try? File.writeAll(2, line) }
  }
}
