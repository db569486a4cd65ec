/// Absolute paths as rules hold them: no "." or "..", no doubled or trailing slash. Pure text; links are the walls' matter.
enum HostPath {
  /// PATH_MAX (limits.h), with its final zero.
  static let longest = 4095

  /// - Parameter folder: what a relative path starts from; nil refuses one.
  static func parse(_ text: String, from folder: String?, _ subject: Subject) throws(PolicyError) -> String {
    if text.isEmpty { throw subject.failure("is empty: an absolute path is wanted", text) }
    if text.utf8.contains(0) { throw subject.failure("has a zero byte in it", text) }
    var whole = text
    if !text.hasPrefix("/") {
      guard let folder, folder.hasPrefix("/") else {
        throw subject.failure("is not an absolute path: it must begin with /", text)
      }
      // "./x" and "../x" from the caller's folder are Docker's; only the folder's own names are taken away.
      whole = folder + "/" + text
    }
    let own = text.split(separator: "/")
    var names = whole.split(separator: "/").dropLast(own.count)
    for (index, name) in own.enumerated() where name != "." {
      if name == ".." {
        // Past a name of the text's own it could lead through a link to somewhere else than it says.
        guard !text.hasPrefix("/"), own[..<index].allSatisfy({ $0 == ".." || $0 == "." }), !names.isEmpty else {
          throw subject.failure("has \"..\" in it: write the path without", text)
        }
        names.removeLast()
      } else {
        names.append(name)
      }
    }
    let path = "/" + names.joined(separator: "/")
    if path.utf8.count > longest { throw subject.failure("is longer than \(longest) bytes", text) }
    return path
  }

  /// Whether `path` is `folder` or lies in it.
  static func isIn(_ path: String, _ folder: String) -> Bool {
    folder == "/" || path == folder || (path.hasPrefix(folder) && path.utf8.dropFirst(folder.utf8.count).first == 47)
  }

  /// Where a file of the host may appear in a box: anywhere but in place of its root and of the kernel's own file systems.
  static func parseDestination(_ text: String, _ subject: Subject) throws(PolicyError) -> String {
    let path = try parse(text, from: nil, subject)
    if path == "/" { throw subject.failure("would replace the root of the box: name a folder in it", text) }
    for system in ["/proc", "/sys"] where isIn(path, system) {
      throw subject.failure("lies in \(system), which belongs to the kernel: choose another place", text)
    }
    return path
  }
}
