/// Reads the objects of the runtime specification: what a table holds is read, what it refuses is refused by name, and what it does not
/// know is noted and left alone.
struct ConfigurationReader {
  var ignored: [String] = []

  /// Looks at an object's keys before its fields are read.
  mutating func check(_ node: JSONNode, _ object: SpecificationObject) throws(FormatError) {
    for member in try node.object() where !object.held.contains(member.key) {
      let child = JSONNode(member.value, path: .key(node.path, member.key), source: node.source)
      guard let refusal = object.refused.first(where: { $0.name == member.key }) else {
        ignored.append(child.keyPath)
        continue
      }
      if !member.value.saysNothing { throw child.failure("not supported: \(refusal.why)") }
    }
  }

  /// A path from the root of the file system.
  static func absolutePath(_ node: JSONNode) throws(FormatError) -> String {
    let path = try node.string()
    guard path.utf8.first == UInt8(ascii: "/") else { throw node.failure("is not an absolute path") }
    return path
  }

  /// The number of a name in a table, or an error that says what was probably meant.
  static func index(_ node: JSONNode, in names: [String], what: String) throws(FormatError) -> Int {
    let name = try node.string()
    if let index = names.firstIndex(of: name) { return index }
    throw unknown(node, name, among: names, what: what)
  }

  static func unknown(_ node: JSONNode, _ name: String, among names: [String], what: String) -> FormatError {
    node.failure("is no \(what)" + (NearestName.of(name, among: names).map { ": did you mean \($0)?" } ?? ""))
  }

  static func environment(_ node: JSONNode?) throws(FormatError) -> [String] {
    guard let node else { return [] }
    for element in try node.elements() where try element.string().utf8.first == UInt8(ascii: "=") {
      throw element.failure("is not NAME=value")
    }
    return try node.strings()
  }

  static func dictionary(_ node: JSONNode?) throws(FormatError) -> [String: String] {
    guard let node else { return [:] }
    var result: [String: String] = [:]
    for (key, value) in try node.stringMap() { result[key] = value }
    return result
  }

  mutating func mappings(_ nodes: [JSONNode]) throws(FormatError) -> [IDMapping] {
    var result: [IDMapping] = []
    for node in nodes {
      try check(node, .idMapping)
      let mapping = IDMapping(
        inside: try node.integer("containerID"), outside: try node.integer("hostID"), count: try node.integer("size"))
      let size = try node.required("size")
      if mapping.count == 0 { throw size.failure("is a mapping of no ids") }
      for start in [mapping.inside, mapping.outside] where start.addingReportingOverflow(mapping.count).overflow {
        throw size.failure("reaches beyond the last id, 4294967294")
      }
      result.append(mapping)
    }
    return result
  }

  /// Refuses NUL in any text: the kernel would end a path or a word there, at another place than where it was checked. The parser takes
  /// it only as an escape, so that most documents need no second look.
  static func refuseNUL(in bytes: [UInt8], _ root: JSONNode) throws(FormatError) {
    let escape = Array("\\u0000".utf8)
    var found = false
    var index = 0
    while !found, index + escape.count <= bytes.count {
      if bytes[index] == escape[0] { found = bytes[index..<index + escape.count].elementsEqual(escape) }
      index += 1
    }
    if found { try refuseNUL(root) }
  }

  private static func refuseNUL(_ node: JSONNode) throws(FormatError) {
    switch node.value {
    case .string(let text): if text.utf8.contains(0) { throw node.failure("has a NUL character in it") }
    case .array: for element in try node.elements() { try refuseNUL(element) }
    case .object:
      for (key, member) in try node.members() {
        if key.utf8.contains(0) { throw member.failure("has a NUL character in its key") }
        try refuseNUL(member)
      }
    default: break
    }
  }
}

extension JSONValue {
  /// How Go programs write a field that they have nothing to say in.
  var saysNothing: Bool {
    switch self {
    case .null, .bool(false), .integer(0), .string(""): true
    case .array(let elements): elements.isEmpty
    case .object(let object): object.isEmpty
    default: false
    }
  }
}

/// Lists of CPUs or memory nodes as the kernel writes them: "0-3,7" (cpuset(7), "List format").
public enum CPUList {
  /// The numbers, in their order; nil where it is no such list, or a number is above 65535.
  public static func numbers(_ text: String) -> [Int]? {
    var result: [Int] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false)
      guard (1...2).contains(ends.count), let first = UInt16(ends[0]), let last = UInt16(ends[ends.count - 1]),
        first <= last, ends.allSatisfy({ $0.utf8.first != UInt8(ascii: "+") })
      else { return nil }
      result.append(contentsOf: Int(first)...Int(last))
    }
    return result
  }
}
