import CLinux
import Formats
import Linux

/// Reads a file or a tree that hostile code changes meanwhile, and writes it as a tar stream whose first member is what was named.
///
/// Everything is found by O_PATH and looked at before it is opened; beneath the named folder no link is followed. A file is as
/// long as it was when it was opened: one that grows is cut, one that shrinks is filled up with zeros and told. Holes stay holes.
/// Only one folder and one file are open at a time, however deep the tree is.
package final class TreePacker {
  let place: TreePlace
  private let output: Int32
  let reopener: Reopener
  var report = TransferReport()
  private var buffer: [UInt8] = []
  private var members = 0
  /// Where a file with several names was first seen.
  private var names: [FileIdentity: [UInt8]] = [:]

  private struct FileIdentity: Hashable {
    let device: UInt64
    let inode: UInt64
  }

  /// More members than this, or longer paths, no reader takes.
  static let maximumMembers = 1_500_000
  static let maximumPath = 3900
  /// Bytes of a file, and pieces between its holes.
  static let maximumSize: UInt64 = 1 << 40
  static let maximumPieces = 60_000
  /// Extended attributes of a file, and bytes of them: an extended header that a reader takes.
  private static let maximumAttributes = 200
  private static let maximumAttributeBytes = 768 << 10
  /// Bytes of names that wait to be looked at.
  static let maximumWaiting = 256 << 20
  static let chunk = 256 << 10

  /// - Parameter reopener: made before a place was entered whose /proc is not to be trusted.
  package init(place: TreePlace, output: Int32, reopener: consuming Reopener) {
    self.place = place
    self.output = output
    self.reopener = reopener
  }

  /// Writes the whole stream; what happened is told, nothing is thrown. Once only.
  package func pack(_ source: TreeSource) -> TransferReport {
    do throws(TransferStop) {
      try start(source)
      try write(TarWriter.end)
      try flush()
    } catch {
      if error.isCut { report.isCut = true } else { report.fatal = error.message }
    }
    return report
  }

  private func start(_ source: TreeSource) throws(TransferStop) {
    let typed = TypedPath(source.path)
    let shown = RelativePath.shown(Array(source.path.utf8))
    let name = typed.name ?? [UInt8(ascii: ".")]
    let found: FoundNode
    do throws(SystemError) {
      let isFollowed = source.followsLink || typed.mustBeFolder
      found = try FoundNode(place.open(typed.path, O_PATH | (isFollowed ? 0 : O_NOFOLLOW)))
    } catch {
      throw TransferStop("\(shown): \(error.errno)")
    }
    if let kernel = found.kernelFileSystem {
      throw TransferStop("\(shown) is in \(kernel), which holds no files: not copied; read it with exec")
    }
    switch found.kind {
    case .directory:
      let top: Folder
      do throws(SystemError) {
        top = Folder(owning: try File.open(".", O_RDONLY | O_DIRECTORY, at: found.descriptor.rawValue))
      } catch {
        throw TransferStop("\(shown): \(error.errno)")
      }
      try pack(top, as: name)
    case _ where typed.mustBeFolder: throw TransferStop("\(shown) is no folder")
    case .regular: try addFile(found, as: name)
    case .link: try addLink(found, as: name)
    case let kind: throw TransferStop("\(shown) is a \(kind.word): only files, folders and links are copied")
    }
  }
}

// MARK: Walking

extension TreePacker {
  private func pack(_ top: borrowing Folder, as name: [UInt8]) throws(TransferStop) {
    var waiting: [RelativePath] = [.root]
    var waitingBytes = 32
    while let path = waiting.popLast() {
      waitingBytes -= path.bytes.count + 32
      let member = path.isRoot ? name : name + [UInt8(ascii: "/")] + path.bytes
      for inner in try packFolder(path, in: top, as: member) {
        waiting.append(inner)
        waitingBytes += inner.bytes.count + 32
      }
      if waitingBytes > Self.maximumWaiting { throw TransferStop("the tree has more names than memory should hold") }
    }
  }

