import CLinux
import Confinement
import Formats
import Linux
import Walls

/// A user namespace that the configuration names by a path, and which is somebody else's: its map is what it is, and who is root in it has
/// every power over the processes that join, but for those that the kernel ties to the memory of a process (ptrace(2): an image that was
/// executed outside and is not dumpable is not its to look into).
struct JoinedUserNamespace {
  let descriptor: Int32
  let path: String

  /// Its map as this process's namespace numbers it, and whether groups may be set in it: read off a process that goes in and ends.
  func identity() throws(WallError) -> BoxIdentity {
    do throws(SystemError) {
      try refuseOwn()
      let (users, groups, deniesGroups) = try read()
      guard users.contains(where: { $0.inside == 0 }), groups.contains(where: { $0.inside == 0 }) else {
        throw SystemError("uid_map", "\(path): nobody is its root: ids 0 have no mapping", .invalid)
      }
      return BoxIdentity(
        joined: UserNamespaceMap(users: users, groups: groups, means: .direct), deniesGroups: deniesGroups)
    } catch {
      throw WallError("joining the user namespace", error)
    }
  }

  /// setns(2) into the own namespace is EINVAL, which says little.
  private func refuseOwn() throws(SystemError) {
    let own = try File.status("/proc/self/ns/user")
    let named = try File.status("", at: descriptor)
    if own.st_dev == named.st_dev && own.st_ino == named.st_ino {
      throw SystemError(
        "setns", "\(path): it is the one that immure is in: leave it out of the configuration", .invalid)
    }
  }

  private func read() throws(SystemError) -> (users: [IDRange], groups: [IDRange], deniesGroups: Bool) {
    let ready = try OwnedDescriptor.pair(packets: true)
    guard let child = try Process.clone(CloneArguments(flags: 0)) else {
      ready.near.close()
      do throws(SystemError) {
        try Identity.setDumpable(false)
        try Namespaces.join(descriptor: descriptor, kind: Namespaces.user)
        try SetupChannel.tellReady(ready.far.rawValue)
        // Until the parent has read, or died.
        _ = try? File.read(ready.far.rawValue, atMost: 1)
      } catch {
        SetupChannel.report(ready.far.rawValue, WallError(path, error))
      }
      Process.exit(0)
    }
    ready.far.close()
    defer {
      ready.near.close()
      // It ends by itself now.
      _ = try? child.wait()
    }
    do throws(WallError) {
      switch try SetupChannel.listen(ready.near.rawValue) {
      case .ready: break
      case .failed(let error): throw error
      default: throw WallError("its reader said something unknown")
      }
    } catch {
      throw SystemError("setns", error.message, .notPermitted)
    }
    let folder = "/proc/\(child.pid)/"
    func ranges(_ name: String) throws(SystemError) -> [IDRange] {
      try File.text(folder + name).split(separator: "\n").compactMap { line in
        let numbers = line.split(separator: " ").compactMap { UInt32($0) }
        return numbers.count == 3 ? IDRange(inside: numbers[0], outside: numbers[1], count: numbers[2]) : nil
      }
    }
    let users = try ranges("uid_map")
    let groups = try ranges("gid_map")
    return (users, groups, try File.text(folder + "setgroups").hasPrefix("deny"))
  }
}

extension JoinedNamespaces {
  var user: JoinedUserNamespace? {
    descriptors.first { $0.kind == .user }.map { JoinedUserNamespace(descriptor: $0.descriptor, path: $0.path) }
  }

  /// A clone whose child stands in the joined user namespace with new namespaces of its own in it. This process cannot come back from
  /// there, so another goes: in the groups first and in the other namespaces that are joined, while it has this process's powers; then in
  /// the user namespace, where it makes the child, whose parent is this process (CLONE_PARENT). Where this process has power over
  /// namespaces of that user namespace only, they come after it.
  ///
  /// - Parameter near: this process's end of `channel`, on which the child's pid comes before anything else or a failure instead.
  func clone(
    _ flags: UInt64, channel: (near: Int32, far: Int32), before: () throws(SystemError) -> Void, _ run: () -> Never
  ) throws(WallError) -> Child {
    let helper = try doing("namespaces") { () throws(SystemError) in
      guard let helper = try Process.clone(CloneArguments(flags: 0)) else {
        help(flags, channel.far, before, run)
      }
      return helper
    }
    // It waits for nobody. One that was killed may have made a child, which ends when it hears of nobody.
    let status = try doing("joining namespaces") { () throws(SystemError) in try helper.wait() }
    guard status == .exited(0) || status == .exited(125) else {
      throw WallError("joining namespaces: the process that does was killed")
    }
    // The child says nothing before it is told that its ids are mapped.
    switch try SetupChannel.listen(channel.near) {
    case .process(let pid):
      let descriptor = try doing("joining namespaces") { () throws(SystemError) in
        guard let descriptor = try Process.open(pid: pid) else { throw SystemError("pidfd_open", "\(pid)", .noProcess) }
        return descriptor
      }
      return Child(pid: pid, descriptor: descriptor)
    case .failed(let error): throw error
    default: throw WallError("joining namespaces: something unknown was said")
    }
  }

  private func help(
    _ flags: UInt64, _ channel: Int32, _ before: () throws(SystemError) -> Void, _ run: () -> Never
  ) -> Never {
    do throws(SystemError) {
      try before()
      // From here on the child's too: it has this process's memory, and may be seen in a process namespace of others.
      try Identity.setDumpable(false)
      Process.wipeArguments()
      try goIn()
      guard let child = try Process.clone(CloneArguments(flags: flags | UInt64(UInt32(bitPattern: CLONE_PARENT))))
      else {
        run()
      }
      try SetupChannel.tell(channel, process: child.pid)
    } catch {
      SetupChannel.report(channel, WallError("joining namespaces", error))
      Process.exit(125)
    }
    Process.exit(0)
  }

  private func goIn() throws(SystemError) {
    var later: [(kind: NamespaceKind, descriptor: Int32, path: String)] = []
    for entry in descriptors where entry.kind != .user {
      do throws(SystemError) {
        try Namespaces.join(descriptor: entry.descriptor, kind: entry.kind.cloneFlag)
      } catch  where error.errno == .notPermitted {
        later.append(entry)
      }
    }
    for entry in descriptors where entry.kind == .user {
      try Namespaces.join(descriptor: entry.descriptor, kind: entry.kind.cloneFlag)
    }
    for entry in later { try Namespaces.join(descriptor: entry.descriptor, kind: entry.kind.cloneFlag) }
  }
}
