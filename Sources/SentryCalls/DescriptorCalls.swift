import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentryTasks

/// Descriptors: close(2), dup(2), close_range(2).
enum DescriptorCalls {
  static let rows: [CallRow] = [
    CallRow(3, "close") { (call, task) throws(Errno) in
      let number = call.arguments.0.int32
      task.askedClose(number)
      try task.descriptors.close(number)
      // The host has it too where it was mapped; its close answers then.
      return task.descriptors.takeMirror(number) ? .native : .zero
    },
    CallRow(32, "dup") { (call, task) throws(Errno) in
      let file = try task.descriptors.file(call.arguments.0.int32)
      return .value(Int64(try task.descriptors.add(file, closesOnExec: false)))
    },
    CallRow(33, "dup2") { (call, task) throws(Errno) in
      let file = try task.descriptors.file(call.arguments.0.int32)
      let number = call.arguments.1.int32
      if number != call.arguments.0.int32 { try task.descriptors.set(number, to: file, closesOnExec: false) }
      return .value(Int64(number))
    },
    CallRow(292, "dup3") { (call, task) throws(Errno) in
      let (flags, number) = (call.arguments.2.int32, call.arguments.1.int32)
      guard flags & ~OpenFlags.closeOnExec == 0, number != call.arguments.0.int32 else { throw .invalid }
      let file = try task.descriptors.file(call.arguments.0.int32)
      try task.descriptors.set(number, to: file, closesOnExec: flags != 0)
      return .value(Int64(number))
    },
    CallRow(436, "close_range") { (call, task) throws(Errno) in
      let (first, last, flags) = (call.arguments.0.uint32, call.arguments.1.uint32, call.arguments.2.uint32)
      guard first <= last, flags & ~6 == 0 else { throw .invalid }
      if flags & 2 != 0, task.descriptors.users > 1 {
        let own = task.descriptors.copy()
        task.descriptors.leave()
        task.descriptors = own
      }
      if flags & 4 != 0 {
        for number in task.descriptors.numbers where (first...last).contains(UInt32(bitPattern: number)) {
          try task.descriptors.setCloseOnExec(number, true)
        }
      } else {
        task.descriptors.close(first...last)
      }
      return .zero
    },
  ]
}
