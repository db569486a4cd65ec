import CLinux
import ChildProcesses
import Formats
import Foundation
import Images
import Linux

/// An image file.
struct ImageFile: EROFSSource {
  let file: FileHandle
  let size: UInt64
  init(_ path: String) throws {
    file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
    size = try file.seekToEnd()
  }
  func read(at offset: UInt64, into bytes: inout MutableSpan<UInt8>) throws(FormatError) {
    do {
      try file.seek(toOffset: offset)
      let data = try file.read(upToCount: bytes.count) ?? Data()
      guard data.count == bytes.count else { throw FormatError("too few bytes at \(offset)") }
      for (index, byte) in data.enumerated() { bytes[index] = byte }
    } catch let error as FormatError { throw error } catch { throw FormatError("\(error)") }
  }
}

/// What stands in Tests/Fixtures.
let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .appendingPathComponent("Fixtures").path

/// Runs a program, for at most a minute. - Returns: what it printed, or nil and what it printed where it failed.
@discardableResult
func output(_ arguments: [String], in folder: String = "/") -> (status: Int32, text: String) {
  let file = FileManager.default.temporaryDirectory.appendingPathComponent("immure-out-\(UUID().uuidString)")
  defer { try? FileManager.default.removeItem(at: file) }  // a leftover in the temporary folder harms nobody
  guard
    let child = try? Child(
      ["env", "-C", folder, "timeout", "120"] + arguments, environment: ProcessInfo.processInfo.environment,
      input: .path("/dev/null"), output: file.path, error: file.path)
  else { return (-1, "cannot run \(arguments)") }
  let status = child.wait()
  return (status, (try? String(contentsOf: file, encoding: .utf8)) ?? "not UTF-8")
}

/// A file-backed EROFS mount that is attached nowhere and ends with the value.
func mountImage(_ image: String, devices: [String] = []) throws -> DetachedMount {
  let context = try FileSystemContext("erofs")
  try context.set("source", image)
  for device in devices { try context.set("device", device) }
  return try context.mount([.readOnly])
}

/// Where another process sees it.
func path(of mount: borrowing DetachedMount) -> String { "/proc/\(getpid())/fd/\(mount.descriptor.rawValue)/." }

func lines(_ folders: [String], loose: Bool = false) throws -> [[String]] {
  let (status, text) = output(["python3", fixtures + "/tree-lines.py", loose ? "loose" : "all"] + folders)
  guard status == 0 else { throw FormatError("tree-lines.py failed: \(text.suffix(500))") }
  var result: [[String]] = [[]]
  for line in text.split(separator: "\n") {
    if line == "==" { result.append([]) } else { result[result.count - 1].append(String(line)) }
  }
  return Array(result.dropLast())
}

func lines(_ folder: String, loose: Bool = false) throws -> [String] { try lines([folder], loose: loose)[0] }

/// The same lines from our own reader.
func readerLines<Source: EROFSSource>(_ reader: inout EROFSReader<Source>) throws -> [String] {
  var lines: [String] = []
  var stack: [(path: String, id: UInt64)] = [("", reader.rootID)]
  while let (path, id) = stack.popLast() {
    let inode = try reader.inode(id)
    var line =
      "\(path)|\(String(inode.mode, radix: 8))|\(inode.uid)|\(inode.gid)|\(inode.modified).\(inode.modifiedNanoseconds)"
    switch inode.kind {
    case .directory:
      for entry in try reader.entries(of: inode) {
        guard try reader.lookup(entry.name, in: inode) == entry.id, try reader.scan(entry.name, in: inode) == entry.id
        else { throw FormatError("a name is not found") }
        stack.append((path + "/" + String(decoding: entry.name, as: UTF8.self), entry.id))
      }
    case .symbolicLink: line += "|" + String(decoding: try reader.target(of: inode), as: UTF8.self)
    default: line += "|\(inode.links)"
    }
    if inode.kind == .characterDevice || inode.kind == .blockDevice {
      line += "|\(inode.deviceMajor),\(inode.deviceMinor)"
    }
    if inode.kind == .file {
      line += "|\(inode.size)"
      if inode.size < 1 << 24 {
        line += "|\(Digest.of(try reader.contents(of: inode, at: 0, count: Int(inode.size))))"
      }
    }
    let attributes = try reader.attributes(of: inode).map { attribute in
      (String(decoding: attribute.name, as: UTF8.self), attribute.value.map { byte in String(byte + 0, radix: 16) })
    }
    for (name, value) in attributes.sorted(by: { $0.0 < $1.0 }) {
      line += "|\(name)=" + value.map { $0.count == 1 ? "0" + $0 : $0 }.joined()
    }
    lines.append(line)
  }
  return lines.sorted {
    Array($0.unicodeScalars.map(\.value)).lexicographicallyPrecedes(Array($1.unicodeScalars.map(\.value)))
  }
}

