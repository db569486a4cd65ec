import ChildProcesses
import Foundation
import Testing

/// Real programs behind the sentry, held against the same programs on the host: output and exit status are equal. What a wall must do
/// whoever it is stands in ContractTable and EscapeTests.
@Suite(.enabled(if: Immure.isRoot && Immure.isBuilt && Immure.hasFront, Immure.whyNoFront))
struct SentryTests {
  struct Work: Sendable, CustomTestStringConvertible {
    let name: String
    let words: [String]
    init(_ name: String, _ words: String...) {
      self.name = name
      self.words = words
    }
    var testDescription: String { name }
  }

  static let works: [Work] = [
    Work("busybox, static", "busybox", "sh", "-c", busybox),
    Work("a pipeline", "sh", "-c", "seq 1 2000 | sort -rn | head -3 | tr 0-9 a-j; exit 3"),
    Work("archives", "sh", "-c", archives),
    Work("perl", "perl", "-e", "open my $f, '>', '/tmp/p' or die; print $f 42; close $f; print -s '/tmp/p'"),
    Work("python's threads and processes", "python3", "-c", python),
    Work("python's sockets and select", "python3", "-c", sockets),
    Work("signals and jobs", "bash", "-c", signals),
    Work(
      "chance, as files tell it", "sh", "-c", "cat /proc/sys/kernel/random/uuid | wc -c; head -c 9 /dev/urandom | wc -c"
    ),
    Work(
      "every file of /proc and /sys", "sh", "-c",
      "find /proc/self /proc/sys -type f -exec cat {} + > /dev/null 2>&1; echo on"),
    Work("the processors", "sh", "-c", "grep -c ^processor /proc/cpuinfo; grep ^flags /proc/cpuinfo; nproc"),
    Work("what is not there", "sh", "-c", "cat /nothing; mkdir /tmp/a/b; kill -0 99999; echo $?"),
  ]

  private static let busybox = """
    cd /tmp && mkdir -p b/c && echo one > b/x && ln -s x b/y && cp b/y b/z && mv b/z b/c/ && cat b/y b/c/z
    ls b b/c; wc -l < b/x; rm -r b; [ -e b ] || echo gone; for i in 1 2 3; do (exit $i); echo $?; done
    printf 'b\na\n' | sort; echo $((6 * 7)); uname -s; id -u; yes | head -2; test -c /dev/null && echo device
    """
  private static let archives = """
    cd /tmp && mkdir t && seq 1 5000 > t/n && chmod 640 t/n && touch -d 2001-02-03 t/n && tar czf t.tgz t && rm -r t &&
    tar xzf t.tgz && stat -c '%a %Y %s' t/n && sha256sum t/n && rm -r t t.tgz
    """
  private static let python = """
    import multiprocessing, os, subprocess, threading
    done = []
    threads = [threading.Thread(target=lambda n=n: done.append(n * n)) for n in range(8)]
    [t.start() for t in threads]; [t.join() for t in threads]; print(sorted(done))
    print(subprocess.run(['sh', '-c', 'echo out; echo err >&2; exit 4'], capture_output=True))
    with multiprocessing.Pool(2) as pool: print(pool.map(abs, range(-5, 0)))
    pid = os.fork()
    if pid == 0: os._exit(9)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    r, w = os.pipe(); os.write(w, b'x'); print(os.read(r, 9))
    """
  private static let sockets = """
    import select, socket, threading
    server = socket.create_server(('127.0.0.1', 0))
    def serve():
        while True:
            c, _ = server.accept()
            data = c.recv(100)
            if data == b'end': break
            c.sendall(data[::-1]); c.close()
    thread = threading.Thread(target=serve); thread.start()
    for word in (b'abc', b'defg'):
        c = socket.create_connection(server.getsockname()); c.sendall(word)
        poll = select.poll(); poll.register(c, select.POLLIN); poll.poll(5000); print(c.recv(100)); c.close()
    c = socket.create_connection(server.getsockname()); c.sendall(b'end'); thread.join()
    a, b = socket.socketpair(); a.send(b'pair'); print(b.recv(9))
    """
  private static let signals = """
    trap 'echo usr1' USR1; kill -USR1 $$; (trap 'echo term; exit 6' TERM; kill -TERM $BASHPID); echo $?
    sleep 60 & kill $!; wait $!; echo $?; bash -c 'kill -SEGV $$' 2> /dev/null; echo $?
    """

