import ChildProcesses
import Foundation
import SentryGuests
import Testing

/// Guests over the probe: each program passes on Linux first.
@Suite(
  "Guests", .enabled(if: GuestProgram.canRun, "\(GuestProgram.obstacle ?? "")"), .serialized, .timeLimit(.minutes(60)))
struct GuestTests {
  static let policies: [[String]] = [[], ["--strict"]]

  @Test(
    "processes and threads are made, replaced and ended as Linux does", arguments: ["processes", "threads", "answers"],
    policies)
  func processes(name: String, options: [String]) throws {
    let program = try GuestProgram("platform/\(name)")
    let native = try program.natively()
    #expect(native.status == 0, "\(native)")
    let run = try program.inSentry(options: options)
    #expect(run == native, "\(run)")
  }

  @Test(
    "the same by a tracer, where the kernel hands over no notification",
    arguments: ["processes", "threads", "modern"], policies)
  func traced(name: String, options: [String]) throws {
    let program = try GuestProgram("platform/\(name)")
    let native = try program.natively()
    #expect(native.status == 0, "\(native)")
    let run = try program.inSentry(options: ["--tracing"] + options)
    // clone3 is not there: its flags could hide a child from the tracer.
    #expect(run.status == (name == "modern" ? 1 : 0), "\(run)")
    let differing = zip(lines(run.output), lines(native.output)).filter { $0 != $1 }
    #expect(differing.allSatisfy { $0.0.contains("clone3") }, "\(run)")
    #expect(lines(run.output).count == lines(native.output).count)
  }
  private func lines(_ text: String) -> [String] { text.split(separator: "\n").map(String.init) }

  /// The sentry's host has no call that is younger than Linux 5.9, and then none at all of those that the guest asks for. What the sentry
  /// itself cannot be without: clone3 (5.3), pidfd_open (5.3).
  @Test(
    "on a host of 5.9 guests have the calls of a new one",
    arguments: [
      [], ["--without", "\(openat2)", "--without", "\(faccessat2)", "--without", "332", "--without", "326"],
    ], policies)
  func oldHost(without: [String], options: [String]) throws {
    let program = try GuestProgram("platform/modern")
    let native = try program.natively()
    #expect(native.status == 0, "\(native)")
    let host = try program.oldHost()
    // It is as old as it says.
    let aged = try program.start([host] + without + [program.program])
    #expect(aged.status == 1 && aged.output.contains("FAIL epoll_pwait2: -38"), "\(aged)")
    let run = try program.start([host] + without + [GuestProgram.probe] + options + [program.root, "/bin/program"])
    #expect(run == native, "\(run)")
  }
  private static let (openat2, faccessat2) = (437, 439)

  @Test("what the stub answers comes to no sentry, with the same words", arguments: policies)
  func answers(options: [String]) throws {
    let program = try GuestProgram("platform/answers")
    let native = try program.natively()
    let short = try program.inSentry(options: options + ["--count"])
    let long = try program.inSentry(options: options + ["--count", "--no-answers"])
    #expect(short.output == native.output && long.output == native.output, "\(short)\(long)")
    // Half of its calls are from places that nobody leads elsewhere.
    #expect(try calls(short) < calls(long) * 6 / 10, "\(short.error)\(long.error)")
    let loop = try program.inSentry(["loop", "100000"], options: options + ["--count"])
    #expect(try loop.status == 0 && calls(loop) < 50, "\(loop)")
    let files = try GuestProgram("files/lasting", options: ["-lpthread"])
    let asked = try files.inSentry(["loop", "5000"], options: options + ["--count"])
    // Nine calls each time.
    #expect(try asked.status == 0 && calls(asked) < 200, "\(asked)")
    try files.add("/etc/passwd", as: "/data/file")
    let mapped = try files.inSentry(["mapped", "/data/file"], options: options)
    #expect(try mapped == files.natively(["mapped", files.root + "/data/file"]) && mapped.status == 0, "\(mapped)")
    let positions = try GuestProgram("files/positions", options: ["-lpthread"])
    let moved = try positions.inSentry(["loop", "5000"], options: options + ["--count"])
    // Thirteen calls each time.
    #expect(try moved.status == 0 && calls(moved) < 250, "\(moved)")
    let closed = try positions.inSentry(["closing", "2000"], options: options + ["--count"])
    // Four, of which the open alone comes.
    #expect(try closed.status == 0 && calls(closed) < 2250, "\(closed)")
    let threads = try GuestProgram("instub/threads", options: ["-lpthread"])
    let raced = try threads.inSentry(["loop", "2000"], options: options + ["--count"])
    // Five calls each time by each of four threads, 40,000.
    #expect(try raced.status == 0 && calls(raced) < 2000, "\(raced)")
    let numbers = try GuestProgram("instub/numbers", options: ["-lpthread"])
    let counted = try numbers.inSentry(["loop", "2000"], options: options + ["--count"])
    // Three calls each time in each of three ways, 18,000.
    #expect(try counted.status == 0 && calls(counted) < 3000, "\(counted)")
  }

