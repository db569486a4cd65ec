import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentrySignals
import SentryTasks
import SentryTerminals

/// The files of one thread or process (proc(5)), from the sentry's own state, and from the host's where it counts.
enum ProcessTexts {
  /// The letter of ps(1). A thread that waits for the sentry sleeps, whatever the host calls it.
  static func state(_ task: Task) -> (letter: String, name: String) {
    if task.parked != nil, task.kernel.host.status(task).state != UInt8(ascii: "T") {
      // Who reads runs.
      return task === task.kernel.current ? ("R", "running") : ("S", "sleeping")
    }
    return switch task.kernel.host.status(task).state {
    case UInt8(ascii: "R"): ("R", "running")
    case UInt8(ascii: "T"), UInt8(ascii: "t"): ("T", "stopped")
    case UInt8(ascii: "Z"), UInt8(ascii: "X"): ("Z", "zombie")
    default: ("S", "sleeping")
    }
  }

  /// A thread counts from its making on, before its first call tells the sentry of it; a zombie has one.
  static func threads(_ task: Task) -> UInt64 { max(1, task.kernel.host.status(task).threads) }

  static func status(_ task: Task) -> [UInt8] {
    let (group, who, state) = (task.group, task.credentials, state(task))
    let host = task.kernel.host.contents(task.hostID, "status", limit: 8192)
    let octal = String(task.paths.umask, radix: 8)
    let umask = String(repeating: "0", count: max(0, 4 - octal.utf8.count)) + octal
    var text = Array("Name:\t".utf8) + Text.escaped(task.traits.name, [0x0a, 0x5c])
    text += Array("\nUmask:\t\(umask)\nState:\t\(state.letter) (\(state.name))\n".utf8)
    text += Array(
      "Tgid:\t\(group.id)\nNgid:\t0\nPid:\t\(task.id)\nPPid:\t\(group.parentID)\nTracerPid:\t\(task.tracee?.tracer?.id ?? 0)\n"
        .utf8)
    text += Array("Uid:\t\(who.user)\t\(who.effectiveUser)\t\(who.savedUser)\t\(who.fileUser)\n".utf8)
    text += Array("Gid:\t\(who.group)\t\(who.effectiveGroup)\t\(who.savedGroup)\t\(who.fileGroup)\n".utf8)
    let room = max(64, (Int(task.descriptors.numbers.last ?? 0) / 64 + 1) * 64)
    text += Array("FDSize:\t\(room)\nGroups:\t\(who.supplementaryGroups.map { "\($0) " }.joined())\n".utf8)
    text += Array(
      "NStgid:\t\(group.id)\nNSpid:\t\(task.id)\nNSpgid:\t\(group.processGroup)\nNSsid:\t\(group.session)\n".utf8)
    text += lines(of: host) { $0.hasPrefix("Vm") || $0.hasPrefix("Rss") || $0.hasPrefix("Hugetlb") }
    text += Array("CoreDumping:\t0\nTHP_enabled:\t1\nThreads:\t\(threads(task))\n".utf8)
    text += lines(of: host) {
      $0.hasPrefix("SigQ") || $0.hasPrefix("SigPnd") || $0.hasPrefix("ShdPnd") || $0.hasPrefix("SigBlk")
    }
    func line(_ name: String, _ bits: UInt64) {
      text += Array("\(name):\t\(Text.hexadecimal(bits, digits: 16))\n".utf8)
    }
    line("SigIgn", group.actions.ignored.bits)
    line("SigCgt", group.actions.caught.bits)
    line("CapInh", who.inheritable)
    line("CapPrm", who.permitted)
    line("CapEff", who.effective)
    line("CapBnd", who.bounding)
    line("CapAmb", who.ambient)
    let filters = HostStatus(host).guestFilters
    let mode = task.traits.isStrict ? 1 : filters > 0 ? 2 : 0
    text += Array(
      "NoNewPrivs:\t\(who.noNewPrivileges ? 1 : 0)\nSeccomp:\t\(mode)\nSeccomp_filters:\t\(filters)\n".utf8)
    text += lines(of: host) { $0.hasPrefix("Cpus_") || $0.hasPrefix("Mems_") || $0.contains("ctxt_switches") }
    return text
  }

  private static func lines(of text: [UInt8], _ isWanted: (String) -> Bool) -> [UInt8] {
    var found: [UInt8] = []
    for line in text.split(separator: 0x0a) where isWanted(String(decoding: line, as: UTF8.self)) {
      found += line + [0x0a]
    }
    return found
  }

