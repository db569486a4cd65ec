import ChildProcesses
import Foundation
import Testing

private let isUsable = Immure.isBuilt && Immure.isRoot
private let python = FileManager.default.isExecutableFile(atPath: "/usr/bin/python3")

/// A child may have SIGTERM blocked, as the thread that started it had.
/// The jail wall from the outside, as root. What is said to be held is looked at by a canary outside the box.
@Suite(.enabled(if: isUsable, "wants root, and IMMURE_BIN with the executables"), .timeLimit(.minutes(60)))
struct JailTests {
  let immure = Immure()

  func jail(_ words: String..., options: [String] = [], folder: String? = nil) throws -> Immure.Result {
    try Immure.run(
      ["--root", immure.root.path, "run", "--wall", "jail"] + options + ["--"] + words, folder: folder, seconds: 120)
  }

  @Test func itIsNobodyWithNothing() throws {
    let result = try jail("cat", "/proc/self/status")
    #expect(result.status == 0, "\(result.error)")
    func value(_ key: String) -> String {
      for line in result.output.split(separator: "\n") where line.hasPrefix(key + ":") {
        return line.dropFirst(key.count + 1).trimmingCharacters(in: .whitespaces)
      }
      return ""
    }
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] { #expect(value(set) == "0000000000000000") }
    #expect(value("NoNewPrivs") == "1")
    #expect(value("Seccomp") == "2")
    let user = try #require(UInt32(value("Uid").split(separator: "\t")[0]))
    #expect((0x1000_0000..<0x1010_0000).contains(user))
    #expect(value("Groups").split(separator: " ").allSatisfy { $0 == "\(user)" })
  }

  @Test func twoJailsAreDifferentUsers() throws {
    let name = "other\(UUID().uuidString.prefix(6))"
    let other = try immure("run", "-d", "--wall", "jail", "--name", name, "--", "sleep", "60")
    #expect(other.status == 0, "\(other.error)")
    let first = try immure("inspect", name).output
    let user = try jail("id", "-u").output.trimmingCharacters(in: .whitespacesAndNewlines)
    #expect(!user.isEmpty)
    #expect(!first.contains("\"\(user) "))
  }

  @Test(arguments: ["/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/machine-id", "/etc/ssl/private"])
  func theHostsSecretsAreNotThere(path: String) throws {
    let result = try jail("ls", path)
    #expect(result.status != 0)
    #expect(result.output.isEmpty)
  }

