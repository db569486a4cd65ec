import CLinux
import Linux
import Walls

/// The sandbox's terminal shown in the user's.
final class TerminalStreams: ForegroundStreams {
  private let master: SharedDescriptor
  private let host: HostTerminal?
  private let hostOutput: Int32
  private var input: Pump?
  private var output: Pump
  private var allowance: OutputAllowance

  init(_ master: SharedDescriptor, input: Int32?, output: Int32, _ limit: UInt64?) throws(SupervisionFailure) {
    self.master = master
    allowance = OutputAllowance(limit)
    hostOutput = output
    self.output = Pump(from: master.rawValue, to: output, .shared)
    do throws(SystemError) {
      if let input {
        self.input = Pump(from: input, to: master.rawValue, .own, capacity: 4096, watchesSink: false)
        host = try HostTerminal(input)
      } else {
        host = nil
      }
    } catch { throw .system(error) }
    HostTerminal.copySize(from: output, to: master.rawValue)
  }

  func prepare(_ list: inout WaitList) {
    // A master whose other end is closed everywhere hangs up for ever: nothing is sent to it, nothing waited for.
    if output.sourceIsOpen { input?.prepare(&list) }
    output.prepare(&list)
  }

  func proceed(_ list: WaitList, _ course: Course) throws(SupervisionFailure) {
    let wasBroken = output.sinkIsBroken
    do {
      if output.sourceIsOpen, input != nil {
        _ = try input?.proceed(list)
        if input?.sourceIsOpen == false {
          // Ctrl-D for the end of a file or pipe; the end of a raw terminal is that it hung up.
          if host != nil { try course.received(SIGHUP) } else { try File.writeAll(master.rawValue, [4]) }
          input = nil
        }
      }
      let excess = allowance.take(try output.proceed(list))
      if excess > 0 {
        output.drop(last: excess)
        try course.outputLimitHit()
      }
      if output.sinkIsBroken && !wasBroken {
        // The user's terminal hung up, or somebody who looked on through a pipe went away.
        if host != nil { try course.received(SIGHUP) } else { try course.outputIsBroken() }
      }
    } catch let error as SystemError {
      throw .system(error)
    } catch let error as WallError {
      throw .wall(error)
    } catch { throw .wall(WallError("\(error)")) }
  }

  func drain(_ course: Course) throws(SupervisionFailure) -> Bool {
    input = nil
    guard output.isEmpty, !output.isFinished else { return output.isFinished }
    let count: Int
    do throws(SystemError) { count = try output.fill() } catch { throw .system(error) }
    if count == 0 { output.closeSource() }
    let excess = allowance.take(count)
    if excess > 0 {
      output.drop(last: excess)
      output.closeSource()
    }
    return output.isFinished
  }

  func resize() -> Bool {
    HostTerminal.copySize(from: hostOutput, to: master.rawValue)
    return true
  }

  func suspend() throws(SystemError) {
    guard let host else { return try Process.signal(pid: Process.id, SIGSTOP) }
    try host.suspend()
    HostTerminal.copySize(from: hostOutput, to: master.rawValue)
  }
}
