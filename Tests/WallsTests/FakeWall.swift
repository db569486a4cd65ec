import CLinux
import Formats
import Linux
import Policy
import Walls

/// A wall whose "sandbox" is an agent behind a pipe, as a machine's would be: it shares nothing with the walls of processes but the
/// contract. That it fits is the proof that a new wall is one module.
struct FakeWall: Wall {
  let name = WallName.microvm
  var lacks: [Lack] = []

  func availability(on host: Host) -> Availability {
    lacks.isEmpty ? .ready(notes: ["pretends"]) : .missing(lacks)
  }

  func enforcement(of rule: Rule, on host: Host) -> Enforcement {
    switch rule.key {
    case .memory: .enforced("the size of the pretended machine")
    case .cpus: .weaker("counted, not held")
    default: .unenforced("the fake wall holds nothing else")
    }
  }

  func create(_ bundle: Bundle, streams: Streams, on host: Host) throws(WallError) -> any Sandbox {
    guard !bundle.configuration.process.arguments.isEmpty else { throw WallError("no program") }
    return try FakeSandbox(Agent.start(bundle.configuration.process.arguments, folder: bundle.directory))
  }

  func open(_ record: SandboxRecord, on host: Host) throws(WallError) -> any Sandbox {
    guard let pipe = record.details["agent"] else { throw WallError("the record does not name an agent") }
    return try FakeSandbox(Agent(inbox: pipe, pid: record.process?.pid ?? 0))
  }
}

/// A shell that obeys lines written to its inbox: "start", "signal N", "destroy".
struct Agent {
  let inbox: String
  let pid: Int32

  static func start(_ arguments: [String], folder: String) throws(WallError) -> Agent {
    let inbox = folder + "/inbox"
    // A program is killed as a group and by its id: it may not have a session of its own yet.
    // The inbox is opened for reading and writing, so that it never ends while the agent lives.
    let script = """
      mkfifo -m 600 "$0"; exec 3<>"$0"; echo ready; child=
      while read -r verb word <&3; do
        case $verb in
          start) setsid sh -c '"$@"; echo "ended $?" > "$0"' "$0" "$@" & child=$! ;;
          signal) kill -"$word" -"$child" "$child" 2>/dev/null ;;
          ended) exit "$word" ;;
          destroy) kill -9 -"$child" "$child" 2>/dev/null; exit 137 ;;
        esac
      done
      """
    do throws(SystemError) {
      let null = try File.open("/dev/null", O_RDWR)
      let ready = try DescriptorPair.pipe().release()
      let end = FileDescriptor(owning: ready.first)
      let far = FileDescriptor(owning: ready.second)
      let shell = try Process.spawn(
        "/bin/sh", arguments: ["sh", "-c", script, inbox] + arguments, environment: ["PATH=/usr/bin:/bin"],
        descriptors: [null.rawValue, far.rawValue, null.rawValue])
      _ = consume far
      guard try !File.read(end.rawValue, atMost: 16).isEmpty else { throw SystemError("read", inbox, .noData) }
      return Agent(inbox: inbox, pid: shell.pid)
    } catch {
      throw WallError("the agent did not start", error)
    }
  }

  func say(_ line: String) throws(WallError) {
    do throws(SystemError) {
      let pipe = try File.open(inbox, O_WRONLY | O_NONBLOCK)
      try File.writeAll(pipe.rawValue, line + "\n")
    } catch {
      throw WallError(.gone, "the agent does not listen: \(error)")
    }
  }
}

final class FakeSandbox: Sandbox {
  let agent: Agent
  let process: ProcessIdentity
  private let end: FileDescriptor
  var details: [String: String] { ["agent": agent.inbox] }
  var exitDescriptor: Int32 { end.rawValue }
  var terminal: Int32? { nil }
  var execution: (any Execution)? { nil }
  var pausing: (any Pausing)? { nil }
  var measurement: (any Measurement)? { FakeMeasurement() }
  var listing: (any ProcessListing)? { nil }

  init(_ agent: Agent) throws(WallError) {
    self.agent = agent
    guard let identity = ProcessIdentity(pid: agent.pid) else { throw WallError(.gone, "the agent is gone") }
    process = identity
    end = try Self.descriptor(of: identity)
  }

  private static func descriptor(of identity: ProcessIdentity) throws(WallError) -> FileDescriptor {
    do throws(SystemError) {
      if let descriptor = try identity.open() { return descriptor }
    } catch {
      throw WallError("pidfd", error)
    }
    throw WallError(.gone, "the agent is gone")
  }

  func start() throws(WallError) { try agent.say("start") }
  func signal(_ number: Int32) throws(WallError) { try agent.say("signal \(number)") }

  func collect() throws(WallError) -> Walls.Ending {
    do throws(SystemError) {
      guard let status = try Process.wait(agent.pid) else { throw SystemError("wait4", "\(agent.pid)", .noChild) }
      return Ending(status: status)
    } catch {
      throw WallError("not the one who raised it", error)
    }
  }

  func destroy() throws(WallError) {
    if process.isAlive { try agent.say("destroy") }
  }
}

struct FakeMeasurement: Measurement {
  func measure() throws(WallError) -> Usage {
    var usage = Usage()
    usage.memoryBytes = 1 << 20
    return usage
  }
}
