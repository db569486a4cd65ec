import ChildProcesses
import Foundation
import Testing

/// Images that are mounted and not unpacked, from the outside, on every rung of the ladder.
@Suite(
  .enabled(if: Immure.isBuilt && Immure.isRoot && Immure.hasFront, Immure.whyNoFront),
  .enabled(
    if: FileManager.default.isExecutableFile(atPath: "/bin/busybox")
      && FileManager.default.isExecutableFile(atPath: "/usr/bin/python3"), "wants busybox and python3 to make an image"),
  .timeLimit(.minutes(60)))
struct ImageMountTests {
  let station = Immure()
  private var root: String { station.root.path }
  private var image: String { "oci:\(root)/image:1" }

  private func prepare() throws {
    let fixture =
      URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
      + "/Fixtures/merged.py"
    try #require(try Immure.command(["python3", fixture, root + "/image"]).status == 0)
    let pulled = try station("pull", "-q", image)
    try #require(pulled.status == 0, "\(pulled.error)")
  }

  private func run(_ words: [String], rung: String? = nil) throws -> Immure.Result {
    var environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"]
    if let rung { environment["IMMURE_IMAGE_MOUNT"] = rung }
    return try Immure.run(["--root", root] + words, environment: environment, seconds: 60)
  }

  /// Whether the kernel takes this rung here.
  private func has(_ rung: String) throws -> Bool {
    let doctor = try run(["doctor"], rung: rung)
    return doctor.output.contains("EROFS from") || rung == "unpack"
  }

  private static let look = """
    id -u; cd /; find . -xdev | sort | while IFS= read -r f; do
    case $f in .|./etc|./etc/host*|./etc/resolv*|./dev|./tmp|./proc|./sys) continue;; esac
    if [ -d "$f" ] && [ ! -L "$f" ]; then stat -c '%n %f %u %g %Y' "$f"
    else stat -c '%n %f %u %g %s %Y %t:%T %N' "$f"; [ -f "$f" ] && [ ! -L "$f" ] && md5sum < "$f"; fi; done 2> /dev/null
    [ links/first -ef links/second ] && echo one file
    """

  /// Every rung shows the very same files to a box.
  @Test(arguments: ["container", "jail"])
  func everyRungShowsTheSame(wall: String) throws {
    try prepare()
    var shown: [String: [Substring]] = [:]
    for rung in ["unpack", "file", "loop"] where try has(rung) {
      let result = try run(["run", "--rm", "--wall", wall, image, "sh", "-c", Self.look], rung: rung)
      #expect(result.status == 0, "\(rung): \(result.error)")
      // A jail has a user id of its own each time.
      let lines = result.output.split(separator: "\n")
      let own = lines.first ?? ""
      shown[rung] = lines.dropFirst().map {
        own == "0" ? $0 : Substring($0.replacingOccurrences(of: " \(own)", with: " own"))
      }
    }
    let expected = try #require(shown["unpack"])
    #expect(expected.count > (wall == "jail" ? 50 : 150))
    for (rung, lines) in shown {
      for line in Set(expected).symmetricDifference(lines) { Issue.record("\(rung) differs: \(line)") }
    }
  }

  /// The sentry reads an image by itself, and shows what the kernel does: to whoever may do all, and to users who may do some.
  @Test func theSentryShowsTheSame() throws {
    try prepare()
    let rungs = try ["file", "loop"].filter(has)
    guard let first = rungs.first else { return }
    for user in ["0:0", "1000:1000", "7:8"] {
      // A user's reading is told with what is refused.
      let script =
        Self.look + "\nfor f in modes/busybox-own modes/none merged/both merged/top; do cat $f 2>&1 | md5sum; done"
        + "\nmodes/busybox-own echo run 2>&1; echo $?; find modes/closed 2>&1"
      let kernels = try run(["run", "--rm", "--user", user, image, "sh", "-c", script], rung: first)
      let expected = kernels.output.split(separator: "\n")
      #expect(expected.count > 100, "\(user): \(kernels.error)")
      #expect(expected.contains("run") == (user != "7:8"))
      for rung in rungs {
        let own = try run(["run", "--rm", "--wall", "sentry", "--user", user, image, "sh", "-c", script], rung: rung)
        let lines = own.output.split(separator: "\n")
        for line in Set(expected).symmetricDifference(lines) { Issue.record("\(user), \(rung) differs: \(line)") }
        #expect(own.error == kernels.error)
      }
    }
  }

