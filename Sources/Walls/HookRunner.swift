import CLinux
public import Formats
import Linux

/// A container's state as its hooks read it (runtime.md, "State").
public struct HookState: Sendable, Equatable {
  public var version: String
  public var id: String
  public var bundle: String
  public var annotations: [String: String]

  public init(version: String, id: String, bundle: String, annotations: [String: String]) {
    self.version = version
    self.id = id
    self.bundle = bundle
    self.annotations = annotations
  }

  /// - Parameter pid: as the runtime's namespace numbers it; 0 where there is none any more.
  public func bytes(status: String, pid: Int32) -> [UInt8] {
    var writer = JSONWriter()
    write(to: &writer, status: status, pid: pid)
    return writer.bytes
  }

  /// What a seccomp agent is told with the listener's descriptor (config-linux.md, "The Container Process State").
  /// - Parameter boxPid: the first process, where `pid` is that of another.
  public func listenerBytes(metadata: String?, status: String, pid: Int32, boxPid: Int32? = nil) -> [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("ociVersion")
    writer.string(version)
    writer.key("fds")
    writer.beginArray()
    writer.string("seccompFd")
    writer.endArray()
    writer.key("pid")
    writer.integer(pid)
    if let metadata {
      writer.key("metadata")
      writer.string(metadata)
    }
    writer.key("state")
    write(to: &writer, status: status, pid: boxPid ?? pid)
    writer.endObject()
    return writer.bytes
  }

  private func write(to writer: inout JSONWriter, status: String, pid: Int32) {
    writer.beginObject()
    for (key, value) in [("ociVersion", version), ("id", id), ("status", status)] {
      writer.key(key)
      writer.string(value)
    }
    writer.key("pid")
    writer.integer(pid)
    writer.key("bundle")
    writer.string(bundle)
    writer.key("annotations")
    writer.beginObject()
    for (key, value) in annotations.sorted(by: { $0.key < $1.key }) {
      writer.key(key)
      writer.string(value)
    }
    writer.endObject()
    writer.endObject()
  }
}

/// Runs hooks of a configuration (config.md, "POSIX-platform Hooks"): programs of the host's, one after another, each with the state as
/// its standard input.
///
/// Who runs which, and where:
/// - `prestart`, `createRuntime`: the runtime, in its own namespaces, when the box's namespaces are there and its root is not yet in place.
/// - `createContainer`: the process that builds the box, in the box's namespaces and before pivot_root, so that the path is the host's.
/// - `startContainer`: the box's first process, after its confinement and before its program; the path is the box's.
/// - `poststart`, `poststop`: the runtime, when the program runs, and when the box is gone. They end with a warning where they fail
///   (runtime.md, "Lifecycle" 9 and 12), so their errors are for the log.
///
/// A hook gets the environment that the configuration gives it and nothing else. What an image says of its environment (LD_PRELOAD) must
/// not reach a program that runs as root on the host (CVE-2025-23266).
public enum HookRunner {
  /// Runs them in order, until one fails.
  /// - Parameter state: the sandbox's state as JSON (runtime.md, "State").
  /// - Throws: a line with the hook's place, its path, how it ended and the end of what it wrote.
  public static func run(
    _ moment: HookConfiguration.Moment, of hooks: HookConfiguration, state: [UInt8]
  ) throws(WallError) {
    for (index, hook) in hooks[moment].enumerated() {
      do throws(WallError) { try run(hook, state) } catch {
        throw WallError("hook \(moment.rawValue)[\(index)] \(FormatError.presentable(hook.path)): \(error.message)")
      }
    }
  }

  private enum Outcome {
    case ended(ExitStatus, words: String)
    case timedOut
  }

  private static func run(_ hook: HookConfiguration.Hook, _ state: [UInt8]) throws(WallError) {
    let outcome: Outcome
    do throws(SystemError) { outcome = try start(hook, state) } catch { throw WallError("\(error.errno)") }
    switch outcome {
    case .ended(.exited(0), _): return
    case .ended(.exited(let code), let words): throw WallError("ended with status \(code)\(words)")
    case .ended(.signaled(let signal), let words): throw WallError("was killed by signal \(signal)\(words)")
    case .timedOut: throw WallError("did not end within its timeout of \(hook.timeout ?? 0) s and was killed")
    }
  }

  private static func start(_ hook: HookConfiguration.Hook, _ state: [UInt8]) throws(SystemError) -> Outcome {
    // Files in memory, not pipes: a hook that reads nothing, or writes much, blocks nobody.
    let input = try MemoryFile.sealed("state", state.span)
    try File.rewind(input.rawValue)
    let output = try MemoryFile.create("output")
    let child = try Process.spawn(
      hook.path, arguments: hook.arguments.isEmpty ? [hook.path] : hook.arguments, environment: hook.environment,
      descriptors: [input.rawValue, output.rawValue, output.rawValue], isolated: true)
    let pid = child.pid
    if try Readiness.wait(child.descriptor.rawValue, milliseconds: hook.timeout.map { UInt64($0) * 1000 }) {
      let status = try child.wait() ?? .signaled(SIGKILL)
      return .ended(status, words: try lastWords(output.rawValue))
    }
    // The whole group: a shell's child would go on. That it has ended just now is as well.
    try? Process.signal(pid: -pid, SIGKILL)
    _ = try child.wait()
    return .timedOut
  }

  /// The end of what the hook wrote, for the error.
  private static func lastWords(_ output: Int32) throws(SystemError) -> String {
    let size = Int(try File.status("", at: output).st_size)
    let bytes = try File.read(output, atMost: 512, at: max(0, size - 512))
    let text = String(decoding: bytes, as: UTF8.self).trimmingSpaces
    return text.isEmpty ? "" : ": " + FormatError.presentable(String(text.suffix(200)))
  }
}
