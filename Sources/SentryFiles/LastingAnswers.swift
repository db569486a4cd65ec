/// Counts the changes of what those know who do not ask again: an answer holds while the count stays.
open class AnswerGenerations {
  public private(set) final var current: UInt64 = 1
  public init() {}

  /// What was told until now may be wrong from now on.
  public final func change() {
    current &+= 1
    changed()
  }
  open func changed() {}
}

/// Who has told a process what its descriptors are.
open class DescriptorAnswers {
  public init() {}
  /// The number is closed, or is another file's now.
  open func lost(_ number: Int32) {}
  /// What the number says of itself has changed: whether execve(2) closes it.
  open func changed(_ number: Int32) {}
  /// Where the process has moved an open file's position to (`OpenFile.lend`).
  /// - Parameter takesBack: it may move it no more.
  /// - Returns: nil where that cannot be told; any number that is not negative otherwise.
  open func position(of file: OpenFile, takesBack: Bool) -> Int64? { nil }
  /// Whether the process may move it while the sentry serves a call of it: it has several threads.
  open var movesMeanwhile: Bool { false }
  /// Sets the position of a file that is lent.
  open func move(_ file: OpenFile, to position: Int64) {}
}

extension Inode {
  /// Whether owner, group and all others may read it, and execute or search it too: who is of the group is not among the others.
  public final func isEverybodys(executable: Bool) -> Bool {
    let wanted: UInt32 = executable ? 0o555 : 0o444
    return attributes.permissions & wanted == wanted
  }
}

/// What a walk went through (`PathWalk.trail`): its end holds while none of it changes.
public final class WalkTrail {
  public private(set) var inodes: [Inode] = []
  /// Whether all of it changes by calls of the sandbox only, and everybody may walk it.
  public private(set) var isLasting = true
  public init() {}

  func add(_ inode: Inode) {
    inodes.append(inode)
    if !inode.fileSystem.tellsLasting { isLasting = false }
    // Who cannot list a directory is not told of its names by another's answers.
    if inode.kind == .directory, !inode.isEverybodys(executable: true) { isLasting = false }
  }
  func breaks() { isLasting = false }
}
