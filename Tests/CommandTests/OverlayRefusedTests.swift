import ChildProcesses
import Foundation
import Testing

/// Where the kernel refuses an overlay of an image's layers. It is really refused: in a mount namespace of the test's own the topmost
/// layer's folder is the one below it once more (ELOOP, "conflicting lowerdir path"), which shows nothing else than the layers themselves.
@Suite(
  .enabled(if: Caller.canBeAnybody && Immure.hasFront, Caller.whyNotAnybody),
  .enabled(
    if: FileManager.default.isExecutableFile(atPath: "/bin/busybox")
      && FileManager.default.isExecutableFile(atPath: "/usr/bin/python3"), "wants busybox and python3 to make an image"),
  .timeLimit(.minutes(60)))
struct OverlayRefusedTests {
  let station = Immure()
  private var root: String { station.root.path }

  /// Pulls the image as the caller; returns the two folders of which one is to stand for the other.
  private func prepare(_ caller: Caller) throws -> (top: String, over: String) {
    let fixture =
      URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
      + "/Fixtures/merged.py"
    let made = try Immure.command(["python3", fixture, root + "/image"])
    let digests = made.output.split(whereSeparator: \.isWhitespace)
    try #require(digests.count == 2, "\(made.error)")
    _ = try Immure.command([
      "sh", "-c", "chmod -R a+rX \(root)/image && mkdir \(root)/state && chown \(caller.owner) \(root)/state",
    ])
    #expect(Caller.hasFrontBeside)
    let pulled = try Immure.command(
      caller.words + [Caller.executable, "--root", root + "/state", "pull", "-q", "oci:\(root)/image:1"])
    #expect(pulled.status == 0, "\(pulled.error)")
    // Layers become folders at their first use.
    let first = try run(caller, ["run", "--wall", "container", "oci:\(root)/image:1", "true"], refused: nil)
    #expect(first.status == 0, "\(first.error)")
    let layers = root + "/state/images/layers/"
    return (layers + digests[0] + "/tree/diff", layers + digests[1] + "/tree/diff")
  }

  private func run(
    _ caller: Caller, _ words: [String], refused: (top: String, over: String)?, before: String = ""
  ) throws -> Immure.Result {
    // Images that are mounted as they are have no layers to overlay.
    let command =
      caller.words + ["env", "IMMURE_IMAGE_MOUNT=unpack", Caller.executable, "--root", root + "/state"] + words
    guard let refused else { return try Immure.command(command, seconds: 60) }
    let script = "mount --bind \(refused.top) \(refused.over) && \(before) exec \"$@\""
    return try Immure.command(["unshare", "-m", "sh", "-c", script, "sh"] + command, seconds: 60)
  }

  private func end(_ caller: Caller) throws {
    _ = try Immure.command(caller.words + [Caller.executable, "--root", root + "/state", "rm", "-f", "--all"])
    let left = try Immure.command(["sh", "-c", "ls \(root)/state/sandboxes"])
    #expect(left.output == "", "\(left.output)")
    // A user's layers are his subordinate ids': rm of the test's own folder is root's.
    _ = try Immure.command(["rm", "-rf", root + "/state"])
  }

  /// Everything that can be looked at of every file; sizes of folders and the times of what the box itself makes are not the image's.
  private static let look = """
    cd /; find . -xdev | sort | while IFS= read -r f; do
    case $f in .|./etc|./etc/host*|./etc/resolv*|./dev|./tmp|./proc|./sys) continue;; esac
    if [ -d "$f" ] && [ ! -L "$f" ]; then stat -c '%n %f %u %g %Y' "$f"
    else stat -c '%n %f %u %g %s %Y %t:%T %N' "$f"; [ -f "$f" ] && [ ! -L "$f" ] && md5sum < "$f"; fi; done 2> /dev/null
    [ links/first -ef links/second ] && [ links/first -ef links/in/third ] && echo one file
    """

