import Linux
import SentryABI
import SentryFiles
import SentryTasks

/// /proc/PID and /proc/PID/task/TID.
final class ProcessDirectory: PseudoDirectory, ProcessPlace {
  private let system: ProcFileSystem
  private let subject: Subject
  private let isThread: Bool

  init(_ system: ProcFileSystem, _ subject: Subject, isThread: Bool) {
    self.system = system
    self.subject = subject
    self.isThread = isThread
    let owner = subject.owner
    super.init(system, user: owner.user, group: owner.group, number: subject.number(isThread ? 255 : 0))
  }

  var process: ThreadGroup? {
    if isThread { return nil }
    do throws(Errno) { return try subject.task().group } catch { return nil }
  }

  /// The names in it.
  private enum Entry: String, CaseIterable {
    case status, stat, statm, cmdline, comm, environ, maps, smaps, mem, exe, cwd, root, fd, fdinfo, limits, mounts,
      mountinfo
    case auxv, cgroup, ns, net, wchan, schedstat, io, children, setgroups, loginuid, sessionid, personality, task
    case adjustment = "oom_score_adj"
    case score = "oom_score"
    case filter = "coredump_filter"
    case users = "uid_map"
    case groups = "gid_map"
    case slack = "timerslack_ns"

    var kind: FileKind {
      switch self {
      case .exe, .cwd, .root: .symbolicLink
      case .fd, .fdinfo, .ns, .net, .task: .directory
      default: .regular
      }
    }
  }

  /// What only a process's own directory has, and what only a thread's has.
  private func isHere(_ entry: Entry) -> Bool {
    switch entry {
    case .children: isThread
    case .task: !isThread
    default: true
    }
  }

  private func inode(_ entry: Entry) -> Inode {
    let number = subject.number(self.number(entry))
    switch entry {
    case .status: return text(number, ProcessTexts.status)
    case .stat: return text(number, ProcessTexts.stat)
    case .statm: return text(number, ProcessTexts.memory)
    case .cmdline: return text(number, ProcessTexts.arguments)
    case .limits: return text(number, ProcessTexts.limits)
    case .mounts: return text(number, MountTexts.mounts)
    case .mountinfo: return text(number, MountTexts.information)
    case .schedstat: return text(number, ProcessTexts.schedule)
    case .children: return text(number, ProcessTexts.children)
    case .cgroup: return fixed(number, "0::/\n")
    case .score: return fixed(number, "0\n")
    case .filter: return fixed(number, "00000033\n")
    case .users, .groups: return fixed(number, "         0          0 4294967295\n")
    case .setgroups: return fixed(number, "allow\n")
    case .loginuid, .sessionid: return fixed(number, "4294967295")
    case .wchan: return fixed(number, "0")
    case .slack: return text(number) { Array("\($0.traits.timerSlack)\n".utf8) }
    case .environ: return inspected(number, 0o400, ProcessTexts.environment)
    case .auxv: return inspected(number, 0o400, AuxiliaryVector.bytes)
    case .io: return inspected(number, 0o400, ProcessTexts.transfers)
    case .maps: return inspected(number, 0o444, Mappings.maps)
    case .smaps: return inspected(number, 0o444, Mappings.details)
    case .personality:
      return inspected(number, 0o400) { task in
        Array((Text.hexadecimal(UInt64(task.group.traits.personality), digits: 8) + "\n").utf8)
      }
    case .exe: return link(number, ProcessTexts.executable)
    case .cwd: return link(number) { task in ProcessTexts.place(task.paths.current, task) }
    case .root: return link(number) { task in ProcessTexts.place(task.paths.root, task) }
    case .comm: return CommandFile(system, subject, number)
    case .mem: return ProcessMemory(system, subject, number)
    case .fd: return DescriptorDirectory(system, subject, number, shows: .links)
    case .fdinfo: return DescriptorDirectory(system, subject, number, shows: .texts)
    case .ns: return NamespaceDirectory(system, subject, number)
    case .net: return NetworkFiles(system, subject, number)
    case .task: return ThreadDirectory(system, subject)
    case .adjustment:
      return RememberedFile(system, subject, number, -1000...1000, \.traits.outOfMemoryAdjustment)
    }
  }