  private static let emptyTemporary = "mount -t tmpfs none /tmp && cd / && exec \"$@\""

  @Test(arguments: works)
  func theSameAsOnTheHost(work: Work) throws {
    // The sandbox has the PATH and the empty folders of its own; what the words name is the same.
    let environment = [
      "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp", "LANG": "C",
    ]
    let native = try Immure.command(
      ["/usr/bin/env", "unshare", "-m", "sh", "-c", Self.emptyTemporary, "x"] + work.words, environment: environment)
    let immure = Immure()
    let guest = try Immure.run(
      ["--root", immure.root.path, "run", "--wall", "sentry", "--rm", "-e", "LANG=C", "--"] + work.words)
    #expect(guest.output == native.output, "\(guest.error)")
    #expect(guest.status == native.status, "\(guest.error)")
  }

  /// Where the kernel hands over no notification that signals leave alone, calls are taken by ptrace.
  @Test(
    "by a tracer too",
    .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/musl-gcc"), "wants musl-gcc"),
    arguments: works)
  func theSameByATracer(work: Work) throws {
    let immure = Immure()
    let host = immure.root.path + "/old-host"
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let made = try Immure.command([
      "musl-gcc", "-static", "-idirafter", "/usr/include", "-idirafter", "/usr/include/x86_64-linux-gnu", "-o", host,
      tests.appending(path: "Fixtures/OldHost/old-host.c").path,
    ])
    try #require(made.status == 0, "\(made.error)")
    let words = ["run", "--wall", "sentry", "--rm", "--quiet", "-e", "LANG=C", "--"] + work.words
    let plain = try Immure.run(["--root", immure.root.path] + words)
    let traced = try Immure.command(
      [host, "--last", "600", "--no-notification", Immure.path, "--root", immure.root.path] + words)
    #expect(traced.output == plain.output && traced.status == plain.status, "\(traced.error)\(plain.error)")
    let doctor = try Immure.command([host, "--last", "600", "--no-notification", Immure.path, "doctor"])
    #expect(doctor.output.contains("calls are taken by ptrace"), "\(doctor.output)")
    // Without mount_setattr (Linux 5.12) the wall says so.
    let older = try Immure.command([host, Immure.path, "--root", immure.root.path] + words)
    #expect(older.status == 125 && older.error.contains("mount_setattr (Linux 5.12)"), "\(older.error)")
  }

  @Test("an image, and what is written to it is gone with it")
  func image() throws {
    let immure = Immure()
    let tree = immure.root.path + "/tree"
    for folder in ["bin", "etc"] {
      try FileManager.default.createDirectory(atPath: tree + "/" + folder, withIntermediateDirectories: true)
    }
    try FileManager.default.copyItem(atPath: "/bin/busybox", toPath: tree + "/bin/busybox")
    for name in ["sh", "cat", "ls"] {
      try FileManager.default.createSymbolicLink(atPath: tree + "/bin/" + name, withDestinationPath: "busybox")
    }
    try "root:x:0:0::/:/bin/sh\n".write(toFile: tree + "/etc/passwd", atomically: true, encoding: .utf8)
    let packed = try Immure.command(["/usr/bin/tar", "-C", tree, "-cf", immure.root.path + "/root.tar", "."])
    try #require(packed.status == 0, "\(packed.error)")
    let imported = try immure("import", immure.root.path + "/root.tar", "tiny")
    try #require(imported.status == 0, "\(imported.error)")
    let first = try immure(
      "run", "--wall", "sentry", "--rm", "tiny", "sh", "-c", "echo changed > /etc/passwd; cat /etc/passwd; ls /; exit 7"
    )
    #expect(first.status == 7 && first.output.hasPrefix("changed\n"), "\(first.error)")
    let second = try immure("run", "--wall", "sentry", "--rm", "tiny", "cat", "/etc/passwd")
    #expect(second.status == 0 && !second.output.contains("changed"), "\(second.output) \(second.error)")
  }

