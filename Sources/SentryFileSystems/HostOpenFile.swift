import CLinux
import Linux
import SentryFiles
import SentryMemory

/// An open regular file of a host folder, with the access that the guest has.
final class HostOpenFile: OpenFile {
  private let file: HostInode
  private let descriptor: OwnedDescriptor

  init(flags: Int32, _ file: HostInode, _ descriptor: OwnedDescriptor) {
    self.file = file
    self.descriptor = descriptor
    super.init(flags: flags)
  }

  override func read(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    let start = offset ?? position
    guard start >= 0 else { throw .invalid }
    let count = try HostBytes.read(descriptor.rawValue, &buffer, at: start)
    if offset == nil { position = start + Int64(count) }
    return count
  }

  private func place(_ offset: Int64?) throws(Errno) -> Int64 {
    if flags & OpenFlags.append != 0 { return Int64(try HostFiles.status(descriptor.rawValue).st_size) }
    let start = offset ?? position
    guard start >= 0 else { throw .invalid }
    return start
  }

  override func write(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    let start = try place(offset)
    let count = try HostBytes.write(descriptor.rawValue, &buffer, at: start)
    if offset == nil { position = start + Int64(count) }
    return count
  }

  override func seek(to offset: Int64, from whence: Int32) throws(Errno) -> Int64 {
    let size = whence >= 2 ? Int64(try HostFiles.status(descriptor.rawValue).st_size) : 0
    position = try Positions.seek(offset, whence, position, size) { (offset, whence) throws(Errno) in
      try HostFiles.seek(descriptor.rawValue, offset, whence)
    }
    return position
  }

  override func truncate(to size: Int64) throws(Errno) { try HostFiles.truncate(descriptor.rawValue, size) }
  override func allocate(_ mode: Int32, _ offset: Int64, _ length: Int64) throws(Errno) {
    try HostFiles.allocate(descriptor.rawValue, mode, offset, length)
  }
  override func synchronize() throws(Errno) {
    // Nothing was written through here.
    if file.fileSystem.isReadOnly { return }
    try HostFiles.answer(systemCall(Int(SYS_fsync), word(descriptor.rawValue)))
  }
  override func bytes(at offset: Int64, count: Int) throws(Errno) -> [UInt8] {
    try HostBytes.bytes(descriptor.rawValue, at: offset, count: count)
  }
  override func store(_ bytes: [UInt8], at offset: Int64?) throws(Errno) -> Int {
    let start = try place(offset)
    let count = try HostBytes.store(descriptor.rawValue, bytes, at: start)
    if offset == nil { position = start + Int64(count) }
    return count
  }
  /// The host's kernel itself refuses what the descriptor's access does not allow.
  override func hostDescriptor(writable: Bool) throws(Errno) -> Int32 { descriptor.rawValue }
}
