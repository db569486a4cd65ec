import Formats
import Images
import Linux
import Options
import Policy
import Walls

/// `inspect`: all that is known about a sandbox, or an image.
enum Inspect {
  static func perform(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    var values: [JSONValue] = []
    var status: Int32 = 0
    for word in command.operands {
      do throws(WallError) {
        let (record, condition) = try session.store.look(try session.store.find(word), bootID: session.host.bootID)
        values.append(value(record, condition, whole: true))
      } catch {
        if error.kind == .gone, let image = try ImageUse.find(word, session) {
          values.append(image.json)
          continue
        }
        Output.complain(
          error.kind == .gone ? "there is no sandbox and no image \"\(FormatError.presentable(word))\"" : error.message)
        status = 1
      }
    }
    Output.print(JSONValue.array(values).text(indented: true))
    return status
  }

  /// A record as programs read it: times as text, and what it means now.
  static func value(_ record: SandboxRecord, _ condition: SandboxCondition, whole: Bool) -> JSONValue {
    func time(_ seconds: Int64?) -> JSONValue { seconds.map { .string(Timestamp.rfc3339(seconds: $0)) } ?? .null }
    var object = JSONObject()
    object["id"] = .string(record.id)
    object["name"] = .string(record.name)
    object["wall"] = .string(record.wall.rawValue)
    object["status"] = .string(condition.word)
    if case .interrupted(let why) = condition { object["statusReason"] = .string(why) }
    object["image"] = record.image.isEmpty ? .null : .string(record.image)
    object["command"] = .array(record.command.map { .string($0) })
    object["created"] = time(record.created)
    object["started"] = time(record.started)
    object["finished"] = time(record.finished)
    object["exitCode"] = record.exitCode.map { .integer(Int64($0)) } ?? .null
    object["killedBy"] = record.killedBy.map { .string($0.rawValue) } ?? .null
    object["pid"] = condition.isLive ? record.process.map { .integer(Int64($0.pid)) } ?? .null : .null
    object["detached"] = .bool(record.detached)
    guard whole else { return .object(object) }
    object["supervisorPid"] = condition.isLive ? record.supervisor.map { .integer(Int64($0.pid)) } ?? .null : .null
    object["removeAtExit"] = .bool(record.removeAtExit)
    object["environment"] = .array(record.environment.map { .string($0) })
    object["workingDirectory"] = .string(record.workingDirectory)
    object["user"] = .string("\(record.user):\(record.group)")
    object["stopSignal"] = .string(SignalName.name(record.stopSignal))
    object["notes"] = .array(record.notes.map { .string($0) })
    object["policy"] = .array(
      record.rules.map {
        [
          "rule": .string($0.name), "value": .string($0.value), "from": .string($0.origin),
          "verdict": .string($0.verdict), "by": .string($0.by),
        ]
      })
    object["details"] = .object(
      {
        var details = JSONObject()
        for (key, value) in record.details.sorted(by: { $0.key < $1.key }) { details[key] = .string(value) }
        return details
      }())
    return .object(object)
  }
}
