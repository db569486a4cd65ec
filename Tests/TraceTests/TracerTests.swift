import ChildProcesses
import Foundation
import Testing

/// Real programs, traced from the outside.
@Suite("Following programs", .enabled(if: Command.isBuilt, Command.whyNot), .timeLimit(.minutes(60)))
struct TracerTests {
  @Test("files: what was read, made, changed and removed, and what a failed look-up is not")
  func files() throws {
    let place = try Command.Place()
    try place.write("in.txt", "hello\n")
    let (result, seen) = try Command.trace(
      [
        "sh", "-c",
        "cat in.txt; cat absent; echo x > new; echo y >> in.txt; mv new moved; mkdir d; rm moved; rmdir d; cd /; [ -f etc/passwd ]",
      ],
      in: place)
    #expect(result.status == 0 && result.output == "hello\n" && result.error.contains("absent"))
    #expect(seen.uses(place.path("in.txt")).isSuperset(of: ["read", "changed"]))
    #expect(!seen.uses(place.path("in.txt")).contains("created"))
    #expect(seen.uses(place.path("absent")).isEmpty)
    #expect(seen.uses(place.path("new")).isSuperset(of: ["created", "removed"]))
    #expect(seen.uses(place.path("moved")).isSuperset(of: ["created", "removed"]))
    #expect(seen.uses(place.path("d")).isSuperset(of: ["created", "removed"]))
    // Relative to the folder it had gone to.
    #expect(seen.uses("/etc/passwd") == ["looked"])
    #expect(seen.uses("/usr/bin/dash").union(seen.uses("/usr/bin/sh")).contains("executed"))
  }

  @Test(
    "the status is the program's",
    arguments: [("exit 3", 3), ("kill -9 $$", 137), ("/bin/true; kill -TERM $$", 143), ("exit 0", 0)])
  func status(_ script: String, _ status: Int32) throws {
    let place = try Command.Place()
    let (result, seen) = try Command.trace(["sh", "-c", script], in: place)
    #expect(result.status == status)
    #expect(seen.number("status") == Int64(status))
  }

  @Test("what cannot be run says so as run does, and what is not traced is refused by name")
  func refused() throws {
    let place = try Command.Place()
    try place.write("text", "no program\n")
    func error(_ words: String...) throws -> Command.Result {
      try Command.run([Command.path, "trace"] + words, in: place)
    }
    #expect(try error("--", "no-such-program").status == 127)
    #expect(try error("--", "./absent").status == 127)
    #expect(try error("--", "./text").status == 126)
    #expect(try error("--").status == 125)
    let image = try error("busybox", "true")
    #expect(image.status == 125 && image.error.contains("images are not built yet"))
    #expect(try error("--format", "yaml", "--", "true").status == 125)
    // Before the program has run: its report could not be kept.
    let folder = try error("-o", "no/such/folder", "--", "touch", "ran")
    #expect(folder.status == 125 && !FileManager.default.fileExists(atPath: place.path("ran")))
  }

  @Test("the program keeps its streams; the report is said on stderr, or where -o says")
  func streams() throws {
    let place = try Command.Place()
    let words = ["--", "sh", "-c", "echo out; echo err >&2"]
    let plain = try Command.run([Command.path, "trace"] + words, in: place)
    #expect(plain.output == "out\n" && plain.error.contains("err\n") && plain.error.contains("[network]"))
    #expect(plain.error.contains("the program runs unconfined"))
    let quiet = try Command.run([Command.path, "trace", "-q", "-o", "p.toml"] + words, in: place)
    #expect(quiet.output == "out\n" && quiet.error == "err\n")
    #expect(try place.text("p.toml").contains("[network]"))
    let standard = try Command.run([Command.path, "trace", "-q", "-o", "-"] + words, in: place)
    #expect(standard.output.hasPrefix("out\n#") && standard.error == "err\n")
  }

