import Formats
import Foundation
import Testing
import Trees
import Workspace

let isRoot = geteuid() == 0

/// Real overlays: the kernel writes the upper folder, the workspace reads it.
@Suite(.enabled(if: isRoot, "mounting an overlay and making whiteouts wants root"))
struct WorkspaceTests {
  private func make(_ scratch: Scratch) throws -> Workspace {
    try scratch.write("host/keep.txt", "kept\n")
    try scratch.write("host/edit.txt", "one\ntwo\nthree\n")
    try scratch.write("host/gone.txt", "going\n")
    try scratch.write("host/src/main.py", "print(1)\n")
    try scratch.write("host/src/old/deep/file", "deep\n")
    try scratch.write("host/run.sh", "#!/bin/sh\n", mode: 0o755)
    try scratch.write("host/plain", "plain\n")
    try scratch.write("host/swap", "file\n")
    try scratch.write("host/.git/config", "[core]\n")
    try FileManager.default.createSymbolicLink(atPath: scratch.host + "/link", withDestinationPath: "keep.txt")
    try FileManager.default.createDirectory(atPath: scratch.host + "/turn", withIntermediateDirectories: false)
    try scratch.write("host/turn/inner", "x\n")
    return try Workspace.create(named: "w", folder: scratch.host, in: scratch.root)
  }

  private static let script = """
    printf 'one\\nTWO\\nthree\\n' > edit.txt; rm gone.txt; touch keep.txt
    rm -r src/old; mkdir -p new/sub; echo fresh > new/sub/file
    chmod +x plain; rm swap; mkdir swap; echo in > swap/in
    mkdir -p .git/hooks; echo 'rm -rf /' > .git/hooks/post-commit; chmod 755 .git/hooks/post-commit
    rm link; ln -s /etc/passwd link; rm -r turn; echo now-a-file > turn
    echo x > suid; chmod 4755 suid; mkfifo pipe; mknod zero c 1 5
    rm -r src; mkdir src; echo again > src/again.py; chmod 700 new
    """

