import CLinux
import Foundation
import Linux
import Supervision
import Testing
import Walls

/// A sandbox's folder that goes away with the value.
final class Folder {
  let path: String
  init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("immure-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

@Suite(.serialized, .timeLimit(.minutes(60))) struct MonitorTests {
  let folder: Folder
  init() throws { folder = try Folder() }

  /// A monitor at work on a thread of its own; its outcome is what the result gives.
  private func monitor(
    _ script: String, terminal: Bool = false, interactive: Bool = false, waits: Bool = false,
    _ options: MonitorOptions = MonitorOptions()
  ) throws -> Beside<Outcome> {
    let path = folder.path
    let isUp = DispatchSemaphore(value: 0)
    let work = Beside { () throws -> Outcome in
      let monitor = try Monitor(directory: path, terminal: terminal, interactive: interactive, options)
      isUp.signal()
      if waits { try #require(try monitor.waitForClient(milliseconds: 120_000)) }
      if terminal {
        let pair = try Terminal.openPair()
        let master = try copied(pair.first.rawValue)
        let far = pair.second.rawValue
        let box = try ShellBox(script, input: far, output: far, error: far, master: master)
        let (_, ours) = pair.release()
        close(ours)
        return try monitor.run(box, .terminal) { _ in }
      }
      let pipes = try StreamPipes(interactive: interactive)
      let box = try ShellBox(script, pipes)
      return try monitor.run(box, .piped(pipes)) { _ in }
    }
    try #require(isUp.wait(timeout: .now() + 120) == .success)
    return work
  }

  private func log(_ change: (inout LogOptions) -> Void = { _ in }) throws -> (output: String, error: String) {
    var options = LogOptions()
    change(&options)
    let output = try rawPipe()
    let error = try rawPipe()
    let path = folder.path
    let settled = options
    let reading = Beside { () throws -> Bool in
      defer {
        close(output.writer)
        close(error.writer)
      }
      var reader = try LogReader(directory: path, settled, output: output.writer, error: error.writer)
      return try reader.run(monitor: nil)
    }
    let out = try readRest(output.reader)
    let err = try readRest(error.reader)
    #expect(try reading.get())
    return (String(decoding: out, as: UTF8.self), String(decoding: err, as: UTF8.self))
  }

  @Test func theLogHasWhatTheProgramSaid() throws {
    let outcome = try monitor("echo one; echo two >&2; printf 'half'; exit 3").get()
    #expect(outcome.code == 3)
    #expect(try log() == ("one\nhalf", "two\n"))
    let lines = try File.text(folder.path + "/log").split(separator: "\n")
    for line in lines {
      #expect(line.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z std(out|err) [FP] .*/) != nil)
    }
    #expect(!File.exists(folder.path + "/attach"))
  }

  @Test func tailAndTimes() throws {
    _ = try monitor("for i in 1 2 3 4 5; do echo line $i; done").get()
    #expect(try log { $0.tail = 2 }.output == "line 4\nline 5\n")
    #expect(try log { $0.tail = 0 }.output == "")
    #expect(try log { $0.tail = 100 }.output.split(separator: "\n").count == 5)
    #expect(try log { $0.since = "2999" }.output == "")
    #expect(try log { $0.until = "2000" }.output == "")
    #expect(try log { $0.since = "2000" }.output.split(separator: "\n").count == 5)
    let timed = try log {
      $0.timestamps = true
      $0.tail = 1
    }.output
    #expect(timed.wholeMatch(of: /\d{4}-\S+Z line 5\n/) != nil)
  }

  @Test func limitsHold() throws {
    var options = MonitorOptions()
    options.supervision.timeoutMilliseconds = 50
    #expect(try monitor("exec sleep 1000", options).get().code == 124)
    options = MonitorOptions()
    options.supervision.outputLimitBytes = 3000
    let outcome = try monitor("exec yes", options).get()
    #expect(outcome.code == 125)
    #expect(outcome.ending.limit == .output)
    #expect(try log().output.utf8.count == 3000)
  }

  @Test func aClientTypesAndSeesAndLearnsTheEnd() throws {
    let work = try monitor("read a; echo got $a; echo err >&2; read b; exit 9", interactive: true, waits: true)
    let input = try rawPipe()
    let output = try rawPipe()
    let error = try rawPipe()
    let path = folder.path
    let client = Beside { () throws -> Supervision.Attachment in
      var options = AttachOptions()
      options.input = input.reader
      options.output = output.writer
      options.error = error.writer
      return try AttachClient(directory: path, options).run()
    }
    try File.writeAll(input.writer, "hello\n")
    #expect(try readLine(output.reader) == "got hello")
    #expect(try readLine(error.reader) == "err")
    try File.writeAll(input.writer, "end\n")
    #expect(try client.get() == .ended(code: 9, limit: nil))
    #expect(try work.get().code == 9)
    #expect(try log().output == "got hello\n")
  }

  @Test func theKeysDetachAndTheBoxGoesOn() throws {
    let work = try monitor("echo ready; read a; echo got $a; exit 4", terminal: true, waits: true)
    let user = try Terminal.openPair()
    let far = user.second.rawValue
    let near = user.first.rawValue
    let path = folder.path
    let before = try Terminal.attributes(far)
    func attach() -> Beside<Supervision.Attachment> {
      Beside { () throws -> Supervision.Attachment in
        var options = AttachOptions()
        options.input = far
        options.output = far
        options.error = far
        return try AttachClient(directory: path, options).run()
      }
    }
    let first = attach()
    #expect(try readLine(near) == "ready\r")
    try File.writeAll(near, [16, 17])
    #expect(try first.get() == .detached)
    #expect(try Terminal.attributes(far) == before)
    let second = attach()
    // The client shows what is put out from now on, so its raw terminal is what tells that it is there.
    while try Terminal.attributes(far) == before { sched_yield() }
    try File.writeAll(near, "word\r")
    #expect(try readLine(near) == "word\r")
    #expect(try readLine(near) == "got word\r")
    #expect(try second.get() == .ended(code: 4, limit: nil))
    #expect(try work.get().code == 4)
  }

  @Test func theOwnersSignalsAndHangUpEndTheBox() throws {
    let work = try monitor("echo ready; exec sleep 1000", waits: true)
    let output = try rawPipe()
    let path = folder.path
    let socket = try File.open(path, O_RDONLY | O_DIRECTORY)
    let owner = try UnixSocket.connect("attach", in: socket.rawValue)
    try File.writeAll(owner.rawValue, AttachFrame.hello(owner: true).encoded())
    // Once the box says so it runs, with the owner connected; then the owner dies without a word.
    var reader = AttachFrameReader()
    var seen = false
    while !seen {
      try #require(try Readiness.wait(owner.rawValue, milliseconds: 120_000))
      reader.append(try File.read(owner.rawValue, atMost: 4096))
      while let frame = reader.next() { if frame == .output(Array("ready\n".utf8)) { seen = true } }
    }
    close(owner.release())
    #expect(try work.get().code == 129)
    close(output.reader)
    close(output.writer)
  }

  @Test(arguments: [true, false])
  func aTerminalThatHangsUpEndsTheOwnersBoxOnly(owner: Bool) throws {
    let work = try monitor("echo ready; read a; exit 5", terminal: true, waits: true)
    let user = try Terminal.openPair()
    let far = try copied(user.second.rawValue)
    let near = try copied(user.first.rawValue)
    let (ours, theirs) = user.release()
    close(ours)
    close(theirs)
    let path = folder.path
    let client = Beside { () throws -> Supervision.Attachment in
      var options = AttachOptions()
      options.owner = owner
      options.input = far
      options.output = far
      options.error = far
      return try AttachClient(directory: path, options).run()
    }
    #expect(try readLine(near) == "ready\r")
    close(near)
    if owner {
      #expect(try client.get() == .ended(code: 129, limit: nil))
      #expect(try work.get().code == 129)
    } else {
      #expect(try client.get() == .interrupted(signal: SIGHUP))
      let directory = try File.open(path, O_RDONLY | O_DIRECTORY)
      let other = try UnixSocket.connect("attach", in: directory.rawValue)
      try File.writeAll(other.rawValue, AttachFrame.input(Array("x\r".utf8)).encoded())
      #expect(try work.get().code == 5)
      close(other.release())
    }
    close(far)
  }

  /// A window that changes while the monitor has not said yet that there is a terminal: its size is sent once it has, and the program
  /// gets no signal for it besides.
  @Test func aWindowThatChangesBeforeTheWelcomeIsNoSignal() throws {
    let directory = try File.open(folder.path, O_RDONLY | O_DIRECTORY)
    let listener = try UnixSocket.listen("attach", in: directory.rawValue)
    let user = try Terminal.openPair()
    let far = try copied(user.second.rawValue)
    try Terminal.setSize(far, rows: 33, columns: 99)
    let path = folder.path
    let client = Beside { () throws -> Supervision.Attachment in
      var options = AttachOptions()
      options.owner = true
      options.input = far
      options.output = far
      options.error = far
      let client = try AttachClient(directory: path, options)
      // Blocked by the client, so that it waits for it.
      signal(thread: currentThread(), SIGWINCH)
      return try client.run()
    }
    try #require(try Readiness.wait(listener.rawValue, milliseconds: 120_000))
    guard let accepted = try UnixSocket.accept(listener.rawValue) else { throw Unexpected() }
    let near = accepted.release()
    defer { close(near) }
    var reader = AttachFrameReader()
    var frames: [AttachFrame] = []
    func read(_ count: Int) throws {
      while frames.count < count {
        try #require(try Readiness.wait(near, milliseconds: 120_000))
        reader.append(try File.read(near, atMost: 4096))
        while let frame = reader.next() { frames.append(frame) }
      }
    }
    // Signals are taken before frames are sent.
    try read(1)
    try File.writeAll(near, AttachFrame.welcome(terminal: true, input: true).encoded())
    try read(2)
    #expect(frames == [.hello(owner: true), .resize(rows: 33, columns: 99)])
    try File.writeAll(near, AttachFrame.ended(code: 3, limit: nil).encoded())
    #expect(try client.get() == .ended(code: 3, limit: nil))
    close(far)
  }

  @Test func aClientThatDoesNotReadIsDroppedAndTheBoxGoesOn() throws {
    let work = try monitor("head -c 4000000 /dev/zero | tr '\\000' 'x'; exit 2", waits: true)
    let directory = try File.open(folder.path, O_RDONLY | O_DIRECTORY)
    let lazy = try UnixSocket.connect("attach", in: directory.rawValue)
    #expect(try work.get().code == 2)
    close(lazy.release())
  }

  @Test func aClientThatSpeaksNonsenseIsDropped() throws {
    let work = try monitor("read a; exit 6", interactive: true, waits: true)
    let directory = try File.open(folder.path, O_RDONLY | O_DIRECTORY)
    let bad = try UnixSocket.connect("attach", in: directory.rawValue)
    try File.writeAll(bad.rawValue, [255, 255, 255, 255, 255, 255])
    // Welcome, and then the end.
    var bytes: [UInt8] = []
    while true {
      try #require(try Readiness.wait(bad.rawValue, milliseconds: 120_000))
      do throws(SystemError) {
        let more = try File.read(bad.rawValue, atMost: 100)
        if more.isEmpty { break }
        bytes += more
      } catch {
        // A connection closed with bytes unread is reset.
        #expect(error.errno == Errno(rawValue: ECONNRESET))
        break
      }
    }
    let good = try UnixSocket.connect("attach", in: directory.rawValue)
    try File.writeAll(good.rawValue, AttachFrame.input(Array("x\n".utf8)).encoded())
    #expect(try work.get().code == 6)
    close(good.release())
    close(bad.release())
  }

  @Test func nobodyAnswersForABoxWithoutMonitor() throws {
    #expect(throws: WallError.self) { try AttachClient(directory: folder.path, AttachOptions()) }
    #expect(throws: WallError.self) {
      var reader = try LogReader(directory: folder.path, LogOptions())
      _ = try reader.run(monitor: nil)
    }
  }
}
