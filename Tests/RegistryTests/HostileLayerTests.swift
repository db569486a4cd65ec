import Foundation
import Testing

/// `import` of archives that want to write outside, or to crash what reads them (Fixtures/layers.py).
@Suite(.enabled(if: FrontCommand.isBuilt, FrontCommand.whyNot), .whileTheSuiteRuns)
struct HostileLayerTests {
  let front = FrontCommand()

  /// Imports a hostile layer beside a victim that must stay as it is; the victim's folder is what the layer aims at.
  private func importing(_ layer: String) throws -> FrontCommand.Result {
    try front.shell(
      """
      mkdir outside && echo untouched > outside/victim
      python3 '\(Server.fixture("layers.py"))' \(layer) layer.tar "$PWD/outside"
      """)
    let result = try front("import", front.scratch.path + "/layer.tar", "hostile")
    // As files too it must stay where it belongs, or be refused.
    if result.status == 0 {
      for manifest in try front.manifests() {
        let trees = try front.make("image-trees", manifest)
        #expect(trees.status == 0 || trees.output.split(separator: "\n").count == 1, "\(trees.output)")
      }
    }
    #expect(try front.shell("cat outside/victim; ls outside") == "untouched\nvictim\n")
    return result
  }

  @Test(arguments: [
    "dotdot", "symlink-loop", "hardlink-outside", "hardlink-dotdot", "hardlink-through-symlink", "root-is-symlink",
    "root-is-file",
    "whiteout-root", "whiteout-dots", "whiteout-device", "overlay-attribute", "owner", "owner-negative", "cut",
    "garbage",
    "size-negative", "size-huge", "parent-is-file", "parent-is-device", "time-huge", "name-huge",
  ])
  func isRefused(_ layer: String) throws {
    let result = try importing(layer)
    #expect(result.status == 1)
    #expect(result.error.split(separator: "\n").count == 1, "\(result.error)")
    #expect(result.error.contains("layer.tar is no root file system"), "\(result.error)")
    // Which layer, and which of its entries or where: but for what has none.
    let entry = [
      "dotdot": "\"a/../", "symlink-loop": "\"a/planted\"", "hardlink-outside": "\"f\"",
      "parent-is-file": "\"p/inner\"",
      "parent-is-device": "\"p/inner\"", "root-is-symlink": "\".\"", "whiteout-device": "\"w\"", "owner": "\"f\"",
      "size-huge": "\"f\"", "time-huge": "mtime of f", "owner-negative": "byte 0", "overlay-attribute": "\"d\"",
    ][layer]
    #expect(result.error.contains(": layer ") && entry.map { result.error.contains($0) } != false, "\(result.error)")
    #expect(front.entries("layers").isEmpty && front.entries("names").isEmpty)
    // The next command finds nothing to be in its way.
    #expect(try front("rmi", "nothing").status == 1)
    #expect(front.entries("incoming").isEmpty && front.entries("locks").isEmpty)
  }

  @Test(arguments: [
    ("absolute", "planted"), ("symlink-absolute", "planted"), ("symlink-relative", "planted"),
    ("symlink-chain", "planted"),
    ("symlink-replaced", "f"), ("hardlink-then-write", "h"), ("whiteout-outside", "victim"), ("opaque-outside", ""),
  ])
  func staysInside(_ layer: String, _ name: String) throws {
    let result = try importing(layer)
    // Links lead within the layer's own root, as they do for a process in it; where nothing is there it is an error.
    if result.status == 0 {
      let found = try front.shell(
        "find root/images/layers -path '*/tree/diff*' -name '\(name.isEmpty ? "diff" : name)'")
      #expect(!found.isEmpty)
    } else {
      #expect(result.error.split(separator: "\n").count == 1, "\(result.error)")
    }
  }

  /// 1.25 GiB that came as 1.2 MiB.
  @Test func bombsAreCutOff() throws {
    let result = try importing("bomb")
    #expect(result.status == 1)
    #expect(result.error.contains("more than 200 times its size"), "\(result.error)")
    // The next command clears what the refused one had begun.
    #expect(try front("rmi", "nothing").status == 1)
    #expect(front.entries("layers").isEmpty && front.entries("incoming").isEmpty)
  }

  @Test func deepTreesComeAndGo() throws {
    let result = try importing("deep")
    #expect(result.status == 0, "\(result.error)")
    #expect(try front("rmi", "hostile").status == 0)
    #expect(front.entries("layers").isEmpty && front.entries("incoming").isEmpty)
  }