  private func text(_ number: UInt64, _ make: @escaping (Task) -> [UInt8]) -> Inode {
    let subject = subject
    return SubjectFile(system, 0o444, subject.owner, number) { (_) throws(Errno) in make(try subject.task()) }
  }
  private func fixed(_ number: UInt64, _ text: String) -> Inode {
    SubjectFile(system, 0o444, subject.owner, number) { (_) throws(Errno) in Array(text.utf8) }
  }
  /// For those only who may look into the process.
  private func inspected(_ number: UInt64, _ permissions: UInt32, _ make: @escaping (Task) throws(Errno) -> [UInt8])
    -> Inode
  {
    let subject = subject
    return SubjectFile(system, permissions, subject.owner, number) { (caller) throws(Errno) in
      try make(try subject.inspected(by: caller))
    }
  }
  private func link(_ number: UInt64, _ target: @escaping (Task) throws(Errno) -> LinkTarget) -> Inode {
    let (subject, owner) = (subject, subject.owner)
    return GeneratedLink(system, user: owner.user, group: owner.group, number: number) { (caller) throws(Errno) in
      try target(try subject.inspected(by: caller))
    }
  }

  override func lookup(_ name: [UInt8], _ caller: FileCaller) throws(Errno) -> Inode? {
    _ = try live()
    guard let entry = Entry(rawValue: String(decoding: name, as: UTF8.self)), isHere(entry) else { return nil }
    return inode(entry)
  }

  override func create(_ name: [UInt8], _ file: NewFile) throws(Errno) -> Inode { throw .noEntry }

  private func live() throws(Errno) -> Task {
    do throws(Errno) { return try subject.task() } catch { throw .noEntry }
  }
  private func number(_ entry: Entry) -> UInt64 {
    if entry == .task { return 254 }
    return UInt64(Entry.allCases.firstIndex(of: entry) ?? 0) + (isThread ? 257 : 1)
  }

  override func list(_ caller: FileCaller) throws(Errno) -> [DirectoryEntry] {
    _ = try live()
    return Entry.allCases.filter(isHere).enumerated().map {
      DirectoryEntry(
        name: Array($1.rawValue.utf8), inode: subject.number(number($1)), kind: $1.kind, next: Int64($0) + 3)
    }
  }
}

/// A file about one thread, made by code.
final class SubjectFile: PseudoFile {
  private let make: (FileCaller) throws(Errno) -> [UInt8]
  init(
    _ system: FileSystem, _ permissions: UInt32, _ owner: (user: UInt32, group: UInt32), _ number: UInt64,
    _ make: @escaping (FileCaller) throws(Errno) -> [UInt8]
  ) {
    self.make = make
    super.init(system, permissions: permissions, user: owner.user, group: owner.group, number: number)
  }
  override func contents(_ caller: FileCaller) throws(Errno) -> [UInt8] { try make(caller) }
}

/// /proc/PID/comm, which threads of the process may change.
final class CommandFile: PseudoFile {
  private let subject: Subject
  init(_ system: ProcFileSystem, _ subject: Subject, _ number: UInt64) {
    self.subject = subject
    super.init(system, permissions: 0o644, user: subject.owner.user, group: subject.owner.group, number: number)
  }
  override func contents(_ caller: FileCaller) throws(Errno) -> [UInt8] { try subject.task().traits.name + [0x0a] }
  override func store(_ bytes: [UInt8], at offset: Int64, _ caller: FileCaller) throws(Errno) {
    let task = try subject.task()
    guard let other = caller.task as? Task, other.group === task.group else { throw .invalid }
    task.traits.name = [UInt8](bytes.prefix { $0 != 0 }.prefix(15))
  }
}

