import CLinux
import Glibc
import Guest
import Linux
import Testing

@Suite(.timeLimit(.minutes(60))) struct InitTests {
  @Test func theProgramIsSmallAndSealed() throws {
    #expect(GuestInit.size > 0)
    #expect(GuestInit.size < 32 << 10)
    let image = try GuestInit.image()
    #expect(try File.status("", at: image.rawValue).st_size == GuestInit.size)
    #expect(try File.contents("/proc/self/fd/\(image.rawValue)").prefix(4) == [0x7f, 0x45, 0x4c, 0x46])
    #expect(throws: SystemError.self) { try File.writeAll(image.rawValue, [0]) }
    #expect(fcntl(image.rawValue, F_GET_SEALS) == F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
  }

  @Test(arguments: [
    ("exit 0", Linux.ExitStatus.exited(0), Linux.ExitStatus.exited(0)), ("exit 7", .exited(7), .exited(7)),
    ("kill -KILL $$", .signaled(9), .exited(137)), ("kill -TERM $$", .signaled(15), .exited(143)),
  ])
  func itEndsAsTheCommandDoes(script: String, command: Linux.ExitStatus, own: Linux.ExitStatus) throws {
    let box = try RunningInit()
    try box.send(shell(script))
    #expect(try box.reply() == .started)
    guard case .exited(let status) = try box.reply() else { throw Unexpected() }
    #expect(Linux.ExitStatus(waitStatus: status) == command)
    #expect(try box.end() == own)
  }

  @Test func theCommandHasWhatTheMessageSays() throws {
    let box = try RunningInit()
    try box.send(
      InitMessage(
        arguments: ["/bin/sh", "-c", "echo \"$0|$1|$FOO|$(umask)|$PWD\"; env", "name", "two words\n"],
        environment: ["FOO=a=b c", "EMPTY="], workingDirectory: "/usr", umask: 0o27))
    #expect(try box.reply() == .started)
    let output = try box.rest()
    #expect(output.hasPrefix("name|two words\n|a=b c|0027|/usr\n"))
    #expect(output.contains("\nEMPTY=\n"))
    #expect(try box.end() == .exited(0))
  }

  @Test(arguments: [
    (["no-such-program"], "/", Errno.noEntry, InitReply.Step.execute, Int32(127)),
    (["/no/such/program"], "/", .noEntry, .execute, 127),
    ([""], "/", .noEntry, .execute, 127),
    (["/etc/passwd"], "/", .accessDenied, .execute, 126),
    (["/usr"], "/", .accessDenied, .execute, 126),
    (["passwd"], "/", .accessDenied, .execute, 126),
    (["true"], "/no/such/folder", .noEntry, .directory, 126),
    (["true"], "/etc/passwd", .notDirectory, .directory, 126),
  ])
  func itSaysWhyTheCommandDoesNotRun(
    arguments: [String], directory: String, errno: Errno, step: InitReply.Step, code: Int32
  ) throws {
    let box = try RunningInit()
    let message = InitMessage(
      arguments: arguments, environment: ["PATH=/no/such:/etc/passwd:/etc:/usr/bin/true"], workingDirectory: directory)
    // /etc/passwd in PATH is no folder (ENOTDIR); /etc holds a file "passwd" that nobody may run (EACCES, remembered).
    try box.send(message)
    guard case .failed(let failure) = try box.reply() else { throw Unexpected() }
    #expect(failure == InitReply.Failure(errno: errno, step: step))
    #expect(failure.isNotFound == (code == 127))
    #expect(failure.describe(message).contains(step == .directory ? directory : arguments[0]))
    #expect(try box.end() == .exited(code))
  }

  @Test func noVariableOfThePathMeansTheUsualOne() throws {
    let box = try RunningInit()
    try box.send(InitMessage(arguments: ["true"], environment: []))
    #expect(try box.reply() == .started)
    #expect(try box.end() == .exited(0))
  }

  @Test(arguments: [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGQUIT])
  func signalsReachTheCommand(signal: Int32) throws {
    let box = try RunningInit()
    try box.send(shell("ulimit -c 0; echo ready; exec cat"))
    #expect(try box.reply() == .started)
    #expect(try box.line() == "ready")
    try box.signal(signal)
    #expect(try box.reply() == .exited(waitStatus: signal))
    #expect(try box.end() == .exited(128 + signal))
  }

  @Test func aTerminalsSignalsReachTheCommandsGroup() throws {
    let box = try RunningInit()
    // The shell outlives the signal; the second wait returns once its child has died of it.
    try box.send(shell("trap : HUP; sh -c 'echo ready; exec cat' <&0 & wait; wait; exit 8"))
    #expect(try box.reply() == .started)
    #expect(try box.line() == "ready")
    try box.signal(SIGHUP)
    #expect(try box.rest() == "")
    #expect(try box.end() == .exited(8))
  }

  @Test func stoppingAndGoingOn() throws {
    let box = try RunningInit()
    try box.send(shell("echo $$; read x; echo got $x"))
    #expect(try box.reply() == .started)
    let command = try #require(Int32(try box.line()))
    try box.signal(SIGTSTP)
    // The group is not an orphaned one, so SIGTSTP stops it: its state says so at the latest when init has handled the signal.
    try #require(try waitForState("T", of: command))
    try box.signal(SIGCONT)
    try box.write("on\n")
    #expect(try box.line() == "got on")
    #expect(try box.end() == .exited(0))
  }

  @Test func nothingIsBlockedOrIgnored() throws {
    let box = try RunningInit(blocked: true)
    try box.send(shell("grep -E 'Sig(Blk|Ign)' /proc/self/status"))
    #expect(try box.reply() == .started)
    #expect(try box.rest() == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n")
    #expect(try box.end() == .exited(0))
  }

  @Test func orphansBecomeInitsChildren() throws {
    let box = try RunningInit()
    try box.send(shell("exec 5<&0; ( { read x <&5; exec sh -c 'echo $PPID'; } & ); echo ready; exec sleep 1000"))
    #expect(try box.reply() == .started)
    #expect(try box.line() == "ready")
    try box.write("go\n")
    #expect(try box.line() == "\(box.pid)")
    try box.signal(SIGTERM)
    #expect(try box.end() == .exited(143))
  }

  @Test(arguments: [0, 1, 3])
  func theCommandHasOnlyItsDescriptors(extra: Int) throws {
    let file = try File.open("/etc/passwd", O_RDONLY)
    let box = try RunningInit(extra: Array(repeating: file.rawValue, count: extra))
    let socket = try File.readLink("/proc/\(box.pid)/fd/3")
    var message = shell("for f in /proc/$$/fd/*; do echo ${f##*/} $(readlink $f); done")
    message.preservedDescriptors = extra
    try box.send(message)
    #expect(try box.reply() == .started)
    let lines = try box.rest().split(separator: "\n").map(String.init)
    #expect(lines.filter { $0.hasSuffix(" /etc/passwd") } == (0..<extra).map { "\(3 + $0) /etc/passwd" })
    #expect(!lines.contains { $0.hasSuffix(socket) })
    #expect(try box.end() == .exited(0))
  }

  @Test func itsOwnCopiesOfTheStreamsAreClosed() throws {
    let box = try RunningInit()
    try box.send(shell("echo out; exec >&- 2>&-; read x; exit 3"))
    #expect(try box.reply() == .started)
    #expect(try box.rest() == "out\n")
    try box.write("now\n")
    #expect(try box.end() == .exited(3))
  }

  @Test func theTerminalIsTheCommands() throws {
    let master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)
    defer { close(master) }
    #expect(grantpt(master) == 0 && unlockpt(master) == 0)
    let name = unsafe String(cString: ptsname(master))
    let near = try File.open(name, O_RDWR | O_NOCTTY)
    let box = try RunningInit(terminal: near.rawValue)
    var message = shell("echo mine >/dev/tty && exec cat")
    message.terminal = true
    try box.send(message)
    #expect(try box.reply() == .started)
    #expect(try box.line(from: master) == "mine\r")
    // Ctrl-C at the terminal interrupts the command: its group is the foreground one.
    try File.writeAll(master, [3])
    #expect(try box.reply() == .exited(waitStatus: SIGINT))
    #expect(try box.end() == .exited(130))
  }

  @Test func aHostThatGoesBeforeTheMessageEndsIt() throws {
    let box = try RunningInit()
    box.hangUp()
    #expect(try box.end() == .exited(125))
  }

  @Test func aHostThatGoesLaterDoesNot() throws {
    let box = try RunningInit()
    try box.send(shell("read x; echo $x; exit 4"))
    #expect(try box.reply() == .started)
    box.hangUp()
    try box.write("still here\n")
    #expect(try box.rest() == "still here\n")
    #expect(try box.end() == .exited(4))
  }

  @Test(arguments: [
    [UInt8](repeating: 0, count: 32), [UInt8](repeating: 0xff, count: 32),
    Array([0x49, 0x4d, 0x4d, 0x31, 0, 0, 0, 0] as [UInt8]) + [UInt8](repeating: 0, count: 24),
    // One argument, no strings at all; then a length that its strings do not fill.
    [0x49, 0x4d, 0x4d, 0x31, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [
      0x49, 0x4d, 0x4d, 0x31, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x2f,
      0, 0x61, 0, 0,
    ],
  ])
  func itRefusesWhatIsNoMessage(bytes: [UInt8]) throws {
    let box = try RunningInit()
    try box.send(bytes: bytes)
    #expect(try box.reply() == .failed(InitReply.Failure(errno: Errno(rawValue: 0), step: .message)))
    #expect(try box.end() == .exited(126))
  }

  @Test func aLargeMessageArrivesWhole() throws {
    let box = try RunningInit()
    let words = (0..<20_000).map { "word\($0)" }
    try box.send(
      InitMessage(arguments: ["sh", "-c", "echo $# ${20000}", "sh"] + words, environment: ["PATH=/bin:/usr/bin"]))
    #expect(try box.reply() == .started)
    #expect(try box.rest() == "20000 word19999\n")
    #expect(try box.end() == .exited(0))
  }
}

struct Unexpected: Error {}

/// Polls /proc until the process is in the state; false when two minutes passed. There is no event for another's child.
func waitForState(_ letter: Character, of pid: Int32) throws -> Bool {
  let deadline = Clock.monotonicNanoseconds() + 120_000_000_000
  while Clock.monotonicNanoseconds() < deadline {
    let text = try File.text("/proc/\(pid)/stat")
    if let close = text.lastIndex(of: ")"), text[close...].dropFirst(2).first == letter { return true }
    sched_yield()
  }
  return false
}