  /// A process namespace has a bound of its own from Linux 6.14 on; before, the machine's would be changed.
  private static let numbersAreBounded: Bool = {
    let release = (try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8)) ?? ""
    let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
    return numbers.count == 2 && (numbers[0], numbers[1]) >= (6, 14)
  }()

  @Test(
    "who gets the number of a thread that its own filter ended is somebody else",
    .enabled(if: numbersAreBounded, "Linux 6.14 bounds numbers for a namespace"), arguments: policies)
  func reborn(options: [String]) throws {
    let program = try GuestProgram("platform/reborn", options: ["-lpthread"])
    let native = try program.natively(["350"])
    #expect(native.status == 0, "\(native)")
    let few = "echo 400 > /proc/sys/kernel/pid_max && exec \"$@\""
    let run = try program.start(
      ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", few, "sh", GuestProgram.probe]
        + options
        + [program.root, "/bin/program", "350"])
    #expect(run == native, "\(run)")
  }

  @Test("who corrupts its answers hurts itself alone", arguments: policies)
  func scribbler(options: [String]) throws {
    let program = try GuestProgram("platform/scribbler")
    let run = try besideNeighbour { try program.inSentry(options: options) }
    #expect(run.status == 0 && run.error.isEmpty && !run.output.isEmpty, "\(run)")
  }

  @Test(
    "who races every buffer, jumps into the stub or takes all there is hurts itself alone",
    arguments: [["racer"], ["glutton", "0"], ["glutton", "1"], ["glutton", "2"]], policies)
  func greedy(words: [String], options: [String]) throws {
    let program = try GuestProgram("platform/\(words[0])")
    // Outside of the root: what nobody was granted.
    let canary = program.root + "/../canary"
    try Data("as it was".utf8).write(to: URL(fileURLWithPath: canary))
    let before = try FileManager.default.subpathsOfDirectory(atPath: program.root).sorted()
    let run = try besideNeighbour { try program.inSentry(["sentry"] + words.dropFirst(), options: options) }
    #expect(run.status == 0 && run.error.isEmpty && run.output.contains("ok "), "\(run)")
    #expect(FileManager.default.contents(atPath: canary) == Data("as it was".utf8))
    #expect(try FileManager.default.subpathsOfDirectory(atPath: program.root).sorted() == before)
  }

  /// What `--count` says.
  private func calls(_ run: GuestProgram.Run) throws -> Int {
    let words = run.error.split(separator: " ")
    guard words.count == 3, let count = Int(words[1]) else { throw GuestProgram.Failure(description: "\(run)") }
    return count
  }

  @Test("a hostile program hurts itself alone", arguments: policies)
  func hostile(options: [String]) throws {
    let program = try GuestProgram("platform/hostile")
    let run = try besideNeighbour { try program.inSentry(["sentry"], options: options) }
    #expect(run.status == 0 && run.error.isEmpty, "\(run)")
    #expect(run.output.split(separator: "\n").count >= 40)
  }

  @Test("guests hold no descriptor and no power of the host's, and end with the sentry", arguments: [SIGKILL, SIGTERM])
  func teardown(signal: Int32) throws {
    let program = try GuestProgram("platform/sleeper")
    var ends: [Int32] = [-1, -1]
    #expect(unsafe pipe2(&ends, O_CLOEXEC) == 0)
    defer { for end in ends where end >= 0 { close(end) } }
    let output = program.root + "/../sleeper-output"
    let child = try Child(
      [GuestProgram.probe, program.root, "/bin/program"], environment: ["PATH": "/bin"], input: .descriptor(ends[0]),
      output: output, error: output)
    // It says so once all of its processes and threads sleep.
    try wait("the guests sleep") { (FileManager.default.contents(atPath: output) ?? Data()).contains(0x0a) }
    let guests = descendants(of: child.pid)
    #expect(guests.count == 4, "\(guests)")
    for guest in guests {
      let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(guest)/fd")
      #expect(descriptors == [], "\(guest)")
      let status = try String(contentsOfFile: "/proc/\(guest)/status", encoding: .utf8)
      for line in [
        "Seccomp:\t2", "NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000",
        "CapBnd:\t0000000000000000",
      ] {
        #expect(status.contains(line), "\(guest): \(line)")
      }
    }
    kill(child.pid, signal)
    #expect(child.wait() == 128 + signal)
    try wait("the guests are gone") { guests.allSatisfy { kill($0, 0) != 0 } }
  }

  /// Runs an attacker while another sandbox works, which must go on with that all the time.
  private func besideNeighbour<Result>(_ attack: () throws -> Result) throws -> Result {
    let neighbour = try GuestProgram("platform/neighbour")
    var ends: [Int32] = [-1, -1]
    #expect(unsafe pipe2(&ends, O_CLOEXEC) == 0)
    defer { for end in ends where end >= 0 { close(end) } }
    let output = neighbour.root + "/../rounds"
    let child = try Child(
      [GuestProgram.probe, neighbour.root, "/bin/program"], environment: ["PATH": "/bin"], input: .descriptor(ends[0]),
      output: output, error: output)
    let rounds = { FileManager.default.contents(atPath: output)?.count ?? 0 }
    try wait("the neighbour works") { rounds() > 2 }
    let result = try attack()
    let after = rounds()
    try wait("the neighbour works on") { rounds() > after + 2 }
    close(ends[1])
    ends[1] = -1
    #expect(child.wait() == 0)
    #expect((FileManager.default.contents(atPath: output) ?? Data()).allSatisfy { $0 == UInt8(ascii: ".") })
    return result
  }

  private func wait(_ what: String, until holds: () -> Bool) throws {
    let patience = Date(timeIntervalSinceNow: 120)
    while !holds() {
      guard Date() < patience else { throw GuestProgram.Failure(description: "not within 120 seconds: \(what)") }
      usleep(2000)
    }
  }

  private func descendants(of process: pid_t) -> [pid_t] {
    let text = (try? String(contentsOfFile: "/proc/\(process)/task/\(process)/children", encoding: .utf8)) ?? ""
    let children = text.split(separator: " ").compactMap { pid_t($0) }
    return children + children.flatMap { descendants(of: $0) }
  }
}
