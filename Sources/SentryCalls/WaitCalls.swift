import Linux
import SentryABI
import SentryTasks

/// Waiting for children (wait(2)) and on words of memory (futex(2)): the host's kernel has the children and the memory.
enum WaitCalls {
  static let rows: [CallRow] = [
    CallRow(61, "wait4", .native, blocksOn: "child") { (call, _) throws(Errno) in
      // WNOHANG, WUNTRACED, WCONTINUED, __WNOTHREAD, __WALL, __WCLONE.
      guard call.arguments.2.uint32 & ~0xe000_000b == 0 else { throw .invalid }
      guard call.arguments.0.int32 != .min else { throw .noProcess }
      return .native
    },
    CallRow(247, "waitid", .native, blocksOn: "child") { (call, task) throws(Errno) in
      // WNOHANG, WSTOPPED, WEXITED, WCONTINUED, WNOWAIT and the three above.
      guard call.arguments.3.uint32 & ~0xe100_000f == 0, call.arguments.3.uint32 & 0xe != 0 else { throw .invalid }
      guard call.arguments.0.uint32 <= 3 else { throw .invalid }
      if call.arguments.0.uint32 == 3 { try ProcessFileCalls.lend(call.arguments.1.int32, to: task) }
      return .native
    },
    CallRow(202, "futex", .native, blocksOn: "futex, time") { (_, _) in .native },
  ]
}
