import CLinux
import Linux
import SentryFiles

extension HostFiles {
  /// chmod(2) of an O_PATH descriptor, which fchmod(2) does not take: through its link in /proc, which leads to the very file.
  static func changeMode(_ descriptor: Int32, _ mode: UInt32) throws(Errno) {
    let folder = try table()
    let result = String(descriptor).withPathAddress {
      systemCall(Int(SYS_fchmodat), word(folder), $0, UInt(mode))
    }
    try answer(result)
  }

  /// utimensat(2), likewise.
  static func changeTimes(_ descriptor: Int32, _ accessed: FileTime?, _ modified: FileTime?) throws(Errno) {
    let folder = try table()
    let times = (host(accessed), host(modified))
    // SAFETY: two timespecs in order live across the call.
    let result = unsafe withUnsafePointer(to: times) { times in
      String(descriptor).withPathAddress {
        systemCall(Int(SYS_utimensat), word(folder), $0, UInt(bitPattern: times), 0)
      }
    }
    try answer(result)
  }
  private static func host(_ time: FileTime?) -> timespec {
    guard let time else { return timespec(tv_sec: 0, tv_nsec: 0x3fff_fffe) }
    return timespec(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds))
  }

  // MARK: Extended attributes of a readable descriptor

  private static var largestValue: Int { 65536 }

  static func extendedAttribute(_ descriptor: Int32, _ name: [UInt8]) throws(Errno) -> [UInt8] {
    var value = [UInt8](repeating: 0, count: largestValue)
    let count = try withName(name) { (name) throws(Errno) in
      // SAFETY: fgetxattr fills at most the array.
      try answer(
        unsafe value.withUnsafeMutableBytes { value in
          systemCall(
            Int(SYS_fgetxattr), word(descriptor), name, UInt(bitPattern: value.baseAddress), UInt(value.count))
        })
    }
    return Array(value.prefix(count))
  }

  static func extendedAttributeNames(_ descriptor: Int32) throws(Errno) -> [[UInt8]] {
    var names = [UInt8](repeating: 0, count: largestValue)
    // SAFETY: flistxattr fills at most the array.
    let result = unsafe names.withUnsafeMutableBytes { names in
      systemCall(
        Int(SYS_flistxattr), word(descriptor), UInt(bitPattern: names.baseAddress), UInt(names.count))
    }
    if result == -Int(EOPNOTSUPP) { return [] }
    return names.prefix(try answer(result)).split(separator: 0).map(Array.init)
  }

  static func setExtendedAttribute(
    _ descriptor: Int32, _ name: [UInt8], _ value: [UInt8], _ flags: UInt
  ) throws(Errno) {
    _ = try withName(name) { (name) throws(Errno) in
      // SAFETY: fsetxattr reads the array.
      try answer(
        unsafe value.span.withUnsafeBytes { value in
          systemCall(
            Int(SYS_fsetxattr), word(descriptor), name, UInt(bitPattern: value.baseAddress), UInt(value.count), flags)
        })
    }
  }

  static func removeExtendedAttribute(_ descriptor: Int32, _ name: [UInt8]) throws(Errno) {
    _ = try withName(name) { (name) throws(Errno) in
      try answer(systemCall(Int(SYS_fremovexattr), word(descriptor), name))
    }
  }
}
