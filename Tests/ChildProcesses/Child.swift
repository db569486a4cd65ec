public import Foundation

/// A process of ours with files for its first three descriptors and no others, no signal blocked or ignored. Not Foundation's: that learns of an
/// end by a socket which the child's children have too, waits for those that outlive it, and after hundreds of children misses one.
public struct Child {
  public let pid: pid_t

  /// `output` and `error` are paths of files.
  public init(
    _ words: [String], environment: [String: String], folder: String? = nil, input: Input, output: String, error: String
  ) throws {
    try self.init(
      words, environment: environment, folder: folder, input: input, output: .path(output), error: .path(error))
  }

  /// `folder` is where it stands, as the one who asks if nil.
  public init(
    _ words: [String], environment: [String: String], folder: String? = nil, input: Input, output: Output, error: Output
  ) throws {
    // SAFETY: what is passed lives until posix_spawn returned; the texts of strdup are freed after it, the null at the end too.
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    switch input {
    case .path(let path): unsafe posix_spawn_file_actions_addopen(&actions, 0, path, O_RDONLY, 0)
    case .descriptor(let number): unsafe posix_spawn_file_actions_adddup2(&actions, number, 0)
    }
    for (number, output) in [output, error].enumerated() {
      switch output {
      case .path(let path):
        unsafe posix_spawn_file_actions_addopen(
          &actions, Int32(number) + 1, path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
      case .descriptor(let descriptor):
        unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number) + 1)
      }
    }
    unsafe posix_spawn_file_actions_addclosefrom_np(&actions, 3)
    if let folder { unsafe posix_spawn_file_actions_addchdir_np(&actions, folder) }
    var argv: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) } + [nil]
    var envp: [UnsafeMutablePointer<CChar>?] =
      unsafe environment.map { unsafe strdup($0.key + "=" + $0.value) } + [nil]
    defer {
      let words = unsafe argv + envp
      for index in unsafe words.indices { unsafe free(words[index]) }
    }
    // Dispatch's threads have signals blocked, what supervises ignores SIGPIPE, who started the tests may ignore others, and a child
    // would keep them so.
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    var all = sigset_t()
    unsafe sigfillset(&all)
    unsafe posix_spawnattr_setsigdefault(&attributes, &all)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    var child: pid_t = 0
    let failed = unsafe posix_spawnp(&child, words[0], &actions, &attributes, &argv, &envp)
    if failed != 0 { throw POSIXError(POSIXErrorCode(rawValue: failed) ?? .EINVAL) }
    pid = child
  }

  public enum Input {
    case path(String)
    case descriptor(Int32)
  }

  public enum Output {
    /// A file, made where it is not there; what is written goes to its end.
    case path(String)
    case descriptor(Int32)
  }

  /// Waits for its end: its exit status, 128 + N where signal N ended it.
  public func wait() -> Int32 {
    var status: Int32 = 0
    while unsafe waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
  }

  /// Whether it has ended; it still is to be waited for.
  public var hasEnded: Bool {
    var information = unsafe siginfo_t()
    let answer = unsafe waitid(P_PID, id_t(pid), &information, WEXITED | WNOHANG | WNOWAIT)
    return unsafe answer == 0 && information.si_signo == SIGCHLD
  }
}