  @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/script"), "wants script(1)"))
  func itsTerminalIsItsOwn() throws {
    let immure = Immure()
    let command = "\(Immure.path) --root \(immure.root.path) run -it --quiet --wall sentry -- sh -c 'tty; ls /dev/pts'"
    let result = try Immure.command(["script", "-qec", command, "/dev/null"], input: .silence)
    #expect(result.output.split(whereSeparator: \.isWhitespace) == ["/dev/pts/0", "0", "ptmx"], "\(result.output)")
  }

  @Test(
    "who answers the calls is told in three counts, and which policy a sandbox has",
    arguments: ["native-harmless", "strict"])
  func calls(policy: String) throws {
    let immure = Immure()
    let told = try immure("policy", "explain", "--wall", "sentry", "--format", "json", "--syscalls", policy)
    let walls = try #require(
      try JSONSerialization.jsonObject(with: Data(told.output.utf8)) as? [[String: Any]], "\(told.error)")
    let calls = try #require(walls.first?["calls"] as? [String: Any])
    #expect(calls["policy"] as? String == policy)
    let native = try #require(calls["native"] as? [String])
    let continued = try #require(calls["continued"] as? [[String: Any]])
    #expect((10...(policy == "strict" ? 16 : 32)).contains(native.count), "\(native)")
    #expect((1...8).contains(continued.count), "\(continued)")
    #expect(try #require(calls["served"] as? Int) > 200)
    let line = try immure("policy", "explain", "--wall", "sentry", "--syscalls", policy).output.split(separator: "\n")
      .last
    #expect(
      line?.hasPrefix("system calls, \(policy): \(native.count) allowed natively, \(continued.count) kinds (") == true)
    let run = try immure("run", "--wall", "sentry", "--syscalls", policy, "--name", "a", "--", "true")
    #expect(run.status == 0, "\(run.error)")
    #expect(try immure("inspect", "a").output.contains("\"syscalls\": \"\(policy)\""))
    let other = try immure("run", "--wall", "container", "--syscalls", policy, "--", "true")
    #expect(other.status == 125 && other.error.contains("processes.system_calls"), "\(other.error)")
  }

  @Test("every system call is listed, for people and for programs", arguments: ["native-harmless", "strict"])
  func list(policy: String) throws {
    let immure = Immure()
    let words = ["--root", immure.root.path, "policy", "explain", "--wall", "sentry", "--calls", "--syscalls", policy]
    let told = try Immure.run(words + ["--format", "json"])
    let walls = try #require(
      try JSONSerialization.jsonObject(with: Data(told.output.utf8)) as? [[String: Any]], "\(told.error)")
    let calls = try #require(walls.first?["system_calls"] as? [[String: Any]])
    #expect(walls.first?["wall"] as? String == "sentry")
    let shown = try Immure.run(words).output.split(separator: "\n")
    // The wall's name and a heading come first.
    #expect(shown.count == calls.count + 2 && calls.count > 370)
    let unmap = try #require(calls.first { $0["name"] as? String == "munmap" })
    #expect(unmap["by"] as? [String] == [policy == "strict" ? "host after a look" : "host"])
    let refused = try #require(calls.first { $0["number"] as? Int == 330 })
    #expect(refused["answer"] as? String == "refused" && refused["errno"] as? String == "ENOSPC", "\(refused)")
    #expect(shown.contains { $0.hasPrefix("330 ") && $0.contains("pkey_alloc") && $0.contains("refused (ENOSPC)") })
    let jail = try immure("policy", "explain", "--wall", "jail", "--calls")
    #expect(jail.status == 1 && jail.error.contains("--calls"), "\(jail.error)")
  }

  @Test("--debug names what was asked for and is not there, once for each program and call")
  func debug() throws {
    let immure = Immure()
    // io_uring_setup, a number that no kernel has, prctl(4711), socket(AF_BLUETOOTH); an answer like any other is none of it.
    let script =
      "for (1, 2) { syscall 425, 1, 0; syscall 999, 0; syscall 157, 4711; syscall 41, 31, 3, 0; -e '/nothing' }"
    let words = ["run", "--rm", "--wall", "sentry", "--quiet", "--", "perl", "-e", script]
    let told = try Immure.run(["--root", immure.root.path, "--debug"] + words)
    let lines = told.error.split(separator: "\n").filter { $0.contains("immure: perl (") }
    #expect(told.status == 0)
    for part in [
      "io_uring_setup (425) is not there: Function not implemented", "an unknown call (999) is not there",
      "prctl (157) with 0x1267 is refused: Invalid argument", "socket (41) with 0x1f00000003 is refused",
    ] { #expect(lines.count { $0.contains(part) } == 1, "\(part): \(told.error)") }
    #expect(!lines.contains { $0.contains("stat (") || $0.contains("ioctl (16) with 0x5401") }, "\(told.error)")
    let silent = try Immure.run(["--root", immure.root.path] + words)
    #expect(silent.status == 0 && silent.error.isEmpty, "\(silent.error)")
  }

  /// What eats the memory ends, and who started it goes on: the sentry is never the kernel's choice. What is freed goes back to the host.
  @Test("out of memory ends the guest that eats it, and the sandbox lives on")
  func memory() throws {
    let immure = Immure()
    let eat = "perl -e '$x = \"a\" x (256 << 20)'"
    let result = try immure(
      "run", "--rm", "--quiet", "--wall", "sentry", "--memory", "64m", "--", "sh", "-c",
      "\(eat); echo lived with $?; \(eat); echo lived with $?; exit 4")
    // Where no control group can be made, RLIMIT_DATA lets it have no such memory.
    let ends = ["137", "1", "12"].map { "lived with \($0)\nlived with \($0)\n" }
    #expect(result.status == 4 && ends.contains(result.output), "\(result.output)\(result.error)")
    let killed = try immure("run", "--rm", "--wall", "sentry", "--memory", "64m", "--", "sh", "-c", "exec \(eat)")
    #expect(killed.status == 137 && killed.error.contains("memory"), "\(killed.status) \(killed.error)")
  }

  /// The sentry writes for guests, and SIGPIPE is for whose write it was.
  @Test("what is written where nobody reads any more ends its writer, not the sandbox's program")
  func pipes() throws {
    let immure = Immure()
    #expect(try immure("run", "-d", "--wall", "sentry", "--name", "a", "--", "sleep", "1000").status == 0)
    let line = "\(Immure.path) --root \(immure.root.path) exec a yes | head -1"
    let cut = try Immure.command(["/bin/sh", "-c", line])
    #expect(cut.output == "y\n", "\(cut.output)\(cut.error)")
    #expect(try immure("exec", "a", "echo", "alive").output == "alive\n")
    // One from outside is the program's.
    #expect(try immure("kill", "-s", "PIPE", "a").status == 0)
    #expect(try immure("wait", "a").output == "141\n")
  }

  /// As the host's kernel tells of the sentry and of a guest.
  @Test("the sentry and its guests have no capability, a filter, ids and an empty root of their own")
  func confined() throws {
    let immure = Immure()
    #expect(try immure("run", "-d", "--wall", "sentry", "--name", "a", "--", "sleep", "60").status == 0)
    let top = try immure("top", "a")
    let pids = top.output.split(separator: "\n").dropFirst().compactMap {
      $0.split(separator: " ").first.map(String.init)
    }
    // The sentry, its keeper, the program.
    try #require(pids.count == 3, "\(top.output)\(top.error)")
    for pid in pids {
      let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
      for line in [
        "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1",
        "Seccomp:\t2",
      ] {
        #expect(status.contains(line + "\n"), "\(pid): \(line)")
      }
      let user = status.split(separator: "\n").first { $0.hasPrefix("Uid:") }?.split(separator: "\t").dropFirst() ?? []
      #expect(user.allSatisfy { (UInt32($0) ?? 0) >= 0x2000_0000 }, "\(user)")
      let root = try Immure.command(["ls", "-A", "/proc/\(pid)/root/"]).output.split(separator: "\n")
      // A guest's root has links to the stub by the names that were executed.
      #expect(pid == pids[0] ? root.isEmpty : !root.contains("etc"), "\(pid): \(root)")
    }
    let files = try Immure.command(["ls", "/proc/\(pids[2])/fd"])
    #expect(files.output.isEmpty, "\(files.output)")
    #expect(try immure("rm", "-f", "a").status == 0)
  }
}
