import Linux
import SentryABI
import SentryFiles
import SentryTasks

/// What a program's file gives who executes it: its set-id bits and capabilities (capabilities(7), "Transformation of capabilities").
enum ExecPrivileges {
  /// - Returns: who the task is once it runs the program, and whether that is to be careful (AT_SECURE).
  /// - Throws: EPERM for capabilities that a program must have and cannot get.
  static func credentials(of file: OpenFile, for task: Task) throws(Errno) -> (who: Credentials, isSecure: Bool) {
    let before = task.credentials
    var who = before
    if let place = file.path, let inode = place.inode, !before.noNewPrivileges, !place.mount.flags.contains(.noSetID) {
      let attributes = inode.attributes
      let (user, group): (UInt32, UInt32) = (0o4000, 0o2010)
      let isPossible = who.exec(
        setUser: attributes.permissions & user != 0 ? attributes.user : nil,
        setGroup: attributes.permissions & group == group ? attributes.group : nil,
        capabilities: capabilities(of: inode))
      if !isPossible { throw .notPermitted }
    } else {
      who.exec(setUser: nil, setGroup: nil)
    }
    let isSecure = who.areSecure
    // Root gains by any program where it had put something away.
    let gains = who.permitted & ~before.permitted != 0
    if isSecure || gains, isUnsafe(task) { who.giveUp(whatWasNotOf: before) }
    return (who, isSecure)
  }

  /// Others share its places (CLONE_FS) or trace it who may not do as much as the program (LSM_UNSAFE_SHARE, LSM_UNSAFE_PTRACE).
  private static func isUnsafe(_ task: Task) -> Bool {
    if let tracee = task.tracee, !tracee.isTrusted { return true }
    let shares = { (other: Task) in other.paths === task.paths && other.group !== task.group }
    return task.kernel.tasks.values.contains(where: shares) || task.kernel.host.expected.contains(where: shares)
  }

  private static func capabilities(of inode: Inode) -> FileCapabilities? {
    // Most files have none, and many file systems no attributes.
    do throws(Errno) { return FileCapabilities(try inode.extendedAttribute(FileCapabilities.attribute)) } catch {
      return nil
    }
  }
}
