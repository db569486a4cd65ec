import BoxNetwork
import Linux
import Policy
import Walls

/// Starts a user-mode network for a process and waits to be told to stop: what tests run, since a forking start wants a
/// process of one thread.
///
///     NetworkProbe start PID DIRECTORY [private] [ADDRESS:]HOST:BOX[/udp]…
///     NetworkProbe available
@main
enum Probe {
  static func main() {
    let arguments = Process.arguments.dropFirst()
    switch arguments.first {
    case "available": printAvailability()
    case "start": start(Array(arguments.dropFirst()))
    default:
      fail("usage: NetworkProbe start PID DIRECTORY [private] [PORTS…] | available")
    }
  }

  static func printAvailability() {
    switch UserNetwork.availability(on: Host()) {
    case .ready(let notes): say("ready " + notes.joined(separator: "; "))
    case .missing(let lacks): for lack in lacks { say("missing: \(lack.what); \(lack.remedy)") }
    }
  }

  static func start(_ arguments: [String]) {
    guard arguments.count >= 2, let pid = Int32(arguments[0]), let box = ProcessIdentity(pid: pid) else {
      fail("start: no such process")
    }
    var ports: [PortForward] = []
    for text in arguments.dropFirst(2) where text != "private" {
      let isUDP = text.hasSuffix("/udp")
      let parts = (isUDP ? String(text.dropLast(4)) : text).split(separator: ":")
      guard parts.count >= 2, let host = UInt16(parts[parts.count - 2]), let inner = UInt16(parts[parts.count - 1])
      else {
        fail("\(text): not a port")
      }
      ports.append(
        PortForward(address: parts.count == 3 ? String(parts[0]) : nil, hostPort: host, boxPort: inner, udp: isUDP))
    }
    do {
      let before = Clock.monotonicNanoseconds()
      let handle = try UserNetwork.start(
        for: box, ports: ports, allowPrivate: arguments.contains("private"), directory: arguments[1], on: Host())
      let milliseconds = (Clock.monotonicNanoseconds() - before) / 1_000_000
      for (key, value) in handle.details.sorted(by: { $0.key < $1.key }) { say("\(key)=\(value)") }
      say("milliseconds=\(milliseconds)")
      say("ready")
      // Until stdin ends: then everything is stopped again.
      while try !File.read(0, atMost: 64).isEmpty {}
      handle.stop()
      say("stopped")
    } catch {
      fail("\(error)")
    }
  }

  /// At once, whatever stdout is: tests wait for these lines.
  static func say(_ line: String) {
    // Without a reader there is nobody to tell.
    try? File.writeAll(1, line + "\n")
  }

  static func fail(_ message: String) -> Never {
    say(message)
    Process.exit(1)
  }
}
