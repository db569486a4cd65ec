import CLinux
package import Formats
package import Linux
package import Walls

/// Namespaces that the configuration names by a path. They are opened before anything else is done, so that a path means the same from
/// beginning to end, and each is checked to be of its kind.
package struct JoinedNamespaces {
  package private(set) var descriptors: [(kind: NamespaceKind, descriptor: Int32, path: String)] = []

  package init(_ configuration: RuntimeConfiguration) throws(WallError) {
    for namespace in configuration.namespaces {
      guard let path = namespace.path else { continue }
      do throws(SystemError) {
        let file = try Namespaces.open(path, kind: namespace.kind.cloneFlag)
        // Above the numbers that a box is given.
        descriptors.append((namespace.kind, try file.duplicate(atLeast: 64).release(), path))
      } catch {
        close()
        throw WallError("namespace \(namespace.kind.rawValue) \(path)", error)
      }
    }
  }

  package func close() {
    for entry in descriptors { _ = FileDescriptor(owning: entry.descriptor) }
  }

  package var hasUser: Bool { descriptors.contains { $0.kind == .user } }

  /// In the box's builder, before anything is mounted: those it was not born into.
  package func enter(hasOwnUser: Bool) throws(WallError) {
    if hasUser { return }
    for entry in descriptors where !isForBirth(entry.kind, hasOwnUser) {
      do throws(SystemError) { try Namespaces.join(descriptor: entry.descriptor, kind: entry.kind.cloneFlag) } catch {
        throw WallError("joining the \(entry.kind.rawValue) namespace", error)
      }
    }
  }

  /// A process namespace can only be joined by being born into it; the others too by a box that has a user namespace of its own, as it has
  /// no power over namespaces that are not of it.
  private func isForBirth(_ kind: NamespaceKind, _ hasOwnUser: Bool) -> Bool {
    kind == .pid || hasOwnUser && kind != .cgroup && kind != .time
  }

  /// Runs a clone whose child is born into namespaces to join: this process goes into them and comes back. (For the process namespace
  /// only its children's changes.)
  package func beingBornInto(hasOwnUser: Bool, _ clone: () throws(SystemError) -> Child?) throws(SystemError) -> Child?
  {
    let entries = descriptors.filter { isForBirth($0.kind, hasOwnUser) }
    if entries.isEmpty { return try clone() }
    var own: [(kind: NamespaceKind, descriptor: Int32)] = []
    defer { for entry in own { _ = FileDescriptor(owning: entry.descriptor) } }
    for entry in entries {
      own.append((entry.kind, try File.open("/proc/self/ns/" + entry.kind.fileName, O_RDONLY).release()))
    }
    for entry in entries { try Namespaces.join(descriptor: entry.descriptor, kind: entry.kind.cloneFlag) }
    do throws(SystemError) {
      // The child stays where it was born.
      guard let result = try clone() else { return nil }
      for entry in own { try Namespaces.join(descriptor: entry.descriptor, kind: entry.kind.cloneFlag) }
      return result
    } catch {
      // The first error is the one that matters; a runtime that cannot go back ends here anyway.
      for entry in own { try? Namespaces.join(descriptor: entry.descriptor, kind: entry.kind.cloneFlag) }
      throw error
    }
  }
}

extension NamespaceKind {
  /// The name of the file in /proc/PID/ns that stands for what a process's children get.
  fileprivate var fileName: String {
    switch self {
    case .pid: "pid_for_children"
    case .network: "net"
    case .mount: "mnt"
    case .user, .ipc, .uts, .cgroup, .time: rawValue
    }
  }
}

extension NamespaceKind {
  /// CLONE_NEW* (namespaces(7)).
  package var cloneFlag: UInt64 {
    switch self {
    case .user: Namespaces.user
    case .mount: Namespaces.mount
    case .pid: Namespaces.pid
    case .network: Namespaces.network
    case .ipc: Namespaces.ipc
    case .uts: Namespaces.uts
    case .cgroup: Namespaces.cgroup
    case .time: Namespaces.time
    }
  }
}