  @Test("every child is followed, and counted while it lives")
  func children() throws {
    let place = try Command.Place()
    // Each waits until all have begun, so that all live at once.
    let (result, seen) = try Command.trace(
      [
        "sh", "-c",
        """
        mkfifo p q; exec 3<>p 4<>q; all='1 2 3 4 5 6 7 8 9 10'
        for i in $all; do (echo $i > f$i; echo >&4; read x <&3) & done
        for i in $all; do read x <&4; done
        for i in $all; do echo >&3; done
        wait; cat f?*|sort -n|tail -1
        """,
      ], in: place)
    #expect(result.output == "10\n" && result.status == 0)
    for index in 1...10 { #expect(seen.uses(place.path("f\(index)")).contains("created")) }
    #expect(try #require(seen.number("peakTasks")) >= 11)
  }

  @Test("a daemon is followed after the program has ended")
  func daemon() throws {
    let place = try Command.Place()
    let (result, seen) = try Command.trace(
      ["sh", "-c", "(setsid sh -c 'exec >&- 2>&- <&-; while [ ! -f go ]; do :; done; echo x > late' &) ; touch go"],
      in: place)
    #expect(result.status == 0)
    #expect(seen.uses(place.path("late")).contains("created"))
    #expect(FileManager.default.fileExists(atPath: place.path("late")))
  }

  @Test("stopped, continued, and signals of its own: all as without a tracer")
  func signals() throws {
    let place = try Command.Place()
    // The parent is told of the child's stop. Its state in /proc is no answer: traced, it is stopped at every call.
    let script = """
      trap 'echo usr1' USR1; kill -USR1 $$
      stopped=; trap 'stopped=1' CHLD
      sh -c 'kill -STOP $$; echo went on' & child=$!
      while [ -z "$stopped" ]; do :; done
      trap - CHLD; kill -CONT $child; wait $child; echo $?
      sh -c 'kill -TERM $$'; echo $?
      (trap '' TERM; kill -TERM $(exec sh -c 'echo $PPID'); echo ignored)
      """
    let bare = try Command.run(["sh", "-c", script], in: place)
    let (result, _) = try Command.trace(["sh", "-c", script], in: place)
    #expect(bare.output == "usr1\nwent on\n0\n143\nignored\n")
    #expect(result.output == bare.output && result.status == bare.status)
  }

  /// SIGCONT may come before a stop, while the tracer looks at it, and after: none is lost, and the parent is told of all.
  @Test(
    "stops and continuations, round after round", .enabled(if: Command.hasPython, "python3 is not installed"),
    arguments: [
      // One that stops itself again and again.
      """
      child = os.fork()
      if not child:
          while True: os.kill(os.getpid(), signal.SIGSTOP)
      for _ in range(200):
          assert stop(child) == signal.SIGSTOP
          os.kill(child, signal.SIGCONT)
      end(child)
      """,
      // SIGCONT at any moment: one that came before the stop has no effect, so it is sent until the child has ended.
      """
      for _ in range(50):
          child = os.fork()
          if not child:
              os.kill(os.getpid(), signal.SIGSTOP)
              os._exit(7)
          while True:
              gone, status = os.waitpid(child, os.WNOHANG)
              if gone: break
              os.kill(child, signal.SIGCONT)
          assert os.waitstatus_to_exitcode(status) == 7
      """,
      // A process of threads, each at its calls, stopped from outside by signals of both kinds.
      """
      ready, tell = os.pipe()
      child = os.fork()
      if not child:
          def call():
              while True: os.getppid()
          for _ in range(3): threading.Thread(target=call, daemon=True).start()
          os.write(tell, b"x")
          call()
      os.read(ready, 1)
      for index in range(100):
          signals = [signal.SIGSTOP, signal.SIGTSTP]
          os.kill(child, signals[index % 2])
          assert stop(child) == signals[index % 2]
          os.kill(child, signal.SIGCONT)
          assert os.WIFCONTINUED(os.waitpid(child, os.WCONTINUED)[1])
      end(child)
      """,
    ])
  func stops(_ rounds: String) throws {
    let place = try Command.Place()
    try place.write(
      "rounds.py",
      """
      import os, signal, threading
      def stop(child):
          status = os.waitpid(child, os.WUNTRACED)[1]
          assert os.WIFSTOPPED(status), status
          return os.WSTOPSIG(status)
      def end(child):
          os.kill(child, signal.SIGKILL)
          while not os.WIFSIGNALED(os.waitpid(child, 0)[1]): pass
      \(rounds)
      print("all")
      """)
    let words = [Command.python, "rounds.py"]
    let bare = try Command.run(words, in: place)
    #expect(bare == Command.Result(status: 0, output: "all\n", error: ""))
    #expect(try Command.trace(words, in: place).result == bare)
  }

  @Test("threads, exec by a thread, vfork, loopback", .enabled(if: Command.hasPython, "python3 is not installed"))
  func python() throws {
    let place = try Command.Place()
    try place.write("read-by-exec", "x")
    try place.write(
      "t.py",
      """
      import os, socket, subprocess, threading
      s = socket.create_server(("127.0.0.1", 0))
      port = s.getsockname()[1]
      def serve():
          c, _ = s.accept()
          c.sendall(b"served")
          c.close()
      t = threading.Thread(target=serve)
      t.start()
      print(port, socket.create_connection(("127.0.0.1", port)).recv(9).decode())
      t.join()
      subprocess.run(["true"], check=True)
      d = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
      d.connect(("127.0.0.1", 0))
      u = socket.socket(socket.AF_UNIX)
      u.bind("here.sock")
      print(flush=True)
      # From another thread: it takes the process's id and every other thread ends.
      threading.Thread(target=lambda: os.execv("/bin/cat", ["cat", "read-by-exec"])).start()
      while True: pass
      """)
    let (result, seen) = try Command.trace([Command.python, "t.py"], in: place)
    #expect(result.status == 0)
    let port = result.output.prefix { $0.isNumber }
    #expect(result.output == "\(port) served\n\nx")
    #expect(seen.addresses("connections") == ["127.0.0.1:\(port)"])
    #expect(seen.addresses("listeners") == ["127.0.0.1:\(port)"])
    #expect(seen.strings("localListeners") == [place.path("here.sock")])
    #expect(seen.uses(place.path("read-by-exec")).contains("read"))
    #expect(
      seen.calls("SCMP_ARCH_X86_64").union(seen.calls("SCMP_ARCH_AARCH64")).isSuperset(of: ["listen", "execve", "bind"])
    )
  }

