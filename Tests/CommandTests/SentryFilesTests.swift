import ChildProcesses
import Foundation
import Testing

/// `diff`, `export` and `commit` of a sandbox behind the sentry, held against the container wall's: the same image, the same changes, the same
/// words and archives.
@Suite(.enabled(if: Immure.isRoot && Immure.isBuilt && Immure.hasFront, Immure.whyNoFront))
struct SentryFilesTests {
  private static let changes = """
    echo changed >> /etc/passwd; rm /bin/ls; mkdir -p /new/deep; echo x > /new/deep/f; ln -s f /new/deep/l
    ln /new/deep/f /new/deep/h; chmod 4711 /new/deep/f; chown 7:8 /new/deep/h; mkfifo /new/pipe; touch -d @1000000 /new/deep
    mv /etc/group /etc/groups; rm -r /old; mkdir /old; echo new > /old/inside; chmod 600 /kept; touch -d @2000000 /etc/groups
    dd if=/dev/zero of=/new/sparse bs=1 count=1 seek=1000000 2> /dev/null; echo ready; exec sleep 1000
    """

  /// An image of busybox, in which the changes have something to change.
  private static func image(_ immure: Immure) throws {
    let tree = immure.root.path + "/tree"
    for folder in ["bin", "etc", "old/deep", "proc", "tmp", "dev"] {
      try FileManager.default.createDirectory(atPath: tree + "/" + folder, withIntermediateDirectories: true)
    }
    try FileManager.default.copyItem(atPath: "/bin/busybox", toPath: tree + "/bin/busybox")
    for name in [
      "sh", "cat", "ls", "rm", "mkdir", "ln", "chmod", "chown", "mkfifo", "touch", "mv", "dd", "sleep", "stat", "find",
      "true",
    ] {
      try FileManager.default.createSymbolicLink(atPath: tree + "/bin/" + name, withDestinationPath: "busybox")
    }
    for (name, text) in [
      "etc/passwd": "root:x:0:0::/:/bin/sh\n", "etc/group": "root:x:0:\n", "old/deep/f": "f\n", "kept": "kept\n",
    ] {
      try text.write(toFile: tree + "/" + name, atomically: true, encoding: .utf8)
    }
    let packed = try Immure.command(["/usr/bin/tar", "-C", tree, "-cf", immure.root.path + "/root.tar", "."])
    try #require(packed.status == 0, "\(packed.error)")
    let imported = try immure("import", immure.root.path + "/root.tar", "tiny")
    try #require(imported.status == 0, "\(imported.error)")
  }

  /// Names, kinds, owners, modes and sizes; whatever was just made has times of its own.
  private static func listing(_ archive: String) throws -> String {
    let told = try Immure.command([
      "/bin/sh", "-c",
      "tar --numeric-owner --full-time -tvf '\(archive)' | sed -E 's/[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:.]+//; s/ +/ /g' | sort",
    ])
    #expect(told.status == 0, "\(told.error)")
    return told.output
  }

  @Test("diff, export and commit behind the sentry are the container wall's")
  func theSame() throws {
    let immure = Immure()
    try Self.image(immure)
    let program = ["--", "tiny", "sh", "-c", Self.changes]
    var found: [[String]] = []
    for wall in ["container", "sentry"] {
      let idle = try immure("run", "-d", "--wall", wall, "--name", "idle" + wall, "tiny", "sleep", "1000")
      try #require(idle.status == 0, "\(idle.error)")
      let untouched = try immure("diff", "idle" + wall)
      #expect(untouched.status == 0 && untouched.output == "", "\(wall): \(untouched.output)\(untouched.error)")
      let begun = try Immure.run(
        ["--root", immure.root.path, "run", "-d", "--wall", wall, "--name", wall] + program.dropFirst())
      try #require(begun.status == 0, "\(begun.error)")
      let deadline = Date(timeIntervalSinceNow: 120)
      while try immure("logs", wall).output != "ready\n" {
        let told = try immure("logs", wall)
        try #require(Date() < deadline, "\(wall): \(told.output)\(told.error)")
        usleep(20_000)
      }
      let diff = try immure("diff", wall)
      #expect(diff.status == 0 && diff.error == "", "\(wall): \(diff.error)")
      let archive = immure.root.path + "/" + wall + ".tar"
      let exported = try immure("export", "-o", archive, wall)
      #expect(exported.status == 0 && exported.error == "", "\(wall): \(exported.error)")
      let committed = try immure("commit", "--quiet", wall, "made-" + wall)
      #expect(committed.status == 0 && committed.error == "", "\(wall): \(committed.error)")
      let shown = try immure(
        "run", "--rm", "--quiet", "--wall", "container", "made-" + wall, "sh", "-c",
        "cd /; find bin etc new old kept -exec stat -c '%n %f %u:%g %s %h' {} + | busybox sort; cat etc/passwd old/inside new/deep/h; stat -c %Y new/deep etc/groups"
      )
      #expect(shown.status == 0 && shown.error == "", "\(wall): \(shown.error)")
      found.append([diff.output, try Self.listing(archive), shown.output])
      #expect(try immure("exec", wall, "cat", "/old/inside").output == "new\n", "it runs on")
    }
    for (one, other) in zip(found[0], found[1]) { #expect(one == other) }
    #expect(found[0][0].contains("D /bin/ls\n") && found[0][0].contains("A /new/deep/f\n"))
    let paused = try immure("pause", "sentry")
    #expect(paused.status == 0, "\(paused.error)")
    let refused = try immure("diff", "sentry")
    #expect(refused.status == 1 && refused.error.contains("sandbox sentry is paused"), "\(refused.error)")
    #expect(
      try immure("commit", "--pause", "idlesentry", "x").error.contains("nobody reads the files of a paused sandbox"))
  }
}
