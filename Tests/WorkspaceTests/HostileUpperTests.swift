import Foundation
import Testing
import Trees
import Workspace

/// Upper folders as no overlay writes them, and kill -9 at every point of an application.
@Suite(.enabled(if: isRoot, "making whiteouts and other users' files wants root"))
struct HostileUpperTests {
  private func make(_ scratch: Scratch, upper commands: String) throws -> Workspace {
    try scratch.write("host/dir/file", "host\n")
    try scratch.write("outside/secret", "secret\n")
    try FileManager.default.createSymbolicLink(
      atPath: scratch.host + "/way", withDestinationPath: scratch.path + "/outside")
    let workspace = try Workspace.create(named: "w", folder: scratch.host, in: scratch.root)
    let result = try scratch.run(["sh", "-euc", "cd \"$0/root/workspaces/w/upper\"; \(commands)", scratch.path])
    try #require(result.status == 0, "\(result.output)")
    return workspace
  }

  /// A folder where the host has a link: the link is replaced, never followed.
  @Test func aFolderInALinksPlaceStaysInside() throws {
    let scratch = try Scratch()
    let workspace = try make(scratch, upper: "mkdir way; echo evil > way/secret")
    #expect(try workspace.apply().isApplied)
    #expect(scratch.read("outside/secret") == "secret\n")
    #expect(scratch.read("host/way/secret") == "evil\n")
  }

