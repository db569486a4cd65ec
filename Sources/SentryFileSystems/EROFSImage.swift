import CLinux
import Formats
import Linux
import SentryMemory

/// A file of the host, mapped read-only: an image's metadata or a layer's data. The store keeps such files as they are.
@safe final class MappedFile: EROFSSource {
  let size: UInt64
  private let start: UnsafeMutableRawPointer?

  /// - Parameter file: a readable descriptor, which may be closed afterwards.
  init(_ file: Int32) throws(SystemError) {
    let status: stat
    do throws(Errno) { status = try HostFiles.status(file) } catch { throw SystemError("fstat", "image", error) }
    guard status.st_size >= 0 else { throw SystemError("fstat", "image", .invalid) }
    size = UInt64(status.st_size)
    if size == 0 {
      unsafe start = nil
      return
    }
    let result = systemCall(
      Int(SYS_mmap), 0, UInt(size), UInt(PROT_READ), UInt(MAP_PRIVATE | MAP_NORESERVE), word(file), 0)
    let address = try checked("mmap", "image", result)
    unsafe start = UnsafeMutableRawPointer(bitPattern: UInt(bitPattern: address))
  }

  // SAFETY: the mapping is this object's own, and nothing of it is given out for longer than a call.
  deinit { if let start = unsafe start { unsafe munmap(start, Int(size)) } }

  func read(at offset: UInt64, into bytes: inout MutableSpan<UInt8>) throws(FormatError) {
    guard let start = unsafe start, offset <= size, UInt64(bytes.count) <= size - offset else {
      throw FormatError("the image has no bytes at \(offset)")
    }
    // SAFETY: the range lies within the mapping, checked above; the span has room for all of it.
    unsafe bytes.withUnsafeMutableBytes { room in
      unsafe room.copyMemory(from: UnsafeRawBufferPointer(start: start + Int(offset), count: room.count))
    }
  }

  /// Gives bytes to a guest straight from the mapping.
  /// - Throws: EIO where they are not within the file.
  func put(_ offset: UInt64, _ count: Int, _ buffer: inout GuestBuffer) throws(Errno) -> Int {
    guard let start = unsafe start, count >= 0, offset <= size, UInt64(count) <= size - offset else {
      throw .inputOutput
    }
    // SAFETY: as above.
    return try unsafe buffer.put(UnsafeRawBufferPointer(start: start + Int(offset), count: count))
  }

  func bytes(_ offset: UInt64, _ count: Int) throws(Errno) -> [UInt8] {
    guard let start = unsafe start, count >= 0, offset <= size, UInt64(count) <= size - offset else {
      throw .inputOutput
    }
    // SAFETY: as above.
    return unsafe Array(UnsafeRawBufferPointer(start: start + Int(offset), count: count))
  }
}

/// An image of the store: metadata, and the files that its table of devices means. Whoever wrote them is not trusted: the reader holds
/// every number against the files' sizes, and what it refuses is EIO for the guest.
final class EROFSImage {
  private var reader: EROFSReader<MappedFile>
  private let metadata: MappedFile
  private let devices: [MappedFile]
  /// Where this machine's kernel has mounted the same image.
  private let ownMount: OwnedDescriptor?
  var mount: Int32? { ownMount?.rawValue }

  init(metadata: Int32, devices: [Int32], mount: Int32?) throws(SystemError) {
    let image = try MappedFile(metadata)
    self.metadata = image
    var files: [MappedFile] = []
    for file in devices { files.append(try MappedFile(file)) }
    self.devices = files
    if let mount { ownMount = OwnedDescriptor(try FileDescriptor.duplicate(mount)) } else { ownMount = nil }
    do throws(FormatError) {
      reader = try EROFSReader(image)
    } catch { throw SystemError("read", "image: \(error)", .invalid) }
  }

  var rootID: UInt64 { reader.rootID }
  var metadataSize: UInt64 { metadata.size }

  func inode(_ id: UInt64) throws(Errno) -> EROFSInode {
    do throws(FormatError) { return try reader.inode(id) } catch { throw .inputOutput }
  }
  func kind(_ id: UInt64) throws(Errno) -> EROFSKind {
    do throws(FormatError) { return try reader.kind(id) } catch { throw .inputOutput }
  }
  func lookup(_ name: [UInt8], in directory: EROFSInode) throws(Errno) -> UInt64? {
    do throws(FormatError) { return try reader.lookup(name, in: directory) } catch { throw .inputOutput }
  }
  func next(_ position: inout EROFSDirectoryPosition) throws(Errno) -> EROFSDirectoryEntry? {
    do throws(FormatError) { return try reader.next(&position) } catch { throw .inputOutput }
  }
  func target(of link: EROFSInode) throws(Errno) -> [UInt8] {
    do throws(FormatError) { return try reader.target(of: link) } catch { throw .inputOutput }
  }
  func attributes(of inode: EROFSInode) throws(Errno) -> [TarEntry.Attribute] {
    do throws(FormatError) { return try reader.attributes(of: inode) } catch { throw .inputOutput }
  }
  func extent(of file: EROFSInode, at offset: UInt64) throws(Errno) -> EROFSExtent {
    do throws(FormatError) { return try reader.extent(of: file, at: offset) } catch { throw .inputOutput }
  }

  /// - Throws: EIO for a device that isn't there.
  func file(_ extent: EROFSExtent) throws(Errno) -> MappedFile {
    if extent.device == 0 { return metadata }
    guard extent.device <= devices.count else { throw .inputOutput }
    return devices[extent.device - 1]
  }
}
