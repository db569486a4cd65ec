import ChildProcesses
import Foundation
import Testing

/// A program is traced, and does the same behind the policy and the profile that were written.
@Suite(
  "What was traced runs behind its policy", .enabled(if: Command.isBuilt, Command.whyNot),
  .enabled(if: Command.isRoot, Command.whyNotRoot), .timeLimit(.minutes(60)))
struct RoundTripTests {
  static let server = """
    import socket, threading
    s = socket.create_server(("127.0.0.1", 0))
    def serve():
        c, _ = s.accept()
        c.sendall(b"served")
        c.close()
    t = threading.Thread(target=serve)
    t.start()
    print(socket.create_connection(s.getsockname()).recv(9).decode())
    t.join()
    """
  static let threads = """
    import threading
    found = []
    lock = threading.Lock()
    def read(n):
        with lock:
            found.append((n, len(open("/etc/passwd").read()) > 0))
    threads = [threading.Thread(target=read, args=(n,)) for n in range(12)]
    for t in threads: t.start()
    for t in threads: t.join()
    print(sorted(found))
    """

  static let programs: [(name: String, words: [String])] = [
    ("a file", ["cat", "data/in.txt"]),
    (
      "a pipeline that writes",
      [
        "sh", "-c",
        "cat data/in.txt | tr a-z A-Z > out.txt; mkdir -p build/x; echo y > build/x/y; cat out.txt build/x/y",
      ]
    ),
    (
      "twenty children",
      [
        "sh", "-c",
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do (echo $i > /tmp/immure-trace-$$-$i; cat /tmp/immure-trace-$$-$i; rm /tmp/immure-trace-$$-$i) & wait; done",
      ]
    ),
    ("one that is killed", ["sh", "-c", "echo before; kill -9 $$"]),
    ("a failure", ["sh", "-c", "cat /no/such/file; exit 7"]),
    (
      "a daemon",
      ["sh", "-c", "(setsid sh -c 'exec >&- 2>&-; echo x > late' &); while [ ! -s late ]; do :; done; cat late"]
    ),
    ("a file elsewhere", ["cat", "ELSEWHERE/one"]),
    ("a server on loopback", [Command.python, "server.py"]), ("threads", [Command.python, "threads.py"]),
  ]

  @Test("the same output and status, twice", arguments: programs.map(\.name))
  func same(_ name: String) throws {
    let place = try Command.Place()
    let elsewhere = try Command.Place()
    let root = try Command.Place()
    defer { _ = try? Command.run([Command.path, "--root", root.folder, "rm", "-f", "--all"], in: place) }
    let program = try #require(Self.programs.first { $0.name == name })
    if program.words[0] == Command.python && !Command.hasPython { return }
    let words = program.words.map { $0.replacingOccurrences(of: "ELSEWHERE", with: elsewhere.folder) }
    try FileManager.default.createDirectory(atPath: place.path("data"), withIntermediateDirectories: true)
    try place.write("data/in.txt", "hello\n")
    try place.write("server.py", Self.server)
    try place.write("threads.py", Self.threads)
    try elsewhere.write("one", "one\n")
    try elsewhere.write("two", "two\n")

    let traced = try Command.run(
      [Command.path, "trace", "-q", "-o", "p.toml", "--seccomp", "p.json", "--"] + words, in: place)
    // A second time over what the first left behind would be another run.
    for made in ["out.txt", "build", "late"] { try? FileManager.default.removeItem(atPath: place.path(made)) }
    func run(_ words: [String]) throws -> Command.Result {
      try Command.run(
        [Command.path, "--root", root.folder, "run", "--rm", "-q", "--policy", "./p.toml", "--"] + words, in: place)
    }
    let behind = try run(words)
    let policy = try place.text("p.toml")
    #expect(behind.status == traced.status && behind.output == traced.output, "\(behind.error)\n\(policy)")
    #expect(behind.error == traced.error)

    // A call that it did not make is refused in the box too: another personality.
    let refused = try run(["setarch", "-R", "true"])
    #expect(refused.status != 0 && refused.error.contains("not permitted"), "\(refused)")
    if name == "a file elsewhere" {
      // Its neighbour was not read and is not there.
      #expect(try run(["cat", elsewhere.path("two")]).status == 1)
    }
  }

  /// The program reads a secret; a policy that granted it would hand it to whoever the policy is used for next.
  @Test("a secret is neither given nor shown by the folder around it")
  func secret() throws {
    let place = try Command.Place()
    let root = try Command.Place()
    defer { _ = try? Command.run([Command.path, "--root", root.folder, "rm", "-f", "--all"], in: place) }
    try FileManager.default.createDirectory(atPath: place.path("home/.ssh"), withIntermediateDirectories: true)
    try place.write("home/.ssh/id_rsa", "secret one\n")
    try place.write(".env", "secret two\n")
    try place.write("plain", "plain\n")
    let words = ["sh", "-c", "cat home/.ssh/id_rsa .env plain"]
    let traced = try Command.run(
      [Command.path, "trace", "-o", "p.toml", "--"] + words, in: place, environment: ["HOME": place.path("home")])
    #expect(traced.output == "secret one\nsecret two\nplain\n")
    #expect(
      traced.error.contains("id_rsa\" looks like a secret") && traced.error.contains(".env\" looks like a secret"))
    let behind = try Command.run(
      [Command.path, "--root", root.folder, "run", "--rm", "-q", "--policy", "./p.toml", "--"] + words, in: place)
    let policy = try place.text("p.toml")
    #expect(!behind.output.contains("secret") && behind.output.contains("plain"), "\(policy)")
  }
}
