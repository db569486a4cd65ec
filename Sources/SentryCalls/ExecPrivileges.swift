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
    guard let place = file.path, let inode = place.inode, !before.noNewPrivileges,
      !place.mount.flags.contains(.noSetID)
    else {
      who.exec(setUser: nil, setGroup: nil)
      return (who, who.areSecure)
    }
    let attributes = inode.attributes
    let (user, group): (UInt32, UInt32) = (0o4000, 0o2010)
    let isPossible = who.exec(
      setUser: attributes.permissions & user != 0 ? attributes.user : nil,
      setGroup: attributes.permissions & group == group ? attributes.group : nil, capabilities: capabilities(of: inode))
    if !isPossible { throw .notPermitted }
    let isSecure = who.areSecure
    if isSecure, isUnsafe(task) { who.giveUp(whatWasNotOf: before) }
    return (who, isSecure)
  }

  /// Others share its places (CLONE_FS) or trace it who may not do as much as the program (LSM_UNSAFE_SHARE, LSM_UNSAFE_PTRACE).
  private static func isUnsafe(_ task: Task) -> Bool {
    if let tracer = task.tracee?.tracer, !tracer.credentials.has(Capability.trace) { return true }
    return task.kernel.tasks.values.contains { $0.paths === task.paths && $0.group !== task.group }
  }

  private static func capabilities(of inode: Inode) -> FileCapabilities? {
    // Most files have none, and many file systems no attributes.
    do throws(Errno) { return FileCapabilities(try inode.extendedAttribute(FileCapabilities.attribute)) } catch {
      return nil
    }
  }
}
