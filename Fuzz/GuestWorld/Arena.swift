import CLinux
import Glibc
import Linux

/// The guests' memory: pages of a process that sleeps, so that no pointer of an input reaches what is ours. Nobody has what lies beside them.
@safe package enum Arena {
  package static let size = 1 << 16
  nonisolated(unsafe) private static var start = unsafe UnsafeMutableRawPointer(bitPattern: 4096)
  nonisolated(unsafe) static var process: Int32 = 0

  // SAFETY: one thread; the mapping is shared with the child, which never touches it, and stays until both end.
  package static func make() {
    let whole = unsafe mmap(nil, size + 2 * 4096, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
    guard let whole = unsafe whole, unsafe mprotect(whole + 4096, size, PROT_READ | PROT_WRITE) == 0 else { exit(2) }
    unsafe start = whole + 4096
    let child = systemCall(Int(SYS_fork))
    if child == 0 {
      _ = systemCall(Int(SYS_prctl), UInt(PR_SET_PDEATHSIG), UInt(SIGKILL))
      while true { _ = systemCall(Int(SYS_pause)) }
    }
    unsafe process = Int32(truncatingIfNeeded: child)
  }
  package static func address(_ offset: Int) -> UInt64 {
    unsafe UInt64(UInt(bitPattern: start)) &+ UInt64(offset & (size - 1))
  }

  package static func fill(_ bytes: [UInt8]) {
    guard let start = unsafe start, !bytes.isEmpty else { return }
    for index in 0..<min(size, 4096) {
      unsafe start.storeBytes(of: bytes[index % bytes.count], toByteOffset: index, as: UInt8.self)
    }
  }
  package static func put(_ word: UInt64, at offset: Int) {
    unsafe start?.storeBytes(of: word, toByteOffset: offset & (size - 8), as: UInt64.self)
  }
  package static func put(_ text: String, at offset: Int) {
    for (index, byte) in (Array(text.utf8) + [0]).enumerated() {
      unsafe start?.storeBytes(of: byte, toByteOffset: offset + index, as: UInt8.self)
    }
  }

  package static func put(_ bytes: [UInt8], at offset: Int) {
    for (index, byte) in bytes.enumerated() {
      unsafe start?.storeBytes(of: byte, toByteOffset: (offset + index) & (size - 1), as: UInt8.self)
    }
  }
}

/// Namespaces of their own for what calls ask of the host, which then reaches nobody else; gives only in the child that is the first process
/// there.
package func enterNamespaces() {
  let flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
  guard unshare(flags) == 0 else { fatalError("no namespaces of its own") }
  let child = systemCall(Int(SYS_fork))
  guard child == 0 else {
    var status: Int32 = 0
    // SAFETY: waitpid fills one integer.
    _ = unsafe waitpid(Int32(truncatingIfNeeded: child), &status, 0)
    exit(status & 0x7f == 0 ? status >> 8 & 0xff : 1)
  }
}
