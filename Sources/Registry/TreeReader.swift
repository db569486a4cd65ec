import CLinux
import Confinement
import Formats
import Linux

/// The process that reads a layer's EROFS image, on its standard input, and says on its standard output what is in it, as the layer
/// stream that the directory writer takes; or the metadata over an image's layers, whose contents lie in the layers' images, descriptors 2
/// and on. It has nothing but these descriptors: the images were written by processes that a stranger may have taken over.
public enum TreeReader {
  /// The word it is started with.
  public static let role = "tree-reader"

  private static let firstDevice: Int32 = 2

  /// Does its work and ends the process. - Parameter arguments: the most bytes that it may unpack to; how many further images there are.
  public static func run(_ arguments: [String]) -> Never {
    var limits = LayerLimits()
    if let bytes = arguments.first.flatMap({ Int64($0) }), bytes > 0 { limits.totalBytes = bytes }
    let count = arguments.dropFirst().first.flatMap { Int32($0) } ?? 0
    let devices = (0..<MetadataMaking.maximumLayers).contains(count - 1) ? (0..<count).map { firstDevice + $0 } : []
    var walk = Walk(limits, devices)
    do throws(SystemError) {
      try Confinement.enterWorker(WorkerPlan(keep: [0, 1] + devices))
      try walk.run()
      Process.exit(0)
    } catch {
      // Where the other end has gone it knows why.
      walk.encoder.failure("the layer's image cannot be read: \(error)")
      try? File.writeAll(1, walk.encoder.bytes)
      Process.exit(1)
    }
  }

  private struct Walk: ~Copyable {
    var encoder: LayerStreamEncoder
    /// Folders that were entered: an image in which one lies twice, or in itself, is refused.
    private var folders: Set<UInt64> = []
    /// Where files of several names were met first.
    private var linked: [UInt64: [UInt8]] = [:]
    private var failure: SystemError?
    private let devices: [Int32]
    /// The image itself and the further ones, in the order of its device table.
    private var files: [ImageFile] = []

    init(_ limits: LayerLimits, _ devices: [Int32]) {
      encoder = LayerStreamEncoder(limits: limits)
      self.devices = devices
    }

    mutating func run() throws(SystemError) {
      let file = try ImageFile(0)
      files = [file]
      for device in devices { files.append(try ImageFile(device)) }
      do throws(FormatError) {
        var reader = try EROFSReader(file)
        try walk(&reader)
        try encoder.end(digest: Digest.of([]))
        try flush()
      } catch {
        if let failure { throw failure }
        encoder.failure(error.description)
        try File.writeAll(1, encoder.bytes)
        Process.exit(1)
      }
    }

    private mutating func walk(_ reader: inout EROFSReader<ImageFile>) throws(FormatError) {
      var buffer = [UInt8](repeating: 0, count: 256 << 10)
      var pending: [(path: [UInt8], id: UInt64)] = [([], reader.rootID)]
      while let (path, id) = pending.popLast() {
        let folder = try reader.inode(id)
        guard folder.kind == .directory, folders.insert(id).inserted else {
          throw FormatError("is a folder twice, or none", offending: String(decoding: path.prefix(256), as: UTF8.self))
        }
        try begin(folder, path, &reader)
        var position = EROFSDirectoryPosition(folder)
        // Folders wait on the stack; no more of them than a layer may have entries.
        while let entry = try reader.next(&position) {
          guard pending.count < encoder.limits.entries else {
            throw FormatError("the layer has more than \(encoder.limits.entries) entries")
          }
          let path = path.isEmpty ? entry.name : path + [UInt8(ascii: "/")] + entry.name
          let inode = try reader.inode(entry.id)
          if inode.kind == .directory {
            pending.append((path, entry.id))
          } else {
            try add(inode, path, &reader, &buffer)
          }
        }
      }
    }

    private func record(_ kind: LayerRecord.Kind, _ inode: EROFSInode, _ path: [UInt8]) -> LayerRecord {
      var record = LayerRecord(kind: kind, path: path)
      record.mode = UInt32(inode.mode) & 0o7777
      record.uid = inode.uid
      record.gid = inode.gid
      record.modified = inode.modified
      record.modifiedNanoseconds = inode.modifiedNanoseconds
      return record
    }