  /// proc_pid_stat(5), field by field; addresses in the process are shown to nobody.
  static func stat(_ task: Task) -> [UInt8] {
    let (kernel, group) = (task.kernel, task.group)
    let host = HostStat(kernel.host.contents(task.hostID, "stat", limit: 4096))
    let terminal = kernel.terminals.controlling(session: group.session)
    let nice = Int64(task.traits.niceness)
    let start = (group.traits.startTime &- min(kernel.bootTime, group.traits.startTime)) / 10_000_000
    var fields: [String] = [
      state(task).letter, "\(group.parentID)", "\(group.processGroup)", "\(group.session)",
    ]
    fields.append("\(terminal.map { $0.index & 0xff | (136 + $0.index >> 8) << 8 } ?? 0)")
    fields.append("\(terminal?.foreground ?? -1)")
    // 9 to 17: flags, faults, times.
    for number in 9...17 { fields.append("\(host[number])") }
    fields += ["\(20 + nice)", "\(nice)", "\(threads(task))", "0", "\(start)"]
    // 23 to 25: sizes; 26 to 30: addresses.
    fields += ["\(host[23])", "\(host[24])", "\(group.limits[5].soft)", "0", "0", "0", "0", "0"]
    // 31 to 34: signals as they fit into 32 bits.
    let status = kernel.host.status(task)
    for set in [
      status.pending.union(status.sharedPending), status.blocked, group.actions.ignored, group.actions.caught,
    ] {
      fields.append("\(set.bits & 0x7fff_ffff)")
    }
    fields += [
      "0", "0", "0", "17", "\(host[39])", "0", "\(task.traits.schedulingPolicy & 0xff)", "\(host[42])", "0", "0",
    ]
    for _ in 45...52 { fields.append("0") }
    return Array("\(task.id) (".utf8) + task.traits.name + Array(") \(fields.joined(separator: " "))\n".utf8)
  }

  static func memory(_ task: Task) -> [UInt8] {
    let text = task.kernel.host.contents(task.group.hostID, "statm", limit: 256)
    return text.isEmpty ? Array("0 0 0 0 0 0 0\n".utf8) : text
  }
  static func schedule(_ task: Task) -> [UInt8] { task.kernel.host.contents(task.hostID, "schedstat", limit: 256) }
  static func transfers(_ task: Task) throws(Errno) -> [UInt8] {
    // Files are the sentry's: the host's counts would say nothing of them.
    Array("rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n".utf8)
  }

  static func children(_ task: Task) -> [UInt8] {
    let ids = task.kernel.groups.values.filter { $0.parent === task.group && !$0.traits.hasEnded }.map(\.id)
    return Array(ids.sorted().map { "\($0) " }.joined().utf8)
  }

  /// What the process has in its memory now, where execve(2) put it; else what the host says.
  static func arguments(_ task: Task) -> [UInt8] {
    // As any first process of a box.
    if task.group.isKeeper { return Array("init\0".utf8) }
    return strings(task.group.traits.arguments, task) ?? task.kernel.host.contents(task.group.hostID, "cmdline")
  }
  static func environment(_ task: Task) throws(Errno) -> [UInt8] {
    strings(task.group.traits.environment, task) ?? task.kernel.host.contents(task.group.hostID, "environ")
  }
  private static func strings(_ range: (start: GuestAddress, end: GuestAddress), _ task: Task) -> [UInt8]? {
    guard range.start.bits != 0, range.end.bits >= range.start.bits else { return nil }
    let count = Int(min(range.end.bits &- range.start.bits, 1 << 20))
    // A process that unmapped its strings has none to show.
    do throws(Errno) { return try task.memory.bytes(range.start, count: count) } catch { return [] }
  }

  static func executable(_ task: Task) throws(Errno) -> LinkTarget {
    if let place = task.group.executable { return Self.place(place, task) }
    guard !task.group.traits.program.isEmpty else { throw .noEntry }
    return .text(task.group.traits.program)
  }

  static func place(_ path: Path, _ task: Task) -> LinkTarget {
    let text = task.paths.namespace.text(of: path, root: task.paths.root)
    return .place(path, text: text ?? Array("(unreachable)".utf8))
  }

  static func descriptor(_ number: Int32, _ task: Task) -> [UInt8] {
    let file: OpenFile
    let closes: Bool
    do throws(Errno) {
      let entry = try task.descriptors.entry(number)
      (file, closes) = (entry.file, entry.closesOnExec)
    } catch { return [] }
    let flags = UInt32(bitPattern: file.flags) | (closes ? 0o2000000 : 0)
    return Array(
      "pos:\t\(file.position)\nflags:\t0\(String(flags, radix: 8))\nmnt_id:\t\(file.path?.mount.id ?? 0)\nino:\t\(file.path?.inode?.number ?? 0)\n"
        .utf8)
  }

