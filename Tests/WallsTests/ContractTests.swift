import Formats
import Linux
import Policy
import Testing
import Walls

import class Foundation.FileManager
import func Foundation.NSTemporaryDirectory
import struct Foundation.UUID

/// The contract, driven over the fake wall only through what `Walls` declares.
@Suite struct ContractTests {
  final class Folder {
    let path = NSTemporaryDirectory() + "immure-walls-\(UUID().uuidString.prefix(8))"
    init() { try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }
  }

  static func bundle(_ arguments: [String], in folder: String) -> Bundle {
    var configuration = RuntimeConfiguration()
    configuration.process.arguments = arguments
    return Bundle(
      id: "fake", directory: folder, configuration: configuration, root: .directory(path: "/", readOnly: true),
      policy: Policy())
  }

  static func raise(_ arguments: [String], in folder: Folder, _ wall: any Wall = FakeWall()) throws -> any Sandbox {
    try wall.create(
      bundle(arguments, in: folder.path), streams: .descriptors(input: 0, output: 1, error: 2), on: Host())
  }

  @Test func nothingRunsBeforeStart() throws {
    let folder = Folder()
    let sandbox = try Self.raise(["touch", folder.path + "/ran"], in: folder)
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/ran"))
    try sandbox.start()
    #expect(try Readiness.wait(sandbox.exitDescriptor, milliseconds: 120_000))
    #expect(try sandbox.collect() == Ending(status: .exited(0)))
    #expect(FileManager.default.fileExists(atPath: folder.path + "/ran"))
  }

  @Test(arguments: [0, 1, 7, 255] as [Int32])
  func theExitStatusArrives(code: Int32) throws {
    let folder = Folder()
    let sandbox = try Self.raise(["sh", "-c", "exit \(code)"], in: folder)
    try sandbox.start()
    #expect(try Readiness.wait(sandbox.exitDescriptor, milliseconds: 120_000))
    #expect(try sandbox.collect().status == .exited(code))
  }

  @Test func destroyEndsItAndMayBeRepeated() throws {
    let folder = Folder()
    let sandbox = try Self.raise(["sleep", "1000"], in: folder)
    try sandbox.start()
    try sandbox.destroy()
    #expect(try Readiness.wait(sandbox.exitDescriptor, milliseconds: 120_000))
    _ = try sandbox.collect()
    try sandbox.destroy()
    #expect(!sandbox.process.isAlive)
  }

  @Test func anotherCommandFindsItByItsRecord() throws {
    let folder = Folder()
    let wall = FakeWall()
    let sandbox = try Self.raise(["sleep", "1000"], in: folder, wall)
    try sandbox.start()
    var record = SandboxRecord(
      id: "fake", name: "fake", wall: wall.name, image: "", command: ["sleep"], created: 0, bootID: "b",
      detached: true, removeAtExit: false)
    record.process = sandbox.process
    record.details = sandbox.details
    let again = try SandboxRecord(bytes: record.json.bytes(), source: "record.json")
    #expect(again == record)
    try wall.open(again, on: Host()).destroy()
    #expect(try Readiness.wait(sandbox.exitDescriptor, milliseconds: 120_000))
    _ = try sandbox.collect()
    #expect(throws: WallError.self) { try wall.open(again, on: Host()) }
  }

  @Test func whatAWallCannotDoIsNotThere() throws {
    let folder = Folder()
    let sandbox = try Self.raise(["true"], in: folder)
    #expect(sandbox.pausing == nil && sandbox.execution == nil && sandbox.listing == nil)
    #expect(try sandbox.measurement?.measure().memoryBytes == 1 << 20)
    try sandbox.destroy()
    _ = try sandbox.collect()
  }

  @Test func aWallThatCannotBeRaisedSaysWhatToDo() {
    let wall = FakeWall(lacks: [Lack("no /dev/pretend", remedy: "load the module pretend")])
    #expect(wall.availability(on: Host()) == .missing([Lack("no /dev/pretend", remedy: "load the module pretend")]))
  }

  /// The choice of a wall works on the fake one's word like on any other's.
  @Test func theChoiceGoesByEnforcement() throws {
    var policy = Policy()
    policy.limits.memory = Setting(1 << 30, .option("--memory"))
    let wall = FakeWall()
    func consider(_ policy: Policy) -> WallCandidate {
      WallCandidate(
        judged: policy.limits.memory.map { _ in policy.rules.filter { $0.name == "limits.memory" } }?
          .map { ($0, wall.enforcement(of: $0, on: Host())) } ?? [])
    }
    #expect(try WallChoice.choose(for: policy, order: [.microvm]) { _ in consider(policy) }.wall == .microvm)
    policy.limits.milliCPUs = Setting(500, .option("--cpus"))
    #expect(throws: WallRefusal.self) {
      try WallChoice.choose(for: policy, order: [.microvm]) { _ in
        WallCandidate(
          judged: policy.rules.filter { $0.name == "limits.cpus" }.map { ($0, wall.enforcement(of: $0, on: Host())) })
      }
    }
  }
}
