import CLinux
import Linux

/// What the host's kernel tells of a guest's thread (proc_pid_status(5)), numbers of the sentry's pid namespace but where said.
package struct ProcessFacts: Equatable {
  package var process: Int32 = 0
  package var parent: Int32 = 0
  /// It has ended, and nobody has waited for it (state Z), or that is being seen to (X).
  package var hasEnded = false
  /// Its id in the innermost pid namespace, the guests'.
  package var guestID: Int32 = 0

  /// - Returns: nil where a line is missing.
  package init?(status: [UInt8]) {
    for line in status.split(separator: 0x0a) {
      guard let colon = line.firstIndex(of: 0x3a) else { continue }
      let numbers = { line[(colon + 1)...].split { $0 == 0x20 || $0 == 0x09 }.compactMap { Self.number($0) } }
      switch line.count {
      case _ where line.starts(with: "State:".utf8):
        let state = line[(colon + 1)...].first { $0 != 0x20 && $0 != 0x09 }
        hasEnded = state == UInt8(ascii: "Z") || state == UInt8(ascii: "X")
      case _ where line.starts(with: "Tgid:".utf8): process = numbers().first ?? 0
      case _ where line.starts(with: "PPid:".utf8): parent = numbers().first ?? 0
      case _ where line.starts(with: "NSpid:".utf8): guestID = numbers().last ?? 0
      default: continue
      }
      if process > 0 && guestID > 0 { return }
    }
    return nil
  }

  package static func number(_ digits: ArraySlice<UInt8>) -> Int32? {
    var value: Int32 = 0
    guard !digits.isEmpty, digits.count < 10 else { return nil }
    for digit in digits {
      guard digit >= 0x30, digit <= 0x39 else { return nil }
      value = value &* 10 &+ Int32(digit &- 0x30)
    }
    return value
  }
}

/// A procfs that shows the guests' threads.
struct ProcessFiles {
  let folder: Int32

  /// - Returns: nil where the thread is gone.
  func facts(_ thread: Int32) -> ProcessFacts? { contents("\(thread)/status").flatMap { ProcessFacts(status: $0) } }

  /// The child that the thread made last, of those that live or are not waited for (CONFIG_PROC_CHILDREN).
  func lastChild(of thread: Int32) -> Int32? { children(of: thread).last }

  func children(of thread: Int32) -> [Int32] {
    (contents("\(thread)/task/\(thread)/children") ?? []).split(separator: 0x20).compactMap { ProcessFacts.number($0) }
  }

  /// The threads of a process.
  func threads(of process: Int32) -> [Int32] {
    let path = "\(process)/task"
    // A process that is gone has none.
    guard let names = try? File.names(inDirectory: path, at: folder) else { return [] }
    return names.compactMap { ProcessFacts.number(Array($0.utf8)[...]) }.sorted()
  }

  private func contents(_ path: String) -> [UInt8]? {
    // ENOENT and ESRCH say that it has ended.
    try? File.contents(path, at: folder, limit: 64 << 10)
  }
}
