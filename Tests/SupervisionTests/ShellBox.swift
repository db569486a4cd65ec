import CLinux
import Foundation
import Linux
import Supervision
import Testing
import Walls

/// A sandbox that is only a shell in a session of its own: what supervision needs of one, and nothing to hold it.
final class ShellBox: Sandbox {
  let pid: Int32
  let process: ProcessIdentity
  private let descriptor: Int32
  private let master: Int32?
  private var ending: Ending?
  private(set) var signals: [Int32] = []

  convenience init(_ script: String, _ pipes: StreamPipes) throws {
    guard case .descriptors(let input, let output, let error) = pipes.streams else { throw Unexpected() }
    try self.init(script, input: input, output: output, error: error)
  }

  init(_ script: String, input: Int32, output: Int32, error: Int32, master: Int32? = nil) throws {
    self.master = master
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    let copies = try [input, output, error].map { try copied($0, 200) }
    defer { for copy in copies { close(copy) } }
    for (index, copy) in copies.enumerated() { unsafe posix_spawn_file_actions_adddup2(&actions, copy, Int32(index)) }
    unsafe posix_spawn_file_actions_addclosefrom_np(&actions, 3)
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    var all = sigset_t()
    unsafe sigemptyset(&none)
    unsafe sigfillset(&all)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setsigdefault(&attributes, &all)
    unsafe posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSID))
    let shell = unsafe strdup("sh")
    let option = unsafe strdup("-c")
    let text = unsafe strdup(script)
    let path = unsafe strdup("PATH=/usr/bin:/bin")
    defer {
      unsafe free(shell)
      unsafe free(option)
      unsafe free(text)
      unsafe free(path)
    }
    var words: [UnsafeMutablePointer<CChar>?] = unsafe [shell, option, text, nil]
    var variables: [UnsafeMutablePointer<CChar>?] = unsafe [path, nil]
    var child: pid_t = 0
    let failed = unsafe posix_spawn(&child, "/bin/sh", &actions, &attributes, &words, &variables)
    try #require(failed == 0)
    pid = child
    // It may have ended already: a zombie has no identity, but a pidfd can still be had of an own child.
    process = ProcessIdentity(pid: child) ?? ProcessIdentity(pid: child, startTime: 0)
    descriptor = Int32(immure_syscall(Int(IMMURE_SYS_pidfd_open), UInt(child), 0, 0, 0, 0, 0))
    try #require(descriptor >= 0)
  }

  deinit {
    kill(-pid, SIGKILL)
    close(descriptor)
    if ending == nil { waitpid(pid, nil, 0) }
  }

  var details: [String: String] { [:] }
  func start() {}
  var exitDescriptor: Int32 { descriptor }
  var terminal: Int32? { master }
  var execution: (any Execution)? { nil }
  var pausing: (any Pausing)? { nil }
  var measurement: (any Walls.Measurement)? { nil }
  var listing: (any ProcessListing)? { nil }

  func collect() throws(WallError) -> Ending {
    if let ending { return ending }
    do throws(SystemError) {
      guard let status = try Linux.Process.wait(pid) else { throw SystemError("wait4", "\(pid)", .again) }
      kill(-pid, SIGKILL)
      let end = Ending(status: status)
      ending = end
      return end
    } catch { throw WallError("wait", error) }
  }

  func signal(_ number: Int32) throws(WallError) {
    signals.append(number)
    do throws(SystemError) { try Linux.Process.signal(descriptor: descriptor, number) } catch {
      throw WallError(.gone, "it has ended")
    }
  }

  func destroy() throws(WallError) { kill(-pid, SIGKILL) }
}

struct Unexpected: Error {}

func copied(_ descriptor: Int32, _ minimum: Int32 = 3) throws -> Int32 {
  try FileDescriptor.duplicate(descriptor, atLeast: minimum).release()
}

/// Both ends of a pipe, which the test closes.
func rawPipe() throws -> (reader: Int32, writer: Int32) {
  let pair = try DescriptorPair.pipe()
  return (try copied(pair.first.rawValue), try copied(pair.second.rawValue))
}

/// Work on a thread of its own while the test's thread supervises.
final class Beside<Value: Sendable>: @unchecked Sendable {
  private let done = DispatchSemaphore(value: 0)
  private var value: Result<Value, any Error>?

  init(_ work: @escaping @Sendable () throws -> Value) {
    Thread.detachNewThread { [self] in
      value = Result { try work() }
      done.signal()
    }
  }

  func get() throws -> Value {
    try #require(done.wait(timeout: .now() + 120) == .success, "the work beside does not end")
    return try #require(value).get()
  }
}

/// Bytes up to a line end, without it; bounded.
func readLine(_ descriptor: Int32) throws -> String {
  var bytes: [UInt8] = []
  while true {
    try #require(try Readiness.wait(descriptor, milliseconds: 120_000), "no line came")
    let byte = try File.read(descriptor, atMost: 1)
    if byte.isEmpty || byte == [10] { return String(decoding: bytes, as: UTF8.self) }
    bytes += byte
  }
}

/// Everything up to the end; bounded.
func readRest(_ descriptor: Int32) throws -> [UInt8] {
  var bytes: [UInt8] = []
  while true {
    try #require(try Readiness.wait(descriptor, milliseconds: 120_000), "the stream does not end")
    let chunk = try File.read(descriptor, atMost: 64 << 10)
    if chunk.isEmpty { return bytes }
    bytes += chunk
  }
}

/// The calling thread, as `signal(thread:_:)` names it: the test process is not to get signals, only the supervising thread.
func currentThread() -> Int32 { Int32(immure_syscall(Int(SYS_gettid), 0, 0, 0, 0, 0, 0)) }
func signal(thread: Int32, _ number: Int32) {
  _ = immure_syscall(Int(SYS_tgkill), UInt(getpid()), UInt(thread), UInt(number), 0, 0, 0)
}
