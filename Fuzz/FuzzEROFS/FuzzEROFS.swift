import CFuzz
import Formats
import Glibc

/// The reader must bear any image, the log's reader any log; what the writer takes of any records, the reader must read, and the merger
/// must take.
func check(_ bytes: [UInt8]) {
  switch bytes.first {
  case 0?: write(bytes.dropFirst())
  case 1?: readLog(Array(bytes.dropFirst()))
  case 2?: build(Array(bytes.dropFirst()))
  default:
    read(bytes)
    read(repaired(bytes))
  }
}

/// The same image with its superblock's checksum left out: mutations alone would hardly pass it.
private func repaired(_ bytes: [UInt8]) -> [UInt8] {
  guard bytes.count >= 1152 else { return bytes }
  var bytes = bytes
  for (index, byte) in [0xE2, 0xE1, 0xF5, 0xE0].enumerated() { bytes[1024 + index] = UInt8(byte) }
  bytes[1032] &= ~1
  return bytes
}

private func read(_ bytes: [UInt8]) {
  do {
    var reader = try EROFSReader(EROFSBytes(bytes))
    _ = try reader.resolve(Array("a/../b/./c".utf8))
    _ = try walk(&reader)
  } catch { report(error) }
  do {
    var reader = try EROFSReader(EROFSBytes(bytes))
    var limits = LayerLimits()
    limits.entries = 1000
    limits.totalBytes = 1 << 20
    var merger = EROFSMerger(limits: limits)
    try merger.add(&reader)
    while try merger.finishStep() { merger.removeOutput() }
    _ = try merger.finish()
  } catch { report(error) }
}

private func report(_ error: FormatError) {
  precondition(!error.description.utf8.contains { $0 < 0x20 }, "a message of more than one line")
}

/// Goes through a tree and gives the inodes it found. It may have circles: so far, and no further.
private func walk(_ reader: inout EROFSReader<EROFSBytes>) throws(FormatError) -> [UInt64: EROFSInode] {
  var stack = [reader.rootID]
  var seen: [UInt64: EROFSInode] = [:]
  var steps = 0
  while let id = stack.popLast(), steps < 2000 {
    steps += 1
    if seen[id] != nil { continue }
    let inode = try reader.inode(id)
    seen[id] = inode
    for attribute in try reader.attributes(of: inode) { precondition(attribute.name.count <= 255, "a long name") }
    switch inode.kind {
    case .directory:
      var position = EROFSDirectoryPosition(inode)
      while let entry = try reader.next(&position), steps < 2000 {
        steps += 1
        precondition(!entry.name.contains(0) && !entry.name.contains(UInt8(ascii: "/")), "an impossible name")
        _ = try reader.lookup(entry.name, in: inode)
        stack.append(entry.id)
      }
    case .symbolicLink:
      let target = try reader.target(of: inode)
      precondition(target.count == Int(inode.size), "a cut target")
    case .file:
      var end: UInt64 = 0
      while end < inode.size, steps < 2000 {
        steps += 1
        let extent = try reader.extent(of: inode, at: end)
        precondition(extent.fileOffset == end && extent.length > 0 && extent.length <= inode.size - end, "a bad extent")
        precondition(
          extent.isHole || extent.device != 0 || extent.offset + extent.length <= reader.source.size, "outside")
        end += extent.length
      }
    default: break
    }
  }
  return seen
}

