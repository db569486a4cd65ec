import CLinux
import Formats
import Images
import Linux
import Testing
import Walls

/// A wall without the right to mount reads an image's files by itself: metadata over a layer, and the layer behind it, made as the store makes them.
@Suite struct UnmountedImageTests {
  let scratch: Scratch
  let image: ImageMount
  static let passwd = Array("root:x:0:0::/root:/bin/sh\n".utf8)

  init() throws {
    scratch = try Scratch()
    image = ImageMount(metadata: scratch.path + "/merged.erofs", devices: [scratch.path + "/layer.erofs"])
    var writer = EROFSLayerWriter(limits: LayerLimits())
    func record(_ kind: LayerRecord.Kind, _ path: String, size: Int64 = 0, target: String = "") -> LayerRecord {
      var record = LayerRecord(kind: kind, path: Array(path.utf8))
      record.mode = 0o755
      record.size = size
      record.target = Array(target.utf8)
      return record
    }
    try writer.add(record(.directory, "etc"))
    try writer.add(record(.symbolicLink, "out", target: "/../../etc"))
    try writer.add(record(.symbolicLink, "circle", target: "circle"))
    try writer.add(record(.fifo, "fifo"))
    try writer.add(record(.file, "large", size: 300_000))
    try writer.data([UInt8](repeating: 7, count: 300_000).span)
    try writer.add(record(.file, "holes", size: 100_001))
    try writer.hole(100_000)
    try writer.data([UInt8](repeating: 1, count: 1).span)
    try writer.add(record(.file, "etc/passwd", size: Int64(Self.passwd.count)))
    try writer.data(Self.passwd.span)
    let summary = try writer.finish()
    let layer = summary.block0 + writer.output.dropFirst(summary.block0.count)
    var reader = try EROFSReader(EROFSBytes(layer))
    var merger = EROFSMerger()
    try merger.add(&reader)
    let merged = try merger.finish()
    let metadata = merged.block0 + merger.output.dropFirst(merged.block0.count)
    for (path, bytes) in [(image.metadata, metadata), (image.devices[0], layer)] {
      let file = try File.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
      try File.writeAll(file.rawValue, Array(bytes))
    }
  }

  private func read(_ path: String, limit: Int = 1 << 20) throws -> [UInt8]? {
    var unmounted = try UnmountedImage(image)
    return try unmounted.contents(of: path, limit: limit)
  }

  @Test(arguments: ["etc/passwd", "/etc/passwd", "../../etc/passwd", "out/passwd", "etc/../etc/./passwd"])
  func pathsStayInside(_ path: String) throws {
    let found = try read(path)
    #expect(found == Self.passwd)
  }

  @Test(arguments: ["etc", "etc/shadow", "etc/passwd/x", "", "fifo"]) func whatIsNoFileIsNone(_ path: String) throws {
    let found = try read(path)
    #expect(found == nil)
  }

  @Test func contentsAreWholeAndBounded() throws {
    let tooLarge = try read("etc/passwd", limit: Self.passwd.count - 1)
    #expect(tooLarge == nil)
    let large = try read("large")
    #expect(large == [UInt8](repeating: 7, count: 300_000))
    let holes = try read("holes")
    #expect(holes == [UInt8](repeating: 0, count: 100_000) + [1])
  }

  @Test func whatLeadsNowhereIsAnError() throws {
    #expect(throws: ImageError.self) { _ = try read("circle") }
    // A layer that is not there.
    #expect(throws: ImageError.self) {
      var lacking = try UnmountedImage(ImageMount(metadata: image.metadata, devices: []))
      _ = try lacking.contents(of: "large", limit: 1 << 20)
    }
    // Files that others may have made.
    let open = try File.open(image.metadata, O_RDWR)
    try File.changeMode(open.rawValue, 0o666)
    #expect(throws: ImageError.self) { _ = try read("etc/passwd") }
  }
}
