import CLinux
import Linux

/// The user's terminal while a sandbox's terminal is shown in it: raw, and as it was when this value goes away.
final class HostTerminal {
  private let descriptor: Int32
  private let original: Terminal.Attributes
  private var isRaw = false

  /// Nil when the descriptor is no terminal.
  init?(_ descriptor: Int32) throws(SystemError) {
    self.descriptor = descriptor
    do throws(SystemError) { original = try Terminal.attributes(descriptor) } catch {
      if error.errno == .notTerminal { return nil }
      throw error
    }
    try makeRaw()
  }

  deinit { restore() }

  func makeRaw() throws(SystemError) {
    try Terminal.setAttributes(descriptor, original.raw)
    isRaw = true
  }

  func restore() {
    guard isRaw else { return }
    isRaw = false
    // The terminal may have hung up: then there is nothing to restore, and nobody to tell.
    try? Terminal.setAttributes(descriptor, original)
  }

  /// Gives the user's shell its turn (Ctrl-Z): returns when this process goes on.
  func suspend() throws(SystemError) {
    restore()
    try Process.signal(pid: Process.id, SIGSTOP)
    try makeRaw()
  }

  /// Makes the sandbox's terminal as large as the user's.
  static func copySize(from host: Int32, to master: Int32) {
    // A host end that is no terminal has no size, a sandbox's that is closed needs none.
    guard let size = try? Terminal.size(host) else { return }
    try? Terminal.setSize(master, rows: size.rows, columns: size.columns)
  }
}