  /// A box learns nothing of the host's store from its mounts, and reaches no block device, read-only or not; the root is the image's
  /// own mount only where nothing is written to it.
  @Test(arguments: ["file", "loop"], [[], ["--read-only"]])
  func aBoxSeesNoPathAndNoDevice(rung: String, options: [String]) throws {
    try prepare()
    guard try has(rung) else { return }
    let script = """
      cat /proc/self/mountinfo /proc/mounts; ls /dev/loop* /dev/loop-control 2>&1
      for n in 0 1 2 3 4 5 6 7; do cat /sys/block/loop$n/loop/backing_file; done 2> /dev/null
      touch /made 2> /dev/null && echo written; true
      """
    let result = try run(["run", "--rm"] + options + [image, "sh", "-c", script], rung: rung)
    #expect(result.status == 0, "\(result.error)")
    #expect(result.output.contains("written") == options.isEmpty)
    for word in [".erofs", "/images/", "/dev/loop"] {
      let lines = result.output.split(separator: "\n").filter { $0.contains(word) && !$0.contains("ls: ") }
      #expect(lines.isEmpty, "\(word): \(lines)")
    }
  }

  /// The monitor's pid.
  private func monitor(_ name: String) throws -> String {
    let inspected = try station("inspect", name).output
    let found = try #require(inspected.range(of: #""supervisorPid": [0-9]+"#, options: .regularExpression))
    return String(inspected[found].split(separator: " ")[1])
  }

  /// The devices of the EROFS mounts that a box's monitor keeps.
  private func keptMounts(_ name: String) throws -> [String] {
    let supervisor = try monitor(name)
    let script =
      "for fd in /proc/\(supervisor)/fd/*; do [ \"$(stat -f -L -c %t $fd)\" = e0f5e1e2 ] && stat -L -c %d $fd; done; true"
    let found = try Immure.command(["sh", "-c", script])
    return found.output.split(separator: "\n").map(String.init)
  }

  /// Prints the files of ours that loop devices have; by their inodes, for the devices tell no path.
  private var findLoops: String {
    "for i in $(/sbin/losetup -n -O BACK-INO 2> /dev/null); do find \(root)/images -inum $i; done"
  }
  private var loops: String { (try? Immure.command(["sh", "-c", findLoops]).output) ?? "?" }
  private var mounts: String {
    (try? Immure.command(["sh", "-c", "grep -F \(root) /proc/self/mountinfo; true"]).output) ?? "?"
  }

  /// Two boxes of one image have one file system below them, so what they read is in memory once; another start after the first has
  /// ended finds the second's.
  @Test func boxesOfOneImageShareAMount() throws {
    try prepare()
    guard try has("file") || has("loop") else { return }
    for name in ["a", "b"] {
      let started = try station("run", "-d", "--name", name, image, "sleep", "1000")
      #expect(started.status == 0, "\(started.error)")
    }
    let first = try keptMounts("a")
    #expect(first.count == 1)
    #expect(try keptMounts("b") == first)
    #expect(try station("rm", "-f", "a").status == 0)
    #expect(try station("run", "-d", "--name", "c", image, "sleep", "1000").status == 0)
    #expect(try keptMounts("c") == first)
    #expect(try station("rm", "-f", "b", "c").status == 0)
  }

  /// Mounts and loop devices are held by descriptors only: whoever is killed, nothing is left on the machine.
  @Test(arguments: ["file", "loop"])
  func killedMonitorsLeaveNothing(rung: String) throws {
    try prepare()
    guard try has(rung) else { return }
    #expect(mounts == "")
    let started = try run(["run", "-d", "--name", "a", image, "sleep", "1000"], rung: rung)
    #expect(started.status == 0, "\(started.error)")
    #expect(mounts == "")
    #expect(loops.isEmpty == (rung == "file"))
    let killed = try Immure.command(["kill", "-9", try monitor("a")])
    #expect(killed.status == 0, "\(killed.error)")
    #expect(try station("rm", "-f", "a").status == 0)
    let gone = try Immure.command([
      "sh", "-c",
      "for n in $(seq 1200); do [ -n \"$(\(findLoops))\" ] || exit 0; sleep 0.1; done; exit 1",
    ])
    #expect(gone.status == 0, "\(loops)")
    #expect(mounts == "")
  }

  @Test func anotherWordForARungIsRefused() throws {
    let result = try run(["run", "--rm", "oci:/nowhere:1", "true"], rung: "fuse")
    #expect(result.status == 125)
    let doctor = try run(["doctor"], rung: "fuse")
    #expect(doctor.output.contains("there are file, loop and unpack"))
  }
}
