import CLinux
import ChildProcesses
import Foundation
import Linux
import SentryABI
import SentryFileSystems
import SentryFiles
import Testing

/// Attacker's powers: everything within the folder, from another process, at any moment.
@Suite("Folders of the host")
struct HostFolderTests {
  @Test("what is written is on the host, and what the host writes is seen")
  func both() throws {
    let place = try HostPlace()
    let world = World(try place.tree(isReadOnly: false))
    try world.make("/d")
    try world.write("/d/f", "guest")
    #expect(place.read("d/f") == "guest")
    #expect(world.error("/late") == .noEntry)
    try place.write("late", "host")
    #expect(try world.read("/late") == "host")
    try place.write("late", "host again")
    #expect(try world.read("/late") == "host again")
    #expect(try world.inode("/late").attributes.size == 4 || world.inode("/late").attributes.size == 10)
    try world.walk.rename(Array("/d/f".utf8), to: Array("/g".utf8))
    #expect(place.read("g") == "guest")
    #expect(try world.list("/") == ["d", "g", "late"])
    try world.walk.changePermissions(try world.walk.find(Array("/g".utf8)), to: 0o600)
    try world.walk.changeTimes(
      try world.walk.find(Array("/g".utf8)), accessed: nil, modified: FileTime(seconds: 7, nanoseconds: 8), isNow: false
    )
    #expect(try place.mode("g") == 0o600)
    let changed = try FileManager.default.attributesOfItem(atPath: place.path + "/g")[.modificationDate] as? Date
    #expect(changed.map { Int($0.timeIntervalSince1970) } == 7)
    try world.remove("/g")
    try world.remove("/d", isDirectory: true)
    #expect(try world.list("/") == ["late"])
  }

  @Test("links lead where the guest's root says, never the host's")
  func links() throws {
    let place = try HostPlace()
    try place.make("shared")
    try place.write("secret", "outside")
    try place.link("shared/up", to: "../secret")
    try place.link("shared/absolute", to: place.path + "/secret")
    try place.link("shared/magic", to: "/proc/self/root")
    try place.write("shared/f", "inside")
    try place.link("shared/in", to: "/f")
    let world = World(try place.tree("shared", isReadOnly: false))
    #expect(try world.read("/in") == "inside")
    for path in ["/up", "/absolute", "/magic", "/magic/etc", "/../secret"] {
      #expect(world.error(path) == .noEntry, "\(path)")
    }
  }

  @Test("a read-only folder is written by no way")
  func readOnly() throws {
    let place = try HostPlace()
    try place.write("f", "as it was")
    let world = World(try place.tree(isReadOnly: true))
    #expect(throws: Errno.readOnlyFileSystem) { try world.write("/f", "x") }
    #expect(throws: Errno.readOnlyFileSystem) { try world.make("/d") }
    #expect(throws: Errno.readOnlyFileSystem) { try world.remove("/f") }
    let file = try world.walk.open(Array("/f".utf8), flags: 0)
    #expect(control(try file.hostDescriptor(writable: false), F_GETFL) & O_ACCMODE == O_RDONLY)
    #expect(place.read("f") == "as it was")
  }

  @Test("devices, sockets and FIFOs of the host are not opened")
  func special() throws {
    let place = try HostPlace()
    #expect(place.makeNode("fifo", 0o010666, 0) == 0)
    if geteuid() == 0 { #expect(place.makeNode("zero", 0o020666, 0x105) == 0) }
    let world = World(try place.tree(isReadOnly: false))
    // FIFOs are the sandbox's own, and there are none here.
    #expect(throws: Errno.noSuchDevice) { try world.walk.open(Array("/fifo".utf8), flags: 0) }
    #expect(throws: Errno.notPermitted) {
      try world.walk.make(.characterDevice, at: Array("/made".utf8), permissions: 0o666, special: Device.number(1, 3))
    }
    guard geteuid() == 0 else { return }
    // The number leads to the sandbox's own device, not to the host's.
    let zero = try world.walk.open(Array("/zero".utf8), flags: 0)
    #expect(zero is MemoryDevices)
  }

  @Test("a directory that becomes a link again and again never leads outside", .timeLimit(.minutes(60)))
  func race() throws {
    let place = try HostPlace()
    for name in ["outside", "shared/d"] { try place.make(name) }
    try place.write("outside/f", "outside")
    try place.write("shared/d/f", "inside")
    try place.link("shared/link", to: place.path + "/outside")
    // Exchanges the directory and the link until its input ends.
    let racer = try Child(
      [
        "python3", "-c",
        """
        import ctypes, os, sys
        libc = ctypes.CDLL(None)
        os.chdir(sys.argv[1])
        while os.path.exists("go"): libc.renameat2(-100, b"d", -100, b"link", 2)
        """, place.path + "/shared",
      ], environment: ["PATH": "/usr/bin:/bin"], input: .path("/dev/null"), output: place.path + "/output",
      error: place.path + "/error")
    try place.write("shared/go", "")
    defer {
      // Gone already where the folder is.
      try? place.remove("shared/go")
      _ = racer.wait()
    }
    let world = World(try place.tree("shared", isReadOnly: false))
    var (inside, refused, round) = (0, 0, 0)
    while (inside < 200 || refused < 200) && round < 400_000 {
      round += 1
      do throws(Errno) {
        let file = try world.walk.open(Array("/d/f".utf8), flags: OpenFlags.readWrite)
        let text = try file.bytes(at: 0, count: 16)
        #expect(text == Array("inside".utf8))
        inside += 1
      } catch { refused += 1 }
      do throws(Errno) {
        let made = Array("/d/made".utf8)
        _ = try world.walk.open(made, flags: World.create, mode: 0o600)
        try world.walk.remove(made, isDirectory: false)
      } catch {}
    }
    #expect(inside > 0)
    #expect(place.read("outside/f") == "outside" && place.read("outside/made") == nil)
    #expect(try FileManager.default.contentsOfDirectory(atPath: place.path + "/outside") == ["f"])
  }

  @Test("more files than descriptors are kept, and found again")
  func descriptors() throws {
    let place = try HostPlace()
    for number in 0..<1500 { try place.write("f\(number)", "\(number)") }
    let world = World(MemoryFileSystem.overlay(lower: try place.tree(isReadOnly: true), limit: 1 << 20))
    for number in 0..<1500 { _ = try world.inode("/f\(number)") }
    // Other tests have theirs.
    let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").filter {
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)"))?.hasPrefix(place.path) == true
    }
    #expect(open.count <= 600)
    for number in [0, 1, 700, 1499] { #expect(try world.read("/f\(number)") == "\(number)") }
    // Another file under the name is not taken for the first.
    try place.write("other", "other")
    try place.remove("f3")
    try FileManager.default.moveItem(atPath: place.path + "/other", toPath: place.path + "/f3")
    #expect(throws: Errno.stale) { try world.read("/f3") }
  }
}
