import Linux
import SentryABI
import SentryFileSystems
import SentryFiles
import Testing

/// Each path is walked twice before something happens, so that it is remembered.
@Suite("Paths that are remembered")
struct PathCacheTests {
  private func world() throws -> World {
    let world = World(MemoryFileSystem.tree(limit: 1 << 20, permissions: 0o755))
    for path in ["/a", "/a/b", "/c"] { try world.make(path) }
    try world.write("/a/b/file", "first")
    try world.write("/c/file", "second")
    return world
  }
  /// Whether it is remembered after a walk. What is remembered anywhere is forgotten for a change anywhere, other tests' among them, so a
  /// walk is tried again; what is never remembered stays unknown.
  private func known(_ world: World, _ path: String) throws -> Bool {
    let bytes = Array(path.utf8)
    for _ in 0..<1000 {
      _ = try? world.walk.find(bytes)
      let isKnown = try unsafe bytes.span.withUnsafeBytes { (path) throws(Errno) -> Bool in
        try unsafe world.walk.known(path) != nil
      }
      if isKnown { return true }
    }
    return false
  }

  @Test("a path is known once it was walked, and a name that is not there is known not to be there")
  func knows() throws {
    let world = try world()
    #expect(try known(world, "/a/b/file"))
    #expect(throws: Errno.noEntry) { try known(world, "/a/none") }
    try world.write("/a/none", "made")
    #expect(try world.read("/a/none") == "made")
    #expect(try known(world, "/a/none"))
  }

  @Test("what is taken away, moved or exchanged is not found where it was")
  func moves() throws {
    let world = try world()
    #expect(try known(world, "/a/b/file"))
    try world.walk.rename(Array("/a/b".utf8), to: Array("/a/d".utf8))
    #expect(world.error("/a/b/file") == .noEntry)
    #expect(try world.read("/a/d/file") == "first")
    #expect(try known(world, "/a/d/file"))
    try world.walk.rename(Array("/c/file".utf8), to: Array("/a/d/file".utf8))
    #expect(try world.read("/a/d/file") == "second")
    try world.remove("/a/d/file")
    #expect(world.error("/a/d/file") == .noEntry)
    try world.write("/a/d/file", "third")
    #expect(try world.read("/a/d/file") == "third")
  }

  @Test("a link made where nothing was is followed")
  func linkWhereNothingWas() throws {
    let world = try world()
    #expect(throws: Errno.noEntry) { try known(world, "/new") }
    try world.walk.makeLink(Array("a/b/file".utf8), at: Array("/new".utf8))
    #expect(try world.read("/new") == "first")
  }

  @Test("a link that leads elsewhere leads there at once")
  func links() throws {
    let world = try world()
    try world.walk.makeLink(Array("a/b".utf8), at: Array("/link".utf8))
    #expect(try world.read("/link/file") == "first")
    #expect(try known(world, "/link/file"))
    try world.remove("/link")
    try world.walk.makeLink(Array("c".utf8), at: Array("/link".utf8))
    #expect(try world.read("/link/file") == "second")
  }

  @Test("a mount covers what is remembered, and its end shows it again")
  func mounts() throws {
    let world = try world()
    #expect(try known(world, "/a/b/file"))
    let place = try world.walk.find(Array("/a/b".utf8))
    try world.namespace.mount(MemoryFileSystem.tree(limit: 1 << 20), on: place)
    #expect(world.error("/a/b/file") == .noEntry)
    try world.write("/a/b/file", "above")
    #expect(try known(world, "/a/b/file"))
    try world.namespace.unmount(try world.walk.find(Array("/a/b".utf8)))
    #expect(try world.read("/a/b/file") == "first")
  }

  @Test("the same words from another place, another root and for another user are another path")
  func others() throws {
    let world = try world()
    world.context.current = try world.walk.find(Array("/a/b".utf8))
    #expect(try world.read("file") == "first")
    #expect(try known(world, "file"))
    world.context.current = try world.walk.find(Array("/c".utf8))
    #expect(try world.read("file") == "second")
    #expect(try known(world, "/c/file"))
    world.context.root = world.context.current
    #expect(world.error("/c/file") == .noEntry)
    #expect(try world.read("/file") == "second")
  }

  @Test("whoever may not pass a directory any more does not, and no other user passes with the first")
  func permissions() throws {
    let world = try world()
    #expect(try known(world, "/a/b/file"))
    var other = Credentials()
    (other.user, other.effectiveUser, other.fileUser) = (7, 7, 7)
    (other.group, other.effectiveGroup, other.fileGroup) = (7, 7, 7)
    let walk = PathWalk(world.context, FileCaller(credentials: other))
    let path = Array("/a/b/file".utf8)
    _ = try walk.find(path)
    try world.walk.changePermissions(try world.walk.find(Array("/a".utf8)), to: 0o700)
    #expect(throws: Errno.accessDenied) { try walk.find(path) }
    #expect(try world.read("/a/b/file") == "first")
    #expect(throws: Errno.accessDenied) { try walk.find(path) }
  }

  @Test("names that nobody uses may be forgotten while paths to them are remembered")
  func forgets() throws {
    let world = try world()
    #expect(try known(world, "/a/b/file"))
    for index in 0..<40000 { _ = try? world.walk.find(Array("/c/none\(index)".utf8)) }
    #expect(try world.read("/a/b/file") == "first")
    #expect(try world.read("/c/file") == "second")
  }
}
