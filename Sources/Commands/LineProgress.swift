import Formats
import Linux
import Registry
import Synchronization

/// Progress on standard error: on a terminal one line with a bar that is drawn over, else a line for each layer that is done.
final class LineProgress: Progress {
  private struct State {
    var known: [Digest: (done: Int64, total: Int64)] = [:]
    var finished = 0
    var lastDrawn: UInt64 = 0
    var isDrawn = false
  }

  private let isQuiet: Bool
  private let isTerminal: Bool
  private let state = Mutex(State())

  private init(quiet: Bool, terminal: Bool) {
    isQuiet = quiet
    isTerminal = terminal
  }

  static func chosen(quiet: Bool) -> LineProgress {
    LineProgress(quiet: quiet, terminal: Terminal.isTerminal(2))
  }

  func begin(_ layer: Descriptor) {
    state.withLock { $0.known[layer.digest] = (0, layer.size) }
    draw(force: true)
  }

  func advance(_ layer: Descriptor, to bytes: Int64) {
    state.withLock { $0.known[layer.digest]?.done = bytes }
    draw(force: false)
  }

  func finish(_ layer: Descriptor, isNew: Bool) {
    state.withLock {
      $0.finished += 1
      $0.known[layer.digest] = (layer.size, layer.size)
    }
    if isTerminal && isNew {
      draw(force: true)
    } else {
      say("layer \(layer.digest.short) \(ImagesCommand.size(layer.size))\(isNew ? "" : ": here already")")
    }
  }

  func say(_ line: String) {
    guard !isQuiet else { return }
    end()
    Output.complain(line)
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
    guard isTerminal, !isQuiet else { return }
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
