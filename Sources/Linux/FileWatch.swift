import CLinux

/// What happens to files, as events on a descriptor (inotify(7)).
public enum FileWatch {
  /// Readable when `path` was written to, renamed or removed, or when something appeared in or left it as a folder.
  public static func descriptor(_ paths: [String]) throws(SystemError) -> FileDescriptor {
    let result = systemCall(Int(SYS_inotify_init1), UInt(O_CLOEXEC | O_NONBLOCK))
    let watch = FileDescriptor(owning: Int32(try checked("inotify_init1", "", result)))
    let events = IN_MODIFY | IN_MOVE_SELF | IN_DELETE_SELF | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE
    for path in paths {
      let added = path.withPathAddress {
        systemCall(Int(SYS_inotify_add_watch), word(watch.rawValue), $0, UInt(events))
      }
      try checked("inotify_add_watch", path, added)
    }
    return watch
  }

  /// Takes all events that are there.
  public static func drain(_ descriptor: Int32) throws(SystemError) {
    while true {
      do { if try File.read(descriptor, atMost: 4096).isEmpty { return } } catch  where error.errno == .again { return }
    }
  }
}
