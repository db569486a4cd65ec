import CLinux

/// A regular file as a read-only block device (loop(4)). The kernel takes the device back when the last descriptor and mount of it
/// are gone, whoever is killed when.
public struct LoopDevice: ~Copyable, Sendable {
  public let descriptor: FileDescriptor

  /// Binds a free device to `file` (LOOP_CONFIGURE, Linux 5.8), in blocks of 4096 bytes: the file's size is a multiple of that.
  ///
  /// - Parameter directIO: reads the file past the page cache where its file system can.
  /// - Throws: ENOENT, EACCES or EPERM where there are no loop devices for this caller; EBUSY where others took each that was free.
  public static func attach(_ file: Int32, directIO: Bool) throws(SystemError) -> LoopDevice {
    let file = try nameless(file)
    let control = try File.open("/dev/loop-control", O_RDWR)
    let getFree: UInt = 0x4c82
    // Between asking for a free one and taking it, others may take it.
    for _ in 0..<64 {
      let number = try checked(
        "ioctl(LOOP_CTL_GET_FREE)", "/dev/loop-control",
        systemCall(Int(SYS_ioctl), word(control.rawValue), getFree, 0))
      let path = "/dev/loop\(number)"
      let device = try File.open(path, O_RDONLY | O_NOFOLLOW)
      let status = try File.status("", at: device.rawValue)
      let loopMajor: UInt32 = 7
      guard File.kind(status) == S_IFBLK, immure_major(UInt64(status.st_rdev)) == loopMajor else {
        throw SystemError("open", path, .noDevice)
      }
      do throws(SystemError) {
        try configure(device.rawValue, path, file.rawValue, directIO: directIO)
        return LoopDevice(descriptor: device)
      } catch  where error.errno == .busy {}
    }
    throw SystemError("ioctl(LOOP_CONFIGURE)", "/dev/loop*", .busy)
  }

  /// The same file, opened through a mount of nothing but it: /sys/block/loopN/loop/backing_file, which a box may read, says "/" and not
  /// where the file lies.
  private static func nameless(_ file: Int32) throws(SystemError) -> FileDescriptor {
    let alone = try DetachedMount.clone("", at: file, recursive: false)
    return try File.open("/proc/self/fd/\(alone.descriptor.rawValue)", O_RDONLY)
  }

  /// Gives the descriptor up without closing it.
  public consuming func release() -> Int32 { descriptor.release() }

  private static func configure(_ device: Int32, _ path: String, _ file: Int32, directIO: Bool) throws(SystemError) {
    let readOnly: UInt32 = 1
    let autoclear: UInt32 = 4
    let direct: UInt32 = 16
    // struct loop_config (linux/loop.h): the file, the block size, struct loop_info64 (its flags at 52), eight reserved words.
    var words = [UInt32](repeating: 0, count: 76)
    words[0] = UInt32(bitPattern: file)
    words[1] = 4096
    words[2 + 13] = readOnly | autoclear | (directIO ? direct : 0)
    let configure: UInt = 0x4c0a
    let result = unsafe words.withUnsafeMutableBufferPointer { buffer in
      // SAFETY: 304 bytes, the struct's size, alive across the call.
      systemCall(Int(SYS_ioctl), word(device), configure, UInt(bitPattern: buffer.baseAddress))
    }
    try checked("ioctl(LOOP_CONFIGURE)", path, result)
  }
}
