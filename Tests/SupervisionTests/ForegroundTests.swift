import CLinux
import Foundation
import Linux
import Supervision
import Testing
import Walls

@Suite(.serialized, .timeLimit(.minutes(60))) struct ForegroundTests {
  let null: Int32
  /// An input that never comes and never ends.
  let input: (reader: Int32, writer: Int32)

  init() throws {
    null = try File.open("/dev/null", O_RDWR).release()
    input = try rawPipe()
  }

  private func run(
    _ script: String, _ options: SupervisionOptions = SupervisionOptions(), output: Int32? = nil,
    beside: ((Int32) -> Void)? = nil
  ) throws -> (outcome: Outcome, box: ShellBox) {
    let supervisor = try Supervisor(options)
    let box = try ShellBox(script, input: input.reader, output: output ?? null, error: null)
    beside?(currentThread())
    return (try supervisor.run(box, .inherited(output: output ?? null)), box)
  }

  @Test(arguments: [
    ("exit 0", Int32(0)), ("exit 7", 7), ("kill -KILL $$", 137), ("kill -SEGV $$", 139),
  ])
  func itEndsAsTheProgramDoes(script: String, code: Int32) throws {
    let outcome = try run("ulimit -c 0; " + script).outcome
    #expect(outcome.code == code)
    #expect(outcome.ending.limit == nil)
    #expect(outcome.interruption == nil)
  }

  @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT])
  func aSignalEndsIt(number: Int32) throws {
    let ready = try rawPipe()
    let (outcome, box) = try run("ulimit -c 0; echo ready; exec sleep 1000", output: ready.writer) { thread in
      _ = Beside { () throws -> Void in
        #expect(try readLine(ready.reader) == "ready")
        signal(thread: thread, number)
      }
    }
    #expect(box.signals == [number])
    #expect(outcome.code == 128 + number)
  }

  @Test func aProgramThatHandlesTheSignalHasTheLastWord() throws {
    let ready = try rawPipe()
    let (outcome, _) = try run("trap 'exit 3' TERM; echo ready; read x", output: ready.writer) { thread in
      _ = Beside { () throws -> Void in
        #expect(try readLine(ready.reader) == "ready")
        signal(thread: thread, SIGTERM)
      }
    }
    #expect(outcome.interruption == nil)
    #expect(outcome.code == 3)
  }

  @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT])
  func oneThatIgnoresItIsKilled(number: Int32) throws {
    let ready = try rawPipe()
    var options = SupervisionOptions()
    options.killGraceMilliseconds = 50
    let (outcome, _) = try run(
      "trap '' HUP INT QUIT TERM; echo ready; exec sleep 1000", options, output: ready.writer
    ) { thread in
      _ = Beside { () throws -> Void in
        #expect(try readLine(ready.reader) == "ready")
        signal(thread: thread, number)
      }
    }
    #expect(outcome.interruption == number)
    #expect(outcome.ending.status == .signaled(SIGKILL))
    #expect(outcome.code == 128 + number)
  }

  @Test func aThirdCtrlCKillsAtOnce() throws {
    let ready = try rawPipe()
    var options = SupervisionOptions()
    options.killGraceMilliseconds = 1_000_000
    let (outcome, _) = try run(
      "trap 'echo again' INT; echo ready; while :; do sleep 1000; done", options, output: ready.writer
    ) { thread in
      _ = Beside { () throws -> Void in
        #expect(try readLine(ready.reader) == "ready")
        // Each is taken before the next is sent: a pending signal is not queued twice.
        for _ in 1...3 {
          signal(thread: thread, SIGINT)
          while try pendingSignals(thread) & (1 << UInt64(SIGINT - 1)) != 0 { sched_yield() }
        }
      }
    }
    #expect(outcome.code == 130)
    #expect(outcome.interruption == SIGINT)
  }

  @Test func theTimeoutEndsIt() throws {
    let outcome = try run("exec sleep 1000", SupervisionOptions(timeoutMilliseconds: 50)).outcome
    #expect(outcome.ending.limit == .timeout)
    #expect(outcome.code == 124)
  }

  @Test func aTimeoutThatIsNotReachedIsNone() throws {
    let outcome = try run("exit 4", SupervisionOptions(timeoutMilliseconds: 60_000)).outcome
    #expect(outcome.ending.limit == nil)
    #expect(outcome.code == 4)
  }

  @Test func outputThatNobodyReadsEndsIt() throws {
    let pipe = try rawPipe()
    close(pipe.reader)
    let (outcome, box) = try run("exec sleep 1000", output: pipe.writer)
    #expect(box.signals == [SIGPIPE])
    #expect(outcome.code == 141)
  }
}

/// SigPnd of the thread.
func pendingSignals(_ thread: Int32) throws -> UInt64 {
  let text = try File.text("/proc/self/task/\(thread)/status")
  for line in text.split(separator: "\n") where line.hasPrefix("SigPnd:") {
    return UInt64(line.dropFirst(7).trimmingCharacters(in: .whitespaces), radix: 16) ?? 0
  }
  return 0
}
