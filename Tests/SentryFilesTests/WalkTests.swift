import Linux
import SentryABI
import SentryFileSystems
import SentryFiles
import Testing

@Suite("Paths and mounts")
struct WalkTests {
  private func world() -> World { World(MemoryFileSystem.tree(limit: 1 << 20, permissions: 0o755)) }

  @Test("two dots never lead above the root, nor links, nor those of a changed root")
  func root() throws {
    let world = world()
    try world.make("/jail")
    try world.make("/jail/in")
    try world.write("/secret", "outside")
    try world.walk.makeLink(Array("/secret".utf8), at: Array("/jail/absolute".utf8))
    try world.walk.makeLink(Array("../../../../secret".utf8), at: Array("/jail/in/relative".utf8))
    #expect(try world.read("/../../secret") == "outside")
    world.context.root = try world.walk.find(Array("/jail".utf8))
    for path in ["/secret", "/../secret", "/in/../../secret", "/absolute", "/in/relative", "/./in/.././../secret"] {
      #expect(world.error(path) == .noEntry, "\(path)")
    }
    // Whoever stood outside before still stands there, as chroot(2) says.
    #expect(try world.read("secret") == "outside")
  }

  @Test("mounts cover, two dots cross them, and what is mounted stays until it is unmounted")
  func mounts() throws {
    let world = world()
    try world.make("/a")
    try world.make("/a/b")
    try world.write("/a/b/below", "below")
    let point = try world.walk.find(Array("/a/b".utf8))
    try world.namespace.mount(MemoryFileSystem.tree(limit: 1 << 20), on: point)
    #expect(world.error("/a/b/below") == .noEntry)
    try world.make("/a/b/c")
    #expect(try world.list("/a/b/c/../..") == ["b"])
    #expect(throws: Errno.busy) { try world.remove("/a/b", isDirectory: true) }
    #expect(throws: Errno.crossDevice) {
      try world.walk.rename(Array("/a/b/c".utf8), to: Array("/a/c".utf8))
    }
    var beneath = world.walk
    beneath.limits = .noMounts
    #expect(throws: Errno.crossDevice) { try beneath.find(Array("/a/b".utf8)) }
    let inside = try world.walk.find(Array("/a/b/c".utf8))
    #expect(world.namespace.text(of: inside, root: world.namespace.root) == Array("/a/b/c".utf8))
    try world.namespace.unmount(try world.walk.find(Array("/a/b".utf8)))
    #expect(try world.read("/a/b/below") == "below")
  }

  @Test("nothing is written through a read-only mount")
  func readOnly() throws {
    let world = world()
    try world.make("/a")
    try world.make("/b")
    try world.write("/a/f", "f")
    let place = try world.walk.find(Array("/a".utf8))
    try world.namespace.bind(place, on: try world.walk.find(Array("/b".utf8)), flags: .readOnly)
    #expect(try world.read("/b/f") == "f")
    let f = Array("/b/f".utf8)
    #expect(throws: Errno.readOnlyFileSystem) { try world.walk.open(f, flags: OpenFlags.writeOnly) }
    #expect(throws: Errno.readOnlyFileSystem) { try world.walk.open(f, flags: OpenFlags.truncate) }
    #expect(throws: Errno.readOnlyFileSystem) { try world.make("/b/d") }
    #expect(throws: Errno.readOnlyFileSystem) { try world.remove("/b/f") }
    #expect(throws: Errno.readOnlyFileSystem) { try world.walk.truncate(try world.walk.find(f), to: 0) }
    #expect(throws: Errno.readOnlyFileSystem) {
      try world.walk.changePermissions(try world.walk.find(f), to: 0o600)
    }
    #expect(throws: Errno.readOnlyFileSystem) { try world.walk.check(.write, try world.walk.find(f)) }
    try world.write("/a/f", "again")
  }

  @Test("however many names are asked for, few are remembered; those in use stay themselves")
  func forgetting() throws {
    let world = world()
    try world.make("/d")
    try world.make("/d/held")
    let held = try world.walk.find(Array("/d/held".utf8))
    for number in 0..<40000 { #expect(world.error("/d/absent-\(number)") == .noEntry) }
    #expect(try world.walk.find(Array("/d/held".utf8)) == held)
    try world.remove("/d/held", isDirectory: true)
    #expect(held.dentry.isRemoved)
  }

  @Test("a tree that is deeper than a stack is walked and forgotten")
  func depth() throws {
    do {
      let world = world()
      for _ in 0..<50000 {
        try world.make("d")
        world.context.current = try world.walk.find(Array("d".utf8))
      }
      let text = try #require(world.namespace.text(of: world.context.current, root: world.namespace.root))
      #expect(text.count == 100000)
      world.context.current = world.namespace.root
    }
  }

  @Test("a removed directory takes no names, and its path says so")
  func removed() throws {
    let world = world()
    try world.make("/gone")
    world.context.current = try world.walk.find(Array("/gone".utf8))
    try world.remove("/gone", isDirectory: true)
    #expect(throws: Errno.noEntry) { try world.make("x") }
    let text = world.namespace.text(of: world.context.current, root: world.namespace.root)
    #expect(text == Array("/gone (deleted)".utf8))
    try world.make("/gone")
    #expect(!(try world.walk.find(Array("/gone".utf8)) == world.context.current))
  }

  @Test("those who watch are told of names, bytes and the end")
  func watching() throws {
    final class Recorder: FileWatchers {
      var seen: [(UInt32, String, UInt32)] = []
      override func happened(_ events: UInt32, name: [UInt8]?, cookie: UInt32) {
        seen.append((events, name.map { String(decoding: $0, as: UTF8.self) } ?? "", cookie))
      }
    }
    let world = world()
    try world.make("/d")
    let recorder = Recorder()
    try world.inode("/d").watchers = recorder
    try world.write("/d/f", "x", flags: World.create)
    try world.walk.rename(Array("/d/f".utf8), to: Array("/d/g".utf8))
    try world.remove("/d/g")
    try world.make("/d/e")
    #expect(
      recorder.seen.map(\.0) == [
        FileEvent.created, FileEvent.opened, FileEvent.movedFrom, FileEvent.movedTo, FileEvent.removed,
        FileEvent.created | FileEvent.isDirectory,
      ])
    #expect(recorder.seen.map(\.1) == ["f", "f", "f", "g", "g", "e"])
    #expect(recorder.seen[2].2 == recorder.seen[3].2 && recorder.seen[2].2 != 0)
  }
}
