import Foundation
import Testing

/// The runtime specification's shapes as data (Fixtures/oci-schema.json), written from its JSON schema: an object's fields with their types,
/// "!" where one is required, "[t]" for an array, "{t}" for a map.
struct RuntimeSchema {
  let objects: [String: [String: String]]

  init() throws {
    let file = RuntimeConfigurationTests.folder.deletingLastPathComponent().appendingPathComponent("oci-schema.json")
    objects = try JSONDecoder().decode([String: [String: String]].self, from: Data(contentsOf: file))
  }

  /// What is wrong with a document, a line each.
  func problems(_ value: Any, _ type: String = "root", at path: String = "") -> [String] {
    if type.hasPrefix("[") {
      guard let elements = value as? [Any] else { return ["\(path): no array"] }
      return elements.enumerated().flatMap {
        problems($1, String(type.dropFirst().dropLast()), at: "\(path)[\($0)]")
      }
    }
    if type.hasPrefix("{") {
      guard let map = value as? [String: Any] else { return ["\(path): no map"] }
      return map.flatMap { problems($1, String(type.dropFirst().dropLast()), at: "\(path).\($0)") }
    }
    if let fields = objects[type] {
      guard let map = value as? [String: Any] else { return ["\(path): no object"] }
      var found: [String] = []
      for (key, member) in map {
        guard let type = fields[key] else {
          found.append("\(path).\(key): not in the specification")
          continue
        }
        if member is NSNull { continue }
        found += problems(member, type.replacingOccurrences(of: "!", with: ""), at: "\(path).\(key)")
      }
      for (key, type) in fields where type.hasSuffix("!") && map[key] == nil {
        found.append("\(path).\(key): is required")
      }
      return found
    }
    return isScalar(value, type) ? [] : ["\(path): no \(type)"]
  }

  private func isScalar(_ value: Any, _ type: String) -> Bool {
    let number = value as? NSNumber
    // A boolean is a number of type "c" to Foundation.
    let isBool = number.map { unsafe String(cString: $0.objCType) == "c" } ?? false
    func fits(_ range: ClosedRange<Decimal>) -> Bool {
      guard let number, !isBool else { return false }
      return range.contains(number.decimalValue)
    }
    switch type {
    case "any": return true
    case "string": return value is String
    case "bool": return isBool
    case "int32": return fits(Decimal(Int32.min)...Decimal(Int32.max))
    case "int64": return fits(Decimal(Int64.min)...Decimal(Int64.max))
    case "uint16": return fits(0...Decimal(UInt16.max))
    case "uint32": return fits(0...Decimal(UInt32.max))
    case "uint64": return fits(0...Decimal(UInt64.max))
    default: return false
    }
  }
}
