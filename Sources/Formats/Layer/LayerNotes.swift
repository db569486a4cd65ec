/// What could not be kept as the archive had it.
public struct LayerNotes: Sendable {
  public var devicesSkipped = 0
  public var ownersDropped = false
  private var attributes: [String: Int] = [:]

  public init() {}

  /// Counts an attribute that was left out of one more file.
  public mutating func refuse(_ attribute: [UInt8]) {
    let name = FormatError.presentable(String(decoding: attribute.prefix(64), as: UTF8.self))
    if attributes.count < 16 || attributes[name] != nil { attributes[name, default: 0] += 1 }
  }

  /// As a person reads them.
  public var lines: [String] {
    var lines: [String] = []
    if ownersDropped { lines.append("owners dropped: everything belongs to the caller (one id to map)") }
    if devicesSkipped > 0 {
      lines.append("\(counted(devicesSkipped, "device node")) skipped: only root makes devices")
    }
    for (name, count) in attributes.sorted(by: { $0.key < $1.key }) {
      lines.append("attribute \(name) not kept on \(counted(count, "file"))")
    }
    return lines
  }

  private func counted(_ count: Int, _ what: String) -> String { count == 1 ? "1 \(what)" : "\(count) \(what)s" }
}