  /// One folder with what is in it but folders, which are returned.
  private func packFolder(
    _ path: RelativePath, in top: borrowing Folder, as member: [UInt8]
  ) throws(TransferStop) -> [RelativePath] {
    let folder: Folder
    let found: FoundNode
    let children: [[UInt8]]
    do throws(SystemError) {
      folder = Folder(owning: try top.open(path, O_RDONLY | O_DIRECTORY, crossingMounts: true))
    } catch {
      fail(member, "\(error.errno)")
      return []
    }
    do throws(SystemError) {
      found = try FoundNode(FileDescriptor.duplicate(folder.raw))
      children = found.kernelFileSystem == nil ? try folder.names(limit: Self.maximumMembers) : []
    } catch {
      fail(member, "\(error.errno)")
      return []
    }
    if let kernel = found.kernelFileSystem {
      report.leftOut.add("\(RelativePath.shown(member)) is in \(kernel)")
      return []
    }
    try addFolder(found, folder.raw, as: member)
    var folders: [RelativePath] = []
    for name in children {
      let inner = member + [UInt8(ascii: "/")] + name
      guard inner.count <= Self.maximumPath else {
        fail(Array(inner.prefix(100)), "lies too deep: its path has more than \(Self.maximumPath) bytes")
        continue
      }
      let node: FoundNode
      do throws(SystemError) {
        node = try FoundNode(folder.find(name))
      } catch {
        // Gone since it was listed: it is none of the tree's any more.
        if error.errno != .noEntry { fail(inner, "\(error.errno)") }
        continue
      }
      switch node.kind {
      case .directory: folders.append(path.appending(name))
      case .regular: try addFile(node, as: inner)
      case .link: try addLink(node, as: inner)
      case let kind: report.leftOut.add("\(RelativePath.shown(inner)) is a \(kind.word)")
      }
    }
    return folders
  }

  func fail(_ member: [UInt8], _ why: String) {
    report.failed.add("\(RelativePath.shown(member)): \(why)")
  }
}

// MARK: Members

extension TreePacker {
  func entry(_ kind: TarEntry.Kind, _ node: FoundNode, _ member: [UInt8]) -> TarEntry {
    var entry = TarEntry(kind: kind, path: member)
    entry.mode = node.status.st_mode & 0o7777
    entry.uid = node.status.st_uid
    entry.gid = node.status.st_gid
    entry.modified = Int64(node.status.st_mtim.tv_sec)
    entry.modifiedNanoseconds = UInt32(clamping: node.status.st_mtim.tv_nsec)
    return entry
  }

  func add(_ entry: TarEntry, _ pieces: [Range<Int64>]? = nil) throws(TransferStop) {
    members += 1
    guard members <= Self.maximumMembers else {
      throw TransferStop("the tree has more than \(Self.maximumMembers) files: give its folders one by one")
    }
    let header: [UInt8]
    do throws(FormatError) {
      if let pieces {
        header = try TarWriter.header(for: entry, pieces: pieces)
      } else {
        header = try TarWriter.header(for: entry)
      }
    } catch {
      throw TransferStop(error.description)
    }
    try write(header)
  }

  func addFolder(_ node: FoundNode, _ opened: Int32, as member: [UInt8]) throws(TransferStop) {
    var entry = entry(.directory, node, member)
    entry.attributes = attributes(of: opened, member)
    try add(entry)
    report.folders += 1
  }

  /// All that are kept, with ids as they are seen here; what cannot be had, or written into an archive, is told.
  func attributes(of descriptor: Int32, _ member: [UInt8]) -> [TarEntry.Attribute] {
    var attributes: [TarEntry.Attribute] = []
    var bytes = 0
    func lose(_ name: [UInt8], _ why: String) {
      report.attributes.add("\(RelativePath.shown(name)) of \(RelativePath.shown(member)): \(why)")
    }
    do throws(SystemError) {
      for name in try ExtendedAttribute.names(of: descriptor) where ExtendedAttribute.isKept(name) {
        // A key of an archive is text, and ends at the first "=".
        guard String(validating: name, as: UTF8.self) != nil, !name.contains(UInt8(ascii: "=")) else {
          lose(name, "an archive cannot hold that name")
          continue
        }
        let value: [UInt8]
        do throws(SystemError) {
          guard let found = try ExtendedAttribute.whole(name, of: descriptor) else { continue }
          value = found
        } catch {
          lose(name, "\(error.errno)")
          continue
        }
        guard attributes.count < Self.maximumAttributes, bytes + name.count + value.count < Self.maximumAttributeBytes
        else {
          lose(name, "the file has too many")
          continue
        }
        bytes += name.count + value.count
        attributes.append(TarEntry.Attribute(name: name, value: value))
      }
    } catch {
      lose(Array("all".utf8), "\(error.errno)")
    }
    return attributes
  }

  func addLink(_ node: FoundNode, as member: [UInt8]) throws(TransferStop) {
    var entry = entry(.symbolicLink, node, member)
    do throws(SystemError) { entry.linkTarget = try Folder.readLink(node.descriptor.rawValue) } catch {
      return fail(member, "\(error.errno)")
    }
    try add(entry)
    report.links += 1
  }

