/// The keys and indices that lead from a document's root to a value, for error messages.
indirect enum NodePath: Sendable {
  case root
  case key(NodePath, String)
  case index(NodePath, Int)

  /// `process.args[2]`; a key that is not a bare word is quoted, `annotations["a b"]`.
  var text: String {
    switch self {
    case .root: return ""
    case .index(let parent, let index): return parent.text + "[\(index)]"
    case .key(let parent, let key):
      let prefix = parent.text
      let bare =
        !key.isEmpty
        && key.utf8.allSatisfy { byte in
          switch byte {
          case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
          case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"): true
          default: false
          }
        }
      if !bare || key.utf8.count > 64 { return prefix + "[\"" + FormatError.presentable(key) + "\"]" }
      return prefix.isEmpty ? key : prefix + "." + key
    }
  }
}
