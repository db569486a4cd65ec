public import Linux
public import SentryABI

extension Inode {
  /// What stat(2) tells.
  public func status() throws(Errno) -> StatusRecord {
    if !fileSystem.isStable { try refresh() }
    let file = attributes
    var record = StatusRecord()
    record.device = file.device
    record.inode = file.inode
    record.links = file.links
    record.mode = file.mode
    record.user = file.user
    record.group = file.group
    record.special = file.special
    record.size = file.size
    record.blockSize = file.blockSize
    record.blocks = file.blocks
    record.accessed = Self.time(file.accessed)
    record.modified = Self.time(file.modified)
    record.changed = Self.time(file.changed)
    record.born = Self.time(file.born)
    return record
  }
  private static func time(_ time: FileTime) -> TimeSpec {
    TimeSpec(seconds: time.seconds, nanoseconds: Int64(time.nanoseconds))
  }
}
