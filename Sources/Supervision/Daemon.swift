import CLinux
public import Linux

/// Leaving the terminal and the session that a command was started from.
public enum Daemon {
  /// What became of the start.
  public enum Start: Sendable, Equatable {
    case started
    case failed(code: Int32, message: String)
  }

  /// How the daemon tells its caller. Only the first word counts.
  public final class Report {
    private var pipe: SharedDescriptor?
    fileprivate init(_ pipe: SharedDescriptor) { self.pipe = pipe }

    public func started() {
      // From here on it outlives its caller. The kernel knows no reason to refuse 0.
      try? Identity.setParentDeathSignal(0)
      say([0])
    }
    /// `message` is one line; `code` is what the caller shall exit with.
    public func failed(code: Int32, message: String) {
      say([1, UInt8(truncatingIfNeeded: code)] + Array(message.utf8))
    }

    private func say(_ bytes: [UInt8]) {
      guard let pipe else { return }
      // The caller may be gone (EPIPE): then nobody waits for the word.
      try? File.writeAll(pipe.rawValue, bytes)
      self.pipe = nil
    }
  }

  /// Forks; `body` runs in the child, which has a session of its own, / as its folder, /dev/null as its streams and none of the
  /// descriptors that this process was started with, and exits with what it returns. The caller returns once the child has said
  /// whether it started; where the caller is killed before, so is the child, for nobody would know of what it starts. Sound only while the
  /// process has one thread.
  public static func start(_ body: (Report) -> Int32) throws(SystemError) -> Start {
    let pipe = try DescriptorPair.pipe().release()
    let reader = SharedDescriptor(FileDescriptor(owning: pipe.first))
    var writer: SharedDescriptor? = SharedDescriptor(FileDescriptor(owning: pipe.second))
    let caller = Process.id
    if try Process.clone(CloneArguments(flags: 0)) == nil {
      guard let end = writer else { Process.exit(125) }
      let report = Report(end)
      writer = nil
      do throws(SystemError) {
        try SignalSet.ignore(SIGPIPE)
        try Identity.setParentDeathSignal(SIGKILL)
        if Process.parent != caller { Process.exit(125) }
        try leave()
      } catch {
        report.failed(code: 125, message: "the monitor cannot leave its caller: \(error)")
        Process.exit(125)
      }
      Process.exit(body(report))
    }
    writer = nil
    var words: [UInt8] = []
    while words.first != 0 {
      let more = try File.read(reader.rawValue, atMost: 4096)
      if more.isEmpty { break }
      words += more
    }
    switch words.first {
    case 0: return .started
    case 1 where words.count >= 2:
      return .failed(code: Int32(words[1]), message: String(decoding: words[2...], as: UTF8.self))
    default: return .failed(code: 125, message: "the sandbox's monitor died before the sandbox had started")
    }
  }

  private static func leave() throws(SystemError) {
    try checked("setsid", "", systemCall(Int(SYS_setsid)))
    try "/".withPathAddress { systemCall(Int(SYS_chdir), $0) }.throwing("chdir", "/")
    let null = try File.open("/dev/null", O_RDWR)
    for stream in 0...2 as ClosedRange<Int32> {
      try checked("dup3", "/dev/null", systemCall(Int(SYS_dup3), word(null.rawValue), word(stream), 0))
    }
    // All of immure's own descriptors are close-on-exec: the others came from whoever started it.
    for name in try File.names(inDirectory: "/proc/self/fd") {
      guard let number = Int32(name), number > 2 else { continue }
      let flags = systemCall(Int(SYS_fcntl), word(number), UInt(F_GETFD))
      if flags >= 0 && flags & Int(FD_CLOEXEC) == 0 { _ = systemCall(Int(SYS_close), word(number)) }
    }
  }
}

extension Int {
  fileprivate func throwing(_ call: StaticString, _ subject: String) throws(SystemError) {
    try checked(call, subject, self)
  }
}
