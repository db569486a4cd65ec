import Formats
import Linux
import Policy
import Walls

/// What one command works with: the machine, the state root, the walls.
final class Session {
  let host = Host()
  let store: SandboxStore
  let debug: Bool
  /// Whether notes and progress may be printed: standard error is a terminal, and nobody asked for quiet.
  let isTerminal: Bool

  init(root: String?, debug: Bool) throws(CommandError) {
    if let root, !root.hasPrefix("/") {
      throw CommandError(125, "--root \"\(FormatError.presentable(root))\": give an absolute path")
    }
    store = SandboxStore(root: root ?? SandboxStore.defaultRoot(isRoot: host.isRoot))
    self.debug = debug
    isTerminal = Terminal.isTerminal(2)
  }

  /// The wall of that name, which is one of those that can be raised.
  func wall(_ name: WallName) throws(CommandError) -> any Wall {
    for wall in WallList.all where wall.name == name { return wall }
    throw CommandError(125, "the wall \"\(name.rawValue)\" is not built yet; there are \(WallList.names)")
  }

  /// The wall that a word on the command line names.
  func wall(named word: String) throws(CommandError) -> any Wall {
    guard let name = WallName(rawValue: word) else {
      throw CommandError(
        125, "--wall \"\(FormatError.presentable(word))\": there is no such wall; there are \(WallList.names)")
    }
    return try wall(name)
  }

  /// A sandbox's record, by name, id or the beginning of an id.
  func record(_ word: String) throws(WallError) -> SandboxRecord {
    try store.load(try store.find(word))
  }

  /// The handle of a recorded sandbox.
  func open(_ record: SandboxRecord) throws(WallError) -> any Sandbox {
    for wall in WallList.all where wall.name == record.wall { return try wall.open(record, on: host) }
    throw WallError(
      "sandbox \(record.name) stands behind the wall \(record.wall.rawValue), which this immure does not have")
  }
}

/// Why a command ends with a failure: one line and an exit status.
struct CommandError: Error, Sendable {
  let status: Int32
  let message: String
  init(_ status: Int32, _ message: String) {
    self.status = status
    self.message = message
  }
  init(_ error: WallError, status: Int32 = 1) {
    switch error.kind {
    case .notExecutable: self.status = 126
    case .notFound: self.status = 127
    case .wall, .unavailable, .gone: self.status = status
    }
    message = error.message
  }
}

/// What a command prints.
enum Output {
  /// On standard output. A reader that went away is no failure of the command's.
  static func print(_ text: String) { write(1, text + "\n") }
  /// On standard error, with the command's name before it.
  static func complain(_ text: String) { write(2, "immure: " + text + "\n") }

  static func write(_ descriptor: Int32, _ text: String) {
    // There is nobody left to tell when standard output or error is closed.
    try? File.writeAll(descriptor, text)
  }
}