    private mutating func begin(
      _ folder: EROFSInode, _ path: [UInt8], _ reader: inout EROFSReader<ImageFile>
    ) throws(FormatError) {
      var record = record(.directory, folder, path)
      let attributes = try reader.attributes(of: folder)
      record.attributes = attributes.filter { !Self.isOverlays($0) }
      try encoder.entry(record)
      if attributes.contains(where: { Self.isOpaque($0) }) {
        try encoder.entry(LayerRecord(kind: .opaque, path: path))
      }
      try flushIfFull()
    }

    private static func isOverlays(_ attribute: TarEntry.Attribute) -> Bool {
      attribute.name.starts(with: "trusted.overlay.".utf8) || attribute.name.starts(with: "user.overlay.".utf8)
    }

    private static func isOpaque(_ attribute: TarEntry.Attribute) -> Bool {
      isOverlays(attribute) && attribute.name.suffix(7).elementsEqual(".opaque".utf8)
    }

    private mutating func add(
      _ inode: EROFSInode, _ path: [UInt8], _ reader: inout EROFSReader<ImageFile>, _ buffer: inout [UInt8]
    ) throws(FormatError) {
      if inode.kind == .characterDevice, inode.deviceMajor == 0, inode.deviceMinor == 0 {
        try encoder.entry(LayerRecord(kind: .whiteout, path: path))
        return try flushIfFull()
      }
      if inode.links > 1 {
        if let first = linked[inode.id] {
          var link = LayerRecord(kind: .hardLink, path: path)
          link.target = first
          try encoder.entry(link)
          return try flushIfFull()
        }
        linked[inode.id] = path
      }
      let kind: LayerRecord.Kind
      switch inode.kind {
      case .file: kind = .file
      case .symbolicLink: kind = .symbolicLink
      case .characterDevice: kind = .characterDevice
      case .blockDevice: kind = .blockDevice
      case .fifo: kind = .fifo
      default:
        throw FormatError(
          "is of a kind that no layer has", offending: String(decoding: path.prefix(256), as: UTF8.self))
      }
      var record = record(kind, inode, path)
      record.attributes = try reader.attributes(of: inode).filter { !Self.isOverlays($0) }
      if kind == .symbolicLink {
        record.target = try reader.target(of: inode)
        record.mode = 0o777
      }
      if kind == .characterDevice || kind == .blockDevice {
        record.deviceMajor = inode.deviceMajor
        record.deviceMinor = inode.deviceMinor
      }
      if kind == .file {
        guard let size = Int64(exactly: inode.size) else { throw FormatError("a file has an impossible size") }
        record.size = size
      }
      try encoder.entry(record)
      if kind == .file { try contents(of: inode, &reader, &buffer) }
      try flushIfFull()
    }

    private mutating func contents(
      of inode: EROFSInode, _ reader: inout EROFSReader<ImageFile>, _ buffer: inout [UInt8]
    ) throws(FormatError) {
      for extent in try reader.extents(of: inode) {
        if extent.isHole {
          guard let length = Int64(exactly: extent.length) else { throw FormatError("a hole has an impossible size") }
          try encoder.hole(length)
          continue
        }
        guard extent.device < files.count else { throw FormatError("contents lie in an image that is not there") }
        var done: UInt64 = 0
        while done < extent.length {
          let count = Int(min(extent.length - done, UInt64(buffer.count)))
          let (offset, overflows) = extent.offset.addingReportingOverflow(done)
          if overflows { throw FormatError("the image ends before it should") }
          try files[extent.device].read(at: offset, count: count, into: &buffer)
          try encoder.data(buffer.span.extracting(0..<count))
          try flushIfFull()
          done += UInt64(count)
        }
      }
    }

    private mutating func flushIfFull() throws(FormatError) { if encoder.bytes.count >= 64 << 10 { try flush() } }

    private mutating func flush() throws(FormatError) {
      do throws(SystemError) { try File.writeAll(1, encoder.bytes) } catch {
        failure = error
        throw FormatError("the writer has gone")
      }
      encoder.removeAll()
    }
  }
}