  /// A link appears on the host where the box made a folder, after the box began: refused, nothing outside is touched.
  @Test func aLinkThatAppearsIsNotFollowed() throws {
    let scratch = try Scratch()
    let workspace = try make(
      scratch, upper: "mkdir -p made/deep; echo evil > made/deep/secret; echo evil > made/secret")
    try FileManager.default.createSymbolicLink(
      atPath: scratch.host + "/made", withDestinationPath: scratch.path + "/outside")
    let report = try workspace.apply()
    #expect(!report.isApplied && report.conflicts.map(\.path.text).contains("made"))
    // Forced, the plan stops at the link.
    #expect(throws: WorkspaceError.self) { try workspace.apply(force: true) }
    #expect(scratch.read("outside/secret") == "secret\n")
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path + "/outside") == ["secret"])
  }

  /// Whiteouts, of any kind and of anything, delete within the folder only.
  @Test(arguments: [
    "mknod way c 0 0", "mknod nothing c 0 0; mknod way c 0 0",
    "setfattr -n user.overlay.opaque -v x .; touch way; setfattr -n user.overlay.whiteout -v y way",
  ])
  func whiteoutsDeleteTheLinkAndNotItsTarget(commands: String) throws {
    let scratch = try Scratch()
    let workspace = try make(scratch, upper: commands)
    #expect(try workspace.changes().changes.map { "\($0.kind) \($0.path.text)" } == ["deleted way"])
    #expect(try workspace.apply().isApplied)
    #expect(!scratch.exists("host/way") && scratch.read("outside/secret") == "secret\n")
  }

  @Test(arguments: [
    ("user.overlay.redirect", "dir2", "mkdir dir2"), ("user.overlay.metacopy", "f", "touch f"),
    ("trusted.overlay.redirect", "dir2", "mkdir dir2"), ("trusted.overlay.metacopy", "f", "touch f"),
    ("user.overlay.redirect", ".", "true"),
  ])
  func redirectsAreRefusedByName(attribute: String, name: String, commands: String) throws {
    let scratch = try Scratch()
    let workspace = try make(scratch, upper: "\(commands); setfattr -n \(attribute) -v /outside \(name)")
    let error = #expect(throws: WorkspaceError.self) { try workspace.apply() }
    #expect(error?.message.contains(attribute) == true)
  }

  /// An overlay of root's own user namespace keeps its marks in trusted.overlay.*.
  @Test func marksOfBothKindsCount() throws {
    let scratch = try Scratch()
    // A whiteout file outside a folder that says it has some is a file.
    let workspace = try make(
      scratch,
      upper:
        "mkdir dir; setfattr -n trusted.overlay.opaque -v y dir; touch way2; setfattr -n user.overlay.whiteout -v y way2"
    )
    #expect(
      try workspace.changes().changes.map { "\($0.kind) \($0.path.text)" } == ["deleted dir/file", "added way2"])
  }

  @Test func specialFilesAndBitsAreListedAndDropped() throws {
    let scratch = try Scratch()
    let workspace = try make(
      scratch,
      upper:
        "mknod disk b 8 0; mkfifo fifo; touch s g both; chmod 4711 s; chmod 2755 g; chmod 6777 both; mkdir -m 2775 d; setcap cap_net_raw+ep s 2>/dev/null || setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 s"
    )
    let dropped = try workspace.changes().dropped.map { "\($0.path.text) \($0.what.rawValue)" }
    #expect(
      Set(dropped) == [
        "disk device", "fifo named_pipe", "s set_user_id", "s file_capabilities", "g set_group_id", "both set_user_id",
        "both set_group_id", "d set_group_id",
      ])
    #expect(try workspace.apply().isApplied)
    #expect(!scratch.exists("host/disk") && !scratch.exists("host/fifo"))
    let modes = try scratch.run(["sh", "-c", "cd \"$0\"; stat -c '%n %a' s g both d; getfattr -d -m - s", scratch.host])
    #expect(modes.output == "s 711\ng 755\nboth 777\nd 775\n")
  }

  @Test func aNameInUseAndAFolderAroundTheStoreAreRefused() throws {
    let scratch = try Scratch()
    _ = try make(scratch, upper: "true")
    let again = #expect(throws: WorkspaceError.self) {
      try Workspace.create(named: "w", folder: scratch.host, in: scratch.root)
    }
    #expect(again?.message.contains("exists") == true)
    for folder in [scratch.path, scratch.root, scratch.root + "/workspaces/w/upper"] {
      let around = #expect(throws: WorkspaceError.self) {
        try Workspace.create(named: "x", folder: folder, in: scratch.root)
      }
      #expect(around?.message.contains("own state") == true)
    }
    for name in ["", ".hidden", "a/b", "../w", "a\nb", String(repeating: "a", count: 65)] {
      #expect(throws: WorkspaceError.self) { try Workspace.create(named: name, folder: scratch.host, in: scratch.root) }
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.root + "/workspaces") == ["w"])
  }

  @Test func anotherFolderInTheOldOnesPlaceIsRefused() throws {
    let scratch = try Scratch()
    let workspace = try make(scratch, upper: "echo x > new")
    try #require(try scratch.run(["sh", "-euc", "mv \"$0\" \"$0.old\"; mkdir \"$0\"", scratch.host]).status == 0)
    let error = #expect(throws: WorkspaceError.self) { try workspace.apply() }
    #expect(error?.message.contains("is not the folder") == true)
  }

  @Test(arguments: [[UInt8]("rubbish".utf8), [], [UInt8]("immure journal 1\n".utf8) + [255, 255, 255, 255, 7]])
  func aBrokenJournalOrBaselineIsNamed(bytes: [UInt8]) throws {
    let scratch = try Scratch()
    let workspace = try make(scratch, upper: "echo x > new")
    try Data(bytes).write(to: URL(fileURLWithPath: workspace.directory + "/journal"))
    let journal = #expect(throws: WorkspaceError.self) { try workspace.apply() }
    #expect(journal?.message.contains("journal") == true)
    try FileManager.default.removeItem(atPath: workspace.directory + "/journal")
    try Data(bytes).write(to: URL(fileURLWithPath: workspace.directory + "/baseline"))
    let baseline = #expect(throws: WorkspaceError.self) { try workspace.apply() }
    #expect(baseline?.message.contains("baseline") == true)
    #expect(!scratch.exists("host/new"))
  }

  private static let work = """
    mkdir dir; echo new > dir/file; echo two > b; mkdir -p x/y; echo z > x/y/z; ln -s b l; mknod gone c 0 0; mknod old c 0 0; \
    chmod 500 x/y; mkdir way; echo inside > way/f
    """
  private static let before = [("host/gone", "gone\n"), ("host/old/a/b", "b\n"), ("host/old/c", "c\n")]

  private func expectedPicture() throws -> String {
    let scratch = try Scratch()
    for (path, text) in Self.before { try scratch.write(path, text) }
    let workspace = try make(scratch, upper: Self.work)
    try #require(try workspace.apply().isApplied)
    return try scratch.picture()
  }

  @Test func aKilledApplicationIsFinishedByTheNext() throws {
    let expected = try expectedPicture()
    var point = 0
    while true {
      let scratch = try Scratch()
      for (path, text) in Self.before { try scratch.write(path, text) }
      let workspace = try make(scratch, upper: Self.work)
      let started = try scratch.picture()
      let first = try scratch.run([Scratch.tool("WorkspaceProbe"), scratch.root, "w", "\(point)"])
      if first.status == 0 { break }
      try #require(first.status == 128 + 9, "\(first.output)")
      if point == 0 { #expect(try scratch.picture() == started, "a journal alone changes nothing") }
      // Every file is whole: as before, or as after.
      #expect(["host\n", "new\n"].contains(scratch.read("host/dir/file")))
      #expect([nil, "two\n"].contains(scratch.read("host/b")))
      #expect(throws: WorkspaceError.self) { try workspace.discard() }
      let report = try workspace.apply()
      #expect(report.isApplied && report.wasResumed, "killed at point \(point)")
      #expect(try scratch.picture() == expected, "killed at point \(point)")
      #expect(!scratch.exists("root/workspaces/w"))
      point += 1
    }
    #expect(point > 25, "the application had \(point) points")
  }

  @Test func killedAgainAndAgainItStillArrives() throws {
    let expected = try expectedPicture()
    let scratch = try Scratch()
    for (path, text) in Self.before { try scratch.write(path, text) }
    _ = try make(scratch, upper: Self.work)
    var kills = 0
    // Two points further each time: the first is where the last one died.
    while try scratch.run([Scratch.tool("WorkspaceProbe"), scratch.root, "w", "2"]).status == 128 + 9 {
      kills += 1
      try #require(kills < 100)
    }
    #expect(kills > 5)
    #expect(try scratch.picture() == expected)
  }
}