  @Test func diffNamesEveryKindOfChange() throws {
    let scratch = try Scratch()
    let workspace = try make(scratch)
    try scratch.inside(workspace.mount(at: "/w").options, Self.script)
    let found = try workspace.changes()
    let lines = Dictionary(
      uniqueKeysWithValues: found.changes.map { ($0.path.text, "\($0.kind.rawValue) \($0.fileKind.rawValue)") })
    let expected = [
      "edit.txt": "modified file", "gone.txt": "deleted file", "new": "added folder", "new/sub": "added folder",
      "new/sub/file": "added file", "plain": "mode file", "swap": "type_changed folder", "swap/in": "added file",
      ".git/hooks": "added folder", ".git/hooks/post-commit": "added file", "link": "modified link",
      "turn": "type_changed file", "suid": "added file", "src/main.py": "deleted file", "src/old": "deleted folder",
      "src/again.py": "added file",
    ]
    #expect(lines == expected)
    #expect(
      found.dropped.map { "\($0.path.text) \($0.what.rawValue)" } == [
        "pipe named_pipe", "suid set_user_id", "zero device",
      ])
    func warnings(_ path: String) -> [String] { found.changes.first { $0.path.text == path }?.warnings ?? [] }
    #expect(warnings(".git/hooks/post-commit") == ["git runs it", "new executable"])
    #expect(warnings("plain") == ["new executable"])
    #expect(warnings("link") == ["link leads out of the folder"])
    #expect(warnings("edit.txt") == [])
    // The host folder is as it was.
    #expect(scratch.read("host/edit.txt") == "one\ntwo\nthree\n")
    #expect(!scratch.exists("host/new"))
  }

  @Test func diffShowsLinesAndJSONSaysTheSame() throws {
    let scratch = try Scratch()
    let workspace = try make(scratch)
    try scratch.inside(
      workspace.mount(at: "/w").options,
      "\(Self.script); printf 'a\\033[2Jb\\n' > evil; touch \"$(printf 'n\\033]0;x')\"")
    let found = try workspace.changes()
    let text = try workspace.describe(found, lines: true)
    #expect(text.contains("M  edit.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n"))
    #expect(text.contains("A  .git/hooks/post-commit  [git runs it; new executable]"))
    #expect(text.contains("P  plain  644 -> 755  [new executable]"))
    #expect(text.contains("zero: a device is never applied"))
    #expect(!text.utf8.contains(0x1B), "an escape character reached the terminal")
    let json = try #require(
      try JSONSerialization.jsonObject(with: Data(workspace.json(found))) as? [String: Any])
    let changes = try #require(json["changes"] as? [[String: Any]])
    #expect(changes.count == found.changes.count)
    #expect(changes.contains { $0["path"] as? String == "plain" && $0["newMode"] as? String == "0755" })
  }

  @Test func applyMakesTheHostAsTheBoxLeftIt() throws {
    let scratch = try Scratch()
    let workspace = try make(scratch)
    try FileManager.default.setAttributes(
      [.ownerAccountID: 4321, .groupOwnerAccountID: 4321], ofItemAtPath: scratch.host)
    try scratch.inside(workspace.mount(at: "/w").options, "\(Self.script); chown -R 999:999 new")
    let dry = try workspace.apply(dryRun: true)
    #expect(!dry.isApplied && dry.conflicts.isEmpty && !dry.changes.isEmpty)
    #expect(!scratch.exists("host/new"))
    let report = try workspace.apply()
    #expect(report.isApplied && report.conflicts.isEmpty && !report.wasResumed)
    #expect(scratch.read("host/edit.txt") == "one\nTWO\nthree\n")
    #expect(!scratch.exists("host/gone.txt") && !scratch.exists("host/src/old") && !scratch.exists("host/src/main.py"))
    #expect(scratch.read("host/new/sub/file") == "fresh\n" && scratch.read("host/swap/in") == "in\n")
    #expect(scratch.read("host/turn") == "now-a-file\n" && scratch.read("host/src/again.py") == "again\n")
    #expect(!scratch.exists("host/pipe") && !scratch.exists("host/zero"))
    func attributes(_ path: String) throws -> [FileAttributeKey: Any] {
      try FileManager.default.attributesOfItem(atPath: scratch.host + "/" + path)
    }
    #expect(try attributes("suid")[.posixPermissions] as? Int == 0o755)
    #expect(try attributes("plain")[.posixPermissions] as? Int == 0o755)
    #expect(try attributes("new")[.posixPermissions] as? Int == 0o700)
    #expect(try attributes("new/sub/file")[.ownerAccountID] as? Int == 4321)
    #expect(try attributes("new")[.ownerAccountID] as? Int == 4321)
    // A file that only changed keeps its owner.
    #expect(try attributes("edit.txt")[.ownerAccountID] as? Int == 0)
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: scratch.host + "/link") == "/etc/passwd")
    // The workspace is gone, and so is every temporary file.
    #expect(try Workspace.list(in: scratch.root).isEmpty)
    #expect(try !FileManager.default.contentsOfDirectory(atPath: scratch.host).contains { $0.hasPrefix(".immure") })
  }

  @Test(arguments: [
    ("echo changed > edit.txt", "edit.txt: changed on the host"),
    ("rm edit.txt", "edit.txt: is gone from the host"),
    ("mkdir new; echo mine > new/file", ""),
    ("mkdir -p new/sub; echo mine > new/sub/file", "new/sub/file: appeared on the host"),
    ("echo theirs > gone.txt", "gone.txt: changed on the host"),
    ("rm gone.txt", ""),
    ("echo mine > src/old/stranger", "src/old/stranger: appeared on the host"),
    ("mv edit.txt x; cp x edit.txt", "edit.txt: changed on the host"),
  ])
  func whatChangedOnTheHostIsRefused(command: String, conflict: String) throws {
    let scratch = try Scratch()
    let workspace = try make(scratch)
    try scratch.inside(workspace.mount(at: "/w").options, Self.script)
    try #require(try scratch.run(["sh", "-euc", "cd \"$0\"; \(command)", scratch.host]).status == 0)
    let before = try scratch.picture()
    let report = try workspace.apply()
    let conflicts = report.conflicts.map { "\($0.path.text): \($0.reason)" }
    #expect(conflicts == (conflict.isEmpty ? [] : [conflict]))
    if conflict.isEmpty {
      #expect(report.isApplied)
    } else {
      #expect(!report.isApplied)
      #expect(try scratch.picture() == before)
      // Forced, the box's version wins, and what the box never saw stays.
      #expect(try workspace.apply(force: true).isApplied)
      #expect(scratch.read("host/edit.txt") == "one\nTWO\nthree\n")
      if command.contains("stranger") { #expect(scratch.read("host/src/old/stranger") == "mine\n") }
    }
  }

  @Test func hardLinksOnTheHostAreNoConflict() throws {
    let scratch = try Scratch()
    try scratch.write("host/a", "same\n")
    try FileManager.default.linkItem(atPath: scratch.host + "/a", toPath: scratch.host + "/b")
    let workspace = try Workspace.create(named: "w", folder: scratch.host, in: scratch.root)
    try scratch.inside(workspace.mount(at: "/w").options, "echo 1 > a; echo 2 > b")
    #expect(try workspace.apply().isApplied)
    #expect(scratch.read("host/a") == "1\n" && scratch.read("host/b") == "2\n")
  }

  @Test func sparseFilesStaySparse() throws {
    let scratch = try Scratch()
    let workspace = try Workspace.create(named: "w", folder: scratch.host, in: scratch.root)
    try scratch.inside(
      workspace.mount(at: "/w").options, "truncate -s 3G big; printf end | dd of=big bs=1 seek=2G conv=notrunc 2>&1")
    #expect(try workspace.apply().isApplied)
    let result = try scratch.run(["stat", "-c", "%s %b", scratch.host + "/big"]).output.split(separator: " ")
    #expect(result.first == "3221225472")
    #expect(try #require(Int(result[1].trimmingCharacters(in: .whitespacesAndNewlines))) < 1000)
  }

  @Test func discardLeavesTheHostAlone() throws {
    let scratch = try Scratch()
    let workspace = try make(scratch)
    let before = try scratch.picture()
    // Folders nested beyond PATH_MAX, and one without permissions.
    try scratch.inside(
      workspace.mount(at: "/w").options,
      "\(Self.script); python3 -c 'import os\nfor _ in range(1500): os.mkdir(\"dddd\"); os.chdir(\"dddd\")'")
    try workspace.discard()
    #expect(try Workspace.list(in: scratch.root).isEmpty)
    #expect(try scratch.picture() == before)
    #expect(!scratch.exists("root/workspaces/w"))
  }

  @Test func namesOfAnyBytesAreApplied() throws {
    let scratch = try Scratch()
    let workspace = try Workspace.create(named: "w", folder: scratch.host, in: scratch.root)
    try scratch.inside(workspace.mount(at: "/w").options, "echo x > \"$(printf 'b\\377d\\nname')\"")
    let found = try workspace.changes()
    #expect(found.changes.map(\.path.bytes) == [[0x62, 0xFF, 0x64, 0x0A] + Array("name".utf8)])
    #expect(String(decoding: workspace.json(found), as: UTF8.self).contains("\"62ff640a6e616d65\""))
    #expect(try workspace.apply().isApplied)
    #expect(try scratch.run(["sh", "-c", "cat \"$0\"/b*name", scratch.host]).output == "x\n")
  }
}
