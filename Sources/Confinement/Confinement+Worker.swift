import CLinux
import Formats
public import Linux
import Seccomp
public import Walls

/// How a process of ours confines itself before it looks at a stranger's bytes.
public struct WorkerPlan: Sendable, Equatable {
  /// The only descriptors that stay open, at their own numbers.
  public var keep: [Int32]
  /// Bytes of address space on top of what the process has when it enters.
  public var memory: UInt64
  /// Bytes that one file may grow to; nil is no bound.
  public var fileSize: UInt64?
  /// Nil takes `Confinement.workerFilter()`.
  public var filter: SeccompFilter?

  public init(keep: [Int32], memory: UInt64 = 512 << 20, fileSize: UInt64? = nil, filter: SeccompFilter? = nil) {
    self.keep = keep
    self.memory = memory
    self.fileSize = fileSize
    self.filter = filter
  }
}

extension Confinement {
  /// The first of the user ids that workers take, one for each pid: no two live workers share one, and nobody else has it.
  public static let firstWorkerUser: UInt32 = 0x1F00_0000

  /// Leaves this process with the kept descriptors and the processor: an own uid, no group, no capability, an empty root that nothing can
  /// be made in, no other file, no key, no new privilege, and a seccomp filter that kills it for anything but reading, writing, memory and
  /// the end. Without root the uid stays the caller's; where user namespaces are to be had the root is empty all the same, elsewhere
  /// Landlock denies every file.
  ///
  /// Call it with one thread, before the first untrusted byte. Returns what could not be held here, for a log; the process must
  /// end when it throws.
  @discardableResult
  public static func enterWorker(_ worker: WorkerPlan) throws(SystemError) -> [String] {
    let filter: SeccompFilter
    if let given = worker.filter { filter = given } else { filter = try workerFilter() }
    let abi = Landlock.probe()
    var lacks = abi == nil ? LandlockRuleset.nothing.notHeld(by: nil) : []
    let space = try addressSpace()

    var plan = ConfinementPlan()
    plan.user.user = Process.user
    plan.user.group = Process.group
    plan.setGroups = false
    plan.landlock = abi == nil ? nil : .nothing
    plan.filter = filter
    plan.rlimits = limits(worker, space: space)

    try FileDescriptor.closeAll(but: worker.keep)
    let held = try CapabilitySets.current().effective
    let rootNeeds = Capability.setuid | Capability.setgid | Capability.sysChroot
    if held & rootNeeds == rootNeeds {
      let id = firstWorkerUser + UInt32(Process.id)
      plan.user.user = id
      plan.user.group = id
      plan.setGroups = true
      let empty = try emptyDirectory()
      try Identity.changeRoot(to: empty.rawValue)
    } else {
      lacks.append("an own user id: not root, so the worker keeps the caller's")
      let empty = try emptyDirectory()
      if systemCall(Int(SYS_unshare), UInt(CLONE_NEWUSER)) == 0 {
        // An id without a mapping cannot even be set to itself (setresuid(2), EINVAL).
        let own = UserNamespaceMap(
          users: [IDRange(inside: plan.user.user, outside: plan.user.user, count: 1)],
          groups: [IDRange(inside: plan.user.group, outside: plan.user.group, count: 1)], means: .single)
        try own.write(pid: Process.id)
        try Identity.changeRoot(to: empty.rawValue)
      } else {
        lacks.append("an empty root: user namespaces are refused here, Landlock denies the files instead")
        if abi == nil {
          throw SystemError(
            "worker", "neither root, user namespaces nor Landlock are to be had: nothing would keep it from the files",
            .notSupported)
        }
      }
    }
    // Not before: the files of a process that is not dumpable belong to root, the maps above among them (proc(5)).
    try Identity.setDumpable(false)
    try enter(plan)
    return lacks
  }

  /// What a worker may call; anything else kills the process (SECCOMP_RET_KILL_PROCESS). `allowing` adds calls by name.
  public static func workerFilter(allowing names: [String] = []) throws(SystemError) -> SeccompFilter {
    let plain = [
      "read", "write", "pread64", "pwrite64", "readv", "writev", "lseek", "ftruncate", "close", "munmap", "mremap",
      "madvise", "brk", "futex", "exit", "exit_group", "rt_sigreturn", "restart_syscall", "getrandom", "clock_gettime",
      "sched_yield", "poll", "ppoll",
    ]
    // Memory, but never memory that can run (PROT_EXEC is 4).
    let notExecutable = [ArgumentCondition(2, .maskedEqual, 4, 0)]
    let rules = ProfileRules(
      defaultAction: .killProcess,
      rules: [
        ProfileRule(plain + names, .allow),
        ProfileRule(["mmap", "mprotect"], .allow, notExecutable),
      ])
    do {
      return SeccompFilter(instructions: try rules.compile(for: .host).instructions.map(\.word))
    } catch {
      throw SystemError("seccomp", "worker filter: \(error)", .invalid)
    }
  }

  private static func limits(_ worker: WorkerPlan, space: UInt64) -> [ResourceLimit] {
    func both(_ kind: Int32, _ value: UInt64) -> ResourceLimit { ResourceLimit(kind: kind, soft: value, hard: value) }
    var limits = [
      both(ResourceLimits.core, 0), both(ResourceLimits.processes, 0),
      // poll(2) refuses more descriptors than the limit, so those kept must fit.
      both(ResourceLimits.openFiles, UInt64((worker.keep.max() ?? 0) + 1)),
      both(ResourceLimits.addressSpace, space + worker.memory),
    ]
    if let size = worker.fileSize { limits.append(both(ResourceLimits.fileSize, size)) }
    return limits
  }

  /// Bytes of address space this process has (proc(5), statm); nothing where /proc is not mounted, which is the stricter.
  private static func addressSpace() throws(SystemError) -> UInt64 {
    guard File.exists("/proc/self/statm") else { return 64 << 20 }
    let pages = try File.text("/proc/self/statm").split(separator: " ").first.flatMap { UInt64($0) } ?? 0
    return pages << 12
  }

  /// A folder that has no name any more: nothing can be made in it.
  package static func emptyDirectory() throws(SystemError) -> FileDescriptor {
    var last = SystemError("mkdir", "/tmp", .noEntry)
    for parent in [Process.environment("TMPDIR") ?? "/tmp", "/tmp", "/var/tmp", "/dev/shm", "/run"] {
      for attempt in 0..<16 {
        let path = "\(parent)/.immure-\(Process.id)-\(attempt)"
        do throws(SystemError) {
          try File.makeDirectory(path, mode: 0o500)
        } catch {
          last = error
          if error.errno == .exists { continue }
          break
        }
        let directory = try File.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        try File.removeDirectory(path)
        return directory
      }
    }
    throw last
  }
}

extension FilterInstruction {
  /// `struct sock_filter` as a little-endian machine holds it: code, jt, jf, k.
  package var word: UInt64 { UInt64(code) | UInt64(jt) << 16 | UInt64(jf) << 24 | UInt64(k) << 32 }
}
