import CLinux

/// Loading and attaching (bpf(2)).
extension DeviceProgram {
  private static let cgroupDevice: UInt32 = 15
  private static let attachType: UInt32 = 6

  /// Loads the program, which the kernel's verifier must take. EPERM without CAP_BPF or CAP_SYS_ADMIN in the initial user namespace.
  public func load() throws(SystemError) -> FileDescriptor {
    let load: UInt = 5
    let license: [UInt8] = Array("GPL".utf8) + [0]
    // SAFETY: the kernel reads the instructions, the license and one union bpf_attr of 72 bytes, all alive across the call.
    let result = unsafe instructions.withUnsafeBufferPointer { program in
      unsafe license.withUnsafeBufferPointer { license in
        var attributes: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (
          UInt64(Self.cgroupDevice) | UInt64(program.count) << 32, UInt64(UInt(bitPattern: program.baseAddress)),
          UInt64(UInt(bitPattern: license.baseAddress)), 0, 0, 0, 0, 0, UInt64(Self.attachType) << 32
        )
        return unsafe withUnsafeMutablePointer(to: &attributes) {
          systemCall(Int(SYS_bpf), load, UInt(bitPattern: $0), 72)
        }
      }
    }
    return FileDescriptor(
      owning: Int32(try checked("bpf(BPF_PROG_LOAD)", "\(instructions.count) instructions", result)))
  }

  /// Makes it the only device program of a group: others that stand there are taken away once this one decides too, so that at no moment
  /// none does.
  public func attach(to path: String) throws(SystemError) {
    let group = try File.open(path, O_RDONLY | O_DIRECTORY)
    let program = try load()
    let before = try DeviceProgram.attached(to: group.rawValue)
    let allowMulti: UInt32 = 2
    try DeviceProgram.bpf(
      8, "BPF_PROG_ATTACH", path,
      (
        UInt64(UInt32(bitPattern: group.rawValue)) | UInt64(UInt32(bitPattern: program.rawValue)) << 32,
        UInt64(Self.attachType) | UInt64(allowMulti) << 32, 0, 0
      ))
    for id in before {
      let old = FileDescriptor(
        owning: Int32(try DeviceProgram.bpf(13, "BPF_PROG_GET_FD_BY_ID", path, (UInt64(id), 0, 0, 0))))
      try DeviceProgram.bpf(
        9, "BPF_PROG_DETACH", path,
        (
          UInt64(UInt32(bitPattern: group.rawValue)) | UInt64(UInt32(bitPattern: old.rawValue)) << 32,
          UInt64(Self.attachType), 0, 0
        ))
    }
  }

  /// The ids of a group's own device programs.
  private static func attached(to group: Int32) throws(SystemError) -> [UInt32] {
    var ids = [UInt32](repeating: 0, count: 64)
    var count = UInt64(ids.count)
    // SAFETY: the kernel fills at most as many ids as the count says, and writes the count, both alive across the call.
    let result = unsafe ids.withUnsafeMutableBufferPointer { buffer in
      var attributes: (UInt64, UInt64, UInt64, UInt64) = (
        UInt64(UInt32(bitPattern: group)) | UInt64(attachType) << 32, 0, UInt64(UInt(bitPattern: buffer.baseAddress)),
        count
      )
      let result = unsafe withUnsafeMutablePointer(to: &attributes) {
        systemCall(Int(SYS_bpf), 16, UInt(bitPattern: $0), 32)
      }
      count = attributes.3 & 0xffff_ffff
      return result
    }
    try checked("bpf(BPF_PROG_QUERY)", "", result)
    return Array(ids.prefix(Int(count)))
  }

  @discardableResult
  private static func bpf(
    _ command: UInt, _ name: StaticString, _ subject: String, _ words: (UInt64, UInt64, UInt64, UInt64)
  ) throws(SystemError) -> Int {
    var attributes = words
    // SAFETY: the kernel reads one union bpf_attr of 32 bytes.
    let result = unsafe withUnsafeMutablePointer(to: &attributes) {
      systemCall(Int(SYS_bpf), command, UInt(bitPattern: $0), 32)
    }
    return try checked(name, subject, result)
  }
}
