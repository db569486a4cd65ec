/// Text or bytes that are not what they should be: what is wrong, the offending text, and where it stands.
///
/// Printed as one line, `source:line:column: key.path: "offending" problem`, each part left out where it is not known.
public struct FormatError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Where in the input: lines and columns count from 1, columns in characters; offsets in bytes from 0.
  public enum Place: Sendable, Hashable {
    case unknown
    case offset(Int)
    case line(Int)
    case column(line: Int, column: Int)
  }

  /// The input's name for a reader (a path, "manifest"); empty where the caller did not say.
  public var source: String
  public var place: Place
  /// The keys that lead to the value (`process.args[2]`); empty at the root.
  public var keyPath: String
  /// The text itself, at most 64 characters, control characters escaped; empty where there is none to show.
  public let offending: String
  /// A predicate about the offending text ("is not a size"), or a whole clause where there is none.
  public var problem: String

  public init(
    _ problem: String, offending: String = "", at place: Place = .unknown, keyPath: String = "", source: String = ""
  ) {
    self.problem = problem
    self.offending = Self.presentable(offending)
    self.place = place
    self.keyPath = keyPath
    self.source = source
  }

  /// The same error, saying which input it is about.
  public func from(_ source: String) -> FormatError {
    var copy = self
    copy.source = source
    return copy
  }

  public var description: String {
    var line = source
    switch place {
    case .unknown: if !line.isEmpty { line += ": " }
    case .offset(let offset): line += line.isEmpty ? "byte \(offset): " : ": byte \(offset): "
    case .line(let number): line += line.isEmpty ? "line \(number): " : ":\(number): "
    case .column(let number, let column):
      line += line.isEmpty ? "line \(number), column \(column): " : ":\(number):\(column): "
    }
    if !keyPath.isEmpty { line += keyPath + ": " }
    if !offending.isEmpty { line += "\"" + offending + "\" " }
    return line + problem
  }

  /// Shortens to 64 characters and escapes what a terminal would act on (controls, and Unicode's invisible and
  /// direction-changing characters), so that hostile text can be shown.
  public static func presentable(_ text: String) -> String {
    var result = ""
    var count = 0
    for scalar in text.unicodeScalars {
      if count == 64 { return result + "…" }
      count += 1
      switch scalar {
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      default:
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned:
          result += "\\u{" + String(scalar.value, radix: 16) + "}"
        default: result.unicodeScalars.append(scalar)
        }
      }
    }
    return result
  }

  /// The bytes as text to show; what is not UTF-8 becomes U+FFFD. At most the first 256 bytes are looked at.
  static func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
    let lower = min(max(range.lowerBound, 0), bytes.count)
    let upper = min(max(range.upperBound, lower), bytes.count)
    var copy: [UInt8] = []
    for index in lower..<min(upper, lower + 256) { copy.append(bytes[index]) }
    return String(decoding: copy, as: UTF8.self)
  }

  /// Line and column of a byte offset, found by counting from the start: for errors only.
  static func position(of offset: Int, in bytes: Span<UInt8>) -> Place {
    var line = 1
    var column = 1
    for index in 0..<min(offset, bytes.count) {
      if bytes[index] == UInt8(ascii: "\n") {
        line += 1
        column = 1
      } else if bytes[index] & 0xC0 != 0x80 {
        column += 1
      }
    }
    return .column(line: line, column: column)
  }
}
