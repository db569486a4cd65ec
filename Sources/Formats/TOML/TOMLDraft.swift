/// A table while the document is read: what may still be added to it depends on how it came to be (TOML 1.0.0, "Table",
/// "Inline Table", "Array of Tables").
final class TOMLDraft {
  enum Value {
    case finished(TOMLValue)
    case table(TOMLDraft)
    /// Elements of `[[name]]`; the last one is the one that names lead into.
    case tables(Elements)
  }

  /// By reference, so that a thousand headers of one name do not copy a growing list a thousand times.
  final class Elements {
    var tables: [TOMLDraft] = []
  }

  /// Depth below the root, which is 0.
  let depth: Int
  let line: Int
  /// Has had its own `[header]`, or was made by a dotted key of a section that is over.
  var isDefined = false
  private var keys: [String] = []
  private var values: [(value: Value, line: Int)] = []
  private var index: [String: Int] = [:]

  init(depth: Int, line: Int) {
    self.depth = depth
    self.line = line
  }

  subscript(_ key: String) -> Value? { index[key].map { values[$0].value } }

  func line(of key: String) -> Int? { index[key].map { values[$0].line } }

  /// Adds a key that is not there yet.
  func add(_ key: String, _ value: Value, line: Int) {
    index[key] = keys.count
    keys.append(key)
    values.append((value, line))
  }

  func finished() -> TOMLTable {
    TOMLTable(
      entries: zip(keys, values).map { key, slot in
        let value: TOMLValue =
          switch slot.value {
          case .finished(let value): value
          case .table(let draft): .table(draft.finished())
          case .tables(let elements):
            .array(elements.tables.map { TOMLItem(value: .table($0.finished()), line: $0.line) })
          }
        return TOMLTable.Entry(key: key, item: TOMLItem(value: value, line: slot.line))
      })
  }
}
