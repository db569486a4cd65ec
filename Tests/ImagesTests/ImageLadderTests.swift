import CLinux
import ChildProcesses
import Formats
import Foundation
import Images
import Linux
import Testing
import Walls

private let isRoot = Host().isRoot
private let hasMaker = FileManager.default.isExecutableFile(atPath: "/usr/bin/mkfs.erofs")
/// A kernel without known faults, whatever this one is.
private let sound = KernelRelease(99, 0, 0)

@Suite struct ImageLadderChoiceTests {
  /// Versions with faults never read images from files; the records of the faults say which versions those are.
  @Test(arguments: [
    (KernelRelease(6, 12, 1), false, false), (KernelRelease(6, 12, 28), false, false),
    (KernelRelease(6, 12, 29), true, false), (KernelRelease(6, 12, 72), true, true),
    (KernelRelease(6, 14, 6), false, false), (KernelRelease(6, 14, 7), true, false),
    (KernelRelease(6, 18, 10), true, false), (KernelRelease(6, 18, 11), true, true),
    (KernelRelease(6, 19, 0), true, false), (KernelRelease(6, 19, 1), true, true), (KernelRelease(7, 0, 0), true, true),
    (KernelRelease(6, 1, 174), true, true),
  ])
  func faultyKernelsAreKnown(release: KernelRelease, files: Bool, directly: Bool) {
    let ladder = ImageLadder(folder: "/", isRoot: true, forced: nil, release: release)
    #expect((ladder.fault(.file) == nil) == files)
    #expect(ladder.fault(.loop) == nil)
    #expect(ladder.allowsDirectIO == directly)
  }

  /// What reads ahead has no name that says whose it is: only where one alone is new it is the mount's.
  @Test func theMountThatReadsAheadIsTheOnlyNewOne() {
    let before = ["erofs-1", "7:0"]
    #expect(ImageReadAhead.added(before, before) == nil)
    #expect(ImageReadAhead.added(before, before + ["7:1", "nfs-2"]) == nil)
    #expect(ImageReadAhead.added(before, ["7:0", "7:1", "erofs-12"]) == "erofs-12")
    #expect(ImageReadAhead.added(before, before + ["erofs-2", "erofs-3"]) == nil)
  }

  @Test func nobodyButRootMounts() throws {
    let ladder = ImageLadder(folder: "/nowhere", isRoot: false, forced: nil, release: sound)
    #expect(try ladder.mount(MountableFiles(metadata: "/nowhere/a", devices: [])) == .unpack(nil))
    #expect(ladder.survey().contains("unpacked once for this user"))
    let forced = ImageLadder(folder: "/nowhere", isRoot: false, forced: .file, release: sound)
    #expect(throws: ImageError.self) { _ = try forced.mount(MountableFiles(metadata: "/nowhere/a", devices: [])) }
  }
}

/// Mounts that are attached nowhere, of images that mkfs.erofs makes; the process itself stands for those that keep mounts.
@Suite(.enabled(if: isRoot && hasMaker, "wants root and mkfs.erofs (erofs-utils)"))
struct ImageLadderTests {
  let scratch: Scratch
  let files: MountableFiles
  private var store: String { scratch.path + "/images" }

  init() throws {
    scratch = try Scratch()
    let tree = scratch.path + "/tree"
    try FileManager.default.createDirectory(atPath: tree + "/etc", withIntermediateDirectories: true)
    try FileManager.default.createDirectory(atPath: scratch.path + "/images", withIntermediateDirectories: true)
    try "root:x:0:0::/root:/bin/sh\n".write(toFile: tree + "/etc/passwd", atomically: true, encoding: .utf8)
    files = MountableFiles(
      metadata: scratch.path + "/images/abcdef.erofs", devices: [scratch.path + "/images/layer.erofs"])
    let made = try Finished.run(
      [
        "/usr/bin/mkfs.erofs", "--quiet", "--chunksize=4096", "--blobdev=\(files.devices[0])", files.metadata, tree,
      ])
    try #require(made.status == 0, "\(made.error)")
    for file in [files.metadata] + files.devices {
      let open = try File.open(file, O_RDWR)
      let size = UInt64(try File.status("", at: open.rawValue).st_size)
      try File.setSize(open.rawValue, (size + 4095) / 4096 * 4096)
      try File.changeMode(open.rawValue, 0o600)
    }
  }

  private func ladder(_ forced: ImageLadder.Rung? = nil, _ release: KernelRelease = sound) -> ImageLadder {
    ImageLadder(folder: store, isRoot: true, forced: forced, release: release)
  }

  /// The mount's descriptor and device; closed by the caller.
  private func mount(_ ladder: ImageLadder) throws -> (descriptor: Int32, device: UInt64) {
    guard case .mounted(let image, _) = try ladder.mount(files), let mount = image.mount else {
      throw ImageError("nothing was mounted")
    }
    #expect(try File.fileSystemKind(mount) == DetachedMount.erofsKind)
    let passwd = try File.open("etc/passwd", O_RDONLY, at: mount)
    #expect(try File.readAll(passwd.rawValue).starts(with: "root:".utf8))
    return (mount, UInt64(try File.status("", at: mount).st_dev))
  }

  private func close(_ mounts: [(descriptor: Int32, device: UInt64)]) {
    for mount in mounts { _ = FileDescriptor(owning: mount.descriptor) }
  }

  @Test(arguments: [ImageLadder.Rung.file, .loop])
  func eachRungWorksAlone(rung: ImageLadder.Rung) throws {
    do { try ladder(rung).probe(rung) } catch {
      // A kernel without it: then the same must be said of an image.
      #expect(throws: ImageError.self) { _ = try ladder(rung).mount(files) }
      return
    }
    close([try mount(ladder(rung))])
    #expect(ladder(rung).survey().hasPrefix("EROFS from \(rung == .file ? "image files" : "loop devices")"))
  }

