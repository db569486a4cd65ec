import CLinux
import Linux
import SentryABI
import SentryFileSystems
import SentryFiles
import SentryMemory
import Testing

@Suite("Files in memory, alone and over a tree")
struct MemoryFileSystemTests {
  @Test("bytes and inodes are bounded, and come back when files go")
  func limits() throws {
    let world = World(MemoryFileSystem.tree(limit: 1 << 20, inodes: 4))
    let whole = [UInt8](repeating: 7, count: 1 << 20)
    let file = try world.walk.open(Array("/f".utf8), flags: World.create, mode: 0o600)
    #expect(try file.store(whole, at: 0) == whole.count)
    #expect(throws: Errno.noSpace) { try file.store([1], at: 1 << 20) }
    #expect(try file.store([1], at: 5) == 1)
    let other = try world.walk.open(Array("/g".utf8), flags: World.create, mode: 0o600)
    #expect(throws: Errno.noSpace) { try other.store([1], at: 0) }
    #expect(throws: Errno.noSpace) { try other.allocate(0, 0, 4096) }
    // A size alone takes nothing.
    try other.truncate(to: 1 << 40)
    #expect(other.inode?.attributes.size == 1 << 40)
    try file.truncate(to: 0)
    #expect(try other.store(whole, at: 1 << 30) == whole.count)
    try world.make("/a")
    try world.make("/b")
    #expect(throws: Errno.noSpace) { try world.make("/c") }
    try world.remove("/b", isDirectory: true)
    try world.make("/c")
    let statistics = try world.inode("/").fileSystem.statistics()
    #expect(statistics.blocks == 256 && statistics.freeBlocks == 0 && statistics.files == 4)
  }

  @Test("what a mapping writes is read, and a reader's descriptor cannot write")
  func mapped() throws {
    let world = World(MemoryFileSystem.tree(limit: 1 << 20))
    let file = try world.walk.open(Array("/f".utf8), flags: World.create, mode: 0o600)
    _ = try file.store(Array("before".utf8), at: 0)
    let shared = try file.hostDescriptor(writable: true)
    try File.writeAll(shared, Array("BEF".utf8))
    #expect(try file.bytes(at: 0, count: 10) == Array("BEFore".utf8))
    let readOnly = try file.hostDescriptor(writable: false)
    #expect(readOnly != shared)
    #expect(throws: SystemError.self) { try File.writeAll(readOnly, Array("x".utf8)) }
    #expect(control(readOnly, F_GETFL) & O_ACCMODE == O_RDONLY)
  }

  private func lower() throws -> (HostPlace, Inode) {
    let place = try HostPlace()
    for name in ["d/e", "full"] { try place.make(name) }
    try place.write("d/f", "below")
    try place.write("full/x", "x")
    try place.write("one", "linked")
    try place.makeHardLink("two", to: "one")
    try place.link("l", to: "d/f")
    return (place, MemoryFileSystem.overlay(lower: try place.tree(isReadOnly: true), limit: 1 << 20))
  }

  @Test("what is below is read, and never written")
  func copies() throws {
    let (place, root) = try lower()
    let world = World(root)
    #expect(try world.read("/l") == "below")
    let reader = try world.walk.open(Array("/d/f".utf8), flags: 0)
    let number = try world.inode("/d/f").number
    try world.write("/d/f", " and above", flags: OpenFlags.writeOnly | OpenFlags.append)
    #expect(try world.read("/d/f") == "below and above")
    // Who had it open before sees it too, for it is the same file.
    #expect(try reader.bytes(at: 0, count: 100) == Array("below and above".utf8))
    #expect(try world.inode("/d/f").number == number)
    try world.write("/d/new", "new")
    try world.remove("/full/x")
    try world.remove("/full", isDirectory: true)
    #expect(try world.list("/") == ["d", "l", "one", "two"])
    try world.make("/full")
    #expect(try world.list("/full") == [])
    #expect(place.read("d/f") == "below" && place.read("full/x") == "x" && place.read("d/new") == nil)
  }