  static func limits(_ task: Task) -> [UInt8] {
    let names: [(String, String, Int32)] = [
      ("Max cpu time", "seconds", 0), ("Max file size", "bytes", 1), ("Max data size", "bytes", 2),
      ("Max stack size", "bytes", 3), ("Max core file size", "bytes", 4), ("Max resident set", "bytes", 5),
      ("Max processes", "processes", 6), ("Max open files", "files", 7), ("Max locked memory", "bytes", 8),
      ("Max address space", "bytes", 9), ("Max file locks", "locks", 10), ("Max pending signals", "signals", 11),
      ("Max msgqueue size", "bytes", 12), ("Max nice priority", "", 13), ("Max realtime priority", "", 14),
      ("Max realtime timeout", "us", 15),
    ]
    func column(_ text: String, _ width: Int) -> String {
      text + String(repeating: " ", count: max(1, width - text.utf8.count))
    }
    func shown(_ value: UInt64) -> String { value == Limits.infinity ? "unlimited" : "\(value)" }
    var text = column("Limit", 26) + column("Soft Limit", 21) + column("Hard Limit", 21) + "Units     \n"
    for (name, unit, kind) in names {
      let pair = task.group.limits[kind]
      text += column(name, 26) + column(shown(pair.soft), 21) + column(shown(pair.hard), 21)
      text += unit.isEmpty ? "\n" : column(unit, 10) + "\n"
    }
    return Array(text.utf8)
  }
}

/// mounts(5) and mountinfo.
enum MountTexts {
  static func mounts(_ task: Task) -> [UInt8] {
    var text: [UInt8] = []
    for mount in task.paths.namespace.mounts {
      guard let point = point(mount, task), let system = mount.root.inode?.fileSystem else { continue }
      text += Text.escaped(Array(system.source.utf8)) + [0x20] + Text.escaped(point)
      text += Array(" \(system.type) \(options(mount, system)) 0 0\n".utf8)
    }
    return text
  }

  static func information(_ task: Task) -> [UInt8] {
    var text: [UInt8] = []
    for mount in task.paths.namespace.mounts {
      guard let point = point(mount, task), let system = mount.root.inode?.fileSystem else { continue }
      let device = "\(Device.major(system.device)):\(Device.minor(system.device))"
      text += Array("\(mount.id) \(mount.point?.mount.id ?? mount.id) \(device) ".utf8)
      text += Text.escaped(root(mount)) + [0x20] + Text.escaped(point)
      let isReadOnly = mount.flags.contains(.readOnly) ? "ro" : "rw"
      text += Array(" \(own(mount, isReadOnly)) - \(system.type) ".utf8) + Text.escaped(Array(system.source.utf8))
      let extra = system.options.isEmpty ? "" : "," + system.options
      text += Array(" \(system.isReadOnly ? "ro" : "rw")\(extra)\n".utf8)
    }
    return text
  }

  /// Where it is mounted, as the process sees it; nil for what lies outside of its root.
  private static func point(_ mount: SentryFiles.Mount, _ task: Task) -> [UInt8]? {
    guard mount.point != nil else { return [0x2f] }
    return task.paths.namespace.text(of: Path(mount: mount, dentry: mount.root), root: task.paths.root)
  }

  /// The part of the file system that is mounted.
  private static func root(_ mount: SentryFiles.Mount) -> [UInt8] {
    var names: [[UInt8]] = []
    var at = mount.root
    while let parent = at.parent {
      names.append(at.name)
      at = parent
    }
    return names.isEmpty ? [0x2f] : names.reversed().reduce(into: []) { $0 += [0x2f] + $1 }
  }

  private static func own(_ mount: SentryFiles.Mount, _ first: String) -> String {
    var words = [first]
    if mount.flags.contains(.noSetID) { words.append("nosuid") }
    if mount.flags.contains(.noDevices) { words.append("nodev") }
    if mount.flags.contains(.noExecution) { words.append("noexec") }
    if mount.flags.contains(.noAccessTimes) { words.append("noatime") }
    return words.joined(separator: ",")
  }

  private static func options(_ mount: SentryFiles.Mount, _ system: FileSystem) -> String {
    let isReadOnly = mount.flags.contains(.readOnly) || system.isReadOnly
    let extra = system.options.isEmpty ? "" : "," + system.options
    return own(mount, isReadOnly ? "ro" : "rw") + extra
  }
}
