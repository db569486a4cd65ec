import CFuzz
import CLinux
import Glibc
import Linux
import SentryABI
import SentryCalls
import SentryFileSystems
import SentryFiles
import SentryMemory
import SentryPipes
import SentryProc
import SentryTasks
import SentryTerminals
import SentryWait

/// Whatever guests ask the table of calls, with whatever in their memory: no trap, no end of waiting, no memory without bound.
///
/// An input is a list of steps. A step is a byte and what it needs: a call with six words, eight bytes put into the guests' memory, time
/// that passes.
struct Steps {
  private let bytes: [UInt8]
  private var at = 0
  init(_ bytes: [UInt8]) { self.bytes = bytes }
  var isEmpty: Bool { at >= bytes.count }
  mutating func byte() -> UInt8 {
    guard at < bytes.count else { return 0 }
    at += 1
    return bytes[at - 1]
  }
  mutating func word(_ count: Int) -> UInt64 {
    var word: UInt64 = 0
    for index in 0..<count { word |= UInt64(byte()) << UInt64(8 * index) }
    return word
  }

  /// What a register or a word of memory holds: small numbers and pointers more often than anything.
  mutating func value() -> UInt64 {
    let kind = byte()
    switch kind {
    case 0..<128: return UInt64(kind) & 31
    case 128..<176: return Arena.address(Int(word(2)))
    case 176..<192: return 0 &- UInt64(kind & 15)
    case 192..<208: return Self.odd[Int(kind & 15)]
    case 208..<224: return word(2)
    case 224..<240: return word(4)
    default: return word(8)
    }
  }
  private static let odd: [UInt64] = [
    UInt64.max, 1 << 63, (1 << 63) - 1, 1 << 62, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 32, 0xffff_ff9c,
    0x7fff_ffff_f000, 0x7fff_ffff_efff, 0x3fff_ffff, 1_000_000_000, 999_999_999, 4096, 1 << 47,
  ]
}

/// The guests' memory: pages of a process that sleeps, so that no pointer of an input reaches what is ours. Nobody has what lies beside them.
@safe enum Arena {
  static let size = 1 << 16
  nonisolated(unsafe) private static var start = unsafe UnsafeMutableRawPointer(bitPattern: 4096)
  nonisolated(unsafe) static var process: Int32 = 0

  // SAFETY: one thread; the mapping is shared with the child, which never touches it, and stays until both end.
  static func make() {
    let whole = unsafe mmap(nil, size + 2 * 4096, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
    guard let whole = unsafe whole, unsafe mprotect(whole + 4096, size, PROT_READ | PROT_WRITE) == 0 else { exit(2) }
    unsafe start = whole + 4096
    let child = systemCall(Int(SYS_fork))
    if child == 0 {
      _ = systemCall(Int(SYS_prctl), UInt(PR_SET_PDEATHSIG), UInt(SIGKILL))
      while true { _ = systemCall(Int(SYS_pause)) }
    }
    unsafe process = Int32(truncatingIfNeeded: child)
  }
  static func address(_ offset: Int) -> UInt64 { unsafe UInt64(UInt(bitPattern: start)) &+ UInt64(offset & (size - 1)) }

  static func fill(_ bytes: [UInt8]) {
    guard let start = unsafe start, !bytes.isEmpty else { return }
    for index in 0..<min(size, 4096) {
      unsafe start.storeBytes(of: bytes[index % bytes.count], toByteOffset: index, as: UInt8.self)
    }
  }
  static func put(_ word: UInt64, at offset: Int) {
    unsafe start?.storeBytes(of: word, toByteOffset: offset & (size - 8), as: UInt64.self)
  }
  static func put(_ text: String, at offset: Int) {
    for (index, byte) in (Array(text.utf8) + [0]).enumerated() {
      unsafe start?.storeBytes(of: byte, toByteOffset: offset + index, as: UInt8.self)
    }
  }
}

/// A kernel with two processes, one of two threads, and a file of every kind.
struct World {
  let kernel = Kernel()
  private var tasks: [Task] = []
  private static let table = CallTable.all
  /// exit(2) and exit_group(2) end their caller.
  private static let rows = table.all.filter { ![60, 231].contains($0.number) }

  init() throws(Errno) {
    let special = SpecialFiles()
    MemoryDevices.add(to: special)
    Pipe.serve(special)
    TerminalDirectory.serve(special, kernel.terminals)
    let namespace = MountNamespace(root: MemoryFileSystem.tree(limit: 16 << 20), special: special)
    var credentials = Credentials()
    credentials.effective = 0xa804_25fb
    credentials.permitted = credentials.effective
    let paths = PathContext(namespace)
    let walk = PathWalk(paths, FileCaller(credentials: credentials))
    for (name, tree) in [
      ("dev", MemoryFileSystem.tree(limit: 1 << 20)), ("proc", ProcFileSystem.tree(kernel)),
      ("sys", SysFileSystem.tree()),
      ("pts", TerminalDirectory.tree(kernel.terminals)),
    ] {
      let place = try walk.make(.directory, at: Array("/\(name)".utf8), permissions: 0o755)
      let mount = try namespace.mount(tree, on: place)
      if name == "dev" { try MemoryDevices.addNodes(to: tree) }
      if name == "pts" { kernel.terminals.mounted = Path(mount: mount, dentry: mount.root) }
    }
    _ = try walk.make(.characterDevice, at: Array("/ptmx".utf8), permissions: 0o666, special: Device.number(5, 2))
    for (id, process) in [(2, 2), (3, 2), (4, 4)] as [(Int32, Int32)] {
      let group =
        kernel.groups[process]
        ?? ThreadGroup(kernel: kernel, id: process, parent: nil, session: 2, processGroup: process)
      kernel.groups[process] = group
      let task = unsafe Task(
        kernel: kernel, id: id, hostID: Self.nobody, group: group, memory: GuestMemory(process: Arena.process),
        descriptors: tasks.first?.descriptors ?? DescriptorTable(), paths: paths, credentials: credentials)
      group.tasks.append(task)
      kernel.tasks[id] = task
      tasks.append(task)
    }
    furnish()
  }
  /// A number that no process has: what is sent to a guest's thread finds nobody.
  private static let nobody: Int32 = 4_190_000

