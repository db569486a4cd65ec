import Foundation
import Testing

/// The blocks of docs/oci-install.md: each stands below a line that names its file.
enum Documents {
  /// Files below /etc and what the page puts into them.
  static func blocks() throws -> [String: String] {
    let page = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "docs/oci-install.md")
    var found: [String: String] = [:]
    var file: String?
    var block: String?
    for line in try String(contentsOf: page, encoding: .utf8).components(separatedBy: "\n") {
      if line.hasPrefix("```") {
        if let text = block, let path = file { found[path] = (found[path] ?? "") + text }
        // Where a block is over, so is what was said about its file.
        if block != nil { file = nil }
        block = block == nil ? "" : nil
      } else if block != nil {
        block? += line + "\n"
      } else if let name = line.split(separator: "`").first(where: { $0.hasPrefix("/etc/") }) {
        file = String(name)
      }
    }
    for path in ["/etc/docker/daemon.json", "/etc/containerd/config.toml"] {
      try #require(found[path] != nil, "docs/oci-install.md has no block for \(path)")
    }
    return found
  }
}
