import CLinux

extension Process {
  /// Starts a program from a process that may have threads (posix_spawn(3)): nothing of ours runs between fork and exec.
  ///
  /// The child gets `descriptors` as 0, 1, 2 … and no other one that is close-on-exec, an empty signal mask, and the
  /// dispositions of ignored signals.
  /// - Parameter path: absolute; looked for nowhere else.
  /// - Parameter isolated: it gets no other descriptor at all, and leads a process group of its own.
  public static func spawn(
    _ path: String, arguments: [String], environment: [String], descriptors: [Int32], isolated: Bool = false
  ) throws(SystemError) -> Child {
    // Copies above the targets, so that no target overwrites a source before it was taken.
    var copies: [Int32] = []
    defer { for copy in copies { _ = systemCall(Int(SYS_close), word(copy)) } }
    for descriptor in descriptors {
      copies.append(try FileDescriptor.duplicate(descriptor, atLeast: Int32(descriptors.count) + 8).release())
    }
    var pid: Int32 = 0
    let failure = start(path, arguments, environment, copies, isolated, &pid)
    if failure != 0 { throw SystemError("posix_spawn", path, Errno(rawValue: failure)) }
    // The child is not reaped before we do, so its pid is its own.
    let result = systemCall(Int(IMMURE_SYS_pidfd_open), word(pid), 0)
    return Child(pid: pid, descriptor: FileDescriptor(owning: Int32(try checked("pidfd_open", "\(pid)", result))))
  }

  private static func start(
    _ path: String, _ arguments: [String], _ environment: [String], _ copies: [Int32], _ isolated: Bool,
    _ pid: inout Int32
  ) -> Int32 {
    var failure: Int32 = 0
    _ = withVector(arguments) { argv in
      withVector(environment) { envp in
        // SAFETY: actions and attributes are initialised, used and destroyed here; the vectors live across the call.
        unsafe path.withCString { path in
          var actions = unsafe posix_spawn_file_actions_t()
          var attributes = posix_spawnattr_t()
          unsafe posix_spawn_file_actions_init(&actions)
          unsafe posix_spawnattr_init(&attributes)
          for (target, copy) in copies.enumerated() {
            unsafe posix_spawn_file_actions_adddup2(&actions, copy, Int32(target))
          }
          var none = sigset_t()
          unsafe sigemptyset(&none)
          unsafe posix_spawnattr_setsigmask(&attributes, &none)
          if isolated { unsafe posix_spawn_file_actions_addclosefrom_np(&actions, Int32(copies.count)) }
          // The group's number 0, which is set already, is the child's own pid.
          unsafe posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | (isolated ? POSIX_SPAWN_SETPGROUP : 0)))
          failure = EFAULT
          if let argv = unsafe UnsafePointer<UnsafeMutablePointer<CChar>?>(bitPattern: argv),
            let envp = unsafe UnsafePointer<UnsafeMutablePointer<CChar>?>(bitPattern: envp)
          {
            failure = unsafe posix_spawn(&pid, path, &actions, &attributes, argv, envp)
          }
          unsafe posix_spawnattr_destroy(&attributes)
          unsafe posix_spawn_file_actions_destroy(&actions)
        }
        return 0
      }
    }
    return failure
  }
}