/// A number that is kept, without effect.
final class RememberedFile: PseudoFile {
  private let subject: Subject
  private let range: ClosedRange<Int32>
  private let place: ReferenceWritableKeyPath<ThreadGroup, Int32>
  init(
    _ system: ProcFileSystem, _ subject: Subject, _ number: UInt64, _ range: ClosedRange<Int32>,
    _ place: ReferenceWritableKeyPath<ThreadGroup, Int32>
  ) {
    self.subject = subject
    self.range = range
    self.place = place
    super.init(system, permissions: 0o644, user: subject.owner.user, group: subject.owner.group, number: number)
  }
  override func contents(_ caller: FileCaller) throws(Errno) -> [UInt8] {
    Text.number(try subject.task().group[keyPath: place]) + [0x0a]
  }
  override func store(_ bytes: [UInt8], at offset: Int64, _ caller: FileCaller) throws(Errno) {
    let group = try subject.inspected(by: caller).group
    let digits = bytes.filter { $0 != 0x0a && $0 != 0x20 }
    guard let value = Int32(String(decoding: digits, as: UTF8.self)), range.contains(value) else { throw .invalid }
    // Only who may use CAP_SYS_RESOURCE makes a process less likely to be ended than it was.
    guard value >= group[keyPath: place] || caller.credentials.has(24) else { throw .accessDenied }
    group[keyPath: place] = value
  }
}

/// /proc/PID/task.
final class ThreadDirectory: PseudoDirectory {
  private let system: ProcFileSystem
  private let subject: Subject
  init(_ system: ProcFileSystem, _ subject: Subject) {
    self.system = system
    self.subject = subject
    super.init(system, user: subject.owner.user, group: subject.owner.group, number: subject.number(254))
  }
  /// Programs count their threads by the links (proc_task_getattr, fs/proc/base.c).
  override func refresh() throws(Errno) {
    attributes.links = 2 &+ UInt32(clamping: ProcessTexts.threads(try subject.task()))
  }
  override func lookup(_ name: [UInt8], _ caller: FileCaller) throws(Errno) -> Inode? {
    guard let id = Text.number(name) else { return nil }
    let group = try subject.task().group
    guard let task = group.tasks.first(where: { $0.id == id }) else { return nil }
    return ProcessDirectory(system, Subject(task), isThread: true)
  }
  override func list(_ caller: FileCaller) throws(Errno) -> [DirectoryEntry] {
    try subject.task().group.tasks.sorted { $0.id < $1.id }.map {
      DirectoryEntry(
        name: Text.number($0.id), inode: Subject($0).number(255), kind: .directory, next: Int64($0.id) + 3)
    }
  }
}

/// /proc/PID/fd and fdinfo.
final class DescriptorDirectory: PseudoDirectory {
  enum Shows { case links, texts }
  private let subject: Subject
  private let shows: Shows
  init(_ system: ProcFileSystem, _ subject: Subject, _ number: UInt64, shows: Shows) {
    self.subject = subject
    self.shows = shows
    super.init(
      system, permissions: shows == .links ? 0o500 : 0o555, user: subject.owner.user, group: subject.owner.group,
      number: number)
  }

  /// Below 2^18: descriptors share the numbers of files from 1024 on.
  private func number(_ descriptor: Int32) -> UInt64 {
    subject.number(1024 + UInt64(UInt32(bitPattern: descriptor) & 0xffff) * 2 + (shows == .links ? 0 : 1))
  }

