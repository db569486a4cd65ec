import CLinux
import Linux
import Trees

/// Which steps of the journal are done, and which file stands ready beside its place: a file that only grows. A half-written
/// record at its end, from a command that was killed, counts for nothing.
final class Progress {
  private static let recordSize = 24
  private let file: FileDescriptor
  private var done: Set<Int> = []
  private var prepared: [Int: (device: UInt64, inode: UInt64)] = [:]

  init(in directory: Int32) throws(WorkspaceError) {
    do throws(SystemError) {
      file = try File.open("progress", O_RDWR | O_CREAT | O_CLOEXEC, mode: 0o600, at: directory)
      let bytes = try File.readAll(file.rawValue, limit: 1 << 32)
      let whole = bytes.count / Self.recordSize * Self.recordSize
      if whole != bytes.count {
        try checked("ftruncate", "progress", systemCall(Int(SYS_ftruncate), word(file.rawValue), UInt(whole)))
        let fromStart: UInt = 0
        try checked("lseek", "progress", systemCall(Int(SYS_lseek), word(file.rawValue), UInt(whole), fromStart))
      }
      for start in stride(from: 0, to: whole, by: Self.recordSize) {
        var reader = ByteReader(Array(bytes[start..<(start + Self.recordSize)]), source: "progress")
        // A record of 24 bytes holds these three numbers.
        guard let index = try? reader.number(UInt64.self), let device = try? reader.number(UInt64.self),
          let inode = try? reader.number(UInt64.self)
        else { continue }
        if inode == 0 { done.insert(Int(index)) } else { prepared[Int(index)] = (device, inode) }
      }
    } catch {
      throw WorkspaceError("read the progress of an earlier command", error)
    }
  }

  func isDone(_ index: Int) -> Bool { done.contains(index) }

  /// Whether a file is the one that was made ready for a step.
  func isPrepared(_ index: Int, _ status: FileStatus?) -> Bool {
    guard let status, let file = prepared[index] else { return false }
    return file.device == status.device && file.inode == status.inode
  }

  func markDone(_ index: Int) throws(WorkspaceError) {
    done.insert(index)
    try append(index, 0, 0)
  }

  /// From here on the file of this identity at the step's path means that the step is done.
  func markPrepared(_ index: Int, _ status: FileStatus) throws(WorkspaceError) {
    prepared[index] = (status.device, status.inode)
    try append(index, status.device, status.inode)
  }

  private func append(_ index: Int, _ device: UInt64, _ inode: UInt64) throws(WorkspaceError) {
    var writer = ByteWriter()
    writer.number(UInt64(index))
    writer.number(device)
    writer.number(inode)
    do { try File.writeAll(file.rawValue, writer.bytes) } catch { throw WorkspaceError("note the progress", error) }
  }
}
