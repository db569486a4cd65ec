import CLinux

extension FileDescriptor {
  /// Closes every descriptor of this process but those given (close_range(2), Linux 5.9). Owners of the closed ones must not
  /// close them again.
  public static func closeAll(but kept: [Int32]) throws(SystemError) {
    var first: UInt32 = 0
    for descriptor in Set(kept).sorted() where descriptor >= 0 {
      let number = UInt32(descriptor)
      if number > first { try close(from: first, through: number - 1) }
      first = number + 1
    }
    try close(from: first, through: UInt32.max)
  }

  private static func close(from first: UInt32, through last: UInt32) throws(SystemError) {
    try checked(
      "close_range", "\(first)-\(last)", systemCall(Int(IMMURE_SYS_close_range), UInt(first), UInt(last), 0))
  }
}
