import Linux

/// What of the host's own root is otherwise than it would be where overlayfs is to be had.
struct OverlayLosses {
  private var refusal: SystemError?
  /// A line each.
  var copied: [String] = []
  private var readOnly: [String] = []
  private var withSockets: [String] = []

  /// A part that is copied, or the host's folder itself, read-only.
  mutating func add(_ part: RootAssembly.Part, _ refusal: SystemError) {
    self.refusal = refusal
    if part.isCopied { return }
    if part.overlay { readOnly.append(part.path) }
    // Nobody has sockets in /usr.
    if part.path != "/usr" { withSockets.append(part.path) }
  }

  /// One line to the parent; nothing where nothing was lost.
  func tell(_ channel: Int32) throws(SystemError) {
    guard let refusal else { return }
    var losses = copied
    if !readOnly.isEmpty { losses.append("\(readOnly.joined(separator: ", ")): writes are refused") }
    if !withSockets.isEmpty { losses.append("sockets of the host's answer in \(withSockets.joined(separator: ", "))") }
    try SetupChannel.remark(channel, "\(LayerCopy.reason(refusal)): \(losses.joined(separator: "; "))")
  }
}
