import Foundation

/// The files of this checkout, without what is built or fetched.
enum Repository {
  static let root = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
    .deletingLastPathComponent()
    .deletingLastPathComponent()

  /// Folders beside the sources that no commit holds (.gitignore).
  private static func isForeign(_ name: String) -> Bool {
    name == ".git" || name == ".deps" || name == "dist" || name.hasPrefix(".build") || name == ".swiftpm"
  }

  /// Paths relative to the root, sorted; of regular files only.
  static let files: [String] = {
    var found: [String] = []
    var folders = [""]
    while let folder = folders.popLast() {
      let here = folder.isEmpty ? root : root.appending(path: folder)
      for name in (try? FileManager.default.contentsOfDirectory(atPath: here.path)) ?? [] {
        if folder.isEmpty && isForeign(name) { continue }
        let path = folder.isEmpty ? name : folder + "/" + name
        let values = try? root.appending(path: path).resourceValues(forKeys: [.isDirectoryKey, .isRegularFileKey])
        if values?.isDirectory == true {
          folders.append(path)
        } else if values?.isRegularFile == true {
          found.append(path)
        }
      }
    }
    return found.sorted()
  }()

  static func bytes(_ path: String) throws -> Data { try Data(contentsOf: root.appending(path: path)) }

  /// The lines of a text; none of a file that is not UTF-8.
  static func lines(_ path: String) throws -> [Substring] {
    guard let text = String(data: try bytes(path), encoding: .utf8) else { return [] }
    return text.split(separator: "\n", omittingEmptySubsequences: false)
  }

  /// A Swift file's lines without its comments' text; strings are left as they are.
  static func code(_ path: String) throws -> [(number: Int, text: String)] {
    var result: [(Int, String)] = []
    for (index, line) in try lines(path).enumerated() {
      var text = String(line)
      if let comment = text.range(of: "//") { text = String(text[..<comment.lowerBound]) }
      if !text.allSatisfy(\.isWhitespace) { result.append((index + 1, text)) }
    }
    return result
  }
}
