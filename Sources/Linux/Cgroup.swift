import CLinux

/// One box's control groups: a folder in each hierarchy that its limits need, under a name that follows from the
/// box's, so
/// that what a killed command left can be found again.
public struct Cgroup: Sendable, Equatable {
  /// A folder of version 1, of one controller; or the one of version 2, of all.
  public struct Place: Sendable, Equatable {
    public let controller: CgroupController?
    public let path: String
    public init(controller: CgroupController?, path: String) {
      self.controller = controller
      self.path = path
    }
    public var isUnified: Bool { controller == nil }
  }
  public private(set) var places: [Place] = []
  /// Limits whose file is not there (memory+swap where swap is not counted, for one).
  public private(set) var missing: [CgroupLimits.Setting] = []

  public init(places: [Place]) { self.places = places }
  mutating func add(_ place: Place) { places.append(place) }

  public func path(of controller: CgroupController) -> String? {
    places.first { $0.controller == controller }?.path ?? unifiedPath
  }
  public var unifiedPath: String? { places.first { $0.isUnified }?.path }

  // MARK: Making

  /// Makes the folders and writes the limits. Nothing is left behind when it throws. `always` are controllers to
  /// stand in even
  /// without a limit. EACCES, EPERM or EROFS mean that no hierarchy lets this user make groups.
  public static func create(
    _ name: String, limits: CgroupLimits, always: [CgroupController] = [], unified: Bool = false,
    layout: CgroupLayout = .detect()
  ) throws(SystemError) -> Cgroup {
    var group = Cgroup(places: [])
    do throws(SystemError) {
      if layout.mode == .unified {
        try group.createUnified(name, limits, layout)
      } else {
        for controller in limits.more(limits.moreLegacy) + always.filter({ !limits.controllers.contains($0) }) {
          guard let directory = layout.directory(of: controller) else {
            throw SystemError("cgroup", "controller \(controller.rawValue)", .noDevice)
          }
          let path = try makeLegacy(name, in: directory, controller)
          group.places.append(Place(controller: controller, path: path))
          if controller == .cpuset { try inheritCPUSet(path) }
        }
        if unified, let directory = layout.unifiedDirectory {
          group.places.append(
            Place(controller: nil, path: try makeFirst(candidates(name, in: directory, own: nil))))
        }
        try group.apply(limits)
      }
    } catch {
      // The folders are empty: nothing has joined yet, and the first error is the one that matters.
      try? group.remove()
      throw error
    }
    return group
  }

  /// Writes limits to folders that exist, now or later in the box's life.
  public mutating func apply(_ limits: CgroupLimits) throws(SystemError) {
    let isUnified = places.count == 1 && places[0].isUnified
    // A line for each device, in two files by turns.
    var devices: [(path: String, descriptor: Int32)] = []
    defer { for file in devices { _ = FileDescriptor(owning: file.descriptor) } }
    for setting in isUnified ? limits.unifiedSettings : limits.legacySettings {
      guard let path = path(of: setting.controller) else {
        throw SystemError("cgroup", "\(setting.file) without the controller \(setting.controller.rawValue)", .noDevice)
      }
      do throws(SystemError) {
        let file = path + "/" + setting.file
        if setting.controller == .devices {
          if !devices.contains(where: { $0.path == file }) {
            devices.append((file, try File.open(file, O_WRONLY).release()))
          }
          for device in devices where device.path == file { try Cgroup.write(setting.value, device.descriptor, file) }
        } else {
          try File.writeExisting(file, setting.value)
        }
      } catch  where error.errno == .noEntry && setting.file.contains("sw") {
        // Swap is not counted in this kernel (memory.memsw, memory.swap): the caller says so.
        missing.append(setting)
      } catch {
        throw SystemError("write \(setting.value)", error.subject, error.errno)
      }
    }
  }

  private static func write(_ text: String, _ descriptor: Int32, _ path: String) throws(SystemError) {
    do throws(SystemError) { try File.writeAll(descriptor, text) } catch {
      throw SystemError("write", path, error.errno)
    }
  }

  private mutating func createUnified(
    _ name: String, _ limits: CgroupLimits, _ layout: CgroupLayout
  ) throws(SystemError) {
    let own = (try? CgroupMembership.of())?.unified
    let path = try Cgroup.makeFirst(Cgroup.candidates(name, in: layout.mountPoint, own: own, unified: true))
    places = [Place(controller: nil, path: path)]
    let names = limits.more(limits.moreUnified).compactMap(\.unifiedName)
    let absent = names.filter { !File.exists(path + "/" + Cgroup.probeFile[$0, default: "cgroup.procs"]) }
    if !absent.isEmpty { try Cgroup.enable(absent, above: path, mountPoint: layout.mountPoint) }
    try apply(limits)
  }

  /// A file that is there exactly when the controller is on.
  static let probeFile = [
    "memory": "memory.max", "pids": "pids.max", "cpu": "cpu.max", "cpuset": "cpuset.cpus", "io": "io.max",
    "hugetlb": "hugetlb.2MB.max", "rdma": "rdma.max", "misc": "misc.max",
  ]

