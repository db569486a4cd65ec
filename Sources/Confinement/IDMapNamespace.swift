import CLinux
package import Formats
package import Linux

/// A user namespace that exists for its map only: a mount translates owners through it (mount_setattr(2), MOUNT_ATTR_IDMAP).
package struct IDMapNamespace: Equatable {
  let users: [IDMapping]
  let groups: [IDMapping]

  package init(users: [IDMapping], groups: [IDMapping]) {
    self.users = users
    self.groups = groups
  }

  /// Its descriptor; the process it was made with is gone again.
  package func open() throws(SystemError) -> FileDescriptor {
    let pipe = try DescriptorPair.pipe().release()
    defer { _ = FileDescriptor(owning: pipe.first) }
    let cloned: Child?
    do throws(SystemError) { cloned = try Process.clone(CloneArguments(flags: Namespaces.user)) } catch {
      _ = FileDescriptor(owning: pipe.second)
      throw error
    }
    guard let child = consume cloned else {
      // Until the parent lets go of the pipe, or dies.
      _ = FileDescriptor(owning: pipe.second)
      _ = try? File.read(pipe.first, atMost: 1)
      Process.exit(0)
    }
    func ranges(_ mappings: [IDMapping]) -> [IDRange] {
      mappings.map { IDRange(inside: $0.inside, outside: $0.outside, count: $0.count) }
    }
    let result: FileDescriptor
    do throws(SystemError) {
      try UserNamespaceMap(users: ranges(users), groups: ranges(groups), means: .direct).write(pid: child.pid)
      result = try File.open("/proc/\(child.pid)/ns/user", O_RDONLY)
    } catch {
      _ = FileDescriptor(owning: pipe.second)
      _ = try? child.wait()
      throw error
    }
    _ = FileDescriptor(owning: pipe.second)
    _ = try child.wait()
    return result
  }
}
