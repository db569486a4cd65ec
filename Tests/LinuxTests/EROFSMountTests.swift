import CLinux
import ChildProcesses
import Foundation
import Linux
import Testing

private let mayMount = ((try? CapabilitySets.current().effective) ?? 0) & 1 << 21 != 0
private let hasMaker = FileManager.default.isExecutableFile(atPath: "/usr/bin/mkfs.erofs")

@Suite struct KernelReleaseTests {
  @Test(arguments: [
    ("6.12.48+deb13-amd64", KernelRelease(6, 12, 48)), ("6.18.44-fc-v657", KernelRelease(6, 18, 44)),
    ("7.0-rc3", KernelRelease(7, 0, 0)), ("5.10", KernelRelease(5, 10, 0)), ("6.1.174", KernelRelease(6, 1, 174)),
    ("6.12+", KernelRelease(6, 12, 0)),
  ])
  func versionsAreReadUpToWhatIsNoNumber(text: String, release: KernelRelease) {
    #expect(KernelRelease(text: text) == release)
  }

  @Test(arguments: ["", "x", "6", "6.", ".6", "999999999999999999999.1"])
  func whatBeginsWithNoVersionIsNone(text: String) { #expect(KernelRelease(text: text) == nil) }

  @Test func numbersCountAsNumbers() {
    #expect(KernelRelease(6, 9, 99) < KernelRelease(6, 12, 0) && KernelRelease(6, 12, 9) < KernelRelease(6, 12, 10))
    #expect(KernelRelease.running() != nil)
  }
}

/// Detached only, as in MountTests. The images are what mkfs.erofs makes, not our own writer.
@Suite(.enabled(if: mayMount && hasMaker, "wants CAP_SYS_ADMIN and mkfs.erofs (erofs-utils)"))
struct EROFSMountTests {
  let folder: String
  let metadata: String
  let data: String

  init() throws {
    folder = NSTemporaryDirectory() + "immure-erofs-test-\(UUID().uuidString.prefix(8))"
    (metadata, data) = (folder + "/metadata", folder + "/data")
    try FileManager.default.createDirectory(atPath: folder + "/tree", withIntermediateDirectories: true)
    try String(repeating: "content ", count: 4096).write(
      toFile: folder + "/tree/file", atomically: true, encoding: .utf8)
    let made = try Finished.run(
      [
        "/usr/bin/mkfs.erofs", "--quiet", "--chunksize=4096", "--blobdev=\(data)", metadata, folder + "/tree",
      ])
    try #require(made.status == 0, "\(made.error)")
    // A loop device has whole blocks only.
    for file in [metadata, data] {
      let open = try File.open(file, O_RDWR)
      let size = UInt64(try File.status("", at: open.rawValue).st_size)
      try File.setSize(open.rawValue, (size + 4095) / 4096 * 4096)
    }
  }

  private func end() { try? FileManager.default.removeItem(atPath: folder) }

  private func check(_ mount: borrowing DetachedMount) throws {
    let root = mount.descriptor.rawValue
    #expect(try File.fileSystemKind(root) == DetachedMount.erofsKind)
    let file = try File.open("file", O_RDONLY, at: root)
    let contents: [UInt8] = try File.readAll(file.rawValue)
    let written: [UInt8] = Array(String(repeating: "content ", count: 4096).utf8)
    #expect(contents == written)
    #expect(throws: SystemError("mkdir", "x", .readOnlyFileSystem)) { try File.makeDirectory("x", at: root) }
  }

  /// Nil where the kernel reads no images from files.
  private func fileBacked(_ image: Int32, _ device: Int32, directIO: Bool) throws -> DetachedMount? {
    do throws(SystemError) {
      return try DetachedMount.erofs(image, devices: [device], directIO: directIO)
    } catch {
      let refusals: [Errno] = [.invalid, .noDevice, Errno(rawValue: ENOTBLK)]
      if refusals.contains(error.errno) { return nil }
      throw error
    }
  }

