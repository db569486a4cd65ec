import CLinux
import Formats
import Foundation
import Images
import Linux
import Testing

private let mountsImages: Bool = {
  guard getuid() == 0, let scratch = try? Scratch() else { return false }
  var writer = EROFSLayerWriter()
  guard let summary = try? writer.finish() else { return false }
  let image = scratch.path + "/probe"
  let bytes = summary.block0 + writer.output.dropFirst(4096)
  guard (try? Data(bytes).write(to: URL(fileURLWithPath: image))) != nil else { return false }
  guard let mount = try? mountImage(image) else { return false }
  return FileManager.default.fileExists(atPath: path(of: mount))
}()
private let hasPython = output(["python3", "-c", "import tarfile"]).status == 0
/// Older erofs-utils (before 1.7) have one block size, and say so in their help.
private let blockSizes = output(["mkfs.erofs", "--help"]).text.contains("-b#") ? [["-b512"], ["-b1024"]] : []
private let hasTools = output(["fsck.erofs", "-V"]).status == 0 && output(["mkfs.erofs", "-V"]).status == 0

/// Images that we write, as Linux, fsck.erofs and our own reader see them, against what the directory writer unpacks.
@Suite(.enabled(if: hasPython, "wants python3")) struct EROFSTests {
  let scratch: Scratch
  init() throws { scratch = try Scratch() }

  private func file(_ name: String) -> String { scratch.path + "/" + name }

  private func bytes(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: file(name))))
  }

  private func tar(_ what: String) throws -> [UInt8] {
    let (status, text) = output(["python3", fixtures + "/layer-tars.py", what, file("layer.tar")])
    try #require(status == 0, "\(text)")
    return try bytes("layer.tar")
  }

  @Test func givesTheTarAgain() throws {
    let tar = try tar("all")
    for chunk in [511, 4096, 100_000, 1 << 20] {
      _ = try buildImage(tar: tar, image: file("image"), log: file("log"), chunk: chunk)
      #expect(try rebuildTar(image: bytes("image"), log: bytes("log")) == tar)
      #expect(try Digest.of(bytes("image")) == Digest.of(image(of: tar)), "chunks make a difference")
    }
  }

  private func image(of tar: [UInt8]) throws -> [UInt8] {
    _ = try buildImage(tar: tar, image: file("again"), log: file("again.log"))
    return try bytes("again")
  }

  @Test(.enabled(if: hasTools, "wants erofs-utils")) func fsckFindsNothing() throws {
    _ = try buildImage(tar: try tar("all"), image: file("image"), log: file("log"))
    let (status, text) = output(["fsck.erofs", file("image")])
    #expect(status == 0, "\(text)")
    #expect(output(["dump.erofs", "--path=/usr/bin/set", file("image")]).text.contains("Size: 5000"))
  }

  @Test(.enabled(if: mountsImages, "wants root and file-backed EROFS mounts"))
  func isWhatTheDirectoryWriterUnpacks() throws {
    let tar = try tar("all")
    let summary = try buildImage(tar: tar, image: file("image"), log: file("log"))
    #expect(summary.notes == ["attribute trusted.x not kept on 2 files"])
    let mount = try mountImage(file("image"))
    let kernel = try lines(path(of: mount))
    var reader = try EROFSReader(try ImageFile(file("image")))
    #expect(try readerLines(&reader) == kernel)
    try unpack(tar: tar, into: file("tree"))
    #expect(try lines(path(of: mount), loose: true) == lines(file("tree"), loose: true))
    // Times of directories that the layer names, which "loose" leaves out.
    #expect(kernel.contains { $0.hasPrefix("|40751|3|4|1234567890.0") })
    #expect(kernel.contains { $0.hasPrefix("/usr/bin|42755|0|50|6.0") })
    #expect(kernel.contains { $0.hasPrefix("/old|100644|0|0|-6.500000000|1|1|") })
  }

  /// Random layers, many of which have to be refused: both ways of unpacking agree on which, and on the tree.
  @Test(.enabled(if: mountsImages, "wants root and file-backed EROFS mounts"))
  func agreesWithTheDirectoryWriter() throws {
    let count = ProcessInfo.processInfo.environment["IMMURE_TEST_ALL"] == nil ? 80 : 800
    let made = output(["python3", fixtures + "/layer-tars.py", "random", String(count), scratch.path])
    try #require(made.status == 0, "\(made.text)")
    var folders: [String] = []
    var mounts: [MountBox] = []
    for seed in 0..<count {
      let tar = try bytes("random-\(seed).tar")
      let image = file("image\(seed)")
      let tree = file("tree\(seed)")
      let imageError = problem { _ = try buildImage(tar: tar, image: image, log: file("log"), chunk: 3000) }
      let treeError = problem { try unpack(tar: tar, into: tree) }
      #expect((imageError == nil) == (treeError == nil), "seed \(seed): \(imageError ?? "-") / \(treeError ?? "-")")
      guard imageError == nil, treeError == nil else { continue }
      mounts.append(try MountBox(mountImage(image)))
      folders += [path(of: mounts[mounts.count - 1].mount), tree]
    }
    let trees = try lines(folders, loose: true)
    for index in stride(from: 0, to: trees.count, by: 2) { #expect(trees[index] == trees[index + 1]) }
    #expect(
      (count / 4..<count).contains(mounts.count), "\(mounts.count) of \(count) taken: the generator shows nothing")
  }

  private func problem(_ body: () throws -> Void) -> String? {
    do { try body() } catch { return "\(error)" }
    return nil
  }

  @Test(.enabled(if: mountsImages, "wants root and file-backed EROFS mounts"), arguments: ["gnu", "posix"])
  func holesCostNothing(_ format: String) throws {
    let folder = file("sparse")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    func make(_ name: String, _ size: UInt64, _ pieces: [UInt64]) throws {
      #expect(FileManager.default.createFile(atPath: folder + "/" + name, contents: nil))
      let file = try FileHandle(forWritingTo: URL(fileURLWithPath: folder + "/" + name))
      try file.truncate(atOffset: size)
      for piece in pieces {
        try file.seek(toOffset: piece)
        try file.write(contentsOf: Data("piece at \(piece)".utf8))
      }
    }
    try make("all-hole", 1 << 40, [])
    try make("huge", 1 << 40, [5, 1 << 39, (1 << 40) - 4097])
    try make("five", 5 << 30, [(5 << 30) - 100])
    try make("small", 100_000, [50_000])
    try make("tail", 9000, [0])
    try make("hole-only", 3, [])
    let tarFile = file("sparse.tar")
    try #require(output(["tar", "--sparse", "--format=\(format)", "-C", folder, "-cf", tarFile, "."]).status == 0)
    let tar = try bytes("sparse.tar")
    let summary = try buildImage(tar: tar, image: file("image"), log: file("log"))
    #expect(summary.size < 16 << 20)
    #expect(try rebuildTar(image: bytes("image"), log: bytes("log")) == tar)
    let mount = try mountImage(file("image"))
    #expect(try lines(path(of: mount)).map { withoutTime($0) } == lines(folder).map { withoutTime($0) })
    for (name, piece) in [("huge", UInt64(1) << 39), ("huge", (1 << 40) - 4097), ("five", (5 << 30) - 100)] {
      let mounted = try FileHandle(forReadingFrom: URL(fileURLWithPath: path(of: mount) + "/" + name))
      try mounted.seek(toOffset: piece - 10)
      let text = "piece at \(piece)"
      #expect(try mounted.read(upToCount: 10 + text.utf8.count) == Data(repeating: 0, count: 10) + Data(text.utf8))
    }
    var reader = try EROFSReader(try ImageFile(file("image")))
    let huge = try #require(try reader.resolve(Array("huge".utf8)))
    let extents = try reader.extents(of: try reader.inode(huge))
    #expect(extents.filter { !$0.isHole }.count == 3 && extents.reduce(0) { $0 + $1.length } == 1 << 40)
  }

  /// The format "gnu" has whole seconds.
  private func withoutTime(_ line: String) -> String {
    line.split(separator: "|", omittingEmptySubsequences: false).enumerated().filter { $0.offset != 4 }
      .map { String($0.element) }.joined(separator: "|")
  }

  @Test(.enabled(if: mountsImages, "wants root and file-backed EROFS mounts"))
  func mergedIsWhatOverlayfsShows() throws {
    try #require(output(["python3", fixtures + "/layer-tars.py", "stack", scratch.path]).status == 0)
    var merger = EROFSMerger()
    var images: [String] = []
    for number in 1...3 {
      images.append(file("\(number).image"))
      _ = try buildImage(tar: try bytes("\(number).tar"), image: images[number - 1], log: file("log"))
      var reader = try EROFSReader(try ImageFile(images[number - 1]))
      try merger.add(&reader)
    }
    let summary = try merger.finish()
    #expect(UInt64(merger.output.count) == summary.size)
    let metadata = merger.output.dropFirst(summary.block0.count)
    try Data(summary.block0 + metadata).write(to: URL(fileURLWithPath: file("merged")))
    var flat = summary.flatBlock0 + metadata
    for number in 1...3 { flat += try bytes("\(number).image") }
    #expect(UInt64(flat.count) == summary.flatSize)
    try Data(flat).write(to: URL(fileURLWithPath: file("flat")))

    let merged = try mountImage(file("merged"), devices: images)
    let seen = try lines(path(of: merged))
    let disk = try mountImage(file("flat"))
    #expect(try lines(path(of: disk)) == seen)
    var reader = try EROFSReader(EROFSBytes(flat))
    #expect(try readerLines(&reader) == seen)
    #expect(!seen.contains { $0.contains("overlay.") })

    let lowers = try (0..<3).map { index in try MountBox(mountImage(images[index])) }
    // The overlay finds them by their descriptors' numbers, which the optimiser does not know to be a use.
    try withExtendedLifetime(lowers) {
      let overlay = try FileSystemContext("overlay")
      for lower in lowers.reversed() { try overlay.set("lowerdir+", path(of: lower.mount)) }
      let stacked = try overlay.mount([.readOnly])
      #expect(try lines(path(of: stacked)) == seen)
    }
  }

  /// What mkfs.erofs wrote, read by us and by Linux.
  @Test(
    .enabled(if: mountsImages && hasTools, "wants root, file-backed EROFS mounts and erofs-utils"),
    arguments: [[], ["--chunksize=4096"], ["--chunksize=65536"], ["-Eforce-inode-extended"], ["-x1"]] + blockSizes)
  func readsWhatMkfsWrote(_ options: [String]) throws {
    try unpack(tar: try tar("all"), into: file("tree"))
    let made = output(["mkfs.erofs", "--quiet"] + options + [file("image"), file("tree")])
    try #require(made.status == 0, "\(made.text)")
    var reader = try EROFSReader(try ImageFile(file("image")))
    let ours = try readerLines(&reader)
    let mount = try mountImage(file("image"))
    #expect(try ours == lines(path(of: mount)))
  }

  @Test(.enabled(if: hasTools, "wants erofs-utils")) func refusesCompressedFilesByName() throws {
    try FileManager.default.createDirectory(atPath: file("tree"), withIntermediateDirectories: true)
    try Data(repeating: 7, count: 100_000).write(to: URL(fileURLWithPath: file("tree/file")))
    try #require(output(["mkfs.erofs", "--quiet", "-zlz4", file("image"), file("tree")]).status == 0)
    let problem = problem {
      var reader = try EROFSReader(try ImageFile(file("image")))
      let id = try #require(try reader.resolve(Array("file".utf8)))
      _ = try reader.extents(of: try reader.inode(id))
    }
    #expect(problem?.contains("compress") == true, "\(problem ?? "read it")")
  }
}

/// So that mounts can stand in an array.
private final class MountBox {
  let mount: DetachedMount
  init(_ mount: consuming DetachedMount) { self.mount = mount }
}
