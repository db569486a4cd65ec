import CLinux
import Foundation
import Linux
import Supervision
import Testing
import Walls

@Suite(.serialized, .timeLimit(.minutes(60))) struct RelayTests {
  /// Runs a script behind pipes; the test's ends of its streams.
  private func relay(
    _ script: String, _ options: SupervisionOptions = SupervisionOptions(), interactive: Bool = true,
    beside: @escaping @Sendable (_ input: Int32, _ output: Int32, _ error: Int32) throws -> [UInt8]
  ) throws -> (outcome: Outcome, bytes: [UInt8]) {
    let input = try rawPipe()
    let output = try rawPipe()
    let error = try rawPipe()
    let supervisor = try Supervisor(options)
    let pipes = try StreamPipes(interactive: interactive)
    let box = try ShellBox(script, pipes)
    let other = Beside { try beside(input.writer, output.reader, error.reader) }
    let outcome = try supervisor.run(
      box, .piped(pipes, input: input.reader, output: output.writer, error: error.writer))
    for descriptor in [input.reader, output.writer, error.writer] { close(descriptor) }
    return (outcome, try other.get())
  }

  private static let noise: [UInt8] = {
    var state: UInt64 = 42
    return (0..<1_000_003).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 56)
    }
  }()

  @Test func bytesPassExactlyAndInputEnds() throws {
    let (outcome, bytes) = try relay("cat; echo done >&2; exit 5") { input, output, error in
      let writer = Beside { () throws -> Void in
        try File.writeAll(input, RelayTests.noise)
        close(input)
      }
      let bytes = try readRest(output)
      try writer.get()
      #expect(try readRest(error) == Array("done\n".utf8))
      return bytes
    }
    #expect(outcome.code == 5)
    #expect(bytes == RelayTests.noise)
  }

  @Test func fullPipesBothWaysDoNotBlock() throws {
    // The reader begins only when the writer can write no more: everything between is full then.
    let (outcome, bytes) = try relay("cat") { input, output, _ in
      try FileDescriptor.setNonBlocking(input, true)
      var sent = 0
      var waits = 0
      while waits < 2 {
        do throws(SystemError) {
          sent += try File.write(
            input, RelayTests.noise.span.extracting(sent..<min(sent + 4096, RelayTests.noise.count)))
        } catch {
          #expect(error.errno == .again)
          // Poll, not sleep: writable again when the relay moved on, which ends once all is full.
          var entries = [pollfd(fd: input, events: Int16(POLLOUT), revents: 0)]
          waits = try Poll.wait(&entries, nanoseconds: 300_000_000) == 0 ? 2 : 0
        }
        if sent == RelayTests.noise.count { break }
      }
      try FileDescriptor.setNonBlocking(input, false)
      let soFar = sent
      let writer = Beside { () throws -> Void in
        try File.writeAll(input, Array(RelayTests.noise[soFar...]))
        close(input)
      }
      let bytes = try readRest(output)
      try writer.get()
      return bytes
    }
    #expect(outcome.code == 0)
    #expect(bytes == RelayTests.noise)
  }

  @Test func theLastWordsArrive() throws {
    let (outcome, bytes) = try relay("head -c 60000 /dev/zero; exit 1", interactive: false) { _, output, _ in
      try readRest(output)
    }
    #expect(outcome.code == 1)
    #expect(bytes == [UInt8](repeating: 0, count: 60000))
  }

  @Test(arguments: [UInt64(0), 1, 10_000, 100_000])
  func theOutputLimitEndsIt(limit: UInt64) throws {
    let (outcome, bytes) = try relay(
      "echo e >&2; exec yes", SupervisionOptions(outputLimitBytes: limit), interactive: false
    ) { _, output, error in try readRest(output) + readRest(error) }
    #expect(outcome.ending.limit == .output)
    #expect(outcome.code == 125)
    #expect(bytes.count == Int(limit))
  }

  @Test func exactlyTheLimitIsAllowed() throws {
    let (outcome, bytes) = try relay(
      "head -c 5000 /dev/zero", SupervisionOptions(outputLimitBytes: 5000), interactive: false
    ) { _, output, _ in try readRest(output) }
    #expect(outcome.code == 0)
    #expect(bytes.count == 5000)
  }

  @Test func outputThatNobodyReadsEndsIt() throws {
    let (outcome, _) = try relay("exec sleep 1000", interactive: false) { _, output, _ in
      close(output)
      return []
    }
    #expect(outcome.code == 141)
  }

  @Test func theTerminalIsShownInTheUsers() throws {
    let user = try Terminal.openPair()
    let box = try Terminal.openPair()
    let userMaster = try copied(user.first.rawValue)
    let userFar = try copied(user.second.rawValue)
    let before = try Terminal.attributes(userFar)
    try Terminal.setSize(userFar, rows: 33, columns: 99)
    let supervisor = try Supervisor(SupervisionOptions())
    let far = box.second.rawValue
    let sandbox = try ShellBox(
      "echo ready; read word; stty size; printf \"got $word\\001\\n\"; read rest; stty size; exit 6", input: far,
      output: far,
      error: far, master: try copied(box.first.rawValue))
    // The box's end belongs to the box now: its closing must be seen.
    let (_, ours) = box.release()
    close(ours)
    let thread = currentThread()
    let other = Beside { () throws -> String in
      #expect(try readLine(userMaster) == "ready\r")
      // The user's terminal is raw while it is shown: the one echo is the sandbox's.
      try File.writeAll(userMaster, "hello\r")
      #expect(try readLine(userMaster) == "hello\r")
      #expect(try readLine(userMaster) == "33 99\r")
      #expect(try readLine(userMaster) == "got hello\u{1}\r")
      #expect(try Terminal.attributes(userFar) != before)
      try Terminal.setSize(userFar, rows: 44, columns: 88)
      signal(thread: thread, SIGWINCH)
      while try pendingSignals(thread) & (1 << UInt64(SIGWINCH - 1)) != 0 { sched_yield() }
      try File.writeAll(userMaster, "\r")
      _ = try readLine(userMaster)
      return try readLine(userMaster)
    }
    let outcome = try supervisor.run(sandbox, .terminal(input: userFar, output: userFar))
    #expect(try other.get() == "44 88\r")
    #expect(outcome.code == 6)
    #expect(try Terminal.attributes(userFar) == before)
    close(userMaster)
    close(userFar)
  }

  @Test func aTerminalThatHangsUpEndsIt() throws {
    let user = try Terminal.openPair()
    let box = try Terminal.openPair()
    let supervisor = try Supervisor(SupervisionOptions())
    let userFar = try copied(user.second.rawValue)
    let far = box.second.rawValue
    let sandbox = try ShellBox(
      "echo ready; exec sleep 1000", input: far, output: far, error: far, master: try copied(box.first.rawValue))
    let userMaster = try copied(user.first.rawValue)
    _ = user.release().first.closed()
    let other = Beside { () throws -> Void in
      #expect(try readLine(userMaster) == "ready\r")
      close(userMaster)
    }
    let outcome = try supervisor.run(sandbox, .terminal(input: userFar, output: userFar))
    try other.get()
    #expect(outcome.code == 129)
    close(userFar)
  }
}

extension Int32 {
  fileprivate func closed() -> Int32 { close(self) }
}
