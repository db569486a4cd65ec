import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentryTasks

/// Modes, owners and times.
enum AttributeCalls {
  static let rows: [CallRow] = [
    CallRow(90, "chmod") { (call, task) throws(Errno) in
      try changeMode(try task.place(Call.here, call.arguments.0.address), call.arguments.1, task)
    },
    CallRow(91, "fchmod") { (call, task) throws(Errno) in
      try changeMode(try task.place(of: call.arguments.0), call.arguments.1, task)
    },
    CallRow(268, "fchmodat") { (call, task) throws(Errno) in
      try changeMode(try task.place(call.arguments.0, call.arguments.1.address), call.arguments.2, task)
    },
    CallRow(452, "fchmodat2") { (call, task) throws(Errno) in
      let flags = call.arguments.3.int32
      guard flags & ~(PathFlags.noFollow | PathFlags.emptyPath) == 0 else { throw .invalid }
      let place = try task.place(call.arguments.0, call.arguments.1.address, flags: flags)
      return try changeMode(place, call.arguments.2, task)
    },
    CallRow(92, "chown") { (call, task) throws(Errno) in
      try changeOwner(
        try task.place(Call.here, call.arguments.0.address), call.arguments.1, call.arguments.2, task)
    },
    CallRow(93, "fchown") { (call, task) throws(Errno) in
      try changeOwner(try task.place(of: call.arguments.0), call.arguments.1, call.arguments.2, task)
    },
    CallRow(94, "lchown") { (call, task) throws(Errno) in
      let place = try task.place(Call.here, call.arguments.0.address, flags: PathFlags.noFollow)
      return try changeOwner(place, call.arguments.1, call.arguments.2, task)
    },
    CallRow(260, "fchownat") { (call, task) throws(Errno) in
      let flags = call.arguments.4.int32
      guard flags & ~(PathFlags.noFollow | PathFlags.emptyPath) == 0 else { throw .invalid }
      let place = try task.place(call.arguments.0, call.arguments.1.address, flags: flags)
      return try changeOwner(place, call.arguments.2, call.arguments.3, task)
    },
    CallRow(132, "utime") { (call, task) throws(Errno) in
      let place = try task.place(Call.here, call.arguments.0.address)
      let address = call.arguments.1.address
      if address.isNull { return try changeTimes(place, nil, task) }
      let bytes = try task.memory.bytes(address, count: 16)
      return try changeTimes(place, [seconds(bytes, 0, 0), seconds(bytes, 8, 0)], task)
    },
    CallRow(235, "utimes") { (call, task) throws(Errno) in
      try microseconds(Call.here, call.arguments.0, call.arguments.1.address, task)
    },
    CallRow(261, "futimesat") { (call, task) throws(Errno) in
      try microseconds(call.arguments.0, call.arguments.1, call.arguments.2.address, task)
    },
    CallRow(280, "utimensat") { (call, task) throws(Errno) in try nanoseconds(call, task) },
  ]

  private static func changeMode(_ place: Path, _ mode: GuestWord, _ task: Task) throws(Errno) -> Outcome {
    try task.walk.changePermissions(place, to: mode.uint32 & 0o7777)
    return .zero
  }

  private static func changeOwner(
    _ place: Path, _ user: GuestWord, _ group: GuestWord, _ task: Task
  ) throws(Errno) -> Outcome {
    try task.walk.changeOwner(
      place, user: user.uint32 == .max ? nil : user.uint32, group: group.uint32 == .max ? nil : group.uint32)
    return .zero
  }

  // MARK: Times

  private static func seconds(_ bytes: [UInt8], _ at: Int, _ nanoseconds: UInt32) -> FileTime {
    FileTime(seconds: Int64(bitPattern: bytes.little64(at)), nanoseconds: nanoseconds)
  }

  /// - Parameter times: of access and of modification; nil for now.
  private static func changeTimes(_ place: Path, _ times: [FileTime]?, _ task: Task) throws(Errno) -> Outcome {
    let now = FileTime.now()
    try task.walk.changeTimes(
      place, accessed: times?[0] ?? now, modified: times?[1] ?? now, isNow: times == nil)
    return .zero
  }

  /// Two struct timeval.
  private static func microseconds(
    _ directory: GuestWord, _ path: GuestWord, _ address: GuestAddress, _ task: Task
  ) throws(Errno) -> Outcome {
    var times: [FileTime]?
    if !address.isNull {
      let bytes = try task.memory.bytes(address, count: 32)
      guard bytes.little64(8) < 1_000_000, bytes.little64(24) < 1_000_000 else { throw .invalid }
      times = [
        seconds(bytes, 0, UInt32(truncatingIfNeeded: bytes.little64(8)) &* 1000),
        seconds(bytes, 16, UInt32(truncatingIfNeeded: bytes.little64(24)) &* 1000),
      ]
    }
    // futimesat(2) takes a null path for the descriptor itself.
    let place =
      path.address.isNull && directory.int32 != PathFlags.currentDirectory
      ? try task.place(of: directory) : try task.place(directory, path.address)
    return try changeTimes(place, times, task)
  }

  /// Two struct timespec; what is wrong in them is told once the file has been found (do_utimes of fs/utimes.c).
  private static func nanoseconds(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let (flags, address) = (call.arguments.3.int32, call.arguments.2.address)
    let bytes = address.isNull ? nil : try task.memory.bytes(address, count: 32)
    // UTIME_NOW and UTIME_OMIT (utimensat(2)).
    let (isNow, isOmitted): (UInt64, UInt64) = (0x3fff_ffff, 0x3fff_fffe)
    if let bytes, bytes.little64(8) == isOmitted, bytes.little64(24) == isOmitted { return .zero }
    let place: Path
    if call.arguments.1.address.isNull, flags & PathFlags.emptyPath == 0,
      call.arguments.0.int32 != PathFlags.currentDirectory
    {
      guard flags == 0 else { throw .invalid }
      place = try task.place(of: call.arguments.0)
    } else {
      guard flags & ~(PathFlags.noFollow | PathFlags.emptyPath) == 0 else { throw .invalid }
      place = try task.place(call.arguments.0, call.arguments.1.address, flags: flags)
    }
    let now = FileTime.now()
    var times: [FileTime?] = [now, now]
    var bothNow = true
    if let bytes {
      bothNow = bytes.little64(8) == isNow && bytes.little64(24) == isNow
      for index in 0..<2 {
        let fraction = bytes.little64(16 * index + 8)
        if fraction == isNow { continue }
        if fraction == isOmitted {
          times[index] = nil
        } else {
          guard fraction < 1_000_000_000 else { throw .invalid }
          times[index] = seconds(bytes, 16 * index, UInt32(truncatingIfNeeded: fraction))
        }
      }
    }
    try task.walk.changeTimes(place, accessed: times[0], modified: times[1], isNow: bothNow)
    return .zero
  }
}
