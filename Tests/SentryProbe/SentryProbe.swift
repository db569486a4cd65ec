import AllocationCounts
import CLinux
import Linux
import SentryABI
import SentryCalls
import SentryFileSystems
import SentryFiles
import SentryIPC
import SentryMemory
import SentryPipes
import SentryPlatform
import SentryProc
import SentryTasks
import SentryTerminals

/// Raises a sentry over a folder without the wall around it, as root: for tests of what guests see.
///
///     SentryProbe [--strict] [--tracing] [--trace] [--count] [--allocations] [--no-answers] [--calls FILE] [--env NAME=VALUE]...
///         [--cwd PATH] ROOT PROGRAM [ARGUMENT]...
///     SentryProbe --rows
///     SentryProbe --refusals
///     SentryProbe --page calls
///     SentryProbe --page gvisor FACTS
///
/// ROOT is a folder, or a file that is an EROFS image. Nobody may change it meanwhile. It is read-only beneath a layer of memory; /dev and /tmp
/// are memory. Ends as the program does
/// (128 + a signal). `--trace` names calls that no row serves. `--calls` adds the names of the rows that were asked for to a file; `--rows`
/// prints all that calls can come to under the strict policy; `--refusals` the number, the name and the error of each that is refused or absent;
/// `--page` a page of docs/. `--count` says how many calls came to the sentry; `--no-answers` has all of them
/// come. `--allocations` says how often the sentry has allocated, and retained or released, while it served, which says something of what
/// the compiler has optimised only.
@main
enum SentryProbe {
  static func main() {
    var words = Array(Process.arguments.dropFirst())
    var policy = StubFilter.Policy.nativeHarmless
    var interception = Interception.notification
    var (traces, counts, allocations, answers) = (false, false, false, true)
    var environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]
    var directory = "/"
    while let word = words.first, word.hasPrefix("--") {
      words.removeFirst()
      switch word {
      case "--strict": policy = .strict
      case "--tracing": interception = .tracing
      case "--trace": traces = true
      case "--calls": if !words.isEmpty { calls.file = words.removeFirst() }
      case "--rows":
        let unasked = Set((StubFilter.always + StubFilter(.strict, hasClone3: true).refused).map(\.number))
        return say(CallTable.all.all.filter { !unasked.contains(UInt32($0.number)) }.map(\.name), to: 1)
      case "--refusals":
        return say(
          CallFact.all(policy).compactMap { fact in fact.error.map { "\(fact.number) \(fact.name) \($0)" } }, to: 1)
      case "--page": return page(words)
      case "--count": counts = true
      case "--allocations": allocations = true
      case "--no-answers": answers = false
      case "--env": if !words.isEmpty { environment.append(words.removeFirst()) }
      case "--cwd": if !words.isEmpty { directory = words.removeFirst() }
      default: stop("unknown option \(word)", 2)
      }
    }
    guard words.count >= 2 else { stop("usage: SentryProbe [OPTION]... ROOT PROGRAM [ARGUMENT]...", 2) }
    do throws(SystemError) {
      let guests = try raise(root: words[0], policy: policy, by: interception)
      let program = Array(words.dropFirst())
      guests.platform.answersInStub = answers
      let status = try serve(guests, program, environment, directory, traces: traces)
      if counts { try File.writeAll(2, Array("SentryProbe: \(guests.platform.served) calls\n".utf8)) }
      if allocations {
        let found = immure_counted()
        try File.writeAll(2, Array("SentryProbe: \(found.allocations) \(found.references)\n".utf8))
      }
      Process.exit(ExitStatus(waitStatus: status).code)
    } catch { stop("\(error)", 125) }
  }

  /// Which rows were asked for. One thread uses it.
  final class Calls: @unchecked Sendable {
    var file: String?
    private var seen: [Int32: String] = [:]

    /// The table, with each row telling that it was asked for; as it is where nobody wants to know.
    func watched(_ table: CallTable) -> CallTable {
      if file == nil { return table }
      return CallTable([
        table.all.map { row in
          CallRow(row.number, row.name, row.extent, blocksOn: row.blocksOn) { (call, task) throws(Errno) in
            SentryProbe.calls.seen[row.number] = row.name
            return try row.handler(call, task)
          }
        }
      ])
    }

    func tell() {
      guard let file else { return }
      do throws(SystemError) {
        let opened = try File.open(file, O_WRONLY | O_CREAT | O_APPEND, mode: 0o644)
        SentryProbe.say(seen.values.sorted(), to: opened.rawValue)
      } catch { SentryProbe.stop("\(error)", 125) }
    }
  }
  static let calls = Calls()

  /// - Parameter words: which page, and of gVisor's the file of facts.
  static func page(_ words: [String]) {
    switch words.first {
    case "calls" where words.count == 1: return say([String(CallPage.text().dropLast())], to: 1)
    case "gvisor" where words.count == 2:
      do throws(SystemError) {
        let source = try File.text(words[1])
        do throws(ComparisonPage.Failure) {
          return say([String(try ComparisonPage.text(source).dropLast())], to: 1)
        } catch { stop("\(words[1]): \(error.line)", 1) }
      } catch { stop("\(error)", 1) }
    default: stop("usage: SentryProbe --page calls, or --page gvisor FACTS", 2)
    }
  }

  static func say(_ names: [String], to descriptor: Int32) {
    // Without a reader there is nobody to tell.
    try? File.writeAll(descriptor, Array(names.map { $0 + "\n" }.joined().utf8))
  }

  static func stop(_ line: String, _ code: Int32) -> Never {
    // Without a reader there is nobody to tell.
    try? File.writeAll(2, Array("SentryProbe: \(line)\n".utf8))
    Process.exit(code)
  }

  /// What the wall would give.
  final class World {
    let platform: NotificationPlatform
    let namespace: MountNamespace
    init(_ platform: NotificationPlatform, _ namespace: MountNamespace) {
      self.platform = platform
      self.namespace = namespace
    }
  }

  static func raise(root: String, policy: StubFilter.Policy, by interception: Interception) throws(SystemError) -> World
  {
    try HostFiles.prepare()
    let processes = try File.open("/proc", File.directoryOnly)
    let procfs = processes.rawValue
    let space = try GuestSpace(processes: processes, filter: StubFilter(policy, hasClone3: true), by: interception)
    do throws(Errno) {
      let lower = try lower(root)
      let special = SpecialFiles()
      MemoryDevices.add(to: special)
      Pipe.serve(special)
      let kernel = Kernel()
      TerminalDirectory.serve(special, kernel.terminals)
      do throws(SystemError) { try kernel.processors.open(in: procfs) } catch { throw error.errno }
      let namespace = MountNamespace(root: MemoryFileSystem.overlay(lower: lower, limit: 256 << 20), special: special)
      let walk = PathWalk(PathContext(namespace), FileCaller(credentials: credentials))
      for (name, permissions) in [("dev", 0o755), ("tmp", 0o1777), ("proc", 0), ("sys", 0)] as [(String, UInt32)] {
        let tree: Inode
        switch name {
        case "proc":
          kernel.fileSystem = { [unowned kernel] (kind) throws(Errno) in
            kind == "proc" ? ProcFileSystem.tree(kernel) : kind == "mqueue" ? kernel.ipc.named : nil
          }
          tree = ProcFileSystem.tree(kernel)
        case "sys": tree = SysFileSystem.tree()
        default: tree = MemoryFileSystem.tree(limit: 64 << 20, permissions: permissions)
        }
        if name == "dev" { try MemoryDevices.addNodes(to: tree) }
        let place: Path
        do throws(Errno) { place = try walk.find(Array("/\(name)".utf8)) } catch {
          place = try walk.make(.directory, at: Array("/\(name)".utf8), permissions: 0o755)
        }
        try namespace.mount(tree, on: place)
      }
      for (name, minor) in [("tty", 0), ("ptmx", 2)] as [(String, UInt32)] {
        _ = try walk.make(
          .characterDevice, at: Array("/dev/\(name)".utf8), permissions: 0o666, special: Device.number(5, minor))
      }
      let shared = try walk.make(.directory, at: Array("/dev/shm".utf8), permissions: 0o1777)
      try namespace.mount(MemoryFileSystem.tree(limit: 64 << 20), on: shared)
      let terminals = try walk.make(.directory, at: Array("/dev/pts".utf8), permissions: 0o755)
      let mount = try namespace.mount(TerminalDirectory.tree(kernel.terminals), on: terminals)
      kernel.terminals.mounted = Path(mount: mount, dentry: mount.root)
      return World(try NotificationPlatform(kernel, calls.watched(.all), space), namespace)
    } catch { throw SystemError("raise", root, error) }
  }

  private static func lower(_ root: String) throws(Errno) -> Inode {
    do throws(SystemError) {
      let folder = try File.open(root, O_RDONLY)
      if UInt32(try File.status("", at: folder.rawValue).st_mode) & UInt32(S_IFMT) == UInt32(S_IFREG) {
        return try EROFSFileSystem.tree(metadata: folder.rawValue, devices: [], mount: nil)
      }
      do throws(Errno) {
        return try HostFolder.tree(folder.rawValue, isReadOnly: true, isImmutable: true)
      } catch { throw SystemError("root", root, error) }
    } catch { throw error.errno }
  }

  static var credentials: Credentials {
    var credentials = Credentials()
    // A container's usual ones (docs/container.md).
    credentials.effective = Capability.all
    credentials.permitted = credentials.effective
    credentials.bounding = credentials.effective
    return credentials
  }

  static func serve(
    _ world: World, _ program: [String], _ environment: [String], _ directory: String, traces: Bool
  ) throws(SystemError) -> Int32 {
    let kernel = world.platform.kernel
    let descriptors = DescriptorTable()
    var status: Int32?
    do throws(Errno) {
      for number in 0..<Int32(3) where FileDescriptor.isOpen(number) {
        let copy: FileDescriptor
        do throws(SystemError) { copy = try FileDescriptor.duplicate(number) } catch { throw error.errno }
        let file = HostStreamFile(
          owning: copy, flags: number == 0 ? O_RDONLY : O_WRONLY, kernel.hostEvents, in: kernel.unnamed)
        try descriptors.set(number, to: file, closesOnExec: false)
      }
      let paths = PathContext(world.namespace)
      paths.current = try PathWalk(paths, FileCaller(credentials: credentials)).find(Array(directory.utf8))
      let group = ThreadGroup(kernel: kernel, id: 0, parent: nil, session: 0, processGroup: 0)
      let task = Task(
        kernel: kernel, id: 0, hostID: 0, group: group, memory: GuestMemory(process: 0), descriptors: descriptors,
        paths: paths, credentials: credentials)
      let path = try find(program[0], environment, task)
      world.platform.reaped = { process, ended in if process == task.group.id { status = ended } }
      if traces {
        world.platform.failed = { call, _, row, task in
          if row != nil { return }
          try? File.writeAll(2, Array("SentryProbe: \(task.id): call \(call.number) is not there\n".utf8))
        }
      }
      world.platform.stray = { thread in
        try? File.writeAll(2, Array("SentryProbe: nothing is known of thread \(thread)\n".utf8))
      }
      world.platform.start(
        Launch(
          path: path, arguments: program.map { Array($0.utf8) }, environment: environment.map { Array($0.utf8) },
          task: task
        ) { error in
          if let error { stop("\(program[0]): \(error)", error == .noEntry ? 127 : 126) }
        })
    } catch { throw SystemError("start", program[0], error) }
    world.platform.run { status == nil }
    calls.tell()
    guard let status else { throw SystemError("sentry", "the guests ended without a word", .noChild) }
    return status
  }

  /// As execvp(3) looks for it.
  static func find(_ name: String, _ environment: [String], _ task: Task) throws(Errno) -> [UInt8] {
    if name.utf8.contains(0x2f) { return Array(name.utf8) }
    let folders = environment.last { $0.hasPrefix("PATH=") }?.dropFirst(5).split(separator: ":") ?? []
    for folder in folders {
      let path = Array("\(folder)/\(name)".utf8)
      do throws(Errno) {
        _ = try task.walk.openProgram(path)
        return path
      } catch {}
    }
    throw .noEntry
  }
}
