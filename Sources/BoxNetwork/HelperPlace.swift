import CLinux
import Linux

/// Where a helper runs: in the user namespace that owns the gateway namespace, as its root, which is a user without
/// privileges outside.
struct HelperPlace {
  /// The process whose /proc/PID/ns/net is the gateway's.
  let holder: Int32
  let holderDescriptor: Int32
  let box: Int32
  /// The box's user namespace, or a process in it.
  let boxUser: Int32
  /// The helper's own folder: its working directory, where it leaves its pid or its socket.
  let folder: String
  let user: UInt32
  let isRoot: Bool

  var gatewayPath: String { "/proc/\(holder)/ns/net" }

  /// Takes this process, a forked child, there. The helper's network stays the host's.
  func enter() throws(SystemError) {
    if isRoot { try mountDevices() }
    try checked("chdir", folder, folder.withPathAddress { systemCall(Int(SYS_chdir), $0) })
    try Namespaces.join(Namespaces.user, of: isRoot ? holderDescriptor : boxUser)
    if isRoot { try Identity.setGroups([]) }
    try Identity.setGroup(0)
    try Identity.setUser(0)
  }

  /// In a session of its own: a terminal's Ctrl-C and the end of a login are not the helper's. No signal is blocked.
  /// - Parameter ignoringPipes: whether writing to a closed pipe is an error and no death. pasta must have it unset: its
  ///   releases of 2023 take "was ignored before" for a failure of signal(2).
  static func detachFromTerminal(ignoringPipes: Bool) throws(SystemError) {
    try checked("setsid", "", systemCall(Int(SYS_setsid)))
    let setMask: UInt = 2
    let handler: UInt64 = ignoringPipes ? 1 : 0
    var mask: UInt64 = 0
    // struct sigaction as the kernel reads it: handler, flags, restorer, mask.
    var action = (handler, UInt64(0), UInt64(0), UInt64(0))
    // SAFETY: the kernel reads 8 and 32 bytes, both alive across the calls.
    let (masked, ignored) = unsafe withUnsafePointer(to: &mask) { mask in
      unsafe withUnsafePointer(to: &action) { action in
        (
          systemCall(Int(SYS_rt_sigprocmask), setMask, UInt(bitPattern: mask), 0, 8),
          systemCall(Int(SYS_rt_sigaction), word(SIGPIPE), UInt(bitPattern: action), 0, 8)
        )
      }
    }
    try checked("rt_sigprocmask", "", masked)
    try checked("rt_sigaction", "SIGPIPE", ignored)
  }

  /// A private /dev with the device nodes a helper opens, its own to use: the host's /dev/net/tun is often root's alone.
  private func mountDevices() throws(SystemError) {
    try Namespaces.unshare(Namespaces.mount)
    try Mount.makeAllPrivate()
    let context = try FileSystemContext("tmpfs")
    try context.set("mode", "755")
    try context.set("size", "64k")
    try context.mount([.noSetUserID, .noExecute]).attach(onto: "/dev", at: File.currentDirectory)
    try File.makeDirectory("/dev/net")
    for (path, major, minor) in [("/dev/null", 1, 3), ("/dev/urandom", 1, 9), ("/dev/net/tun", 10, 200)] {
      let characterDevice: UInt = 0o020600
      let device = immure_makedev(UInt32(major), UInt32(minor))
      try checked(
        "mknod", path,
        path.withPathAddress {
          systemCall(Int(SYS_mknodat), word(File.currentDirectory), $0, characterDevice, UInt(device))
        })
      try File.changeOwner(path, user: user, group: user)
    }
  }

  /// Forks and runs `program` there, with /dev/null as input and output and a pipe as its stderr. `inherited` are descriptors
  /// of this process that it gets as 3, 4, …; one that keeps its stderr must outlive its reader.
  func spawn(_ program: String, _ arguments: [String], inherited: [Int32] = [], keepsStderr: Bool) throws(SystemError)
    -> RunningHelper
  {
    let (readEnd, writeEnd) = try DescriptorPair.pipe().release()
    guard let child = try Process.clone(CloneArguments(flags: 0)) else {
      do throws(SystemError) {
        try HelperPlace.detachFromTerminal(ignoringPipes: keepsStderr)
        try enter()
        let null = try File.open("/dev/null", O_RDWR).release()
        // Numbers that the targets below do not overwrite.
        let high = try inherited.map { descriptor throws(SystemError) in
          try FileDescriptor.duplicate(descriptor, atLeast: 64).release()
        }
        let errors = try FileDescriptor.duplicate(writeEnd, atLeast: 64).release()
        for (target, source) in ([null, null, errors] + high).enumerated() {
          try checked("dup3", "\(target)", systemCall(Int(SYS_dup3), word(source), UInt(target), 0))
        }
        try FileDescriptor.closeRange(from: UInt32(3 + inherited.count))
        let failure = Process.execute(
          program, arguments: arguments, environment: ["PATH=/usr/bin:/bin", "LC_ALL=C"])
        throw failure
      } catch {
        // The pipe's reader prints it.
        try? File.writeAll(writeEnd, error.description + "\n")
        Process.exit(127)
      }
    }
    _ = FileDescriptor(owning: writeEnd)
    return RunningHelper(child: child, errors: FileDescriptor(owning: readEnd))
  }
}

/// A helper that was started by this process.
struct RunningHelper: ~Copyable {
  let child: Child
  let errors: FileDescriptor

  /// The first line it said that is no noise, for an error; empty when it said nothing. The helper must have ended.
  borrowing func complaint() -> String {
    // A pipe that cannot be read leaves no words to repeat.
    guard let bytes = try? File.read(errors.rawValue, atMost: 16 << 10) else { return "" }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    // pasta complains of the missing /dev/log with every message.
    return lines.first { !$0.contains("to syslog") }.map { String($0.prefix(200)) } ?? ""
  }

  /// Kills and reaps it.
  borrowing func end() {
    // It may have ended by itself.
    try? child.signal(9)
    _ = try? child.wait()
  }
}
