import CLinux
import Linux
import Walls

/// What a foreground command does with the streams while it waits.
protocol ForegroundStreams: AnyObject {
  func prepare(_ list: inout WaitList)
  func proceed(_ list: WaitList, _ course: Course) throws(SupervisionFailure)
  /// After the end: takes what is left; true once it has been passed on.
  func drain(_ course: Course) throws(SupervisionFailure) -> Bool
  /// The user's terminal has another size; false when that is the sandbox's affair.
  func resize() -> Bool
  /// Stops this process until SIGCONT.
  func suspend() throws(SystemError)
}

extension ForegroundStreams {
  func resize() -> Bool { false }
  func suspend() throws(SystemError) { try Process.signal(pid: Process.id, SIGSTOP) }
}

/// The box has the streams itself; only a pipe whose reader went away is noticed here.
final class InheritedStreams: ForegroundStreams {
  private var watched: Int32?
  private var entry: Int?

  init(output: Int32) {
    // Anything else that is not there is the program's to find out.
    guard let status = try? File.status("", at: output) else { return }
    let kind = status.st_mode & UInt32(S_IFMT)
    if kind == UInt32(S_IFIFO) || kind == UInt32(S_IFSOCK) { watched = output }
  }

  func prepare(_ list: inout WaitList) { entry = watched.map { list.add($0, 0) } }

  func proceed(_ list: WaitList, _ course: Course) throws(SupervisionFailure) {
    guard list.events(entry) != 0 else { return }
    watched = nil
    do throws(WallError) { try course.outputIsBroken() } catch { throw .wall(error) }
  }

  func drain(_ course: Course) -> Bool { true }
}

/// Bytes that may still be put out, counted over all streams.
struct OutputAllowance {
  private var left: UInt64?
  init(_ limit: UInt64?) { left = limit }

  /// Takes `count` bytes; how many of them are too many.
  mutating func take(_ count: Int) -> Int {
    guard let before = left else { return 0 }
    if UInt64(count) <= before {
      left = before - UInt64(count)
      return 0
    }
    left = 0
    return count - Int(before)
  }
}

/// Pipes on one side, the command's own streams on the other.
final class RelayedStreams: ForegroundStreams {
  private let pipes: StreamPipes
  private var input: Pump?
  private var outputs: [Pump]
  private var allowance: OutputAllowance

  init(_ pipes: StreamPipes, input: Int32?, output: Int32, error: Int32, _ limit: UInt64?) {
    self.pipes = pipes
    allowance = OutputAllowance(limit)
    if let input, let near = pipes.input { self.input = Pump(from: input, to: near.rawValue, .own) }
    outputs = [
      Pump(from: pipes.output.rawValue, to: output, .shared), Pump(from: pipes.error.rawValue, to: error, .shared),
    ]
  }

  func prepare(_ list: inout WaitList) {
    input?.prepare(&list)
    for index in outputs.indices { outputs[index].prepare(&list) }
  }

  func proceed(_ list: WaitList, _ course: Course) throws(SupervisionFailure) {
    do throws(SystemError) {
      if input != nil {
        _ = try input?.proceed(list)
        // The end of the input is the program's end of input too.
        if input?.isFinished == true {
          input = nil
          pipes.input = nil
        }
      }
    } catch { throw .system(error) }
    for index in outputs.indices {
      let wasBroken = outputs[index].sinkIsBroken
      let count: Int
      do throws(SystemError) { count = try outputs[index].proceed(list) } catch { throw .system(error) }
      try account(count, index, wasBroken, course)
    }
  }

  private func account(_ count: Int, _ index: Int, _ wasBroken: Bool, _ course: Course) throws(SupervisionFailure) {
    do throws(WallError) {
      let excess = allowance.take(count)
      if excess > 0 {
        outputs[index].drop(last: excess)
        try course.outputLimitHit()
      }
      if outputs[index].sinkIsBroken && !wasBroken { try course.outputIsBroken() }
    } catch { throw .wall(error) }
  }

  func drain(_ course: Course) throws(SupervisionFailure) -> Bool {
    input = nil
    pipes.input = nil
    for index in outputs.indices where outputs[index].isEmpty && !outputs[index].isFinished {
      let count: Int
      do throws(SystemError) { count = try outputs[index].fill() } catch { throw .system(error) }
      if count == 0 { outputs[index].closeSource() }
      let excess = allowance.take(count)
      if excess > 0 {
        outputs[index].drop(last: excess)
        outputs[index].closeSource()
      }
    }
    return outputs.allSatisfy(\.isFinished)
  }
}
