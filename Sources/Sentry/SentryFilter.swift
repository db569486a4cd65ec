import Confinement
import Linux
import Seccomp
import Walls

/// What the sentry itself may ask of the host's kernel once guests run, as data: a guest that takes it over has no more than this, and no
/// capability, no path and no descriptor but the sandbox's own.
enum SentryFilter {
  struct Row {
    let names: [String]
    let reason: String
    init(_ names: [String], _ reason: String) {
      self.names = names
      self.reason = reason
    }
  }

  static let rows: [Row] = [
    Row(["ioctl"], "takes and answers guests' calls (seccomp_unotify(2)); sizes of windows"),
    Row(["process_vm_readv", "process_vm_writev"], "guests' memory"),
    Row(["epoll_ctl", "epoll_pwait", "poll", "ppoll"], "waits for guests and the host's descriptors"),
    Row(["read", "write", "pread64", "pwrite64", "lseek"], "the host's files and streams"),
    Row(
      ["openat", "close", "fstat", "getdents64", "fstatfs"],
      "names beneath granted folders, and facts of guests in /proc"),
    Row(
      ["mkdirat", "linkat", "unlinkat", "renameat2"], "the tree that guests execute from, and names in writable folders"
    ),
    Row(["mknodat", "symlinkat", "fchmodat", "fchownat", "utimensat", "fsync"], "names and files in writable folders"),
    Row(
      ["fgetxattr", "flistxattr", "fsetxattr", "fremovexattr", "readlinkat"], "attributes and links in granted folders"),
    Row(["memfd_create", "fcntl", "ftruncate", "fallocate"], "files in memory, and their seals"),
    Row(["mmap", "munmap", "mremap", "mprotect", "madvise", "brk"], "the sentry's own memory, never executable"),
    Row(
      ["kill", "tgkill", "rt_tgsigqueueinfo", "rt_sigqueueinfo", "pidfd_open", "signalfd4"], "guests' signals and ends"),
    Row(["ptrace", "wait4"], "delivers a signal that only a waiting call's mask lets through (ppoll(2))"),
    Row(["prlimit64"], "guests' limits that the host's kernel holds: stack, core, processor time"),
    Row(["shmget", "shmctl"], "System V's shared memory, in the namespace that only guests are in besides"),
    Row(["sysinfo", "sched_getaffinity", "getcpu"], "load and processors, as guests ask for them"),
    Row(["accept4", "recvmsg", "sendmsg"], "what commands outside ask; the guests' internet sockets"),
    Row(
      [
        "socket", "bind", "listen", "connect", "getsockname", "getpeername", "getsockopt", "setsockopt", "shutdown",
      ], "the guests' internet sockets, in the sentry's own network namespace"),
    Row(["memfd_create", "fcntl", "ftruncate", "fallocate"], "files in memory, and their seals"),
    Row(["mmap", "munmap", "mremap", "mprotect", "madvise", "brk"], "the sentry's own memory, never executable"),
    Row(
      ["kill", "tgkill", "rt_tgsigqueueinfo", "rt_sigqueueinfo", "pidfd_open", "signalfd4"], "guests' signals and ends"),
    Row(["ptrace", "wait4"], "delivers a signal that only a waiting call's mask lets through (ppoll(2))"),
    Row(["prlimit64"], "guests' limits that the host's kernel holds: stack, core, processor time"),
    Row(["sysinfo", "sched_getaffinity", "getcpu"], "load and processors, as guests ask for them"),
    Row(["sendto", "accept4", "recvmsg"], "what commands outside ask and are told"),
    Row(["sendmsg"], "the last word of the set-up"),
    Row(["rt_sigreturn", "futex", "getrandom", "clock_gettime", "exit_group"], "the sentry's own"),
  ]

  static func compiled() throws(SystemError) -> SeccompFilter {
    let notExecutable = [ArgumentCondition(2, .maskedEqual, 4, 0)]
    let memory = ["mmap", "mprotect"]
    let plain = rows.flatMap(\.names).filter { !memory.contains($0) }
    let rules = ProfileRules(
      defaultAction: .killProcess,
      rules: [ProfileRule(plain, .allow), ProfileRule(memory, .allow, notExecutable)])
    do {
      return SeccompFilter(instructions: try rules.compile(for: .host).instructions.map(\.word))
    } catch {
      throw SystemError("seccomp", "the sentry's filter: \(error)", .invalid)
    }
  }
}
