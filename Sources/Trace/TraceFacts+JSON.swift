public import Formats
import Seccomp

extension TraceFacts {
  /// Everything that was seen, for a program to read. Environment variables by name only: values may be secrets.
  public var json: JSONValue {
    let paths: [JSONValue] = self.paths.sorted { $0.key < $1.key }.map { path, fact in
      [
        "path": .string(path), "kind": .string(fact.kind.rawValue), "remains": .bool(fact.remains),
        "uses": .array(PathUse.names.filter { fact.uses.contains($0.use) }.map { .string($0.name) }),
      ]
    }
    let calls: [JSONValue] = self.calls.map { fact in
      var call: JSONValue = [
        "architecture": .string(fact.architecture.rawValue), "name": .string(fact.name), "count": JSONValue(fact.count),
      ]
      if let values = fact.values, !values.isEmpty, case .object(var object) = call {
        object["values"] = .array(values.sorted().map { .integer(Int64($0)) })
        call = .object(object)
      }
      return call
    }
    func endpoints(_ table: [Endpoint: Int]) -> JSONValue {
      .array(
        table.map { (NetworkNeeds.text($0.key), $0.value) }.sorted { $0.0 < $1.0 }.map {
          ["address": .string($0.0), "count": JSONValue($0.1)]
        })
    }
    func strings(_ texts: some Collection<String>) -> JSONValue { .array(texts.sorted().map { .string($0) }) }
    return [
      "command": .array(command.map { .string($0) }), "folder": .string(folder), "status": .integer(Int64(status)),
      "milliseconds": JSONValue(milliseconds), "paths": .array(paths), "calls": .array(calls),
      "unknownCalls": strings(unknownCalls), "connections": endpoints(connections), "listeners": endpoints(listeners),
      "localConnections": strings(localConnections), "localListeners": strings(localListeners),
      "privileges": .array(
        privileges.sorted { $0.key < $1.key }.map { ["capability": .string($0.key), "calls": strings($0.value)] }),
      "peakTasks": JSONValue(peakTasks), "peakMemoryBytes": JSONValue(peakMemoryBytes),
      "peakDescriptors": JSONValue(peakDescriptors),
      "environment": strings(environment.map { String($0.prefix { $0 != "=" }) }),
      "notes": .array(notes.map { .string($0) }),
    ]
  }
}
