import CLinux
import Formats
import Linux
import Options
import Policy
import Supervision
import Walls

/// `logs` and `attach`: what a detached sandbox says, and being its terminal again.
enum Logs {
  static func logs(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    var options = LogOptions()
    options.follow = command.flag("follow")
    options.timestamps = command.flag("timestamps")
    if let text = command.value("tail"), text != "all" {
      guard let count = Int(text), count >= 0 else {
        throw CommandError(1, "logs: --tail \"\(FormatError.presentable(text))\" is no number of lines")
      }
      options.tail = count
    }
    do throws(WallError) {
      let record = try session.record(command.operands[0])
      guard record.detached else {
        throw WallError("sandbox \(record.name) was not started with -d: what it wrote went to its own terminal")
      }
      var reader = try LogReader(directory: session.store.directory(record.id), options)
      return try follow(record, &reader)
    } catch {
      throw CommandError(error)
    }
  }

  private static func follow(_ record: SandboxRecord, _ reader: inout LogReader) throws(WallError) -> Int32 {
    let monitor: Int32?
    // Open until this command ends.
    do throws(SystemError) { monitor = try record.supervisor?.open()?.release() } catch {
      throw WallError("cannot watch the monitor of sandbox \(record.name)", error)
    }
    let isRead = try reader.run(monitor: monitor)
    return isRead ? 0 : 141
  }

  static func attach(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    let keys = try detachKeys(command.value("detach-keys"))
    do throws(WallError) {
      let record = try session.record(command.operands[0])
      guard record.condition(bootID: session.host.bootID).isLive else {
        throw WallError(.gone, "sandbox \(record.name) does not run")
      }
      var options = AttachOptions()
      options.detachKeys = keys
      let attachment = try AttachClient(directory: session.store.directory(record.id), options).run()
      return code(of: attachment, name: record.name, policy: nil)
    } catch {
      throw CommandError(error)
    }
  }

  static func detachKeys(_ text: String?) throws(CommandError) -> DetachKeys? {
    guard let text else { return .standard }
    if text.isEmpty { return nil }
    do throws(FormatError) { return try DetachKeys(parsing: text) } catch {
      throw CommandError(125, "--detach-keys: \(error)")
    }
  }

  /// What an attachment's end means for the command's exit status; a limit is said.
  static func code(of attachment: Attachment, name: String, policy: Policy?) -> Int32 {
    switch attachment {
    case .ended(let code, let limit):
      if let limit { Output.complain("killed: \(LimitText.of(limit, policy?.limits))") }
      return code
    case .detached:
      Output.complain("detached from \(name); `immure attach \(name)` comes back")
      return 0
    case .interrupted(let signal): return 128 + signal
    case .lost:
      Output.complain("the monitor of sandbox \(name) was killed; `immure ps` shows what became of the box")
      return 125
    }
  }
}

/// "memory limit 256 MiB (--memory)".
enum LimitText {
  static func of(_ limit: LimitHit, _ limits: Limits?) -> String {
    let (name, setting, text): (String, Setting<UInt64>?, (UInt64) -> String) =
      switch limit {
      case .memory: ("memory", limits?.memory, Quantity.bytes)
      case .timeout: ("time", limits?.timeout, Quantity.milliseconds)
      case .output: ("output", limits?.output, Quantity.bytes)
      case .fileSize: ("file size", limits?.fileSize, Quantity.bytes)
      case .cpuTime: ("CPU time", limits?.cpuTime, Quantity.milliseconds)
      }
    guard let setting else { return "\(name) limit" }
    return "\(name) limit \(text(setting.value)) (\(setting.origin.description))"
  }
}
