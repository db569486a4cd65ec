import CLinux
import Confinement
import Linux
import Walls

extension JailSandbox {
  /// Whether root built it a root of its own.
  var hasOwnRoot: Bool { holdings.user != nil && holdings.home == nil && Process.effectiveUser == 0 }

  /// Files into and out of the jail: a child of this command takes the jail's root and user and gives up everything else, so it can do
  /// there what the jailed can.
  var transfer: TransferAgent {
    TransferAgent(what: "sandbox \(id)", owner: .user(holdings.user?.id ?? UInt32.max)) {
      [process] () throws(SystemError) in
      let root = try File.open("/proc/\(process.pid)/root", O_PATH | O_DIRECTORY)
      // The process that the record names, and so its root: looked at after the root was taken.
      guard process.isAlive else { throw SystemError("pidfd_open", "", .noProcess) }
      try Identity.changeRoot(to: root.rawValue)
    }
  }
}
