/// What lies in the pipes, sockets and terminals of the sandbox together, in bytes of the sentry's memory. Linux bounds each, and a user's
/// pipes by /proc/sys/fs/pipe-user-pages-soft; a guest with very many of them would fill the sentry's memory all the same. Beyond the
/// bound each holds no more than `least`, so that whoever drains one lets its writer go on.
@safe public enum QueuedBytes {
  /// As pipe-user-pages-soft: 16384 pages.
  public static let limit = 64 << 20
  /// PIPE_BUF: what a pipe must take whole.
  public static let least = 4096
  /// What a message costs beside its bytes.
  public static let perMessage = 512
  // SAFETY: the sentry is one thread; it serves one sandbox.
  nonisolated(unsafe) private static var total = 0

  public static var isFull: Bool { unsafe total > limit }
  public static func add(_ bytes: Int) { unsafe total += bytes }
  /// What something of a capacity may hold now.
  public static func bound(_ capacity: Int) -> Int { isFull ? min(capacity, least) : capacity }
}