  /// The whole defence is that nothing is shown which an upper layer hides, and nothing loses or gains a right: whiteouts, opaque and
  /// merged folders, files over folders and the reverse, setuid, owners, hard links, links that lead out, odd names, depth.
  @Test(arguments: [(Caller.root, []), (.user, []), (.root, ["--userns", "host"])])
  func aCopyShowsWhatAnOverlayShows(caller: Caller, options: [String]) throws {
    let refused = try prepare(caller)
    let words = ["run", "--wall", "container"] + options + ["oci:\(root)/image:1", "sh", "-c", Self.look]
    let overlaid = try run(caller, words, refused: nil)
    let copied = try run(caller, words, refused: refused)
    #expect(overlaid.status == 0 && !overlaid.error.contains("overlayfs"), "\(overlaid.error)")
    #expect(copied.status == 0 && copied.error.contains("the image was copied into memory"), "\(copied.error)")
    // A device cannot be made in a user namespace; through an overlay it opens nothing.
    let expected = overlaid.output.split(separator: "\n").filter {
      caller == .user || !options.isEmpty || !$0.hasPrefix("./modes/null")
    }
    let found = copied.output.split(separator: "\n").map { $0 }
    #expect(expected.count > 150 && found.contains("one file"))
    #expect(!copied.output.contains("gone") && copied.output.contains("./modes/setuid 89ed"))
    for line in Set(expected).symmetricDifference(found) { Issue.record("differs: \(line)") }
    try end(caller)
  }

  /// A jail is not root and its image's owner at once: what belongs to others shows as far as they let everybody.
  @Test func aJailsImageIsCopiedToo() throws {
    let refused = try prepare(.root)
    let script = """
      cat /links/second; ls /whiteout /opaque; touch /modes/new /new && echo writes; echo x > /modes/null || echo no device
      cat /merged/both || echo not mine
      """
    let words = ["run", "--wall", "jail", "oci:\(root)/image:1", "sh", "-c", script]
    let overlaid = try run(.root, words, refused: nil)
    let copied = try run(.root, words, refused: refused)
    #expect(copied.output == overlaid.output, "\(copied.error)")
    #expect(copied.output.contains("no device\nnot mine\n") && copied.output.contains("writes"), "\(copied.output)")
    #expect(copied.error.contains("the image was copied into memory"), "\(copied.error)")
    try end(.root)
  }

  /// The copy counts as what is written and as memory: what does not fit is refused with what to do, and nothing is left.
  @Test func aCopyIsBoundedAndToldOf() throws {
    let refused = try prepare(.root)
    let image = "oci:\(root)/image:1"
    for (option, size) in [("--scratch", "2m"), ("--memory", "18m")] {
      let result = try run(.root, ["run", option, size, image, "true"], refused: refused)
      #expect(result.status == 125 && result.error.contains("give more with \(option)"), "\(result.error)")
      #expect(result.error.split(separator: "\n").count == 1)
    }
    let detached = try run(.root, ["run", "-d", "--name", "told", image, "sleep", "60"], refused: refused)
    #expect(detached.status == 0, "\(detached.error)")
    let inspected = try run(.root, ["inspect", "told"], refused: nil)
    #expect(inspected.output.contains("the image was copied into memory"))
    try end(.root)
  }

  /// kill -9 in the middle of the copy: the builder ends with its command, the memory with the builder, and rm clears the record. strace
  /// stops the builder at one of the first files, so that it is certain to be the middle.
  @Test(
    .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/strace"), "wants strace to kill in the middle"))
  func killedWhileCopyingItLeavesNothing() throws {
    let refused = try prepare(.root)
    let mark = "3\(UInt32.random(in: 10_000_000...99_999_999))"
    let trace = [
      "strace", "-f", "-o", root + "/trace", "-e", "trace=sendfile", "-e", "inject=sendfile:signal=SIGSTOP:when=2",
    ]
    let words = [Caller.executable, "--root", root + "/state", "run", "oci:\(root)/image:1", "sleep", mark]
    // Kills the command (not strace) once the trace shows the copy stopped; both waits are bounded.
    let script = """
      mount --bind \(refused.top) \(refused.over)
      "$@" & tracer=$!
      for i in $(seq 12000); do grep -q 'stopped by SIGSTOP' \(root)/trace 2> /dev/null && break; sleep 0.01; done
      command=$(head -1 \(root)/trace | cut -d' ' -f1); parent=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$command/status)
      kill -9 $parent; wait $tracer; for i in $(seq 12000); do kill -0 $command 2> /dev/null || break; sleep 0.01; done
      kill -0 $command 2> /dev/null && echo left; grep -c 'stopped by SIGSTOP' \(root)/trace
      """
    let unpacked = ["env", "IMMURE_IMAGE_MOUNT=unpack"]
    let result = try Immure.command(
      ["unshare", "-m", "sh", "-c", script, "sh"] + unpacked + trace + words, seconds: 300)
    #expect(
      result.output.split(separator: "\n").last == "1" && !result.output.contains("left"),
      "\(result.output) \(result.error)")
    try end(.root)
  }
}