/// Builds a layer's image and the log of its tar, as a worker does.
func buildImage(tar: [UInt8], image: String, log: String, chunk: Int = 100_000) throws -> EROFSLayerWriter.Summary {
  var builder = LayerImageBuilder()
  var bytes: [UInt8] = []
  var headers: [UInt8] = []
  func drain(_ builder: inout LayerImageBuilder) {
    bytes += builder.image
    headers += builder.headers
    builder.removeImage()
    builder.removeHeaders()
  }
  for start in stride(from: 0, to: tar.count, by: chunk) {
    let piece = Array(tar[start..<min(start + chunk, tar.count)])
    var position = 0
    loop: while true {
      switch try builder.next(piece.span, at: &position) {
      case .needsInput: break loop
      case .drain: drain(&builder)
      case .direct(let range):
        drain(&builder)
        bytes += piece[range]
      }
    }
  }
  while try builder.finishStep() { drain(&builder) }
  let summary = try builder.finish()
  drain(&builder)
  guard UInt64(bytes.count) == summary.size else { throw FormatError("the image has another size than it says") }
  bytes.replaceSubrange(0..<4096, with: summary.block0)
  try Data(bytes).write(to: URL(fileURLWithPath: image))
  try Data(headers).write(to: URL(fileURLWithPath: log))
  return summary
}

/// The tar again, from image and log.
func rebuildTar(image: [UInt8], log: [UInt8], chunk: Int = 777) throws -> [UInt8] {
  var reader = TarHeaderLogReader(imageSize: UInt64(image.count))
  var tar: [UInt8] = []
  for start in stride(from: 0, to: log.count, by: chunk) {
    let piece = Array(log[start..<min(start + chunk, log.count)])
    var position = 0
    loop: while true {
      switch try reader.next(piece.span, at: &position) {
      case .needsInput: break loop
      case .literal(let range): tar += piece[range]
      case .zeros(let count): tar += [UInt8](repeating: 0, count: Int(count))
      case .copy(let offset, let length): tar += image[Int(offset)..<Int(offset + length)]
      }
    }
  }
  try reader.finish()
  return tar
}

/// Unpacks a layer's tar into a folder, as the store does.
func unpack(tar: [UInt8], into folder: String) throws {
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder)
  var translator = LayerTranslator()
  try translator.feed(tar.span)
  try translator.finish(digest: Digest.of([]))
  let stream = translator.encoder.bytes
  let root = try File.open(folder, 0)
  var writer = LayerWriter(root: root.rawValue)
  var decoder = LayerStreamDecoder()
  var position = 0
  loop: while true {
    switch try decoder.next(stream.span, at: &position) {
    case .entry(let record): try writer.add(record)
    case .data(let range): try writer.write(stream.span.extracting(range))
    case .hole(let count): try writer.skip(count)
    case .needsInput: break loop
    }
  }
  _ = try decoder.finish()
  try writer.finish()
}