  /// A program may hand the tracer any address, and any number of a call: none may end or mislead it.
  @Test("hostile pointers, numbers and paths", .enabled(if: Command.hasPython, "python3 is not installed"))
  func hostile() throws {
    let place = try Command.Place()
    try place.write(
      "h.py",
      """
      import ctypes, os, mmap
      c = ctypes.CDLL(None)
      for bad in (0, 1, 0xfff, 2**47 - 1, 2**47, 2**63, 2**64 - 1):
          p = ctypes.c_void_p(bad)
          c.open(p, 0); c.openat(-1, p, 0); c.connect(0, p, 2**31 - 1); c.execve(p, p, p); c.sendmsg(0, p, 0)
          c.syscall(437, -100, p, p, 2**40); c.syscall(435, p, 88)
      for number in (-1, 1000, 2**30, 2**31, 511):
          c.syscall(number, 1, 2, 3, 4, 5, 6)
      # A path that runs to the end of its page, and one that never ends.
      m = mmap.mmap(-1, 8192)
      a = ctypes.addressof(ctypes.c_char.from_buffer(m))
      c.munmap(ctypes.c_void_p(a + 4096), 4096)
      ctypes.memset(a, 0x41, 4096)
      c.open(ctypes.c_void_p(a), 0)
      ctypes.memmove(a + 4085, b"/etc/passwd", 11)
      c.open(ctypes.c_void_p(a + 4085), 0)
      for name in (b"bad\\xff", b"new\\nline = \\"x\\"]", b"q\\"uote"):
          open(name, "w").close()
      os.chdir("/")
      print("alive", flush=True)
      os._exit(0)
      """)
    let (result, seen) = try Command.trace([Command.python, "h.py"], in: place)
    #expect(result.status == 0 && result.output == "alive\n", "\(result.error)")
    #expect(seen.strings("notes").contains { $0.contains("not UTF-8") })
    #expect(seen.uses(place.path("new\nline = \"x\"]")).contains("created"))
  }

  #if arch(x86_64)
    @Test(
      "a call of another architecture is recorded as one", .enabled(if: Command.hasPython, "python3 is not installed"))
    func foreign() throws {
      let place = try Command.Place()
      // mov eax, 20; int 0x80; ret: getpid as i386 numbers it.
      try place.write(
        "f.py",
        """
        import ctypes, mmap
        m = mmap.mmap(-1, 4096, prot=7)
        m.write(b"\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3")
        print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))() != 0)
        """)
      let (result, seen) = try Command.trace([Command.python, "f.py"], in: place)
      // A kernel may be without i386; then the call fails there as here.
      #expect(result.status == 0 || result.status == 139)
      if result.status == 0 { #expect(seen.calls("SCMP_ARCH_X86") == ["getpid"]) }
    }
  #endif

  /// Three signals are never too few, whatever the program makes of the first: threads of a test process block most, and so do their
  /// children.
  @Test("signals to the tracer end the program, and what was seen is written")
  func interrupted() throws {
    let place = try Command.Place()
    let script = """
      \(Command.path) trace -q -o p.toml -- sh -c 'echo x > made; while :; do :; done' & tracer=$!
      while [ ! -s made ]; do :; done
      kill -INT $tracer; kill -TERM $tracer; kill -HUP $tracer; wait $tracer; echo $?
      """
    // A shell's background program ignores SIGINT, but not with job control.
    let result = try Command.run(["bash", "-mc", script], in: place)
    #expect(["129\n", "130\n", "137\n", "143\n"].contains(result.output), "\(result)")
    #expect(try place.text("p.toml").contains("it made \"\(place.path("made"))\""))
  }
}
