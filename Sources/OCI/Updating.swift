import Formats
import Linux
import Options
import Walls

/// `update`: other limits for a container that runs.
enum Updating {
  static func update(_ command: ParsedCommand, _ session: RuntimeSession) throws(RuntimeFailure) {
    let found = try RuntimeContainer.require(command.operands[0], session)
    let resources = try resources(command)
    let lock = try found.lock()
    let container = try RuntimeContainer.require(command.operands[0], session)
    if try container.status() == .stopped { throw RuntimeFailure("container not running") }
    guard let limiting = try container.open().limiting else {
      throw RuntimeFailure(
        "container \(container.id) stands in no control group of its own: its limits cannot be changed")
    }
    do throws(WallError) { try limiting.limit(resources) } catch { throw RuntimeFailure(error) }
    _ = consume lock
  }

  private static func resources(_ command: ParsedCommand) throws(RuntimeFailure) -> ResourceConfiguration {
    if let path = command.value("resources") {
      let text: [UInt8]
      do throws(SystemError) {
        text = path == "-" ? try File.readAll(0, limit: 16 << 20) : try File.contents(path, limit: 16 << 20)
      } catch {
        throw RuntimeFailure("update: resources file \(path): \(error.errno)")
      }
      do throws(FormatError) {
        // Fields that the specification does not know are not minded (config.md, "Extensibility").
        var ignored: [String] = []
        return try ResourceConfiguration.read(text, source: path == "-" ? "standard input" : path, ignored: &ignored)
      } catch {
        throw RuntimeFailure("\(error)")
      }
    }
    return try flags(command)
  }

  private static func flags(_ command: ParsedCommand) throws(RuntimeFailure) -> ResourceConfiguration {
    var resources = ResourceConfiguration()
    func number<Number: FixedWidthInteger>(_ name: String, _ type: Number.Type) throws(RuntimeFailure) -> Number? {
      guard let text = command.value(name), !text.isEmpty else { return nil }
      guard let number = Number(text) else {
        throw RuntimeFailure("update: --\(name) \"\(FormatError.presentable(text))\": give a number")
      }
      return number
    }
    resources.memoryLimit = try number("memory", Int64.self)
    resources.memoryReservation = try number("memory-reservation", Int64.self)
    resources.memorySwapLimit = try number("memory-swap", Int64.self)
    let share = try number("cpu-share", UInt64.self)
    resources.cpuShares = try number("cpu-shares", UInt64.self) ?? share
    resources.cpuQuota = try number("cpu-quota", Int64.self)
    resources.cpuPeriod = try number("cpu-period", UInt64.self)
    resources.cpuBurst = try number("cpu-burst", UInt64.self)
    resources.realtimeRuntime = try number("cpu-rt-runtime", Int64.self)
    resources.realtimePeriod = try number("cpu-rt-period", UInt64.self)
    resources.cpuIdle = try number("cpu-idle", Int64.self)
    resources.cpus = command.value("cpuset-cpus").flatMap { $0.isEmpty ? nil : $0 }
    resources.mems = command.value("cpuset-mems").flatMap { $0.isEmpty ? nil : $0 }
    resources.pidsLimit = try number("pids-limit", Int64.self)
    resources.blockWeight = try number("blkio-weight", UInt16.self)
    return resources
  }
}
