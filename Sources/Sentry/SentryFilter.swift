import CLinux
import Confinement
package import Linux
import Seccomp
package import Walls

/// What the sentry itself may ask of the host's kernel once guests run, as data: a guest that takes it over has no more than this, and no
/// capability, no path and no descriptor but the sandbox's own.
package struct SentryFilter {
  package struct Row {
    package let names: [String]
    package let reason: String
    init(_ names: [String], _ reason: String) {
      self.names = names
      self.reason = reason
    }
  }

  /// Whether the sandbox has a folder of the host's that guests write to.
  let hasWritableFolders: Bool
  package init(hasWritableFolders: Bool) { self.hasWritableFolders = hasWritableFolders }

  /// The whole list of a sandbox, at most 55 calls where no folder is written.
  package var rows: [Row] { Self.always + (hasWritableFolders ? Self.writableFolders : []) }

  static let always: [Row] = [
    Row(["ioctl"], "takes and answers guests' calls (seccomp_unotify(2)); sizes of windows"),
    Row(["process_vm_readv", "process_vm_writev"], "guests' memory"),
    Row(["epoll_ctl", "epoll_pwait", "ppoll"], "waits for guests and the host's descriptors"),
    Row(["read", "write", "pread64", "pwrite64", "lseek"], "the host's files and streams"),
    Row(
      ["openat", "close", "fstat", "getdents64"],
      "names beneath granted folders, and facts of guests in /proc"),
    Row(["mkdirat", "linkat", "unlinkat"], "the tree that guests execute from; names in writable folders"),
    Row(["fgetxattr", "flistxattr", "readlinkat"], "attributes and links in granted folders"),
    Row(["memfd_create", "fcntl", "ftruncate", "fallocate"], "files in memory, and their seals"),
    Row(["mmap", "munmap", "brk"], "the sentry's own memory, never executable"),
    Row(
      ["kill", "tgkill", "rt_tgsigqueueinfo", "rt_sigqueueinfo", "pidfd_open", "signalfd4"], "guests' signals and ends"),
    Row(
      ["ptrace", "wait4"],
      "traces guests for guests that may; delivers a signal that a waiting call's mask lets through, or keeps for another thread (ppoll(2))"
    ),
    Row(["setitimer", "rt_sigreturn"], "ticks while guests' calls come thick, at which all else is looked at"),
    Row(["prlimit64"], "guests' limits that the host's kernel holds: stack, core, processor time"),
    Row(["shmget", "shmctl"], "System V's shared memory, in the namespace that only guests are in besides"),
    Row(["accept4", "recvmsg", "sendmsg"], "what commands outside ask and are told; the guests' internet sockets"),
    Row(
      [
        "socket", "bind", "listen", "connect", "getsockname", "getpeername", "getsockopt", "setsockopt", "shutdown",
      ], "the guests' internet sockets, in the sentry's own network namespace"),
    Row(["clock_gettime", "exit_group"], "the sentry's own, and what guests ask of them"),
  ]
  static let writableFolders: [Row] = [
    Row(["mknodat", "symlinkat", "renameat2"], "names in writable folders"),
    Row(
      ["fchmodat", "fchownat", "utimensat", "fsync", "fsetxattr", "fremovexattr"],
      "what is kept of files in writable folders"
    ),
  ]
  /// What libraries do where they can and do without where they cannot: growing a block of memory in place, giving pages back, waking
  /// threads that there are none of (pthread_once(3)). And what only writable folders want, where there are none.
  private var refused: [ProfileRule] {
    let kept = hasWritableFolders ? [] : [ProfileRule(Self.writableFolders.flatMap(\.names), .errno(UInt16(EROFS)))]
    return [
      ProfileRule(["mremap", "madvise", "mprotect"], .errno(UInt16(ENOMEM))),
      ProfileRule(["futex"], .errno(UInt16(EINVAL))),
    ] + kept
  }

  package func compiled() throws(SystemError) -> SeccompFilter {
    let notExecutable = [ArgumentCondition(2, .maskedEqual, 4, 0)]
    let plain = rows.flatMap(\.names).filter { $0 != "mmap" }
    let rules = ProfileRules(
      defaultAction: .killProcess,
      rules: [ProfileRule(plain, .allow), ProfileRule(["mmap"], .allow, notExecutable)] + refused)
    do {
      return SeccompFilter(instructions: try rules.compile(for: .host).instructions.map(\.word))
    } catch {
      throw SystemError("seccomp", "the sentry's filter: \(error)", .invalid)
    }
  }
}
