import CLinux
import Glibc
import Guest
import Linux
import Testing

/// guest/init as a wall runs it, without the wall: its own process with descriptor 3 a socket to the test.
final class RunningInit {
  let pid: Int32
  let process: FileDescriptor
  private var near: Int32
  /// Writes to the command's input, reads its output and errors.
  private var input: Int32
  let output: FileDescriptor
  /// The longest any wait of these tests may take.
  static let bound: UInt64 = 20_000

  /// `extra` become descriptors 4 and up; `terminal` becomes 0, 1 and 2.
  init(extra: [Int32] = [], terminal: Int32? = nil, blocked: Bool = false) throws {
    let image = try GuestInit.image()
    let sockets = try DescriptorPair.sockets()
    let stdin = try DescriptorPair.pipe()
    let stdout = try DescriptorPair.pipe()
    // Sources above every target, so that no dup2 of the child's overwrites one.
    let program = try image.duplicate(atLeast: 100)
    let far = try sockets.second.duplicate(atLeast: 100)
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_adddup2(&actions, terminal ?? stdin.first.rawValue, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, terminal ?? stdout.second.rawValue, 1)
    unsafe posix_spawn_file_actions_adddup2(&actions, terminal ?? stdout.second.rawValue, 2)
    unsafe posix_spawn_file_actions_adddup2(&actions, far.rawValue, 3)
    var copies: [Int32] = []
    defer { for copy in copies { close(copy) } }
    for (index, descriptor) in extra.enumerated() {
      let copy = try FileDescriptor.duplicate(descriptor, atLeast: 100).release()
      copies.append(copy)
      unsafe posix_spawn_file_actions_adddup2(&actions, copy, 4 + Int32(index))
    }
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    if blocked {
      var set = sigset_t()
      unsafe sigfillset(&set)
      unsafe posix_spawnattr_setsigmask(&attributes, &set)
      unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    }
    var child: pid_t = 0
    let name = unsafe strdup("init")
    defer { unsafe free(name) }
    var argv: [UnsafeMutablePointer<CChar>?] = unsafe [name, nil]
    var envp: [UnsafeMutablePointer<CChar>?] = unsafe [nil]
    let failed = unsafe posix_spawn(&child, "/proc/self/fd/\(program.rawValue)", &actions, &attributes, &argv, &envp)
    try #require(failed == 0)
    pid = child
    guard let opened = try ProcessIdentity(pid: child)?.open() else { throw Unexpected() }
    process = opened
    near = try sockets.first.duplicate().release()
    input = try stdin.second.duplicate().release()
    output = try stdout.first.duplicate()
  }

  deinit {
    // A test that failed half-way must leave nothing; one that went well has reaped it already.
    try? Process.signal(descriptor: process.rawValue, SIGKILL)
    if near >= 0 { close(near) }
    close(input)
  }

  func send(_ message: InitMessage) throws { try message.send(to: near) }
  func send(bytes: [UInt8]) throws { try File.writeAll(near, bytes) }
  func hangUp() {
    close(near)
    near = -1
  }
  func write(_ text: String) throws { try File.writeAll(input, text) }

  func reply() throws -> InitReply? {
    try #require(try Readiness.wait(near, milliseconds: Self.bound), "init said nothing")
    return try InitReply.receive(from: near)
  }

  /// The command's output up to a line end, without it.
  func line(from descriptor: Int32? = nil) throws -> String {
    var bytes: [UInt8] = []
    while true {
      try #require(try Readiness.wait(descriptor ?? output.rawValue, milliseconds: Self.bound), "no output")
      let byte = try File.read(descriptor ?? output.rawValue, atMost: 1)
      if byte.isEmpty || byte == [10] { return String(decoding: bytes, as: UTF8.self) }
      bytes += byte
    }
  }

  /// The rest of the command's output.
  func rest() throws -> String {
    var bytes: [UInt8] = []
    while true {
      try #require(try Readiness.wait(output.rawValue, milliseconds: Self.bound), "the output does not end")
      let chunk = try File.read(output.rawValue, atMost: 4096)
      if chunk.isEmpty { return String(decoding: bytes, as: UTF8.self) }
      bytes += chunk
    }
  }

  /// Init's own end.
  func end() throws -> Linux.ExitStatus {
    try #require(try Readiness.wait(process.rawValue, milliseconds: Self.bound), "init does not end")
    return try #require(try Process.wait(pid))
  }

  func signal(_ number: Int32) throws { try Process.signal(descriptor: process.rawValue, number) }
}

func shell(_ script: String, _ environment: [String] = ["PATH=/usr/bin:/bin"]) -> InitMessage {
  InitMessage(arguments: ["sh", "-c", script], environment: environment)
}
