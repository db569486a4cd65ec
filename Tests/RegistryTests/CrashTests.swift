import Foundation
import Testing

/// The store after commands that were killed, and after a disk that was full: the next command understands what is left and clears it.
@Suite(.enabled(if: FrontCommand.isBuilt, FrontCommand.whyNot), .whileTheSuiteRuns)
struct CrashTests {
  let front = FrontCommand()
  static let folders = ["layers", "merged", "names", "blobs/sha256", "incoming", "locks", "partial", "views"]

  /// Tests/Fixtures/escapes/attack.c, whose `walk` kills a command, or a process that it started, at its Nth system call.
  private static let walker: Data? = {
    let output = NSTemporaryDirectory() + "immure-walker-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: output) }
    let source = Server.fixture("escapes/attack.c")
    guard let built = try? FrontCommand.run(["cc", "-static", "-O2", "-o", output, source]), built.status == 0 else {
      return nil
    }
    return FileManager.default.contents(atPath: output)
  }()
  private static let canWalk = FrontCommand.has("cc")

  private func path(_ name: String) -> String { front.scratch.path + "/" + name }

  private func makeLayer() throws {
    try front.shell(
      """
      mkdir -p tree/a/b && head -c 700000 /dev/urandom > tree/a/big && echo small > tree/a/b/small && ln tree/a/big tree/a/again
      ln -s big tree/a/link && tar -C tree -cf root.tar . && gzip -kn root.tar
      """)
  }

