import CLinux

/// How a group and its processes end.
extension Cgroup {
  /// Kills every process in the group, however often it forks: cgroup.kill (Linux 5.14), else again and
  /// again until none is left. Bounded: EBUSY after 10 seconds.
  public func killAll() throws(SystemError) {
    if let path = unifiedPath, (try? File.writeExisting(path + "/cgroup.kill", "1")) != nil { return }
    guard !places.isEmpty else { return }
    let deadline = Clock.monotonicNanoseconds() + 10_000_000_000
    while true {
      let pids: [Int32]
      do throws(SystemError) { pids = try processes() } catch  where error.errno == .noEntry { return }
      if pids.isEmpty { return }
      // One that has just ended needs no signal.
      for pid in pids { try? Process.signal(pid: pid, SIGKILL) }
      if Clock.monotonicNanoseconds() > deadline {
        throw SystemError("kill", places[0].path, .busy)
      }
      Clock.pause(milliseconds: 1)
    }
  }

  /// Removes the folders; those that are gone already are well. Processes that were just killed keep a folder busy
  /// until they are dead: a moment, or seconds where many wait for the CPU. EBUSY after 10 seconds.
  public func remove() throws(SystemError) {
    for place in places {
      let deadline = Clock.monotonicNanoseconds() + 10_000_000_000
      while true {
        do throws(SystemError) {
          try File.removeDirectory(place.path)
          break
        } catch  where error.errno == .noEntry {
          break
        } catch  where error.errno == .busy && Clock.monotonicNanoseconds() < deadline {
          if try !Cgroup.removeGroups(below: place.path) { Clock.pause(milliseconds: 1) }
        }
      }
    }
  }

  /// Removes the folders where nobody is in any of them; those that are gone already are well. False where somebody is.
  public func removeIfEmpty() throws(SystemError) -> Bool {
    for place in places {
      do throws(SystemError) {
        try File.removeDirectory(place.path)
      } catch  where error.errno == .noEntry {
      } catch  where error.errno == .busy {
        return false
      }
    }
    return true
  }

  /// Removes the folders, and first whoever is still in them.
  public func removeKilling() throws(SystemError) {
    for place in places {
      do throws(SystemError) {
        try File.removeDirectory(place.path)
      } catch  where error.errno == .noEntry {
      } catch  where error.errno == .busy {
        let group = Cgroup(places: [place])
        try group.killAll()
        try group.remove()
      }
    }
  }
}
