public import Formats
import Linux
import Policy

extension SandboxRecord {
  /// The record as it stands on disk, deterministic.
  public var json: JSONValue {
    func optional<T: BinaryInteger>(_ value: T?) -> JSONValue { value.map { .integer(Int64($0)) } ?? .null }
    func identity(_ value: ProcessIdentity?) -> JSONValue {
      value.map { ["pid": .integer(Int64($0.pid)), "startTime": JSONValue($0.startTime)] } ?? .null
    }
    var details = JSONObject()
    for (key, value) in self.details.sorted(by: { $0.key < $1.key }) { details[key] = .string(value) }
    return [
      "version": 1,
      "id": .string(id),
      "name": .string(name),
      "wall": .string(wall.rawValue),
      "status": .string(status.rawValue),
      "image": .string(image),
      "command": .array(command.map { .string($0) }),
      "created": .integer(created),
      "started": optional(started),
      "finished": optional(finished),
      "process": identity(process),
      "supervisor": identity(supervisor),
      "bootID": .string(bootID),
      "exitCode": optional(exitCode),
      "killedBy": killedBy.map { .string($0.rawValue) } ?? .null,
      "detached": .bool(detached),
      "removeAtExit": .bool(removeAtExit),
      "environment": .array(environment.map { .string($0) }),
      "workingDirectory": .string(workingDirectory),
      "user": .integer(Int64(user)),
      "group": .integer(Int64(group)),
      "stopSignal": .integer(Int64(stopSignal)),
      "notes": .array(notes.map { .string($0) }),
      "rules": .array(
        rules.map {
          [
            "name": .string($0.name), "value": .string($0.value), "origin": .string($0.origin),
            "verdict": .string($0.verdict), "by": .string($0.by),
          ]
        }),
      "details": .object(details),
    ]
  }

  /// Reads a record back; the error names the file, the key and the offending text.
  public init(bytes: [UInt8], source: String) throws(FormatError) {
    let node = try JSONNode.parse(bytes, source: source)
    let version = try node.int("version")
    guard version == 1 else {
      throw try node.required("version").failure("is a record version that this immure does not know (it knows 1)")
    }
    func choice<T: RawRepresentable>(_ key: String, _ type: T.Type) throws(FormatError) -> T
    where T.RawValue == String {
      let text = try node.string(key)
      guard let value = T(rawValue: text) else { throw try node.required(key).failure("is not a known \(key)") }
      return value
    }
    func identity(_ key: String) throws(FormatError) -> ProcessIdentity? {
      guard let entry = try node.optional(key) else { return nil }
      return ProcessIdentity(pid: try entry.integer("pid"), startTime: try entry.integer("startTime"))
    }
    self.init(
      id: try node.string("id"), name: try node.string("name"), wall: try choice("wall", WallName.self),
      image: try node.string("image"), command: try node.strings("command"), created: try node.integer("created"),
      bootID: try node.string("bootID"), detached: try node.bool("detached"),
      removeAtExit: try node.bool("removeAtExit"))
    status = try choice("status", Status.self)
    started = try node.optionalInteger("started")
    finished = try node.optionalInteger("finished")
    process = try identity("process")
    supervisor = try identity("supervisor")
    exitCode = try node.optionalInteger("exitCode")
    killedBy = try node.optional("killedBy") == nil ? nil : try choice("killedBy", LimitHit.self)
    environment = try node.strings("environment")
    workingDirectory = try node.string("workingDirectory")
    user = try node.integer("user")
    group = try node.integer("group")
    stopSignal = try node.integer("stopSignal")
    notes = try node.strings("notes")
    for entry in try node.array("rules") {
      rules.append(
        RecordedRule(
          name: try entry.string("name"), value: try entry.string("value"), origin: try entry.string("origin"),
          verdict: try entry.string("verdict"), by: try entry.string("by")))
    }
    for (key, value) in try node.optionalStringMap("details") ?? [] { details[key] = value }
  }
}