  /// Every point where there is time, or so many spread over them; else some that another run may miss: the seed is printed, and can be
  /// given.
  private func points(upTo count: Int, _ what: String, few: Int = 10, many: Int = .max) -> [Int] {
    let isAll = ProcessInfo.processInfo.environment["IMMURE_TEST_ALL"] == "1"
    if isAll, count <= many { return Array(1...count) }
    let given = ProcessInfo.processInfo.environment["IMMURE_TEST_SEED"].flatMap { UInt64($0) }
    var state = given ?? UInt64.random(in: 1...UInt64(UInt32.max))
    print("killed at system calls of \(what): IMMURE_TEST_SEED=\(state)")
    if isAll {
      let step = (count + many - 1) / many
      return Array(stride(from: 1 + Int(state % UInt64(step)), through: count, by: step))
    }
    return (0..<few).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return 1 + Int((state >> 33) % UInt64(count))
    }
  }

  private func makeWalker() throws {
    try #require(Self.walker, "the walker could not be compiled").write(to: URL(fileURLWithPath: path("built")))
    // A file that this process wrote may still be open in a child of another test, and is then too busy to run.
    try front.shell("install -m 755 built walker")
  }

  private func walk(at call: Int, _ victim: String, _ words: [String]) throws -> (calls: Int, status: Int32) {
    let result = try FrontCommand.run(
      [path("walker"), "walk", "\(call)", victim, path("report"), FrontCommand.path, "--root", front.root] + words)
    let report = try String(contentsOfFile: path("report"), encoding: .utf8)
    return (Int(report.prefix { $0 != " " }) ?? 0, result.status)
  }

  /// Nothing but what a whole import leaves; then nothing at all.
  private func expectWhole(_ command: [String], _ name: String, _ when: String) throws {
    let again = try FrontCommand.run([FrontCommand.path, "--root", front.root] + command)
    #expect(again.status == 0, "\(when): \(again.error)")
    let check = try front("image", "fsck")
    #expect(check.status == 0, "\(when): \(check.output)\(check.error)")
    #expect(front.entries("layers").count == 1 && front.entries("merged").count == 1, "\(when)")
    let removed = try front("rmi", name)
    #expect(removed.status == 0, "\(when): \(removed.error)")
    for folder in Self.folders {
      #expect(front.entries(folder).isEmpty, "\(when): \(folder): \(front.entries(folder))")
    }
  }

  /// The one that takes the layer in dies, be it the command, its worker or what it starts.
  @Test(.enabled(if: canWalk, "wants cc"), arguments: ["import", "load"], ["maker", "command"])
  func killedAtAnySystemCall(_ verb: String, _ victim: String) throws {
    try makeLayer()
    try makeWalker()
    var command = ["import", path("root.tar.gz"), "some/image:1"]
    if verb == "load" {
      #expect(try FrontCommand.run([FrontCommand.path, "--root", front.root] + command).status == 0)
      #expect(try front("save", "-o", path("saved.tar"), "some/image:1").status == 0)
      #expect(try front("rmi", "some/image:1").status == 0)
      command = ["load", "-q", path("saved.tar")]
    }
    let whole = try walk(at: 0, victim, command)
    #expect(whole.status == 0 && whole.calls > 50)
    try expectWhole(command, "some/image:1", "not killed")
    try killed(at: points(upTo: whole.calls, verb), victim, command, "some/image:1")
  }

  /// A download from a registry, whose threads and connections make the calls come in another order each time.
  @Test(.enabled(if: canWalk, "wants cc"), arguments: ["maker", "command"])
  func aPullKilledAtAnySystemCall(_ victim: String) throws {
    let server = try Server(["python3", Server.fixture("registry.py")])
    let name = "127.0.0.1:\(server.announced)/large"
    try makeWalker()
    let command = ["pull", "-q", "--retry", "0", name]
    let whole = try walk(at: 0, victim, command)
    #expect(whole.status == 0 && whole.calls > 200)
    try expectWhole(command, name, "not killed")
    try killed(at: points(upTo: whole.calls, "pull", few: 6, many: 400), victim, command, name)
    _ = try server.end()
  }

  /// Killed between having the layer and removing the part of it that was kept: the next pull, of whatever, removes it.
  @Test func aPartWhoseLayerIsThereGoes() throws {
    let server = try Server(["python3", Server.fixture("registry.py")])
    let name = "127.0.0.1:\(server.announced)/large"
    #expect(try front("pull", "-q", name).status == 0)
    let layer = try #require(front.entries("layers").first)
    try front.shell(
      "printf part > '\(front.store)/partial/\(layer)'; printf other > '\(front.store)/partial/\(String(layer.reversed()))'"
    )
    #expect(try front("pull", "-q", name).status == 0)
    // That of a layer which is not there is still somebody's.
    #expect(front.entries("partial") == [String(layer.reversed())])
    _ = try server.end()
  }

  private func killed(at points: [Int], _ victim: String, _ command: [String], _ name: String) throws {
    for point in points {
      let when = "\(command[0]) killed at call \(point) (\(victim))"
      let killed = try walk(at: point, victim, command)
      // What it left is no image that is half there.
      let listed = try front("images", "-q")
      #expect(listed.status == 0, "\(when): \(listed.error)")
      if !listed.output.isEmpty { #expect(try front("image", "inspect", name).status == 0, "\(when)") }
      #expect(killed.status != 125)
      try expectWhole(command, name, when)
    }
  }

  /// Whoever makes an image visible: what is left is a view, or nothing that the next command does not clear.
  @Test(
    .enabled(if: canWalk && FrontCommand.isRoot, "wants cc and root"), arguments: ["", "unpack"], ["maker", "command"])
  func mountingKilledAtAnySystemCall(_ rung: String, _ victim: String) throws {
    try makeLayer()
    try makeWalker()
    try front.shell(
      """
      cat > mounting.sh <<'END'
      export IMMURE_IMAGE_MOUNT=\(rung)
      front() { '\(FrontCommand.path)' --root '\(front.root)' "$@"; }
      front import root.tar.gz x > /dev/null || exit 1
      for point; do
        ./walker walk $point \(victim) report '\(FrontCommand.path)' --root '\(front.root)' image mount -q x > first 2>&1
        [ $point = 0 ] && cut -d ' ' -f 1 report
        front images -q > /dev/null || echo $point: images
        [ "$(cat "$(front image mount -q x)/a/b/small")" = small ] || echo $point: small
        front image fsck > /dev/null || echo $point: fsck
        front image unmount x > /dev/null || echo $point: unmount
        for folder in views incoming locks; do ls root/images/$folder; done | grep -v '^image-' | sed "s/^/$point: left /"
        grep -F root/images/views /proc/self/mountinfo
      done
      front rmi x | grep -qx 'removed x:latest' || echo rmi
      ls root/images/layers root/images/merged | grep -v : | tr -d '\\n'
      END
      """)
    func run(_ points: [Int]) throws -> String {
      try front.shell(
        "unshare -m --propagation private bash mounting.sh \(points.map(String.init).joined(separator: " ")) 2>&1")
    }
    let counted = try run([0])
    let calls = try #require(Int(counted.trimmingCharacters(in: .newlines)), "\(counted)")
    let points = points(upTo: calls, "image mount", few: 6, many: 400)
    #expect(calls > 100)
    // Few for one shell, whose time is bounded.
    for start in stride(from: 0, to: points.count, by: 6) {
      let some = Array(points[start..<min(start + 6, points.count)])
      let said = try run(some)
      #expect(said == "", "\(calls) calls: \(some): \(said)")
    }
  }

  /// The writer of a copy lives on for a while when its command is killed, and nobody clears the folder under its hands.
  @Test(.enabled(if: canWalk && FrontCommand.isRoot, "wants cc and root"))
  func whatAWriterStillFillsIsLeftAlone() throws {
    try makeLayer()
    try makeWalker()
    let symlinkat = 266
    let said = try front.shell(
      """
      export IMMURE_IMAGE_MOUNT=unpack
      front() { '\(FrontCommand.path)' --root '\(front.root)' "$@"; }
      front import root.tar.gz x > /dev/null
      mkfifo gate said
      ./walker hold \(symlinkat) '\(FrontCommand.path)' --root '\(front.root)' image mount -q x < gate > said & walker=$!
      exec 8> gate
      read -r word < said
      echo "$word"
      front image fsck > /dev/null && ls root/images/incoming | wc -l
      exec 8>&-
      wait $walker
      cat "$(front image mount -q x)/a/b/small"
      front image unmount x > /dev/null
      ls root/images/incoming | wc -l
      """)
    #expect(said == "held\n1\nsmall\n0\n")
  }

  /// The disk fills at some byte of what a pull writes: the part, the image, the headers, documents, metadata.
  @Test(
    .enabled(if: FrontCommand.isRoot, FrontCommand.notRoot),
    arguments: [40, 400, 1500, 2980, 3040, 4500, 5960, 6040, 6100, 9000])
  func aPullOntoAFullDisk(_ kibibytes: Int) throws {
    let server = try Server(["python3", Server.fixture("registry.py")])
    let name = "127.0.0.1:\(server.announced)/large"
    let said = try front.shell(
      """
      mkdir small
      cat > full.sh <<'END'
      mount -t tmpfs -o size=\(kibibytes)k,nr_inodes=60 none small
      front() { '\(FrontCommand.path)' --root small/root "$@"; }
      front pull -q --retry 0 \(name) >/dev/null 2>errors && echo pulled || echo refused
      grep -v 'No space left on device' errors; [ $(wc -l < errors) -le 1 ] || echo lines
      mount -o remount,size=64m small
      front images -q | wc -l
      front pull -q \(name) >/dev/null && front image fsck >/dev/null && echo whole
      front rmi \(name) >/dev/null
      cd small/root/images && ls layers merged names blobs/sha256 incoming locks partial 2>/dev/null | grep -v : | tr -d '\\n'
      END
      unshare -m bash full.sh
      """)
    #expect(said == "refused\n0\nwhole\n" || said == "pulled\n1\nwhole\n", "\(kibibytes) KiB: \(said)")
    if kibibytes < 3000 { #expect(said.hasPrefix("refused")) }
    if kibibytes > 8000 { #expect(said.hasPrefix("pulled")) }
  }

  /// Whatever it is that no longer fits: the image, the headers, a record, metadata over the layers.
  @Test(.enabled(if: FrontCommand.isRoot, FrontCommand.notRoot), arguments: [40, 200, 700, 760, 800, 1000, 2000])
  func aFullDisk(_ kibibytes: Int) throws {
    try makeLayer()
    let said = try front.shell(
      """
      mkdir small
      cat > full.sh <<'END'
      mount -t tmpfs -o size=\(kibibytes)k,nr_inodes=60 none small
      front() { '\(FrontCommand.path)' --root small/root "$@"; }
      front import root.tar.gz x >/dev/null 2>errors && echo imported || echo refused
      grep -v 'No space left on device' errors | grep -v 'immure: layer [0-9a-f]* ' || :
      mount -o remount,size=64m small
      front images -q | wc -l
      front import root.tar.gz x >/dev/null 2>&1 && front image fsck >/dev/null && echo whole
      front rmi x >/dev/null
      cd small/root/images && ls layers merged names blobs/sha256 incoming locks | grep -v : | tr -d '\\n'
      END
      unshare -m bash full.sh
      """)
    #expect(said == "refused\n0\nwhole\n" || said == "imported\n1\nwhole\n", "\(kibibytes) KiB: \(said)")
    if kibibytes < 700 { #expect(said.hasPrefix("refused")) }
  }
}