  /// Times before 1970 and far after: as they are.
  @Test func timesOfAnyAge() throws {
    #expect(try importing("times").status == 0)
    let layer = try front.onlyLayer()
    // What the file system of this test cannot keep it shows as its nearest.
    let times = try front.shell("stat -c %Y '\(layer)'/old '\(layer)'/epoch '\(layer)'/far").split(separator: "\n")
    #expect(
      times.count == 3 && times[1] == "0" && (Int64(times[0]) ?? 0) < 0 && (Int64(times[2]) ?? 0) > 1 << 32, "\(times)")
  }

  @Test func laterEntriesReplaceEarlierOnes() throws {
    #expect(try importing("duplicates").status == 0)
    let layer = try front.onlyLayer()
    #expect(try front.shell("cd '\(layer)'; ls x; cat x/second y; stat -c %a x") == "second\nkepttwo711\n")
  }

  @Test func whiteoutsHideLowerLayersOnly() throws {
    #expect(try importing("whiteouts").status == 0)
    let layer = try front.onlyLayer()
    #expect(
      try front.shell("cd '\(layer)'; cat same later/inner o/mine; stat -c '%F %t %T' p/gone")
        == "keptkeptkeptcharacter special file 0 0\n")
    // `later` was hidden and made anew: what the layer below has in it is hidden too.
    for folder in ["later", "o"] {
      let attribute = try front.shell(
        "python3 -c 'import os,sys; print(os.getxattr(sys.argv[1], \"user.overlay.opaque\"))' '\(layer)/\(folder)'")
      #expect(attribute == "b'y'\n")
    }
  }

  @Test(.enabled(if: FrontCommand.isRoot, FrontCommand.notRoot)) func everyKindOfFile() throws {
    #expect(try importing("kinds").status == 0)
    let layer = try front.onlyLayer()
    let listing = try front.shell("cd '\(layer)'; stat -c '%n %F %a %u %h' ro ro/secret su hard fifo null; cat n*/m*")
    #expect(
      listing == """
        ro directory 555 33 2
        ro/secret regular file 0 33 1
        su regular file 4755 0 2
        hard regular file 4755 0 2
        fifo fifo 600 0 1
        null character special file 666 0 1
        long
        """)
    let notes = try front("image", "inspect", "hostile").output
    #expect(notes.contains("attribute trusted.x not kept on 1 file"))
  }

  /// The same through a user namespace with subordinate ids, or with the one own id.
  @Test(
    .enabled(if: FrontCommand.isRoot, FrontCommand.notRoot),
    .enabled(if: FrontCommand.has("newuidmap", "setpriv", "useradd"), "wants newuidmap (uidmap), setpriv and useradd"))
  func asAnUnprivilegedUser() throws {
    let user = "immurelayers"
    // The user is this test's alone.
    defer { _ = try? front.shell("userdel -r \(user) 2>/dev/null") }
    try front.shell(
      """
      id \(user) >/dev/null 2>&1 || useradd -m \(user)
      chmod 755 . && mkdir outside bin && cp '\(FrontCommand.path)' bin/ && chown \(user) .
      python3 '\(Server.fixture("layers.py"))' kinds layer.tar
      """)
    let command =
      "setpriv --reuid \(user) --regid \(user) --init-groups env -i HOME=\(front.scratch.path) PATH=/usr/bin:/bin bin/immure-front --root \(front.root)"
    try front.shell("\(command) import layer.tar kinds")
    try front.shell(
      "bin=bin/immure-front; \(command.replacingOccurrences(of: " --root \(front.root)", with: "")) image-trees \(front.store) \(front.manifests()[0])"
    )
    let layer = front.store + "/layers/" + front.entries("layers")[0] + "/tree/diff"
    let first = try #require(
      try front.shell("grep ^\(user): /etc/subuid").split(separator: ":").dropFirst().first.flatMap { Int($0) })
    #expect(try front.shell("stat -c %u '\(layer)/ro/secret'") == "\(first + 32)\n")
    #expect(try front.shell("\(command) image inspect kinds").contains("1 device node skipped"))
    // To look at there is a copy, with the same owners; what it lacks is said.
    let copy = try front.shell("\(command) image mount kinds 2> notes").trimmingCharacters(in: .newlines)
    #expect(try front.shell("stat -c '%u %s' '\(copy)/ro/secret'; cat notes").hasPrefix("\(first + 32) 5\n"))
    #expect(try front.shell("grep -c 'device node skipped' notes") == "1\n")
    #expect(try front.shell("\(command) image mount").contains("  copy  \(copy)\n"))
    #expect(
      try front.shell("\(command) rmi kinds 2>&1 || \(command) image unmount kinds").contains("unmounted kinds:latest"))
    #expect(front.entries("views").isEmpty && front.entries("incoming").isEmpty)
    // Saved is what came, with the owners and the device that could not be made here.
    try front.shell(
      "\(command) save kinds > saved.tar && tar -xf saved.tar --wildcards '*.tar' && cmp [0-9a-f]*.tar layer.tar")
    try front.shell("\(command) rmi kinds")
    #expect(front.entries("layers").isEmpty && front.entries("incoming").isEmpty)
  }
}
