import CLinux
import Linux
import SentryTasks
import SentryWait

/// How processes end, and what is left of them.
extension NotificationPlatform {
  /// Forgets the processes that somebody waited for in the host's kernel, which tells nobody. Each end looks through all that are known, so
  /// few are to be known for nothing; and where many are, zombies among them that nobody waits for, it is asked for each as seldom.
  private func dropWaitedFor() {
    guard ends >= nextLook else { return }
    kernel.forgetGone()
    nextLook = ends &+ UInt64(max(16, kernel.groups.count / 2))
  }

  /// A call of a thread that is not known.
  func refuse(_ notification: Notification) {
    // It is gone, or its process ends this moment by another thread's call: nobody waits for an answer.
    guard let facts = files.facts(notification.thread), !leaving.contains(facts.process) else { return }
    // No call of a guest's made it: there is none such but by a fault of the sentry's.
    stray(facts.guestID)
    _ = systemCall(Int(SYS_kill), word(facts.process), UInt(SIGKILL))
    space.listener.answer(notification.id, value: 0, error: -ENOSYS)
  }

  /// Learns of the process's end, however it comes.
  func watch(_ group: ThreadGroup) {
    guard let descriptor = files.takeDescriptor(of: group.hostID)?.release() ?? openProcess(group.hostID) else {
      // It has ended, and its parent has waited for it.
      return finish(group)
    }
    watched[descriptor] = group
    do throws(Errno) { try kernel.hostEvents.add(own: descriptor) } catch { finish(group) }
  }

  private func openProcess(_ process: Int32) -> Int32? {
    let result = systemCall(Int(IMMURE_SYS_pidfd_open), word(process), 0)
    return result >= 0 ? Int32(truncatingIfNeeded: result) : nil
  }

  /// The process is a zombie, or not even that.
  func finish(_ group: ThreadGroup) {
    for (descriptor, other) in watched where other === group {
      watched[descriptor] = nil
      kernel.hostEvents.close(own: descriptor)
    }
    leaving.remove(group.hostID)
    endAnswers(of: group)
    group.answers.leave()
    for task in group.tasks { forget(task) }
    adoptOrphans(of: group)
    // What it leaves is the keeper's to wait for from here on. Some time it looks anyhow: for what never made a call.
    var concernsKeeper = keepersChildren.remove(group.hostID) != nil || ends % 64 == 0
    for child in kernel.groups.values where child.parent === group {
      if child.traits.hasEnded { concernsKeeper = true } else { keepersChildren.insert(child.hostID) }
    }
    kernel.ended(group)
    ends &+= 1
    dropWaitedFor()
    if concernsKeeper {
      orphanEnded = true
      serveIdleKeeper()
    }
  }
}