  /// Turns controllers on in every folder from the mount point down to the one above `path` (cgroup.subtree_control).
  static func enable(_ controllers: [String], above path: String, mountPoint: String) throws(SystemError) {
    var folders: [String] = []
    var folder = File.parent(of: path)
    while let current = folder, current.hasPrefix(mountPoint) {
      folders.append(current)
      folder = current == mountPoint ? nil : File.parent(of: current)
    }
    let words = controllers.map { "+" + $0 }.joined(separator: " ")
    var failure: SystemError?
    for folder in folders.reversed() {
      // A folder above that is not ours may have them on already; the last write decides.
      do throws(SystemError) {
        try File.writeExisting(folder + "/cgroup.subtree_control", words)
        failure = nil
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }

  private static func makeLegacy(_ name: String, in directory: String, _ controller: CgroupController)
    throws(SystemError) -> String
  {
    let first = candidates(name, in: directory, own: nil)
    do throws(SystemError) { return try makeFirst(first) } catch {
      guard isRefused(error.errno),
        let own = (try? CgroupMembership.of())?.legacy[controller.rawValue], own != "/"
      else { throw error }
      return try makeFirst([directory + own + "/immure-" + name])
    }
  }

  /// Where a group may be made, the best first: for root immure's own folder at the top; else (delegation, version 2)
  /// beside the
  /// group this process is in, as deep as it can be, for a group with processes may have no controllers below it.
  static func candidates(_ name: String, in directory: String, own: String?, unified: Bool = false) -> [String] {
    var paths = [directory + "/immure/" + name]
    guard unified, var above = own, above != "/" else { return paths }
    while let parent = File.parent(of: above), parent != "/" {
      paths.append(directory + parent + "/immure-" + name)
      above = parent
    }
    return paths
  }

  private static func makeFirst(_ candidates: [String]) throws(SystemError) -> String {
    var refusal = SystemError("mkdir", candidates.first ?? "", .accessDenied)
    for path in candidates {
      do throws(SystemError) {
        try makeFolder(path)
        return path
      } catch {
        guard isRefused(error.errno) else { throw error }
        refusal = error
      }
    }
    throw refusal
  }

  private static func makeFolder(_ path: String) throws(SystemError) {
    do throws(SystemError) {
      try File.makeDirectory(path)
    } catch  where error.errno == .noEntry {
      if let parent = File.parent(of: path) {
        do throws(SystemError) { try File.makeDirectory(parent) } catch  where error.errno == .exists {}
      }
      try File.makeDirectory(path)
    } catch  where error.errno == .exists {
      // Left by a command that was killed: only an empty group can be taken over.
      _ = try removeGroups(below: path)
      do throws(SystemError) { try File.removeDirectory(path) } catch  where error.errno == .noEntry {}
      try File.makeDirectory(path)
    }
  }

  public static func isRefused(_ errno: Errno) -> Bool {
    errno == .accessDenied || errno == .notPermitted || errno == .readOnlyFileSystem
  }

  /// A new cpuset of version 1 has no CPUs and no memory nodes, and nothing can join it: it takes those above
  /// (cpuset(7)).
  static func inheritCPUSet(_ path: String) throws(SystemError) {
    for file in ["cpuset.cpus", "cpuset.mems"] {
      guard let parent = File.parent(of: path) else { continue }
      var value = try File.text(parent + "/" + file)
      if value.filter({ $0 != "\n" }).isEmpty {
        try inheritCPUSet(parent)
        value = try File.text(parent + "/" + file)
      }
      try File.writeExisting(path + "/" + file, value)
    }
  }

  // MARK: Using

  /// Moves a process into every folder; 0 is the caller.
  public func join(pid: Int32) throws(SystemError) {
    for place in places { try File.writeExisting(place.path + "/cgroup.procs", "\(pid)") }
  }

  /// Version 1's folders opened for joining: whoever inherits the descriptors may join with the rights of who opened
  /// them.
  public func openTasks() throws(SystemError) -> [Int32] {
    var descriptors: [Int32] = []
    for place in places where !place.isUnified {
      descriptors.append(try File.open(place.path + "/tasks", O_WRONLY).release())
    }
    return descriptors
  }

  /// Joins by what `openTasks` returned. A thread that moves itself needs no lock over the whole machine's forks:
  /// moving another
  /// process waits for an RCU grace period, some milliseconds (kernel/cgroup/cgroup.c, cgroup_procs_write_start). The
  /// caller has
  /// one thread.
  public static func join(tasks: [Int32]) throws(SystemError) {
    for descriptor in tasks { try File.writeAll(descriptor, "0") }
  }

  /// Moves the caller, which has one thread, into every folder.
  public func joinAlone() throws(SystemError) {
    let tasks = try openTasks()
    defer { for descriptor in tasks { _ = FileDescriptor(owning: descriptor) } }
    try Cgroup.join(tasks: tasks)
    if let path = unifiedPath { try File.writeExisting(path + "/cgroup.procs", "0") }
  }

  /// The processes in the group and in those below it.
  public func processes() throws(SystemError) -> [Int32] {
    guard let place = places.first else { return [] }
    return try Cgroup.processes(in: place.path)
  }

  /// A file's only number: memory.current, pids.current; nil where it is not there or says "max".
  public func number(_ controller: CgroupController, legacy: String, unified: String) -> UInt64? {
    guard let place = places.first(where: { $0.controller == controller || $0.isUnified }) else { return nil }
    guard let text = try? File.text(place.path + "/" + (place.isUnified ? unified : legacy)) else { return nil }
    return UInt64(text.filter { $0 != "\n" })
  }

  /// How often the kernel killed a process here because the memory limit was hit (memory.events, memory.oom_control). Version 2 counts what
  /// happened below too; version 1 does not, and of the groups below only the guests' is asked for (`CgroupParts`).
  public func memoryKills() -> UInt64 {
    guard let place = places.first(where: { $0.controller == .memory || $0.isUnified }) else { return 0 }
    func kills(_ file: String) -> UInt64 {
      // Not there: nothing was counted.
      guard let text = try? File.text(place.path + "/" + file) else { return 0 }
      return Cgroup.value(of: "oom_kill", in: text) ?? 0
    }
    if place.isUnified { return kills("memory.events") }
    return kills("memory.oom_control") + kills(CgroupParts.guestsName + "/memory.oom_control")
  }

  /// CPU time used, in microseconds; nil where no controller counts it.
  public func cpuMicroseconds() -> UInt64? {
    if let path = unifiedPath, let text = try? File.text(path + "/cpu.stat") {
      return Cgroup.value(of: "usage_usec", in: text)
    }
    return number(.cpuacct, legacy: "cpuacct.usage", unified: "").map { $0 / 1000 }
  }

  /// The number after a key in lines of "key value".
  static func value(of key: String, in text: String) -> UInt64? {
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 2, words[0] == key { return UInt64(words[1]) }
    }
    return nil
  }

  // MARK: On paper

  /// "memory=/sys/fs/cgroup/memory/immure/ID" and so on, a line each; "unified" for version 2.
  public var text: String {
    var text = ""
    for place in places {
      if !text.isEmpty { text += "\n" }
      text += (place.controller?.rawValue ?? "unified") + "=" + place.path
    }
    return text
  }

  /// From `text`; lines that make no sense are left out.
  public init(text: String) {
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: "=", maxSplits: 1)
      guard parts.count == 2, parts[1].hasPrefix("/") else { continue }
      if parts[0] == "unified" {
        places.append(Place(controller: nil, path: String(parts[1])))
      } else if let controller = CgroupController(rawValue: String(parts[0])) {
        places.append(Place(controller: controller, path: String(parts[1])))
      }
    }
  }

  /// Every place where a group of this name may have been made, whoever made it and however far it came.
  public static func leftovers(_ name: String, layout: CgroupLayout = .detect()) -> Cgroup {
    let own = try? CgroupMembership.of()
    var places: [Place] = []
    func add(_ controller: CgroupController?, _ paths: [String]) {
      for path in paths where File.exists(path) { places.append(Place(controller: controller, path: path)) }
    }
    if let unified = layout.unifiedDirectory {
      add(nil, candidates(name, in: unified, own: own?.unified, unified: true))
    }
    if layout.mode != .unified {
      for controller in CgroupController.allCases {
        let directory = layout.mountPoint + "/" + controller.rawValue
        let paths = candidates(name, in: directory, own: nil)
        let beside = own?.legacy[controller.rawValue].map { [directory + $0 + "/immure-" + name] } ?? []
        add(controller, paths + beside)
      }
    }
    return Cgroup(places: places)
  }
}

