import CLinux
import ChildProcesses
import Foundation
import Linux
import SentryABI
import SentryFileSystems
import SentryFiles
import Testing

/// Attacker's powers: every byte of the image.
@Suite("Images read by the sentry itself")
struct EROFSFileSystemTests {
  /// An image that mkfs.erofs made of a small tree.
  private func image(_ place: HostPlace) throws -> String {
    try place.make("tree/d/deep")
    try place.write("tree/d/f", "text")
    try place.write("tree/large", String(repeating: "0123456789abcdef", count: 20000))
    try place.write("tree/empty", "")
    try place.link("tree/l", to: "d/f")
    for number in 0..<300 { try place.write("tree/d/deep/name-\(number)", "\(number)") }
    let path = place.path + "/image"
    let child = try Child(
      ["mkfs.erofs", "-T0", path, place.path + "/tree"], environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"],
      input: .path("/dev/null"), output: place.path + "/output", error: place.path + "/error")
    try #require(child.wait() == 0)
    return path
  }
  private func tree(_ path: String) throws -> Inode {
    let file = try File.open(path, O_RDONLY)
    return try EROFSFileSystem.tree(metadata: file.rawValue, devices: [], mount: nil)
  }
  static let hasMaker = FileManager.default.isExecutableFile(atPath: "/usr/bin/mkfs.erofs")

  @Test("names, links, bytes and mappings are what was packed", .enabled(if: hasMaker, "erofs-utils is not installed"))
  func reads() throws {
    let place = try HostPlace()
    let root = try tree(try image(place))
    let world = World(root)
    #expect(try world.list("/") == ["d", "empty", "l", "large"])
    #expect(try world.list("/d/deep") == (0..<300).map { "name-\($0)" }.sorted())
    #expect(try world.read("/l") == "text")
    #expect(try world.read("/empty") == "")
    #expect(try world.read("/d/deep/name-77") == "77")
    #expect(world.error("/d/deep/name-300") == .noEntry)
    let large = try world.walk.open(Array("/large".utf8), flags: 0)
    #expect(try large.bytes(at: 319_990, count: 100) == Array("6789abcdef".utf8))
    #expect(try world.inode("/large").attributes.size == 320_000)
    let mapped = try large.hostDescriptor(writable: false)
    #expect(control(mapped, F_GET_SEALS) & F_SEAL_WRITE != 0)
    #expect(try large.hostDescriptor(writable: false) == mapped)
    #expect(throws: Errno.readOnlyFileSystem) { try world.write("/d/f", "x") }
    #expect(throws: Errno.readOnlyFileSystem) { try world.make("/x") }

    let above = World(MemoryFileSystem.overlay(lower: root, limit: 1 << 20))
    try above.write("/d/f", " more", flags: OpenFlags.writeOnly | OpenFlags.append)
    #expect(try above.read("/d/f") == "text more" && world.read("/d/f") == "text")
    #expect(try above.list("/d/deep").count == 300)
  }

  @Test(
    "an image with broken bytes is an error for the guest at most",
    .enabled(if: hasMaker, "erofs-utils is not installed"))
  func hostile() throws {
    let place = try HostPlace()
    let good = try Data(contentsOf: URL(fileURLWithPath: try image(place)))
    var seed: UInt64 = 20_261_130
    func random(_ bound: Int) -> Int {
      seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(seed >> 33) % bound
    }
    let path = place.path + "/broken"
    var raised = 0
    for round in 0..<50 {
      var bytes = good
      // The superblock's checksum is looked at first, so most rounds leave it alone.
      let from = round % 10 == 0 ? 1024 : 1280
      for _ in 0..<(1 + random(40)) {
        bytes[from + random(bytes.count - from)] = UInt8(truncatingIfNeeded: random(256))
      }
      if round % 7 == 0 { bytes = bytes.prefix(random(bytes.count)) }
      try bytes.write(to: URL(fileURLWithPath: path))
      guard let root = try? tree(path) else { continue }
      raised += 1
      visit(World(MemoryFileSystem.overlay(lower: root, limit: 64 << 20)))
      visit(World(root))
    }
    #expect(raised > 20)
  }

  /// Everything that can be done with a tree, errors passed over; directories may be anything, also each other.
  private func visit(_ world: World) {
    var left = ["/"]
    var seen = 0
    while let path = left.popLast(), seen < 500 {
      seen += 1
      guard let names = try? world.list(path) else { continue }
      for name in names.prefix(400) {
        let inner = path == "/" ? "/" + name : path + "/" + name
        _ = world.error(inner)
        guard let inode = try? world.inode(inner) else { continue }
        _ = try? inode.extendedAttributeNames()
        switch inode.kind {
        case .directory: if inner.utf8.count < 200 { left.append(inner) }
        case .symbolicLink: _ = try? inode.readLink(world.walk.caller)
        case .regular:
          guard let file = try? world.walk.open(Array(inner.utf8), flags: 0) else { continue }
          _ = try? file.bytes(at: 0, count: 4096)
          _ = try? file.bytes(at: max(0, inode.attributes.size - 10), count: 4096)
          _ = try? file.seek(to: 0, from: 4)
          if inode.attributes.size < 1 << 20 { _ = try? file.hostDescriptor(writable: false) }
        default: break
        }
      }
    }
  }
}