  @Test("two names below are one file above, before and after it is written")
  func links() throws {
    let (place, root) = try lower()
    defer { withExtendedLifetime(place) {} }
    let world = World(root)
    #expect(try world.inode("/one") === world.inode("/two"))
    try world.write("/one", "changed")
    #expect(try world.read("/two") == "changed")
    try world.remove("/one")
    #expect(try world.inode("/two").attributes.links == 1)
  }

  @Test("a directory from below moves whole, and its old name is gone")
  func moves() throws {
    let (place, root) = try lower()
    defer { withExtendedLifetime(place) {} }
    let world = World(root)
    try world.walk.rename(Array("/d".utf8), to: Array("/full/moved".utf8))
    #expect(try world.list("/full/moved") == ["e", "f"])
    #expect(try world.read("/full/moved/f") == "below")
    #expect(world.error("/d") == .noEntry)
    #expect(try world.list("/") == ["full", "l", "one", "two"])
    #expect(throws: Errno.notEmpty) { try world.remove("/full", isDirectory: true) }
  }

  @Test("owners, modes and times change above only")
  func attributes() throws {
    let (place, root) = try lower()
    let world = World(root)
    let path = try world.walk.find(Array("/one".utf8))
    let before = try place.mode("one")
    try world.walk.changePermissions(path, to: 0o4711)
    try world.walk.changeOwner(path, user: 5, group: 6)
    let stated = try world.inode("/two").attributes
    #expect(stated.permissions == 0o711 && stated.user == 5 && stated.group == 6)
    #expect(try place.mode("one") == before)
  }

  @Test("what is only read is mapped from below; what is written is not")
  func mapping() throws {
    let (place, root) = try lower()
    defer { withExtendedLifetime(place) {} }
    let world = World(root)
    let file = try world.walk.open(Array("/one".utf8), flags: 0)
    let below = try file.hostDescriptor(writable: false)
    let link = try File.readLink("/proc/self/fd/\(below)")
    #expect(link.hasSuffix("/one") || link.hasSuffix("/two"))
    try world.write("/one", "above")
    let above = try file.hostDescriptor(writable: false)
    #expect(try File.readLink("/proc/self/fd/\(above)").contains("memfd"))
  }

  @Test("half a write from a guest whose memory ends stays a half, and none is none")
  func guestWrites() throws {
    let world = World(MemoryFileSystem.tree(limit: 1 << 20))
    let file = try world.walk.open(Array("/f".utf8), flags: World.create, mode: 0o600)
    let memory = GuestMemory(process: getpid())
    var bad = GuestBuffer(memory, GuestAddress(8), count: 100)
    #expect(throws: Errno.badAddress) { try file.write(&bad, at: nil) }
    #expect(file.inode?.attributes.size == 0)
    let source: [UInt8] = [1, 2, 3]
    try unsafe source.withUnsafeBytes { (bytes) throws in
      var half = GuestBuffer(
        memory,
        [
          .init(address: GuestAddress(UInt64(UInt(bitPattern: bytes.baseAddress))), count: 3),
          .init(address: GuestAddress(8), count: 100),
        ])
      #expect(try file.write(&half, at: nil) == 3)
    }
    #expect(file.inode?.attributes.size == 3)
    #expect(try file.bytes(at: 0, count: 100) == source)
  }

  /// As tmpfs(5) spells them; what is none of its numbers is EINVAL, whatever letters it has.
  @Test func options() throws {
    func taken(_ texts: String...) -> TemporaryOptions? {
      var options = TemporaryOptions()
      // nil for an error.
      do { for text in texts { try options.take(Array(text.utf8)) } } catch { return nil }
      return options
    }
    #expect(taken("size=5k")?.size == 5120)
    #expect(taken("size=7M", "mode=0750", "uid=5", "gid=6", "nr_inodes=1g")?.permissions == 0o750)
    #expect(taken("size=17179869183g")?.size == 17_179_869_183 << 30)
    for wrong in [
      "size=17179869184g", "size=", "size=k", "size=-1", "size=5İ", "size=5ß", "size", "=", "mode=8", "uid=x", "huge=1",
    ] {
      #expect(taken(wrong) == nil, "\(wrong)")
    }
  }
}
