import CLinux
import Formats
import Linux
import Options

/// Where failures go: to the log that a client named, in the lines that clients read (logrus's, as runc writes them), and to
/// standard error.
struct RuntimeLog {
  private let path: String?
  private let isJSON: Bool

  static let standard = RuntimeLog(path: nil, isJSON: false)

  private init(path: String?, isJSON: Bool) {
    self.path = path
    self.isJSON = isJSON
  }

  init(_ global: ParsedCommand) throws(RuntimeFailure) {
    switch global.value("log-format") {
    case nil, "text": isJSON = false
    case "json": isJSON = true
    case .some(let other):
      throw RuntimeFailure("invalid log-format: \"\(FormatError.presentable(other))\": text or json")
    }
    let path = global.value("log") ?? ""
    self.path = path.isEmpty ? nil : path
  }

  /// Writes the failure down and returns the exit status.
  func fail(_ failure: RuntimeFailure) -> Int32 {
    write("error", failure.message)
    // With nobody to read standard error there is nothing more to do.
    if path != nil { try? File.writeAll(2, failure.message + "\n") }
    return failure.status
  }

  /// Something that does not stop the verb.
  func warn(_ message: String) { write("warning", message) }

  private func write(_ level: String, _ message: String) {
    let line = line(level, message)
    guard let path else {
      // As above.
      try? File.writeAll(2, line)
      return
    }
    do throws(SystemError) {
      let file = try File.open(path, O_WRONLY | O_CREAT | O_APPEND, mode: 0o644)
      try File.writeAll(file.rawValue, line)
    } catch {
      try? File.writeAll(2, "log \(path): \(error)\n")
    }
  }

  func line(_ level: String, _ message: String) -> String {
    let time = Timestamp.rfc3339(seconds: Clock.realTime().seconds)
    if isJSON {
      let value: JSONValue = ["level": .string(level), "msg": .string(message), "time": .string(time)]
      return value.text() + "\n"
    }
    return "time=\"\(time)\" level=\(level) msg=\(RuntimeLog.quoted(message))\n"
  }

  /// As Go's %q writes a text: quotes, backslashes and control characters escaped.
  static func quoted(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\t": out += "\\t"
      case "\r": out += "\\r"
      default:
        if scalar.value < 32 || scalar.value == 127 {
          let digits = String(scalar.value, radix: 16)
          out += "\\x" + (digits.utf8.count == 1 ? "0" : "") + digits
        } else {
          out.unicodeScalars.append(scalar)
        }
      }
    }
    return out + "\""
  }
}