  @Test(arguments: [false, true]) func filesAreMountedAsTheyAre(directIO: Bool) throws {
    defer { end() }
    let image = try File.open(metadata, O_RDONLY)
    let device = try File.open(data, O_RDONLY)
    // A kernel that reads no images from files: the loop device's test remains.
    guard let mount = try fileBacked(image.rawValue, device.rawValue, directIO: directIO) else { return }
    try check(mount)
    try Mount.reconfigure(mount.descriptor.rawValue, type: "erofs", directIO ? [] : ["directio"])
    try check(mount)
    // A clone is the same file system with attributes of its own; a second mount is another one.
    let clone = try DetachedMount.clone("", at: mount.descriptor.rawValue, recursive: false)
    let device0 = try File.status("", at: mount.descriptor.rawValue).st_dev
    #expect(try File.status("", at: clone.descriptor.rawValue).st_dev == device0)
    let second = try DetachedMount.erofs(image.rawValue, devices: [device.rawValue])
    #expect(try File.status("", at: second.descriptor.rawValue).st_dev != device0)
  }

  /// What the kernel shows of a device's file to everybody who may read /sys.
  private func shown(_ device: borrowing LoopDevice) throws -> String {
    let number = UInt64(try File.status("", at: device.descriptor.rawValue).st_rdev)
    return "/sys/block/loop\(immure_minor(number))/loop/backing_file"
  }

  @Test(
    .enabled(if: FileManager.default.fileExists(atPath: "/dev/loop-control"), "wants loop devices"),
    arguments: [false, true])
  func loopDevicesLiveAsLongAsTheirMount(directIO: Bool) throws {
    defer { end() }
    let shown = try mountThroughLoops(directIO: directIO)
    // The kernel takes them back a moment after the last of the mount is gone.
    let last = Clock.monotonicNanoseconds() + 120_000_000_000
    for file in shown {
      while File.exists(file) && Clock.monotonicNanoseconds() < last { usleep(10_000) }
      #expect(!File.exists(file), "\(file) is left")
    }
  }

  private func mountThroughLoops(directIO: Bool) throws -> [String] {
    let image = try File.open(metadata, O_RDONLY)
    let data = try File.open(data, O_RDONLY)
    let first = try LoopDevice.attach(image.rawValue, directIO: directIO)
    let second = try LoopDevice.attach(data.rawValue, directIO: directIO)
    #expect(throws: SystemError.self) { try File.writeAll(first.descriptor.rawValue, "x") }
    let mount = try DetachedMount.erofs(first.descriptor.rawValue, devices: [second.descriptor.rawValue])
    let files = [try shown(first), try shown(second)]
    // The mount alone holds them from here on.
    _ = consume first
    _ = consume second
    // A box reads this too: no path of the host's.
    for file in files { #expect(try File.text(file) == "/\n") }
    try check(mount)
    return files
  }

  @Test func whatIsNoImageIsRefused() throws {
    defer { end() }
    let file = try File.open(folder + "/tree/file", O_RDONLY)
    #expect(throws: SystemError.self) { _ = try DetachedMount.erofs(file.rawValue) }
  }
}

@Suite struct CopiedDescriptorTests {
  @Test func aProcessGivesWhatItHolds() throws {
    let own = try #require(ProcessIdentity(pid: Process.id))
    let pipe = try DescriptorPair.pipe()
    let copied = try own.copyDescriptor(pipe.first.rawValue)
    guard let copied else {
      Issue.record("no descriptor")
      return
    }
    #expect(try File.status("", at: copied.rawValue).st_ino == File.status("", at: pipe.first.rawValue).st_ino)
    // Another that has the pid now is not asked, and a number that leads nowhere is nothing.
    let later = ProcessIdentity(pid: own.pid, startTime: own.startTime + 1)
    #expect(try later.copyDescriptor(pipe.first.rawValue) == nil)
    #expect(try own.copyDescriptor(1 << 20) == nil)
  }
}
