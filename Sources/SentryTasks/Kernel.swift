import CLinux
public import Linux
public import SentryFiles
public import SentryIPC
public import SentrySockets
public import SentryTerminals
public import SentryWait

/// What all guests of one sandbox share: tasks, time and who is to run. One thread uses it.
public final class Kernel {
  public let deadlines = Deadlines()
  public let hostEvents = HostEvents()
  public let unnamed = UnnamedFiles()
  public let terminals: Terminals
  public let unixNames = UnixNames()
  /// /proc/net/unix.
  public var unixListing: [UInt8] { unixNames.listing }
  /// What every task has that took nothing apart.
  public let namespaces = TaskNamespaces(names: NameSpace(), objects: IPCSpace())
  public var ipc: IPCSpace { namespaces.objects }
  /// Makes a tree of a file system of the kernel's own kinds by its name (proc, sysfs, devpts), for mount(2); nil for no such.
  public var fileSystem: ((_ type: String) throws(Errno) -> Inode?)?
  public var host = HostThreads()
  /// What stubs answer from, where they do.
  public var board: AnswerBoard?
  /// Tasks that a wake made ready to look again, in order; `TaskWaiter` appends, the sentry's loop takes.
  public var ready: [Task] = []
  /// By thread id as the guests' pid namespace numbers them.
  public var tasks: [Int32: Task] = [:]
  public var groups: [Int32: ThreadGroup] = [:]
  public var names: MachineNames {
    get { namespaces.names.names }
    set { namespaces.names.names = newValue }
  }
  /// Bytes that the guests may have in memory together; nil for no bound of their own.
  public var memoryLimit: UInt64?
  public var load = LoadAverage()
  /// What tells guests of the machine's processors.
  public let processors = HostProcessors.Description()
  /// Nanoseconds of CLOCK_MONOTONIC since which the sandbox is up.
  public let bootTime = Clock.monotonicNanoseconds()
  /// How the files that guests have mapped are called: by the host's device and inode.
  public var mappedNames: [HostFile: [UInt8]] = [:]
  /// Processes made since the sandbox began.
  public var births: UInt64 = 0
  /// Whose call is served, for files that ask who calls (terminals); set before they are used.
  public weak var current: Task?
  public init() {
    terminals = Terminals(deadlines)
    terminals.jobs = self
  }

  /// Nanoseconds of the host's CLOCK_MONOTONIC.
  public var now: UInt64 { Clock.monotonicNanoseconds() }
}

/// A file of the host's, as /proc/PID/maps there names it.
public struct HostFile: Hashable, Sendable {
  public let device: UInt64
  public let inode: UInt64
  public init(device: UInt64, inode: UInt64) {
    self.device = device
    self.inode = inode
  }
}

extension Kernel {
  /// How /proc/PID/maps shall call a file that a guest maps.
  /// - Parameter descriptor: the host's, of the file that is mapped in its stead.
  public func remember(mapped descriptor: Int32, as name: [UInt8]) {
    var status = stat()
    // SAFETY: fstat fills one struct.
    let result = unsafe withUnsafeMutablePointer(to: &status) {
      systemCall(Int(SYS_fstat), word(descriptor), UInt(bitPattern: $0))
    }
    guard result == 0 else { return }
    // Names are for show: a guest that maps very many files loses those of the first.
    if mappedNames.count >= 65536 { mappedNames.removeAll() }
    mappedNames[HostFile(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))] = name
  }
}
