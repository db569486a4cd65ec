import Linux
import SentryIPC

/// What semop(2) did with SEM_UNDO for a process, in whatever namespace its threads were.
extension Task {
  /// The thread leaves its namespace of objects, the process not yet: there may be something to undo at its end.
  public func keepUndoing() {
    let space = namespaces.objects
    guard space.undoes(for: ObjectIdentifier(group)) else { return }
    group.undoing.removeAll { $0.space == nil || $0.space === space }
    group.undoing.append(LeftSpace(space: space))
  }

  public func undoSemaphores() {
    keepUndoing()
    let left = group.undoing
    group.undoing = []
    for each in left {
      each.space?.processEnded(ObjectIdentifier(group), id: group.id, now: Clock.realTime().seconds)
    }
  }
}

/// A namespace of objects that the process has changed semaphores in. One that nobody is in any more has gone with them.
struct LeftSpace {
  weak var space: IPCSpace?
}
