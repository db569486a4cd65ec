/// The first line of a script, `#!interpreter argument` (execve(2), fs/binfmt_script.c).
public struct ScriptLine: Sendable, Equatable {
  public var interpreter: [UInt8]
  /// All that stands after the interpreter, as one argument.
  public var argument: [UInt8]?

  /// What a file's first bytes are read for (BINPRM_BUF_SIZE, linux/binfmts.h).
  public static let limit = 256

  /// - Parameter head: the file's first bytes, at most `limit`.
  /// - Returns: nil for a file that is no script, or whose interpreter's name does not end within the limit.
  public init?(_ head: [UInt8]) {
    guard head.count >= 2, head[0] == 0x23, head[1] == 0x21 else { return nil }
    let isBlank = { (byte: UInt8) in byte == 0x20 || byte == 0x09 }
    var line = head.prefix(Self.limit).dropFirst(2)
    if let end = line.firstIndex(where: { $0 == 0x0a || $0 == 0 }) {
      line = line[..<end]
    } else if head.count >= Self.limit {
      // A longer line: its argument may be cut, its interpreter must not.
      guard line.drop(while: isBlank).contains(where: isBlank) else { return nil }
    }
    let words = line.drop(while: isBlank)
    let name = words.prefix { !isBlank($0) }
    guard !name.isEmpty else { return nil }
    interpreter = Array(name)
    var rest = words[name.endIndex...].drop(while: isBlank)
    while let last = rest.last, isBlank(last) { rest.removeLast() }
    argument = rest.isEmpty ? nil : Array(rest)
  }
}