  @Test func theLastRungMountsNothing() throws {
    #expect(try ladder(.unpack).mount(files) == .unpack(nil))
  }

  /// What is read of an image is in memory once: the second box of an image has the first one's file system. Forced rungs share nothing.
  @Test func laterBoxesTakeTheMountOfTheFirst() throws {
    let first = try mount(ladder())
    let second = try mount(ladder())
    let alone = try mount(ladder(.loop))
    #expect(first.device == second.device && alone.device != first.device)
    // With the first gone the second is found.
    close([first])
    let third = try mount(ladder())
    #expect(third.device == second.device)
    close([second, third, alone])
    // With all gone the files are mounted anew.
    let fourth = try mount(ladder())
    close([fourth])
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: store + "/mounts").allSatisfy {
        $0.hasPrefix("abcdef.erofs.")
      })
  }

  /// The first box since the machine started reads past the page cache, those that follow it through it: what they read is still there when
  /// their mount has gone with them. Boxes that share one are direct again, for then it is the mount that keeps what was read.
  @Test func whatIsReadOnceMoreIsInMemory() throws {
    guard (try? ladder(.file).probe(.file)) != nil else { return }
    for file in [files.metadata] + files.devices {
      try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSinceNow: -3600)], ofItemAtPath: file)
    }
    var mounts: [Int32] = []
    func mode() throws -> ImagePin.Mode? {
      guard case .mounted(let image, let pin) = try ladder().mount(files), let mount = image.mount else { return nil }
      mounts.append(mount)
      return pin.mode
    }
    func end() {
      for mount in mounts { _ = FileDescriptor(owning: mount) }
      mounts = []
    }
    #expect(try mode() == .direct)
    end()
    #expect(try mode() == .buffered)
    let release = try #require(KernelRelease.running())
    // Before, each box has a mount of its own.
    let turns = release >= KernelRelease(6, 15, 0) && ladder(nil, release).allowsDirectIO
    #expect(try mode() == (turns ? .direct : .buffered))
    end()
    // What was before the machine started says nothing.
    for link in try FileManager.default.contentsOfDirectory(atPath: store + "/mounts") {
      var words = try File.readLink(store + "/mounts/" + link).split(separator: " ").map(String.init)
      words[2] = "another-boot"
      try File.remove(store + "/mounts/" + link)
      try File.symlink(words.joined(separator: " "), at: store + "/mounts/" + link)
    }
    #expect(try mode() == .direct)
    end()
  }

  /// The defence: nothing in the folder is believed. What a link names must be a living process of the very start, of this boot, whose
  /// descriptor leads to an EROFS mount of the device that stands there; else the files are mounted once more.
  @Test(arguments: [
    "", "garbage", "1 2 3", "-1 0 b 0 0 direct", "99999999999999999999 0 b 0 0 direct",
    "SELF START BOOT 1 DEVICE direct",
    "SELF 1 BOOT FD DEVICE direct", "SELF START otherboot FD DEVICE direct", "SELF START BOOT FD 1 direct",
    "SELF START BOOT 99999 DEVICE direct", "SELF START BOOT FD DEVICE nonsense", "1 1 BOOT 0 DEVICE loop",
  ])
  func aLinkThatLiesIsNotBelieved(text: String) throws {
    let kept = try mount(ladder(.file))
    let own = try #require(ProcessIdentity(pid: Process.id))
    let boot = try File.text("/proc/sys/kernel/random/boot_id").filter { $0 != "\n" }
    var words = text
    for (word, value) in [
      ("SELF", "\(own.pid)"), ("START", "\(own.startTime)"), ("BOOT", boot), ("FD", "\(kept.descriptor)"),
      ("DEVICE", "\(kept.device)"),
    ] { words = words.replacingOccurrences(of: word, with: value) }
    let folder = store + "/mounts"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for slot in 0..<4 { try? FileManager.default.removeItem(atPath: folder + "/abcdef.erofs.\(slot)") }
    if words.isEmpty {
      try Data("x".utf8).write(to: URL(fileURLWithPath: folder + "/abcdef.erofs.0"))
    } else {
      try File.symlink(words, at: folder + "/abcdef.erofs.0")
    }
    let fresh = try mount(ladder())
    #expect(fresh.device != kept.device)
    close([fresh, kept])
  }

  /// Only what the store made is given to the kernel: not a file that others could have written, nor another's, nor a link's target.
  @Test(arguments: ["chmod 0660", "chown 1", "link", "fifo", "absent"])
  func filesThatOthersMayHaveMadeAreNotMounted(change: String) throws {
    let victim = files.devices[0]
    switch change {
    case "chmod 0660": try File.changeMode(victim, 0o660)
    case "chown 1": try File.changeOwner(victim, user: 1, group: 1)
    case "link":
      try FileManager.default.moveItem(atPath: victim, toPath: victim + "-moved")
      try File.symlink(victim + "-moved", at: victim)
    case "fifo":
      try FileManager.default.removeItem(atPath: victim)
      try File.makeNode(victim, mode: 0o010600, device: 0)
    default: try FileManager.default.removeItem(atPath: victim)
    }
    #expect(throws: ImageError.self) { _ = try ladder().mount(files) }
  }

  /// Every rung is refused: said, and left to the one who unpacks.
  @Test func whatIsNoImageIsUnpackedAndSaid() throws {
    try Data(repeating: 0, count: 4096).write(to: URL(fileURLWithPath: files.metadata))
    try File.changeMode(files.metadata, 0o600)
    guard case .unpack(let why) = try ladder().mount(files) else {
      Issue.record("mounted")
      return
    }
    #expect(why?.contains("though it takes other images so") == true)
  }
}