  private mutating func furnish() {
    for (index, name) in ["/a", "/d", "/pts", "user.a", "/proc/self/maps", "/ptmx", "/p", "/dev/null"].enumerated() {
      Arena.put(name, at: 32 * index)
    }
    let room = Arena.address(8192)
    for call in [
      Call(257, 0xffff_ff9c, Arena.address(0), 0o102, 0o644), Call(1, 0, Arena.address(0), 3000),
      Call(83, Arena.address(32), 0o755),
      Call(257, 0xffff_ff9c, Arena.address(32), 0), Call(293, room, 0o4000), Call(53, 1, 1, 0, room),
      Call(53, 1, 2, 0, room),
      Call(291, 0), Call(290, 3, 0o4000), Call(283, 1, 0), Call(319, Arena.address(0), 2), Call(294, 0o4000),
      Call(257, 0xffff_ff9c, Arena.address(160), 2), Call(133, Arena.address(192), 0o10644),
      Call(257, 0xffff_ff9c, Arena.address(192), 0o4002),
      Call(41, 1, 1, 0), Call(41, 2, 1, 0), Call(257, 0xffff_ff9c, Arena.address(128), 0),
      Call(289, UInt64.max, room, 8),
    ] { serve(tasks[0], call) }
  }

  private func serve(_ task: Task, _ call: Call) {
    task.parked = ParkedCall(call: call, id: 1)
    look(task)
  }

  private func look(_ task: Task) {
    guard let call = task.parked?.call, let row = Self.table[call.number] else { return task.endCall() }
    do throws(Errno) { if try row.handler(call, task) == .blocked { return } } catch {}
    task.endCall()
  }

  private func goOn() {
    // Tasks may wake each other without end: that is the guests' time.
    for _ in 0..<16 where !kernel.ready.isEmpty {
      let ready = kernel.ready
      kernel.ready.removeAll()
      for task in ready {
        task.waiter.taken()
        guard task.parked != nil else { continue }
        task.beginLook()
        look(task)
      }
    }
  }

  mutating func run(_ steps: inout Steps) {
    for _ in 0..<200 where !steps.isEmpty {
      let step = steps.byte()
      switch step {
      case 0..<192:
        let row = Self.rows[Int(steps.byte()) % Self.rows.count]
        var words: [UInt64] = []
        for _ in 0..<6 { words.append(steps.value()) }
        let task = tasks[Int(step) % tasks.count]
        // Who sleeps is interrupted.
        if task.parked != nil { task.endCall() }
        serve(task, Call(row.number, words[0], words[1], words[2], words[3], words[4], words[5]))
      case 192..<248: Arena.put(steps.value(), at: Int(steps.word(2)))
      default: kernel.deadlines.fire(now: kernel.now &+ steps.value())
      }
      goOn()
    }
    for task in tasks {
      task.endCall()
      task.descriptors.leave()
    }
    // A process ends with its kernel; here there are many kernels.
    for group in kernel.groups.values {
      group.tasks.removeAll()
    }
    kernel.groups.removeAll()
    kernel.tasks.removeAll()
  }
}

func check(_ bytes: [UInt8]) {
  Arena.fill(bytes)
  var steps = Steps(bytes)
  do throws(Errno) {
    var world = try World()
    world.run(&steps)
  } catch { fatalError("no world: \(error)") }
}

@main
enum FuzzSentryCalls {
  static func main() {
    // What calls ask of the host reaches nobody else: namespaces of their own, where this is the first process.
    let flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
    guard unshare(flags) == 0 else { fatalError("no namespaces of its own") }
    let child = systemCall(Int(SYS_fork))
    guard child == 0 else {
      var status: Int32 = 0
      // SAFETY: waitpid fills one integer.
      _ = unsafe waitpid(Int32(truncatingIfNeeded: child), &status, 0)
      exit(status & 0x7f == 0 ? status >> 8 & 0xff : 1)
    }
    Arena.make()
    var count = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe CommandLine.unsafeArgv
    // SAFETY: the arguments live as long as the process; libFuzzer promises `size` readable bytes at `data`.
    let status = unsafe LLVMFuzzerRunDriver(&count, &arguments) { data, size in
      unsafe check(Array(UnsafeBufferPointer(start: data, count: size)))
      return 0
    }
    exit(status)
  }
}
