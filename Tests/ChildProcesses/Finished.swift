public import Foundation

/// A command that has run to its end.
public struct Finished: Equatable, Sendable {
  /// The exit status; 128 + N where signal N ended it.
  public let status: Int32
  public let bytes: Data
  public let output: String
  public let error: String

  public init(status: Int32, output: String, error: String) {
    self.init(status: status, bytes: Data(output.utf8), error: error)
  }

  private init(status: Int32, bytes: Data, error: String) {
    self.status = status
    self.bytes = bytes
    output = String(decoding: bytes, as: UTF8.self)
    self.error = error
  }

  /// What a command reads.
  public enum Input: ExpressibleByStringLiteral {
    case text(String)
    case bytes([UInt8])
    /// Nothing, and no end of it: nobody types.
    case silence

    public init(stringLiteral text: String) { self = .text(text) }
  }

  /// Runs `words` to their end, with files for streams: what is left of a command keeps nobody waiting, and nothing fills up.
  ///
  /// One that takes longer than `seconds` is ended: by SIGTERM, and SIGKILL 5 seconds later (124), or by SIGKILL at once (137).
  /// - Parameter environment: as our own if nil; `folder`: likewise.
  /// - Parameter isMerged: what it says on stderr is in `output` too, where it was said.
  public static func run(
    _ words: [String], environment: [String: String]? = nil, folder: String? = nil, input: Input = "",
    isMerged: Bool = false, seconds: Int = 120, killsAtOnce: Bool = false
  ) throws -> Finished {
    let files = NSTemporaryDirectory() + "immure-io-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: files, withIntermediateDirectories: true)
    // What cannot be removed stays in the temporary folder.
    defer { try? FileManager.default.removeItem(atPath: files) }
    let source: Child.Input
    var silence: Silence?
    switch input {
    case .text(let text) where text.isEmpty: source = .path("/dev/null")
    case .text(let text):
      try Data(text.utf8).write(to: URL(fileURLWithPath: files + "/0"))
      source = .path(files + "/0")
    case .bytes(let bytes):
      try Data(bytes).write(to: URL(fileURLWithPath: files + "/0"))
      source = .path(files + "/0")
    case .silence:
      let made = try Silence(files + "/0")
      source = .descriptor(made.descriptor)
      silence = made
    }
    let limit = ["/usr/bin/timeout"] + (killsAtOnce ? ["-s", "KILL"] : ["-k", "5"]) + ["\(seconds)"]
    let child = try Child(
      limit + words, environment: environment ?? ProcessInfo.processInfo.environment, folder: folder, input: source,
      output: files + "/1", error: files + (isMerged ? "/1" : "/2"))
    let status = withExtendedLifetime(silence) { child.wait() }
    func contents(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: files + name)) }
    return Finished(
      status: status, bytes: try contents("/1"),
      error: isMerged ? "" : String(decoding: try contents("/2"), as: UTF8.self))
  }
}

/// A named pipe that has a writer, ourselves, who says nothing.
private final class Silence {
  let descriptor: Int32

  init(_ path: String) throws {
    // SAFETY: the path's text lives across the calls.
    guard unsafe mkfifo(path, 0o600) == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EINVAL) }
    descriptor = unsafe open(path, O_RDWR | O_CLOEXEC)
    if descriptor < 0 { throw POSIXError(.init(rawValue: errno) ?? .EINVAL) }
  }

  deinit { close(descriptor) }
}
