import ChildProcesses
import Foundation
import Testing

/// Folders of the host behind walls that serve them in ways of their own: what the code sees of them and what is left on the host is the same
/// behind both. The workspace itself is WorkspaceTests' matter.
@Suite(.enabled(if: Immure.isRoot && Immure.isBuilt, "wants root and IMMURE_BIN with immure"))
struct FolderTests {
  private static let work = """
    ls -l | sed 's/ [A-Z][a-z][a-z] .*:.. / /'; echo x > b; echo changed >> a; rm g; mkdir n; echo 1 > n/1; mv d/x d/y
    rm l; ln -s b l; chmod 700 n; mkfifo p; ln b c; rm -r d; mkdir d; echo opaque > d/z; cat a b l n/1
    stat -c '%n %a %F %h' *; touch -d 2001-02-03T00:00:00Z b; python3 -c '
    import mmap
    with open("a", "r+b") as f, mmap.mmap(f.fileno(), 0) as m: m[0:1] = b"H"
    open("big", "wb").write(b"x" * 3000000)
    ' ; cmp a c; true
    """

  /// $W is the wall, $B the command with its root, $D a new folder.
  private static let prelude = """
    umask 022; mkdir -p "$D/d"; cd "$D"; echo hello > a; echo gone > g; echo deep > d/x; ln -s a l; chmod 640 d/x
    state() { find "$D" -mindepth 1 -printf '%P %y %m %u %s %l\\n' | grep -v '^d d\\|^n d' | sort; cat "$D/a"; }

    """

  static let cases: [(name: String, script: String, wanted: [String])] = [
    (
      "a volume",
      """
      $B run --quiet --wall $W --rm -v "$D:/work" -w /work -- sh -c "$WORK"; state; stat -c %y b
      """,
      [
        "b 644 regular file 2", "l l 777 root 1 b",
        "2001-02-03 00:00:00.000000000 +0000", "Hello", "big f 644 root 3000000 ", "p p 644 root 0 ",
      ]
    ),
    (
      "a volume for reading",
      """
      $B run --quiet --wall $W --rm -v "$D:/work:ro" -w /work -- sh -c 'cat a; echo x > b; rm a; mv a b; touch a; mkdir x'; state
      """, ["hello", "a f 644 root 6 "]
    ),
    (
      "a workspace, looked at and applied",
      """
      $B run --quiet --wall $W --rm --workspace "$D" --name w -- sh -c "$WORK"; state
      $B workspace diff w; $B workspace apply w; state
      """,
      ["hello", "Hello", "+changed", "D  d/x", "M  l -> b", "   p: a named pipe is never applied", "b f 644 root 2 "]
    ),
    (
      "a workspace, discarded",
      """
      $B run --quiet --wall $W --rm --workspace "$D" --name w -- sh -c "$WORK"; $B workspace discard w; state
      """, ["hello", "g f 644 root 5 "]
    ),
    (
      "a workspace that applies itself, or not",
      """
      $B run --quiet --wall $W --rm --workspace "$D:apply" --name v -- sh -c 'echo no > a; exit 3'; echo $?; cat a
      $B workspace discard v
      $B run --quiet --wall $W --rm --workspace "$D:apply" --name w -- sh -c 'echo yes > a'; echo $?; cat a
      """, ["3", "hello", "0", "yes"]
    ),
  ]

  @Test(arguments: cases.indices)
  func theSameBehindBothWalls(index: Int) throws {
    let item = Self.cases[index]
    var outputs: [[String]] = []
    for wall in ["container", "sentry"] {
      let immure = Immure()
      let folder = immure.root.path + "/folder"
      let result = try Immure.command(
        ["sh", "-c", Self.prelude + item.script],
        environment: [
          "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
          "B": "\(Immure.path) --root \(immure.root.path)/state",
          "W": wall, "D": folder, "WORK": Self.work, "LC_ALL": "C", "TZ": "UTC",
          "LD_LIBRARY_PATH": ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"] ?? "",
        ])
      let lines = result.output.split(separator: "\n").map(String.init)
      for line in item.wanted {
        #expect(lines.contains(line), "\(item.name), \(wall): \(line)\n\(result.output)\(result.error)")
      }
      outputs.append(lines)
    }
    #expect(outputs[0] == outputs[1], "\(item.name)")
  }

  /// The program's threads move and exchange the folders that others walk through, and what lies above the folder on the host is never reached.
  @Test(
    .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/musl-gcc"), "musl-tools is not installed"),
    arguments: ["container", "sentry"])
  func noWalkLeavesAFolder(wall: String) throws {
    let immure = Immure()
    let place = immure.root.path + "/place"
    try FileManager.default.createDirectory(atPath: place + "/granted", withIntermediateDirectories: true)
    try Data("outside".utf8).write(to: URL(fileURLWithPath: place + "/canary"))
    let source =
      URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
      + "/SentryPrograms/files/renames.c"
    let made = try Immure.command([
      "musl-gcc", "-static", "-idirafter", "/usr/include", "-idirafter", "/usr/include/x86_64-linux-gnu", "-o",
      place + "/granted/renames", source,
    ])
    try #require(made.status == 0, "\(made.error)")
    let result = try immure(
      "run", "--quiet", "--rm", "--wall", wall, "-v", place + "/granted:/data", "--", "/data/renames", "/data")
    #expect(result.status == 0 && result.output.split(separator: "\n").count == 3, "\(result.output)\(result.error)")
    #expect(!result.output.contains("FAIL"))
    #expect(try String(contentsOfFile: place + "/canary", encoding: .utf8) == "outside")
  }
}
