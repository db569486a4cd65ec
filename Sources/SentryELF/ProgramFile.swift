public import Formats
public import Linux

/// A file that execve(2) may be asked to run, read through whoever opened it.
public protocol ProgramFile {
  /// - Returns: fewer bytes at the file's end.
  func bytes(at offset: UInt64, count: Int) throws(Errno) -> [UInt8]
}

extension ProgramFile {
  /// - Throws: ENOEXEC for what is no executable of this machine.
  public func elf(head: [UInt8]) throws(Errno) -> ELFProgram {
    do throws(FormatError) {
      let place = try ELFProgram.programHeaders(head.span)
      let count = Int(place.upperBound - place.lowerBound)
      let within = place.upperBound <= UInt64(head.count)
      let table =
        try within ? Array(head[Int(place.lowerBound)..<Int(place.upperBound)]) : read(place.lowerBound, count)
      return try ELFProgram(head.span, table: table.span)
    } catch {
      throw .execFormat
    }
  }

  private func read(_ offset: UInt64, _ count: Int) throws(FormatError) -> [UInt8] {
    do throws(Errno) { return try bytes(at: offset, count: count) } catch { throw FormatError("cannot be read") }
  }
}
