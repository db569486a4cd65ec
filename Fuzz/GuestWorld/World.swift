import CLinux
package import Linux
package import SentryABI
package import SentryCalls
import SentryFileSystems
import SentryFiles
import SentryMemory
import SentryPipes
import SentryProc
package import SentryTasks
import SentryTerminals
import SentryWait

/// A kernel with two processes, one of two threads, and a file of every kind.
package struct World {
  package let kernel = Kernel()
  package private(set) var tasks: [Task] = []
  private static let table = CallTable.all
  /// exit(2) and exit_group(2) end their caller.
  package static let rows = table.all.filter { ![60, 231].contains($0.number) }

  package init() throws(Errno) {
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

  package func serve(_ task: Task, _ call: Call) {
    task.parked = ParkedCall(call: call, id: 1)
    look(task)
  }

  private func look(_ task: Task) {
    guard let call = task.parked?.call, let row = Self.table[call.number] else { return task.endCall() }
    do throws(Errno) { if try row.handler(call, task) == .blocked { return } } catch {}
    task.endCall()
  }

  package func goOn() {
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

  /// A process ends with its kernel; here there are many kernels.
  package func end() {
    for task in tasks {
      task.endCall()
      task.descriptors.leave()
    }
    for group in kernel.groups.values {
      group.tasks.removeAll()
    }
    kernel.groups.removeAll()
    kernel.tasks.removeAll()
    // Its tree holds the terminals.
    kernel.terminals.mounted = nil
  }
}