extension Cgroup {
  /// Whether this process may make groups with that controller; asks for permissions only and makes nothing.
  public static func canMake(_ controller: CgroupController, layout: CgroupLayout = .detect()) -> Bool {
    guard let directory = layout.directory(of: controller) else { return false }
    if layout.mode != .unified {
      if File.isWritable(directory) { return true }
      guard let own = (try? CgroupMembership.of())?.legacy[controller.rawValue] else { return false }
      return File.isWritable(directory + own)
    }
    guard let name = controller.unifiedName else { return false }
    let own = (try? CgroupMembership.of())?.unified
    for path in candidates("x", in: directory, own: own, unified: true) {
      var folder = File.parent(of: path) ?? directory
      if folder.hasSuffix("/immure") { folder = directory }
      guard File.isWritable(folder) else { continue }
      func lists(_ file: String) -> Bool {
        ((try? File.text(folder + "/" + file)) ?? "").split(whereSeparator: { $0 == " " || $0 == "\n" })
          .contains(Substring(name))
      }
      if lists("cgroup.subtree_control") { return true }
      // Below the real root a group with processes of its own may not turn controllers on (cgroup-v2.rst).
      let isBusy = File.exists(folder + "/cgroup.type") && ((try? File.text(folder + "/cgroup.procs")) ?? "x") != ""
      return lists("cgroup.controllers") && !isBusy && File.isWritable(folder + "/cgroup.subtree_control")
    }
    return false
  }
}
