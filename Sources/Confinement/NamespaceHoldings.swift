import CLinux
package import Linux
package import Walls

/// What a box has whose first process is the first of a process namespace: its end ends all others, stopped and traced ones too
/// (pid_namespaces(7)); frozen ones must be thawed to die.
package struct NamespaceHoldings: BoxHoldings {
  let id: String
  package let cgroup: Cgroup?
  /// Where the lease of a range of ids is; nil where there can be none.
  let leaseFolder: String?
  /// Gives back what only the wall knows of, after the groups.
  let also: () throws(WallError) -> Void

  package init(
    id: String, cgroup: Cgroup?, leaseFolder: String?, also: @escaping () throws(WallError) -> Void = {}
  ) {
    self.id = id
    self.cgroup = cgroup
    self.leaseFolder = leaseFolder
    self.also = also
  }

  package func end(_ first: BoxLife.First?, isParent: Bool) throws(SystemError) {
    guard let first else { return }
    do throws(SystemError) {
      try Process.signal(descriptor: first.descriptor, SIGKILL)
    } catch  where error.errno == .noProcess {}
    for path in CgroupFreezer.leftovers(id) {
      // Not frozen, or gone by now: as well.
      try? path.thaw()
    }
  }

  package func endRest() {}

  package func free(isParent: Bool) throws(WallError) {
    do throws(SystemError) {
      if isParent {
        // The process namespace is empty; only what was moved there from outside could be left.
        if let cgroup { try cgroup.removeKilling() }
      } else if let cgroup, !cgroup.places.isEmpty {
        try cgroup.removeKilling()
      } else {
        // Whoever made it was killed before its groups were written down.
        try Cgroup.leftovers(id).removeKilling()
      }
      // Made when the box was first paused, by whichever command that was.
      try CgroupFreezer.removeLeftovers(id)
    } catch {
      throw WallError("sandbox \(id): its control groups", error)
    }
    try also()
    guard let leaseFolder, !leaseFolder.isEmpty else { return }
    do throws(SystemError) { try IDRangeLease.release(for: leaseFolder) } catch {
      throw WallError("sandbox \(id): its range of ids", error)
    }
  }
}
