import CLinux
import Confinement
import Formats
import Linux
import Walls

/// Namespaces that the configuration names by a path. They are opened before anything else is done, so that a path means the same from
/// beginning to end, and each is checked to be of its kind.
struct JoinedNamespaces {
  private(set) var descriptors: [(kind: NamespaceKind, descriptor: Int32)] = []

  init(_ configuration: RuntimeConfiguration) throws(WallError) {
    for namespace in configuration.namespaces {
      guard let path = namespace.path else { continue }
      do throws(SystemError) {
        let file = try Namespaces.open(path, kind: namespace.kind.cloneFlag)
        // Above the numbers that a box is given.
        descriptors.append((namespace.kind, try file.duplicate(atLeast: 64).release()))
      } catch {
        close()
        throw WallError("namespace \(namespace.kind.rawValue) \(path)", error)
      }
    }
  }

  func close() {
    for entry in descriptors { _ = FileDescriptor(owning: entry.descriptor) }
  }

  var hasUser: Bool { descriptors.contains { $0.kind == .user } }

  /// In the box's builder, before anything is mounted. A process namespace is joined by being born into it (`beingBornInto`).
  func enter() throws(WallError) {
    for entry in descriptors where entry.kind != .pid && entry.kind != .user {
      do throws(SystemError) { try Namespaces.join(descriptor: entry.descriptor, kind: entry.kind.cloneFlag) } catch {
        throw WallError("joining the \(entry.kind.rawValue) namespace", error)
      }
    }
  }

  /// Runs a clone whose child is born into the process namespace to join. setns(2) changes where this process's children go, and
  /// nothing of this process itself; afterwards they go where they went before.
  func beingBornInto<R: ~Copyable>(_ clone: () throws(SystemError) -> R) throws(SystemError) -> R {
    guard let entry = descriptors.first(where: { $0.kind == .pid }) else { return try clone() }
    let own = try File.open("/proc/self/ns/pid_for_children", O_RDONLY)
    try Namespaces.join(descriptor: entry.descriptor, kind: Namespaces.pid)
    do throws(SystemError) {
      let result = try clone()
      try Namespaces.join(descriptor: own.rawValue, kind: Namespaces.pid)
      return result
    } catch {
      // The clone's error is the one that matters; a runtime that cannot go back ends here anyway.
      try? Namespaces.join(descriptor: own.rawValue, kind: Namespaces.pid)
      throw error
    }
  }
}

/// A time namespace with clocks of its own. Its offsets can be set only before the first process enters it (time_namespaces(7)), which a
/// clone with CLONE_NEWTIME does at once: it is unshared, set, and then entered.
enum TimeNamespace {
  static func enter(_ offsets: [TimeOffset]) throws(WallError) {
    do throws(SystemError) {
      try Namespaces.unshare(Namespaces.time)
      for offset in offsets {
        try File.writeExisting(
          "/proc/self/timens_offsets", "\(offset.clock.rawValue) \(offset.seconds) \(offset.nanoseconds)")
      }
      let own = try File.open("/proc/self/ns/time_for_children", O_RDONLY)
      try Namespaces.join(descriptor: own.rawValue, kind: Namespaces.time)
    } catch {
      throw WallError("time namespace", error)
    }
  }
}