  @Test(arguments: ["/root", "/home", "/srv", "/var/lib", "/run"])
  func aSecretPlantedOutsideIsNotThere(folder: String) throws {
    let secret = folder + "/immure-secret-\(UUID().uuidString)"
    try "secret".write(toFile: secret, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: secret) }
    #expect(try jail("cat", secret).status != 0)
  }

  @Test func theHostIsNotWritten() throws {
    let name = "immure-written-\(UUID().uuidString)"
    let folders = ["/usr", "/etc", "/tmp", "/var/tmp", "/root", "/home", "/"]
    let script = folders.map { "echo x > \($0)/\(name)" }.joined(separator: "; ")
    _ = try jail("sh", "-c", script)
    for folder in folders { #expect(!FileManager.default.fileExists(atPath: folder + "/" + name)) }
    // Its own /tmp is its to write to.
    #expect(try jail("sh", "-c", "echo x > /tmp/\(name) && cat /tmp/\(name)").output == "x\n")
  }

  /// /tmp is a folder of the root in memory, /dev/shm one of /dev: each as bounded as a file system of its own.
  @Test func whatLiesInMemoryIsBounded() throws {
    let script = """
      head -c 8m /dev/zero > /tmp/x && echo unbounded /tmp; rm -f /tmp/x
      head -c 70m /dev/zero > /dev/shm/x && echo unbounded /dev/shm; rm -f /dev/shm/x
      cp /bin/true /dev/shm/t && /dev/shm/t && echo runs in /dev/shm; rm -f /dev/shm/t
      mknod /dev/shm/n c 1 5 && echo nodes in /dev/shm
      echo x > /dev/x && echo files in /dev; chmod 600 /dev/null && echo modes of /dev
      stat -c '%n %a' /tmp /dev/shm; cp /bin/true /tmp/t && /tmp/t && echo x > /dev/null && echo well
      """
    let result = try jail("sh", "-c", script, options: ["--scratch", "4m"])
    #expect(result.output == "/tmp 1777\n/dev/shm 1777\nwell\n", "\(result.error)")
  }

  @Test func otherProcessesAreNeitherSeenNorSignalled() throws {
    let canary = try Helper(["sleep", "600"])
    defer { canary.end() }
    let result = try jail("sh", "-c", "ls -d /proc/\(canary.pid); kill -9 \(canary.pid)")
    #expect(result.status != 0)
    #expect(!result.output.contains("/proc/"))
    #expect(canary.isRunning)
  }

  @Test(.enabled(if: python, "wants python3 to make sockets"), arguments: ["none", "host"])
  func networkNoneLeavesUnixSocketsOnly(network: String) throws {
    let script = """
      import socket
      for family in (2, 10, 16, 17, 40):
          try:
              socket.socket(family, socket.SOCK_DGRAM if family in (2, 10) else socket.SOCK_RAW)
              print(family, "open")
          except OSError as error:
              print(family, "refused")
      socket.socket(socket.AF_UNIX)
      print("unix open")
      """
    let result = try jail("python3", "-c", script, options: ["--network", network])
    #expect(result.status == 0, "\(result.error)")
    #expect(result.output.contains("unix open"))
    #expect(result.output.contains("2 open") == (network == "host"))
    if network == "none" { #expect(!result.output.replacingOccurrences(of: "unix open", with: "").contains("open")) }
  }

  @Test(.enabled(if: python, "wants python3 to make sockets"), arguments: ["none", "host"])
  func abstractSocketsOfTheHostAreOutOfReach(network: String) throws {
    let name = "immure-canary-\(UUID().uuidString)"
    let listener = try Helper([
      "python3", "-c",
      "import signal,socket; s=socket.socket(socket.AF_UNIX); s.bind('\\0\(name)'); s.listen(); print('ready', flush=True); signal.pause()",
    ])
    defer { listener.end() }
    #expect(listener.line() == "ready")
    let script = "import socket; socket.socket(socket.AF_UNIX).connect('\\0\(name)')"
    let result = try jail("python3", "-c", script, options: ["--network", network])
    #expect(result.status == 1)
    #expect(result.error.contains("Operation not permitted"))
  }

  @Test(
    arguments: [
      (["/no/such/program"], 127), (["no-such-program"], 127), (["/etc/passwd"], 126), (["sh", "-c", "exit 7"], 7),
      (["sh", "-c", "kill -9 $$"], 137), (["sh", "-c", "kill -TERM $$"], 143),
    ] as [([String], Int32)])
  func theStatusTellsHowItEnded(words: [String], status: Int32) throws {
    let result = try Immure.run(["--root", immure.root.path, "run", "--wall", "jail", "--"] + words)
    #expect(result.status == status, "\(result.error)")
    if status == 126 || status == 127 { #expect(result.error.split(separator: "\n").count == 1) }
  }

  @Test func daemonsEndWithIt() throws {
    let mark = "\(Int.random(in: 100_000...900_000))"
    let result = try jail(
      "sh", "-c", "setsid sh -c 'sleep \(mark) & sleep \(mark)' & (sleep \(mark) &); trap '' TERM; exit 3")
    #expect(result.status == 3, "\(result.error)")
    #expect(try Immure.command(["pgrep", "-f", "slee[p] \(mark)"]).output == "")
  }

  @Test func whatAKilledCommandLeftIsEndedByRemoval() throws {
    let mark = "\(Int.random(in: 100_000...900_000))"
    let name = "killed\(mark)"
    let command = try Helper(
      [Immure.path, "--root", immure.root.path, "run", "--wall", "jail", "--name", name, "--"]
        + ["sh", "-c", "setsid sleep \(mark) & echo ready; exec sleep \(mark)"], folder: "/")
    // "ready" comes when both run.
    #expect(command.line() == "ready")
    command.end()
    #expect(try Immure.command(["pgrep", "-f", "slee[p] \(mark)"]).output != "")
    #expect(try immure("rm", "-f", name).status == 0)
    #expect(try Immure.command(["pgrep", "-f", "slee[p] \(mark)"]).output == "")
    #expect(try Immure.command(["grep", "-c", immure.root.path, "/proc/self/mountinfo"]).output == "0\n")
  }

  @Test(.enabled(if: python, "wants python3 to fork"))
  func processesAreBounded() throws {
    let script = """
      import os, time
      n = 0
      try:
          while n < 100:
              if os.fork() == 0: time.sleep(1000); os._exit(0)
              n += 1
      except OSError: pass
      print(n)
      """
    let result = try jail("python3", "-c", script, options: ["--pids", "20"])
    #expect(result.status == 0, "\(result.error)")
    // Init and python itself are two of the twenty.
    #expect(result.output == "18\n")
  }

  @Test func theSizeOfFilesAndScratchIsBounded() throws {
    let large = try jail("sh", "-c", "head -c 2000000 /dev/zero > /tmp/f", options: ["--file-size", "1m"])
    #expect(large.status == 153, "\(large.error)")
    let full = try jail("sh", "-c", "head -c 2000000 /dev/zero > /tmp/f", options: ["--scratch", "1m"])
    #expect(full.status != 0)
    #expect(full.error.contains("No space left"))
  }

  @Test func volumesAreTheirOwnersOnTheHost() throws {
    let folder = immure.root.path + "/volume"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o700, .ownerAccountID: 12345, .groupOwnerAccountID: 12346], ofItemAtPath: folder)
    let write = try jail("sh", "-c", "echo made > /data/file && stat -c %u /data", options: ["-v", "\(folder):/data"])
    #expect(write.status == 0, "\(write.error)")
    let made = try FileManager.default.attributesOfItem(atPath: folder + "/file")
    #expect(made[.ownerAccountID] as? Int == 12345)
    #expect(made[.groupOwnerAccountID] as? Int == 12346)
    let refused = try jail("sh", "-c", "cat /data/file; echo x > /data/file", options: ["-v", "\(folder):/data:ro"])
    #expect(refused.output == "made\n")
    #expect(refused.status != 0)
    #expect(try String(contentsOfFile: folder + "/file", encoding: .utf8) == "made\n")
  }

  @Test func theCurrentFolderIsReadAtItsOwnPath() throws {
    // Below /tmp, where the box has a file system of its own.
    let folder = immure.root.path + "/current"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try "here".write(toFile: folder + "/file", atomically: true, encoding: .utf8)
    let result = try jail("sh", "-c", "pwd; cat file; echo x > file || echo refused", folder: folder)
    #expect(result.output == "\(folder)\nhererefused\n", "\(result.error)")
  }

  @Test(.enabled(if: python, "wants python3 to make sockets"), arguments: ["/tmp", "/var/tmp", "/opt"])
  func socketsInTheCurrentFolderRefuse(above: String) throws {
    let folder = above + "/immure-sockets-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let listener = try Helper(
      [
        "python3", "-c",
        "import os,signal,socket; s=socket.socket(socket.AF_UNIX); s.bind('s'); os.chmod('s', 0o777); s.listen(); print('ready', flush=True); signal.pause()",
      ], folder: folder)
    defer { listener.end() }
    #expect(listener.line() == "ready")
    let script = "import os,socket; os.stat('s'); socket.socket(socket.AF_UNIX).connect('s')"
    let result = try jail("python3", "-c", script, folder: folder)
    #expect(result.status == 1)
    #expect(result.error.contains("Connection refused"), "\(result.error)")
  }

  @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/script"), "wants script(1)"))
  func itsTerminalIsItsOwn() throws {
    let command = "\(Immure.path) --root \(immure.root.path) run -it --quiet --wall jail -- sh -c 'tty; ls /dev/pts'"
    let result = try Immure.command(["script", "-qec", command, "/dev/null"], input: .silence)
    #expect(result.output.split(whereSeparator: \.isWhitespace) == ["/dev/pts/0", "0", "ptmx"], "\(result.output)")
  }

  @Test func itIsPausedCountedAndEnded() throws {
    let name = "paused\(UUID().uuidString.prefix(6))"
    #expect(try immure("run", "-d", "--wall", "jail", "--name", name, "--", "sleep", "60").status == 0)
    #expect(try immure("pause", name).status == 0)
    let listed = try immure("top", name).output.split(separator: "\n").dropFirst()
    #expect(listed.count == 2)
    #expect(listed.allSatisfy { $0.split(separator: " ")[2] == "T" }, "\(listed)")
    #expect(try immure("unpause", name).status == 0)
    #expect(try immure("exec", name, "true").status == 125)
    #expect(try immure("stop", "-t", "5", name).status == 0)
    #expect(try immure("rm", name).status == 0)
  }

  @Test(
    .enabled(
      if: Immure.hasFront && FileManager.default.isExecutableFile(atPath: "/bin/busybox"),
      "wants immure-front to import an image, and busybox to make one"))
  func anImagesFilesAreTheSandboxsOwn() throws {
    let make = """
      set -e; mkdir -p r/bin r/etc r/home/u r/root; cp /bin/busybox r/bin; for a in sh cat stat touch; do ln -s busybox r/bin/$a; done
      echo 'u:x:1000:1000::/home/u:/bin/sh' > r/etc/passwd; echo key > r/root/key; chmod 700 r/root; chown -R 1000:1000 r/home/u
      tar -C r -cf root.tar .
      """
    #expect(try Immure.command(["sh", "-c", make], folder: immure.root.path).status == 0)
    let imported = try immure("import", immure.root.path + "/root.tar", "tiny")
    #expect(imported.status == 0, "\(imported.error)")
    func run(_ options: [String], _ script: String) throws -> Immure.Result {
      try Immure.run(
        ["--root", immure.root.path, "run", "--wall", "jail"] + options + ["tiny", "sh", "-c", script], seconds: 120)
    }
    let asRoot = try run([], "cat /root/key; echo new > /root/new && cat /root/new; touch /home/u/x || echo refused")
    #expect(asRoot.output == "key\nnew\nrefused\n", "\(asRoot.error)")
    let asUser = try run(
      ["-u", "u"], "cat /root/key || echo refused; touch /home/u/x && echo own; touch /x || echo refused")
    #expect(asUser.output == "refused\nown\nrefused\n", "\(asUser.error)")
    let readOnly = try run(["--read-only"], "touch /x || echo refused")
    #expect(readOnly.output == "refused\n", "\(readOnly.error)")
    // Nothing of all that is in the store.
    let left = try Immure.command(["find", immure.root.path + "/images", "-name", "hosts*", "-o", "-name", "x"])
    #expect(left.output == "")
  }

  @Test func aContinueSignalIsPassedOnOnce() throws {
    let name = "continued\(UUID().uuidString.prefix(6))"
    let command = try Helper(
      [Immure.path, "--root", immure.root.path, "run", "--wall", "jail", "--name", name, "--", "sleep", "600"],
      folder: "/")
    // Running once it is listed so.
    let deadline = Date(timeIntervalSinceNow: 120)
    var isRunning = false
    while !isRunning && Date() < deadline {
      isRunning = try immure("ps", "--format", "json").output.contains("running")
    }
    #expect(isRunning)
    command.signal(SIGCONT)
    command.signal(SIGTERM)
    #expect(command.wait() == 143)
  }

  @Test func networkUserIsRefusedByName() throws {
    let result = try jail("true", options: ["--network", "user"])
    #expect(result.status == 125)
    #expect(result.error.contains("network"))
    #expect(result.error.split(separator: "\n").count == 1)
  }
}

