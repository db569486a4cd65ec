import CLinux
import Formats
import Linux
import Options
import Walls

/// `kill`: a signal to a container's first process, or to all of them.
enum Killing {
  static func kill(_ command: ParsedCommand, _ session: RuntimeSession) throws(RuntimeFailure) {
    let container = try RuntimeContainer.require(command.operands[0], session)
    let signal = try number(command.operands.count > 1 ? command.operands[1] : "SIGTERM")
    let status = try container.status()
    let sandbox = try container.open()
    if command.flag("all") {
      try killAll(sandbox, signal)
    } else {
      if status == .stopped { throw RuntimeFailure("container not running") }
      do throws(WallError) { try sandbox.signal(signal) } catch {
        throw error.kind == .gone ? RuntimeFailure("container not running") : RuntimeFailure(error)
      }
    }
    // A frozen process dies when it is let go (cgroups(7)).
    if status == .paused && signal == SIGKILL, let pausing = sandbox.pausing {
      do throws(WallError) { try pausing.resume() } catch { throw RuntimeFailure(error) }
    }
  }

  /// Every process, also of a container whose first one has ended; none left is no error.
  private static func killAll(_ sandbox: any Sandbox, _ signal: Int32) throws(RuntimeFailure) {
    guard let listing = sandbox.listing else {
      throw RuntimeFailure("kill --all: this wall cannot tell a container's processes")
    }
    do throws(WallError) {
      for pid in try listing.processes() {
        do throws(SystemError) { try Process.signal(pid: pid, signal) } catch {
          if error.errno != .noProcess { throw WallError("kill", error) }
        }
      }
    } catch {
      throw RuntimeFailure(error)
    }
  }

  private static func number(_ text: String) throws(RuntimeFailure) -> Int32 {
    guard let number = SignalName.number(text) else {
      throw RuntimeFailure("unknown signal \"\(FormatError.presentable(text))\"")
    }
    return number
  }
}
