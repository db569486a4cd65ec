import Confinement
import Formats
import Linux
import Testing
import Walls

@Suite struct MountOptionTests {
  private func options(_ words: [String], type: String = "bind") throws -> MountOptions {
    try MountOptions(MountConfiguration(destination: "/x", type: type, source: "/y", options: words))
  }

  @Test func attributesAndTheirOpposites() throws {
    let read = try options(["rbind", "ro", "nosuid", "nodev", "dev"])
    #expect(read.isBind && read.isRecursive)
    #expect(read.attributes == [.readOnly, .noSetUserID])
    #expect(read.cleared == [.noDevices])
    #expect(try options(["rro"]).attributesBelow == .readOnly)
  }

  @Test func fileSystemOptionsStay() throws {
    #expect(try options(["size=64k", "ro"], type: "tmpfs").data == ["size=64k"])
  }

  @Test(arguments: ["remount", "size=1", "Z"])
  func unknownOptionsOfABindAreRefusedByName(word: String) throws {
    do {
      _ = try options([word])
      Issue.record("\(word) was taken")
    } catch let error as WallError {
      #expect(error.message.contains("\"\(word)\"") && error.message.contains("/x"))
    }
  }

  @Test func aMountWithoutATypeIsRefused() {
    #expect(throws: WallError.self) { _ = try options(["ro"], type: "") }
  }
}

@Suite struct PathPatternTests {
  @Test func starsStayWithinAName() throws {
    let folder = try TemporaryTree([
      "a/shadow", "a/shadow-", "a/ssh/k_key", "a/ssh/k.pub", "a/ssl/private/x", "a/plain",
    ])
    let base = folder.path + "/a"
    let found = PathPattern.expand(
      [base + "/shadow*", base + "/ssh/*_key", base + "/ssl/private", base + "/absent", "/elsewhere/x", base + "/*/x"],
      below: base)
    #expect(Set(found) == ["shadow", "shadow-", "ssh/k_key", "ssl/private"])
  }
}

@Suite struct IDRangeLeaseTests {
  @Test func rangesAreSharedByNobodyAndComeBack() throws {
    let root = try TemporaryTree(["sandboxes/a/f", "sandboxes/b/f", "sandboxes/c/f"])
    let bases = try ["a", "b", "c"].map { try IDRangeLease.take(for: root.path + "/sandboxes/" + $0).base }
    #expect(Set(bases).count == 3)
    #expect(bases.allSatisfy { $0 >= IDRangeLease.first && $0 % 65536 == 0 })
    // Asked again, the same; given back, free; a second release is no error.
    #expect(try IDRangeLease.take(for: root.path + "/sandboxes/a").base == bases[0])
    try IDRangeLease.release(for: root.path + "/sandboxes/a")
    try IDRangeLease.release(for: root.path + "/sandboxes/a")
    #expect(try IDRangeLease.take(for: root.path + "/sandboxes/a").base == bases[0])
  }

  @Test func aRangeIsVoidOnceItsFolderIsGone() throws {
    let root = try TemporaryTree(["sandboxes/a/f"])
    let first = try IDRangeLease.take(for: root.path + "/sandboxes/a")
    try File.removeTree(root.path + "/sandboxes/a")
    // The same name again finds the entry it left.
    #expect(try IDRangeLease.take(for: root.path + "/sandboxes/a") == first)
  }

  @Test func twoStateRootsNeverShareARange() throws {
    // The same name in both begins the search in the same place: with a table for each root they would get the same ids.
    let one = try TemporaryTree(["sandboxes/a/f"])
    let other = try TemporaryTree(["sandboxes/a/f"])
    let names = (0..<300).map { "s\($0)" }
    for root in [one, other] { for name in names { try File.makeDirectories(root.path + "/sandboxes/" + name) } }
    func bases(_ root: TemporaryTree) throws -> Set<UInt32> {
      Set(try names.map { try IDRangeLease.take(for: root.path + "/sandboxes/" + $0).base })
    }
    #expect(try bases(one).isDisjoint(with: bases(other)))
  }

  @Test func manyAtOnceNeverCollide() throws {
    let names = (0..<300).map { "s\($0)" }
    let root = try TemporaryTree(names.map { "sandboxes/\($0)/f" })
    var bases: Set<UInt32> = []
    for name in names { bases.insert(try IDRangeLease.take(for: root.path + "/sandboxes/" + name).base) }
    #expect(bases.count == names.count)
  }
}

/// Empty files under a folder of their own, gone with the value.
private final class TemporaryTree {
  let path: String

  init(_ files: [String]) throws {
    path = "/tmp/immure-root-tests-\(Process.id)-\(Clock.monotonicNanoseconds())"
    try File.makeDirectories(path)
    for file in files {
      let full = path + "/" + file
      if let parent = File.parent(of: full) { try File.makeDirectories(parent) }
      _ = try File.open(full, 0o101, mode: 0o600)
    }
  }

  deinit { try? File.removeTree(path) }
}
