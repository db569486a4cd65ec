import CLinux
import Formats
import Linux
import Options

/// `spec`: a config.json to begin with.
enum SpecificationVerb {
  static func write(_ command: ParsedCommand, _ session: RuntimeSession) throws(RuntimeFailure) {
    let folder = RuntimePath.absolute(command.value("bundle") ?? ".")
    let rootless = command.flag("rootless") ? (user: Process.effectiveUser, group: Process.effectiveGroup) : nil
    let text = RuntimeConfiguration.template(rootless: rootless).json.bytes(indented: true) + [UInt8(ascii: "\n")]
    do throws(SystemError) {
      let file = try File.open(folder + "/config.json", O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
      try File.writeAll(file.rawValue, text)
    } catch {
      if error.errno == .exists { throw RuntimeFailure("file config.json exists. Remove it first") }
      throw RuntimeFailure("\(folder)/config.json", error)
    }
  }
}