/// The jail of somebody who has no power at all: Landlock, seccomp and rlimits.
@Suite(
  .enabled(
    if: isUsable && FileManager.default.isExecutableFile(atPath: "/usr/bin/setpriv"),
    "wants root to become a plain user, setpriv, and IMMURE_BIN with the executables"), .timeLimit(.minutes(60)))
final class PlainUserJailTests {
  let folder = "/tmp/immure-plain-\(UUID().uuidString.prefix(8))"
  let program: String
  private static let user = 48765

  init() throws {
    program = folder + "/immure"
    let files = FileManager.default
    try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
    // The folder of the build may be closed to others.
    try files.copyItem(atPath: Immure.path, toPath: program)
    for name in ["state", "work"] {
      try files.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
      try files.setAttributes([.ownerAccountID: Self.user], ofItemAtPath: "\(folder)/\(name)")
    }
    try files.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func jail(_ words: String..., options: [String] = []) throws -> Immure.Result {
    let become = ["setpriv", "--reuid", "\(Self.user)", "--regid", "\(Self.user)", "--clear-groups"]
    return try Immure.command(
      become + [program, "--root", folder + "/state", "run", "--wall", "jail"] + options + ["--"] + words,
      environment: ["PATH": "/usr/bin:/bin"], folder: folder + "/work", seconds: 120)
  }

  @Test func itReadsProgramsAndWritesToItsOwnFolderOnly() throws {
    let result = try jail(
      "sh", "-c",
      """
      cat /etc/passwd > /dev/null && echo passwd
      echo x > $HOME/f && cat $HOME/f
      cat /etc/machine-id || echo no machine-id
      ls /root /home / || echo no folders
      echo x > /tmp/immure-outside-$$ || echo no tmp
      echo x > \(folder)/work/f || echo no work
      kill -0 1 || echo no signal
      """)
    #expect(result.output == "passwd\nx\nno machine-id\nno folders\nno tmp\nno work\nno signal\n", "\(result.error)")
  }

  @Test func itsPrivateFolderAndDaemonsGoWithIt() throws {
    let mark = "\(Int.random(in: 100_000...900_000))"
    let result = try jail("sh", "-c", "setsid sleep \(mark) & (sleep \(mark) &); echo $HOME")
    #expect(result.status == 0, "\(result.error)")
    let home = result.output.trimmingCharacters(in: .whitespacesAndNewlines)
    #expect(home.hasPrefix("/tmp/immure-"))
    #expect(!FileManager.default.fileExists(atPath: home))
    #expect(try Immure.command(["pgrep", "-f", "slee[p] \(mark)"]).output == "")
  }

  @Test func aVolumeKeepsItsPath() throws {
    let work = folder + "/work"
    let here = try jail("sh", "-c", "echo made > \(work)/f; cat \(work)/f", options: ["-v", "\(work):\(work)"])
    #expect(here.output == "made\n", "\(here.error)")
    let elsewhere = try jail("true", options: ["-v", "\(work):/data"])
    #expect(elsewhere.status == 125)
    #expect(elsewhere.error.contains("/data") || elsewhere.error.contains(work))
  }
}

/// Root of a plain Docker container: it may change ids, but neither mount nor make namespaces.
@Suite(
  .enabled(
    if: isUsable && FileManager.default.isExecutableFile(atPath: "/usr/bin/setpriv"),
    "wants root to give capabilities up, setpriv, and IMMURE_BIN with the executables"), .timeLimit(.minutes(60)))
struct ContainedRootJailTests {
  let immure = Immure()

  func jail(_ script: String) throws -> Immure.Result {
    try Immure.command(
      [
        "setpriv", "--bounding-set", "-sys_admin", Immure.path, "--root", immure.root.path, "run", "-q", "--wall",
        "jail",
      ]
        + ["--", "sh", "-c", script], seconds: 120)
  }

  @Test func itHasAnOwnUserAndLandlock() throws {
    let result = try jail(
      "id -u; cat /etc/shadow || echo no shadow; ls /root || echo no root; echo x > $HOME/f && cat $HOME/f; kill -0 1 || echo no signal"
    )
    let lines = result.output.split(separator: "\n").map(String.init)
    let user = try #require(lines.first.flatMap { UInt32($0) }, "\(result.error)")
    #expect((0x1000_0000..<0x1010_0000).contains(user))
    #expect(lines.dropFirst() == ["no shadow", "no root", "x", "no signal"], "\(result.error)")
  }

  @Test func daemonsEndWithIt() throws {
    let mark = "\(Int.random(in: 100_000...900_000))"
    #expect(try jail("setsid sleep \(mark) & (sleep \(mark) &)").status == 0)
    #expect(try Immure.command(["pgrep", "-f", "slee[p] \(mark)"]).output == "")
  }
}
