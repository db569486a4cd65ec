import Linux
import SentryABI
import SentryTasks

/// Process groups and sessions. The host's kernel changes its own alike: wait4(2) and job control there go by them.
enum SessionCalls {
  static let rows: [CallRow] = [
    CallRow(111, "getpgrp") { (_, task) in .value(Int64(task.group.processGroup)) },
    CallRow(121, "getpgid") { (call, task) throws(Errno) in
      .value(Int64(try task.kernel.group(call.arguments.0.int32, of: task).processGroup))
    },
    CallRow(124, "getsid") { (call, task) throws(Errno) in
      .value(Int64(try task.kernel.group(call.arguments.0.int32, of: task).session))
    },
    CallRow(109, "setpgid") { (call, task) throws(Errno) in
      try task.kernel.setProcessGroup(of: call.arguments.0.int32, to: call.arguments.1.int32, by: task)
      return .native
    },
    CallRow(112, "setsid") { (_, task) throws(Errno) in
      try task.kernel.newSession(by: task)
      return .native
    },
  ]
}