  override func lookup(_ name: [UInt8], _ caller: FileCaller) throws(Errno) -> Inode? {
    guard let descriptor = Text.number(name) else { return nil }
    let task = try subject.inspected(by: caller)
    let file: OpenFile
    do throws(Errno) { file = try task.descriptors.file(descriptor) } catch { return nil }
    let (subject, owner, number) = (subject, subject.owner, number(descriptor))
    if shows == .texts {
      return SubjectFile(fileSystem, 0o400, owner, number) { (caller) throws(Errno) in
        ProcessTexts.descriptor(descriptor, try subject.inspected(by: caller))
      }
    }
    let permissions: UInt32 = (file.isReadable ? 0o500 : 0) | (file.isWritable ? 0o300 : 0)
    return GeneratedLink(
      fileSystem, permissions: permissions, user: owner.user, group: owner.group, number: number
    ) { (caller) throws(Errno) in
      let task = try subject.inspected(by: caller)
      let file: OpenFile
      do throws(Errno) { file = try task.descriptors.file(descriptor) } catch { throw .noEntry }
      guard let place = file.path else { return .text(Array("anon_inode:[unknown]".utf8)) }
      return ProcessTexts.place(place, task)
    }
  }

  override func list(_ caller: FileCaller) throws(Errno) -> [DirectoryEntry] {
    try subject.inspected(by: caller).descriptors.numbers.map {
      DirectoryEntry(
        name: Text.number($0), inode: number($0), kind: shows == .links ? .symbolicLink : .regular,
        next: Int64($0) + 3)
    }
  }
}

/// /proc/PID/ns: names of namespaces, of which the sandbox has one each; they cannot be opened.
final class NamespaceDirectory: PseudoDirectory {
  private static let names = ["cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "user", "uts"]
  private let subject: Subject
  init(_ system: ProcFileSystem, _ subject: Subject, _ number: UInt64) {
    self.subject = subject
    super.init(
      system, permissions: 0o511, user: subject.owner.user, group: subject.owner.group, number: number)
  }
  override func lookup(_ name: [UInt8], _ caller: FileCaller) throws(Errno) -> Inode? {
    guard let index = Self.names.firstIndex(where: { Array($0.utf8) == name }) else { return nil }
    let subject = subject
    let kind = name == Array("pid_for_children".utf8) ? "pid" : Self.names[index]
    return GeneratedLink(fileSystem, number: subject.number(512 + UInt64(index))) { (caller) throws(Errno) in
      _ = try subject.inspected(by: caller)
      let place = Self.names.firstIndex(of: kind) ?? 0
      return .text(Array("\(kind):[\(0xF000_0000 + UInt64(place))]".utf8))
    }
  }
  override func list(_ caller: FileCaller) throws(Errno) -> [DirectoryEntry] {
    Self.names.enumerated().map {
      DirectoryEntry(
        name: Array($1.utf8), inode: subject.number(512 + UInt64($0)), kind: .symbolicLink, next: Int64($0) + 3)
    }
  }
}

/// /proc/PID/net: what the host tells of the sandbox's own network namespace.
final class NetworkFiles: PseudoDirectory {
  private static let names: [StaticString] = [
    "dev", "if_inet6", "route", "ipv6_route", "tcp", "tcp6", "udp", "udp6", "arp", "dev_mcast", "fib_trie", "igmp",
    "netstat", "protocols", "raw", "raw6", "snmp", "snmp6", "sockstat", "sockstat6", "unix",
  ]
  private let system: ProcFileSystem
  private let subject: Subject
  init(_ system: ProcFileSystem, _ subject: Subject, _ number: UInt64) {
    self.system = system
    self.subject = subject
    super.init(system, number: number)
  }
  override func lookup(_ name: [UInt8], _ caller: FileCaller) throws(Errno) -> Inode? {
    guard let index = Self.names.firstIndex(where: { Array($0.description.utf8) == name }) else { return nil }
    let kernel = system.kernel
    return SubjectFile(system, 0o444, (0, 0), subject.number(600 + UInt64(index))) { (_) throws(Errno) in
      // The sentry's own, which the host knows nothing of.
      index == Self.names.count - 1 ? kernel.unixListing : kernel.host.networkContents(Self.names[index])
    }
  }
  override func list(_ caller: FileCaller) throws(Errno) -> [DirectoryEntry] {
    Self.names.enumerated().map {
      DirectoryEntry(
        name: Array($1.description.utf8), inode: subject.number(600 + UInt64($0)), kind: .regular, next: Int64($0) + 3)
    }
  }
}
