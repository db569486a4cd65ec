import CLinux
import Linux
import Testing

private let mayMount = ((try? CapabilitySets.current().effective) ?? 0) & 1 << 21 != 0

/// Detached mounts only: nothing is attached, so the machine's tree stays as it is.
@Suite(.enabled(if: mayMount, "wants CAP_SYS_ADMIN"))
struct MountTests {
  @Test func newFileSystemIsWritableThroughItsDescriptor() throws {
    let context = try FileSystemContext("tmpfs")
    try context.set("size", "64k")
    try context.set("mode", "711")
    let mount = try context.mount([.noSetUserID, .noDevices])
    let root = mount.descriptor.rawValue
    #expect(try File.status("", at: root).st_mode & 0o7777 == 0o711)
    try File.makeDirectory("a", at: root)
    #expect(try File.names(inDirectory: ".", at: root) == ["a"])
    try mount.change(set: .readOnly)
    #expect(throws: SystemError("mkdir", "b", .readOnlyFileSystem)) { try File.makeDirectory("b", at: root) }
    try mount.change(clear: .readOnly)
    try File.makeDirectory("b", at: root)
    let tmpfsMagic = 0x0102_1994
    #expect(try File.fileSystemKind(root) == tmpfsMagic)
  }

  @Test func clonesAreMountsOfTheirOwn() throws {
    let clone = try DetachedMount.clone("/usr", recursive: false)
    try clone.change(set: .readOnly, propagation: .private)
    #expect(throws: SystemError("mkdir", "immure-test", .readOnlyFileSystem)) {
      try File.makeDirectory("immure-test", at: clone.descriptor.rawValue)
    }
    #expect(try File.status("", at: clone.descriptor.rawValue).st_ino == File.status("/usr").st_ino)
  }

  @Test func errorsNameWhatWasAsked() throws {
    let context = try FileSystemContext("tmpfs")
    #expect(throws: SystemError("mount", "tmpfs with nonsense=1", .invalid)) { try context.set("nonsense", "1") }
    #expect(throws: SystemError("fsopen", "nosuchfs", .noDevice)) { _ = try FileSystemContext("nosuchfs") }
    #expect(throws: SystemError("open_tree", "/nowhere", .noEntry)) {
      _ = try DetachedMount.clone("/nowhere", recursive: true)
    }
  }

  @Test func memoryHasNoDisk() {
    #expect(File.wholeDisk(major: 0, minor: 42) == nil)
  }
}