/// Records made of the input's bytes: few names, so that they meet.
private func write(_ input: ArraySlice<UInt8>) {
  var input = input
  func next() -> UInt8 { input.popFirst() ?? 0 }
  func path() -> [UInt8] {
    let names = Array("abcdl".utf8)
    return (0..<Int(next() % 4)).map { _ in [names[Int(next()) % names.count]] }.joined(separator: [UInt8(ascii: "/")])
      .map { $0 }
  }
  var limits = LayerLimits()
  limits.totalBytes = 1 << 20
  var writer = EROFSLayerWriter(limits: limits)
  var last: LayerRecord?
  var fill: UInt8 = 0
  do {
    while !input.isEmpty {
      guard let kind = LayerRecord.Kind(rawValue: next() % 10) else { continue }
      var record = LayerRecord(kind: kind, path: path())
      record.mode = UInt32(next()) << 4 & 0o7777
      record.modified = Int64(Int8(bitPattern: next())) << 33
      if kind == .hardLink { record.target = path() }
      if kind == .symbolicLink {
        record.target = (next() & 1 == 0 ? [] : Array("/../".utf8)) + path() + [UInt8(ascii: ".")]
      }
      if kind == .characterDevice { record.deviceMinor = UInt32(next()) + 1 }
      if kind == .file { record.size = Int64(next()) << Int64(next() % 32) }
      for _ in 0..<Int(next() % 4) {
        record.attributes.append(
          TarEntry.Attribute(name: Array("user.".utf8) + [next()], value: [UInt8](repeating: 1, count: Int(next()) * 4))
        )
      }
      try writer.add(record)
      fill = fill &+ 1
      var left = record.size
      while left > 0 {
        let count = min(left, Int64(next()) * 64 + 1)
        if next() & 1 == 0 || left > 1 << 16 {
          let hole = left > 1 << 16 ? left - 1000 : count
          try writer.hole(hole)
          left -= hole
        } else {
          try writer.data([UInt8](repeating: fill, count: Int(count)).span)
          left -= count
        }
      }
      if kind != .whiteout && kind != .opaque { last = record }
    }
    let summary = try writer.finish()
    let image = summary.block0 + writer.output.dropFirst(4096)
    precondition(UInt64(image.count) == summary.size && image.count % 4096 == 0, "a wrong size")
    verify(image, last, fill)
  } catch { report(error) }
}

/// What the writer made must be whole: all of it readable and reachable, the last record's file as it was written.
private func verify(_ image: [UInt8], _ last: LayerRecord?, _ fill: UInt8) {
  do {
    var reader = try EROFSReader(EROFSBytes(image))
    let seen = try walk(&reader)
    precondition(UInt64(seen.count) == reader.superblock.inodes || seen.count >= 900, "inodes that no name leads to")
    if let last, last.kind == .file {
      guard let id = try reader.resolve(last.path, followsLast: false) else { fatalError("the last file is not there") }
      let inode = try reader.inode(id)
      precondition(inode.kind == .file && inode.size == UInt64(last.size), "the last file has another size")
      precondition(inode.modified == last.modified && UInt32(inode.permissions) == last.mode, "another mode or time")
    }
    var again = try EROFSReader(EROFSBytes(image))
    var merger = EROFSMerger()
    try merger.add(&again)
    let merged = try merger.finish()
    var tree = try EROFSReader(EROFSBytes(merged.block0 + merger.output.dropFirst(merged.block0.count)))
    _ = try walk(&tree)
  } catch { fatalError("own image is refused: \(error)") }
}

private func readLog(_ bytes: [UInt8]) {
  var reader = TarHeaderLogReader(imageSize: 1 << 20)
  var position = 0
  do {
    loop: while true {
      switch try reader.next(bytes.span, at: &position) {
      case .needsInput: break loop
      case .literal(let range): precondition(range.upperBound <= bytes.count, "beyond the chunk")
      case .copy(let offset, let length): precondition(offset + length <= 1 << 20, "beyond the image")
      case .zeros(let count): precondition(count > 0, "a piece of nothing")
      }
    }
    try reader.finish()
  } catch { report(error) }
}

/// A tar through the builder, and back.
private func build(_ tar: [UInt8]) {
  var builder = LayerImageBuilder()
  do {
    try builder.feed(tar.span)
    _ = try builder.finish()
  } catch { return report(error) }
  var reader = TarHeaderLogReader(imageSize: UInt64(builder.image.count))
  let log = builder.headers
  let image = builder.image
  var again: [UInt8] = []
  var position = 0
  do {
    loop: while true {
      switch try reader.next(log.span, at: &position) {
      case .needsInput: break loop
      case .literal(let range): again += log[range]
      case .copy(let offset, let length): again += image[Int(offset)..<Int(offset + length)]
      case .zeros(let count): again += [UInt8](repeating: 0, count: Int(count))
      }
    }
    try reader.finish()
  } catch { fatalError("own log is refused: \(error)") }
  precondition(again == tar, "the tar comes back otherwise")
}

@main
enum FuzzEROFS {
  static func main() {
    var count = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe CommandLine.unsafeArgv
    // SAFETY: the arguments live as long as the process; libFuzzer promises `size` readable bytes at `data`.
    let status = unsafe LLVMFuzzerRunDriver(&count, &arguments) { data, size in
      unsafe check(Array(UnsafeBufferPointer(start: data, count: size)))
      return 0
    }
    exit(status)
  }
}
