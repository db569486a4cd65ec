import Linux
import SentryABI
import SentryMemory
import SentryTasks

/// capget(2) and capset(2), all three versions of their structs.
enum CapabilityCalls {
  static let rows: [CallRow] = [
    CallRow(125, "capget") { (call, task) throws(Errno) in
      let data = call.arguments.1.address
      guard let (words, id) = try header(call, task) else {
        // The version that is wanted has been told: with no data that is all that was asked.
        if data.isNull { return .zero }
        throw .invalid
      }
      guard id >= 0 else { throw .invalid }
      var credentials = task.credentials
      if id != 0 && id != task.id {
        guard let other = task.kernel.tasks[id] else { throw .noProcess }
        credentials = other.credentials
      }
      if data.isNull { return .zero }
      var bytes: [UInt8] = []
      for index in 0..<words {
        for set in [credentials.effective, credentials.permitted, credentials.inheritable] {
          bytes.append(little: UInt32(truncatingIfNeeded: set >> UInt64(32 * index)))
        }
      }
      try task.memory.store(bytes, at: data)
      return .zero
    },
    CallRow(126, "capset") { (call, task) throws(Errno) in
      guard let (words, id) = try header(call, task) else { throw .invalid }
      guard id == 0 || id == task.id else { throw .notPermitted }
      let bytes = try task.memory.bytes(call.arguments.1.address, count: 12 * words)
      var sets: [UInt64] = [0, 0, 0]
      for index in 0..<words {
        for set in 0..<3 { sets[set] |= UInt64(bytes.little32(12 * index + 4 * set)) << UInt64(32 * index) }
      }
      let (effective, permitted, inheritable) = (
        sets[0] & Capability.all, sets[1] & Capability.all, sets[2] & Capability.all
      )
      // cap_capset() of security/commoncap.c.
      let old = task.credentials
      let mayInherit = old.has(Capability.setCapabilities) ? UInt64.max : old.inheritable | old.permitted
      guard inheritable & ~mayInherit == 0, inheritable & ~(old.inheritable | old.bounding) == 0,
        permitted & ~old.permitted == 0, effective & ~permitted == 0
      else { throw .notPermitted }
      task.credentials.effective = effective
      task.credentials.permitted = permitted
      task.credentials.inheritable = inheritable
      task.credentials.ambient &= permitted & inheritable
      return .zero
    },
  ]

  /// - Returns: words of 32 capabilities, and the thread; nil where the version isn't known, which the guest is told then.
  private static func header(_ call: Call, _ task: Task) throws(Errno) -> (Int, Int32)? {
    let address = call.arguments.0.address
    let version = try task.memory.load(address, as: UInt32.self)
    switch version {
    case 0x1998_0330: return (1, try task.memory.load(address.advanced(by: 4), as: Int32.self))
    case 0x2007_1026, 0x2008_0522: return (2, try task.memory.load(address.advanced(by: 4), as: Int32.self))
    default:
      try task.memory.store(UInt32(0x2008_0522), at: address)
      return nil
    }
  }
}