  func addFile(_ node: FoundNode, as member: [UInt8]) throws(TransferStop) {
    let identity = FileIdentity(device: UInt64(node.status.st_dev), inode: UInt64(node.status.st_ino))
    if node.status.st_nlink > 1 {
      if let first = names[identity] {
        var link = entry(.hardLink, node, member)
        link.linkTarget = first
        report.links += 1
        return try add(link)
      }
    }
    let opened: FoundNode
    let size: UInt64
    let pieces: [Range<Int64>]
    do throws(SystemError) {
      // The one that was looked at: a regular file. EAGAIN where somebody holds a lease on it (fcntl(2)).
      opened = try FoundNode(reopener.open(node.descriptor.rawValue, O_RDONLY | O_NONBLOCK | O_NOCTTY))
      size = UInt64(max(opened.status.st_size, 0))
      guard size <= Self.maximumSize else { return fail(member, "is larger than 1 TiB") }
      guard
        let found = try File.dataRanges(opened.descriptor.rawValue, size: Int64(size), limit: Self.maximumPieces)
      else { return fail(member, "has more than \(Self.maximumPieces) holes") }
      pieces = found
    } catch {
      return fail(member, error.errno == .again ? "is leased by a program in the box" : "\(error.errno)")
    }
    var entry = entry(.file, opened, member)
    entry.size = Int64(size)
    entry.attributes = attributes(of: opened.descriptor.rawValue, member)
    let stored = pieces.reduce(0) { $0 + $1.upperBound - $1.lowerBound }
    if stored == entry.size {
      try add(entry)
    } else {
      try add(entry, pieces)
    }
    var isWhole = true
    for piece in pieces where !(try copy(piece, of: opened.descriptor.rawValue)) { isWhole = false }
    try write(TarWriter.padding(after: stored))
    if !isWhole { fail(member, "changed while it was read: what was missing is filled up with zeros") }
    if node.status.st_nlink > 1 { names[identity] = member }
    report.files += 1
    report.bytes += UInt64(stored)
  }

  /// False where the file ended before, or could not be read: the stream has zeros there.
  private func copy(_ piece: Range<Int64>, of file: Int32) throws(TransferStop) -> Bool {
    var offset = piece.lowerBound
    var isWhole = true
    while offset < piece.upperBound {
      let count = Int(min(Int64(Self.chunk), piece.upperBound - offset))
      var bytes: [UInt8] = []
      if isWhole {
        do throws(SystemError) { bytes = try File.read(file, atMost: count, at: Int(offset)) } catch {
          bytes = []
        }
        if bytes.isEmpty { isWhole = false }
      }
      if !isWhole { bytes = [UInt8](repeating: 0, count: count) }
      try write(bytes)
      offset += Int64(bytes.count)
    }
    return isWhole
  }

  func write(_ bytes: [UInt8]) throws(TransferStop) {
    buffer.append(contentsOf: bytes)
    if buffer.count >= Self.chunk { try flush() }
  }

  func flush() throws(TransferStop) {
    do throws(SystemError) { try File.writeAll(output, buffer) } catch {
      throw error.errno == .brokenPipe ? .cut : TransferStop("the stream: \(error.errno)")
    }
    buffer.removeAll(keepingCapacity: true)
  }
}

/// Something that was found and looked at, and not opened.
struct FoundNode {
  let descriptor: OwnedDescriptor
  let status: stat
  /// The kernel's own file system that it is in, where reading may block, lie or act; nil in one of files.
  let kernelFileSystem: String?
  var kind: FileStatus.Kind { FileStatus.Kind(mode: status.st_mode) }

  init(_ descriptor: consuming FileDescriptor) throws(SystemError) {
    let owned = OwnedDescriptor(descriptor)
    status = try File.status("", at: owned.rawValue)
    kernelFileSystem = Self.kernelFileSystems[try File.fileSystemKind(owned.rawValue)]
    self.descriptor = owned
  }

  /// By their numbers (linux/magic.h).
  private static let kernelFileSystems: [Int: String] = [
    0x9fa0: "procfs", 0x6265_6572: "sysfs", 0x0027_e0eb: "a cgroup file system", 0x6367_7270: "a cgroup file system",
    0x1cd1: "devpts", 0x1980_0202: "a message queue file system", 0x6462_6720: "debugfs", 0x7472_6163: "tracefs",
    0x7363_6673: "securityfs", 0xf97c_ff8c: "selinuxfs", 0xcafe_4a11: "bpffs", 0x4249_4e4d: "binfmt_misc",
    0x6265_6570: "configfs", 0xde5e_81e4: "efivarfs", 0x6573_5543: "fusectl", 0x6573_5546: "a FUSE file system",
    0x6e73_6673: "nsfs", 0x5049_4446: "pidfs",
  ]
}

extension FileStatus.Kind {
  var word: String {
    switch self {
    case .regular: "file"
    case .directory: "folder"
    case .link: "link"
    case .device: "device"
    case .socket: "socket"
    case .pipe: "pipe"
    }
  }
}
