import CLinux
import Formats
import Linux
import Policy
import Testing
import Walls

import class Foundation.FileManager
import func Foundation.NSTemporaryDirectory
import struct Foundation.UUID

@Suite struct SandboxStoreTests {
  let root = NSTemporaryDirectory() + "immure-store-\(UUID().uuidString.prefix(8))"
  var store: SandboxStore { SandboxStore(root: root) }

  static func record(_ id: String, name: String? = nil) -> SandboxRecord {
    SandboxRecord(
      id: id, name: name ?? id, wall: .container, image: "debian:12", command: ["sh", "-c", "a \"b\"\n"],
      created: 1_700_000_000,
      bootID: "boot", detached: false, removeAtExit: true)
  }

  static func write(_ text: String, to path: String) throws {
    let file = try File.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
    try File.writeAll(file.rawValue, text)
  }

  @Test func aRecordComesBackAsItWasWritten() throws {
    defer { try? File.removeTree(root) }
    var record = Self.record("abc123", name: "web")
    record.killedBy = .memory
    record.exitCode = 137
    record.process = ProcessIdentity(pid: 7, startTime: .max)
    record.rules = [
      RecordedRule(name: "limits.memory", value: "1 GiB", origin: "default", verdict: "enforced", by: "cgroup")
    ]
    record.details = ["cgroup": "/a", "z": ""]
    record.notes = ["é\u{1}"]
    try store.create(record)
    #expect(try store.load("abc123") == record)
    #expect(try store.find("web") == "abc123")
    #expect(try store.find("abc") == "abc123")
    #expect(try store.ids() == ["abc123"])
  }

  @Test func aTakenNameSaysHowToFreeIt() throws {
    defer { try? File.removeTree(root) }
    try store.create(Self.record("one", name: "web"))
    let error = #expect(throws: WallError.self) { try store.create(Self.record("two", name: "web")) }
    #expect(error?.message.contains("immure rm -f web") == true)
    #expect(try store.ids() == ["one"], "the second one leaves nothing behind")
    try store.remove("one", name: "web")
    try store.create(Self.record("two", name: "web"))
    #expect(try store.find("web") == "two")
  }

  /// kill -9 between any two steps of making or removing: the name and the id can be used again.
  @Test func halfMadeAndHalfRemovedSandboxesAreNoObstacle() throws {
    defer { try? File.removeTree(root) }
    try store.create(Self.record("one", name: "web"))
    // Killed after the folder went, before the name did.
    try File.removeTree(store.directory("one"))
    try store.create(Self.record("two", name: "web"))
    #expect(try store.find("web") == "two")
    // Killed after the folder was made, before its record was: gone, and removable.
    try File.makeDirectory(store.directory("three"))
    #expect(throws: WallError.self) { try store.load("three") }
    try store.remove("three", name: nil)
    #expect(try store.ids() == ["two"])
    // A half-written temporary beside the record.
    try Self.write("{", to: store.directory("two") + "/.record.json.99")
    #expect(try store.load("two").name == "web")
  }

  @Test(arguments: ["", "..", ".", "a/b", "-x", "a b", "a\n", String(repeating: "a", count: 65), "é"])
  func badNamesAreRefused(name: String) {
    #expect(!SandboxStore.isValid(name: name))
    #expect(throws: WallError.self) { try store.find(name) }
    #expect(throws: WallError.self) { try store.create(Self.record("ok", name: name)) }
    #expect(!File.exists(root), "nothing was made")
  }

  @Test(arguments: ["", "{", "[]", "{\"version\":2}", "{\"version\":1}", "{\"version\":1,\"id\":7}"])
  func aDamagedRecordIsNamed(text: String) throws {
    defer { try? File.removeTree(root) }
    try store.create(Self.record("one"))
    try Self.write(text, to: store.directory("one") + "/record.json")
    let error = #expect(throws: WallError.self) { try store.load("one") }
    #expect(error?.message.contains("record.json") == true && error?.message.contains("immure rm -f one") == true)
  }

  /// Many commands change one record at once: every change is there in the end.
  @Test func updatesTakeTurns() async throws {
    defer { try? File.removeTree(root) }
    try store.create(Self.record("one"))
    let store = store
    await withTaskGroup(of: Void.self) { group in
      for index in 0..<40 {
        group.addTask { _ = try? store.update("one") { $0.details["\(index)"] = "x" } }
      }
    }
    #expect(try store.load("one").details.count == 40)
  }

  /// What is being made is not taken for what a crash left, whenever another command clears up.
  @Test func clearingUpLeavesWhatIsBeingMade() async throws {
    defer { try? File.removeTree(root) }
    let store = store
    let errors = await withTaskGroup(of: String.self) { group in
      group.addTask {
        do {
          for index in 0..<100 {
            try store.create(Self.record("box\(index)", name: "name\(index)"))
            _ = try store.load("box\(index)")
          }
          return ""
        } catch { return "create: \(error)" }
      }
      for _ in 0..<2 {
        group.addTask {
          do {
            for _ in 0..<40 {
              for id in try store.ids() { _ = try store.removeUnrecorded(id) }
            }
            return ""
          } catch { return "clear: \(error)" }
        }
      }
      return await group.reduce(into: [String]()) { if !$1.isEmpty { $0.append($1) } }
    }
    #expect(errors == [])
    #expect(try store.ids().count == 100)
    try File.makeDirectory(store.directory("left"))
    #expect(try store.removeUnrecorded("left"))
    #expect(try !store.removeUnrecorded("box7"))
    #expect(try store.removeUnrecorded("never"))
    #expect(try store.ids().count == 100)
  }

  /// Two commands remove one sandbox at once: whoever comes second finds less and less of it, which is no failure.
  @Test func removalsOfOneSandboxMeet() async throws {
    defer { try? File.removeTree(root) }
    let store = store
    for round in 0..<20 {
      try store.create(Self.record("one", name: "web"))
      for index in 0..<20 { try File.makeDirectories(store.directory("one") + "/a\(index)/b/c") }
      let errors = await withTaskGroup(of: String.self) { group in
        for _ in 0..<3 {
          group.addTask {
            do {
              try store.remove("one", name: "web")
              return ""
            } catch { return "\(error)" }
          }
        }
        return await group.reduce(into: [String]()) { if !$1.isEmpty { $0.append($1) } }
      }
      #expect(errors == [], "round \(round)")
      #expect(try store.ids() == [], "round \(round)")
    }
  }

  @Test func conditionsComeFromWhatExistsNow() throws {
    var record = Self.record("one")
    let own = try #require(ProcessIdentity(pid: Process.id))
    record.status = .running
    record.process = own
    record.supervisor = own
    #expect(record.condition(bootID: "boot") == .running)
    #expect(record.condition(bootID: "another") == .interrupted("the machine was restarted"))
    // The pid was used again by a process that began later.
    record.supervisor = ProcessIdentity(pid: own.pid, startTime: own.startTime + 1)
    #expect(record.condition(bootID: "boot") == .unsupervised)
    record.process = record.supervisor
    #expect(record.condition(bootID: "boot") == .interrupted("immure was killed"))
    record.status = .exited
    #expect(record.condition(bootID: "another") == .exited)
  }
}
