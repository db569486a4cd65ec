import CLinux
import Linux
import SentryFiles
import SentryTasks
import Testing

/// What all guests may read and none may write.
@Suite("The board of answers")
struct AnswerBoardTests {
  @Test("whoever has its file can neither write to it nor map it for that")
  func sealed() throws {
    let board = try AnswerBoard.make()
    let number = word(board.file.rawValue)
    let byte: [UInt8] = [1]
    let written = unsafe byte.span.withUnsafeBytes {
      systemCall(Int(SYS_pwrite64), number, UInt(bitPattern: $0.baseAddress), 1, 0)
    }
    #expect(written == -Int(EPERM))
    #expect(systemCall(Int(SYS_ftruncate), number, 0) == -Int(EPERM))
    #expect(
      systemCall(Int(SYS_fallocate), number, UInt(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE), 0, 4096) == -Int(EPERM))
    let both = word(PROT_READ | PROT_WRITE)
    #expect(systemCall(Int(SYS_mmap), 0, 4096, both, UInt(MAP_SHARED), number, 0) == -Int(EPERM))
    let mapped = systemCall(Int(SYS_mmap), 0, 4096, UInt(PROT_READ), UInt(MAP_SHARED), number, 0)
    try #require(mapped > 0)
    defer { _ = systemCall(Int(SYS_munmap), UInt(bitPattern: mapped), 4096) }
    #expect(systemCall(Int(SYS_mprotect), UInt(bitPattern: mapped), 4096, both) == -Int(EACCES))
    // What it says is seen there: the generation, first of all.
    guard let seen = unsafe UnsafePointer<UInt64>(bitPattern: mapped) else { return }
    #expect(unsafe seen.pointee == board.current)
    board.change()
    #expect(unsafe seen.pointee == board.current)
    board.turnOff()
    board.change()
    #expect(unsafe seen.pointee == 0)
  }
}
