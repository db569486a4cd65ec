import CLinux
import Linux
package import Walls

/// The working directory, which must lie inside the box.
package enum BoxDirectory {
  package static func enter(_ path: String) throws(WallError) {
    do throws(SystemError) {
      try checked("chdir", path, path.withPathAddress { systemCall(Int(SYS_chdir), $0) })
    } catch {
      throw WallError("working directory \(path): \(error.errno)")
    }
    // "(unreachable)…" is what the kernel says of a folder outside the root (getcwd(2)).
    var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
    // SAFETY: getcwd fills at most the capacity.
    let result = unsafe bytes.withUnsafeMutableBufferPointer {
      systemCall(Int(SYS_getcwd), UInt(bitPattern: $0.baseAddress), UInt($0.count))
    }
    if result <= 0 || bytes[0] != UInt8(ascii: "/") {
      throw WallError("working directory \(path): it is not inside the sandbox")
    }
  }
}
