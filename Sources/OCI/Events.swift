import Formats
import Linux
import Options
import Policy
import Walls

/// `events` and `stats`: what a container uses, in the shape of runc's JSON lines.
enum Events {
  static func stats(_ command: ParsedCommand, _ session: RuntimeSession) throws(RuntimeFailure) -> Int32 {
    try print(try RuntimeContainer.require(command.operands[0], session))
    return 0
  }

  static func events(_ command: ParsedCommand, _ session: RuntimeSession) throws(RuntimeFailure) -> Int32 {
    let interval = try milliseconds(command.value("interval") ?? "5s")
    if command.flag("stats") { return try stats(command, session) }
    while true {
      guard let container = try RuntimeContainer.find(command.operands[0], session) else { return 0 }
      let sandbox = try container.open()
      if try container.status() == .stopped { return 0 }
      try print(container)
      do throws(SystemError) {
        // Its end ends the watching at once.
        if try Readiness.wait(sandbox.exitDescriptor, milliseconds: interval) { return 0 }
      } catch {
        throw RuntimeFailure("waiting for the container's end", error)
      }
    }
  }

  private static func print(_ container: RuntimeContainer) throws(RuntimeFailure) {
    guard try container.status() != .stopped else { throw RuntimeFailure("container not running") }
    guard let measurement = try container.open().measurement else {
      throw RuntimeFailure("the \(container.record.wall.rawValue) wall cannot tell what a container uses")
    }
    let usage: Usage
    do throws(WallError) { usage = try measurement.measure() } catch { throw RuntimeFailure(error) }
    let statistics = GroupStatistics(measurement.cgroup ?? Cgroup(places: []))
    var data = statistics.data
    // What no group counts is what was added up.
    if data["cpu"] == nil {
      data["cpu"] = ["usage": ["total": JSONValue((usage.cpuMicroseconds ?? 0) * 1000)], "throttling": [:]]
    }
    if data["memory"] == nil { data["memory"] = ["usage": ["usage": JSONValue(usage.memoryBytes ?? 0)]] }
    if data["pids"] == nil { data["pids"] = ["current": JSONValue(usage.processes ?? 0)] }
    data["intel_rdt"] = [:]
    data["network_interfaces"] = container.record.process.map { NetworkStatistics.interfaces(of: $0.pid) } ?? .null
    Output.print(["type": "stats", "id": .string(container.id), "data": .object(data)])
  }

  /// Go's way to write a time: "5s", "500ms", "1m".
  private static func milliseconds(_ text: String) throws(RuntimeFailure) -> UInt64 {
    for (unit, factor) in [("ms", 1), ("s", 1000), ("m", 60_000)] as [(String, UInt64)] where text.hasSuffix(unit) {
      guard let number = UInt64(text.dropLast(unit.utf8.count)), number > 0, number < 1_000_000 / factor + 1 else {
        break
      }
      return number * factor
    }
    throw RuntimeFailure("--interval \"\(FormatError.presentable(text))\": give a time such as 5s")
  }
}
