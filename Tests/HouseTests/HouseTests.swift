import Foundation
import Testing

/// What keeps the house drawable from its folder names.
@Suite("The house")
struct HouseTests {
  static let house: House = {
    let manifest = (try? String(contentsOf: Repository.root.appending(path: "Package.swift"), encoding: .utf8)) ?? ""
    return House(manifest: manifest)
  }()

  /// Parts that stand beside each other: none may know another.
  static let besides: [[String]] = [
    ["Jail", "Container", "Sentry", "MicroVM", "Emulator"],
    ["BoxNetwork", "Workspace", "Supervision", "Confinement"],
    ["Launch", "Commands"], ["Launch", "Registry"], ["immure", "immure-front"],
  ]

  /// Everything that `immure` is linked from.
  static let immure: Set<String> = {
    var reached: Set<String> = []
    var open = ["immure"]
    while let name = open.popLast() {
      if reached.insert(name).inserted { open += house.dependencies[name] ?? [] }
    }
    return reached
  }()

  struct Import: Sendable {
    let path: String
    let line: Int
    let importing: String
    let imported: String
    let isExported: Bool
  }

  static func imports() throws -> [Import] {
    var found: [Import] = []
    for path in Repository.files where path.hasPrefix("Sources/") && path.hasSuffix(".swift") {
      let module = String(path.split(separator: "/")[1])
      for (number, text) in try Repository.code(path) {
        let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
        guard let at = words.firstIndex(of: "import"), at + 1 < words.count,
          words[..<at].allSatisfy({
            $0.hasPrefix("@") || ["public", "package", "internal", "private", "fileprivate"].contains($0)
          })
        else { continue }
        let kinds = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
        let name = kinds.contains(words[at + 1]) && at + 2 < words.count ? words[at + 2] : words[at + 1]
        let imported = String(name.prefix { $0 != "." && $0 != ";" })
        found.append(
          Import(
            path: path, line: number, importing: module, imported: imported,
            isExported: words[..<at].contains { $0 == "@_exported" || $0 == "@testable" }))
      }
    }
    return found
  }

  @Test("the manifest is read as it stands")
  func manifest() {
    let house = Self.house
    #expect(house.order.prefix(2) == ["Formats", "CLinux"])
    #expect(house.order.contains("Commands") && house.order.contains("immure-front"))
    #expect(house.dependencies["Formats"] == [])
    #expect(house.dependencies["CGuest"] == [])
    #expect(house.dependencies["Policy"] == ["Formats"])
    #expect(house.dependencies["immure"] == ["Launch", "Linux"])
    #expect(house.dependencies["Registry"]?.contains("AsyncHTTPClient") == true)
    #expect(house.dependencies["Registry"]?.contains("swift-nio") == false)
    #expect(Self.immure.isSuperset(of: ["immure", "Launch", "Container", "Jail", "Policy", "Formats", "CLinux"]))
    #expect(Self.immure.isDisjoint(with: ["Registry", "Commands", "AsyncHTTPClient", "NIOCore"]))
  }

  @Test("a part stands only on parts that are listed before it")
  func order() {
    var below: Set<String> = []
    for name in Self.house.order {
      for dependency in Self.house.dependencies[name] ?? [] where Self.house.order.contains(dependency) {
        #expect(below.contains(dependency), "\(name) stands on \(dependency), which Package.swift lists after it")
      }
      below.insert(name)
    }
    for group in Self.besides {
      for name in group {
        for dependency in Self.house.dependencies[name] ?? [] {
          #expect(!group.contains(dependency), "\(name) and \(dependency) stand beside each other")
        }
      }
    }
  }

  @Test("a file imports only what Package.swift says its part stands on")
  func importsAreDeclared() throws {
    let imports = try Self.imports()
    #expect(imports.count > 50)
    for each in imports {
      let place = "\(each.path):\(each.line)"
      #expect(!each.isExported, "\(place): neither @_exported nor @testable")
      guard Self.house.order.contains(each.importing) else {
        Issue.record("\(place): \(each.importing) is not in Package.swift")
        continue
      }
      let declared = Self.house.dependencies[each.importing] ?? []
      if declared.contains(each.imported) { continue }
      // The kernel's constants come with Linux, whose own interface is written in them.
      if each.imported == "CLinux" && declared.contains("Linux") { continue }
      if Self.house.order.contains(each.imported) {
        Issue.record("\(place): \(each.importing) imports \(each.imported), above or beside it or not declared")
      } else if Self.immure.contains(each.importing) {
        Issue.record("\(place): \(each.imported) in what immure links: it has no Foundation, Dispatch or libc import")
      }
    }
  }

  @Test("nothing that immure links uses threads, tasks, Codable or Foundation's formats")
  func slim() throws {
    let words = [
      "async", "await", "Task", "actor", "Thread", "Codable", "Decodable", "Encodable", "Regex", "NSRegularExpression",
    ]
    for path in Repository.files where path.hasPrefix("Sources/") && path.hasSuffix(".swift") {
      let module = String(path.split(separator: "/")[1])
      guard Self.immure.contains(module) else { continue }
      for (number, text) in try Repository.code(path) {
        // Text between quotes is no code; what is interpolated in it is rare enough to be left out.
        let outside = text.replacingOccurrences(of: ".await(", with: "(").split(
          separator: "\"", omittingEmptySubsequences: false
        ).enumerated().filter {
          $0.offset % 2 == 0
        }
        for part in outside {
          let tokens = part.element.split { !($0.isLetter || $0.isNumber || $0 == "_") }
          for (index, token) in tokens.enumerated() where words.contains(String(token)) {
            // A declaration of that name is not the keyword.
            var isDeclaredName = index > 0 && ["case", "let", "var", "func"].contains(tokens[index - 1])
            // The sentry's own Task, a guest's thread, hides the library's in its modules.
            isDeclaredName =
              isDeclaredName || token == "Task" && module.hasPrefix("Sentry")
            #expect(isDeclaredName, "\(path):\(number): \(token)")
          }
        }
        #expect(!text.contains("String(format:"), "\(path):\(number)")
      }
    }
  }

  @Test("a file that marks an expression unsafe says why it is safe")
  func safety() throws {
    for path in Repository.files where path.hasPrefix("Sources/") && path.hasSuffix(".swift") {
      let code = try Repository.code(path)
      guard
        let first = code.first(where: { line in line.text.split { !($0.isLetter || $0 == "_") }.contains("unsafe") })
      else {
        continue
      }
      let told = try Repository.lines(path).contains { $0.contains("SAFETY:") }
      #expect(told, "\(path):\(first.number): `unsafe` without a // SAFETY: line in the file")
    }
  }

  @Test("no source file is longer than 600 lines")
  func length() throws {
    let kinds = [".swift", ".c", ".h", ".S", ".sh", ".py"]
    for path in Repository.files where kinds.contains(where: path.hasSuffix) {
      let count = try Repository.lines(path).count
      #expect(count <= 601, "\(path) has \(count) lines: it holds more than one idea")
    }
  }

  @Test("no file names this machine")
  func machine() throws {
    // Written in parts, so that this file does not find itself.
    let names = ["/" + "work/", "/opt/" + "swift", Repository.root.path + "/"]
    for path in Repository.files {
      for (index, line) in try Repository.lines(path).enumerated() {
        for name in names where Self.begins(name, in: line) {
          Issue.record("\(path):\(index + 1): names a path of one machine")
        }
      }
    }
  }

  /// Whether an absolute path that starts so stands in the line: what precedes it is no part of a longer path.
  static func begins(_ path: String, in line: Substring) -> Bool {
    var rest = line
    while let found = rest.firstRange(of: path) {
      let before = found.lowerBound == line.startIndex ? nil : line[line.index(before: found.lowerBound)]
      if before.map({ !$0.isLetter && !$0.isNumber && !")}._-$*~".contains($0) }) ?? true { return true }
      rest = rest[found.upperBound...]
    }
    return false
  }

  @Test("what names a machine's path")
  func machinePaths() {
    let folder = "/" + "work/"
    #expect(Self.begins(folder, in: Substring("cd " + folder + "main")))
    #expect(Self.begins(folder, in: Substring(folder)))
    #expect(Self.begins(folder, in: Substring("\"" + folder + "x\"")))
    #expect(!Self.begins(folder, in: Substring("$BOX" + folder + "x")))
    #expect(!Self.begins(folder, in: Substring("\\(box)" + folder + "x")))
  }

  @Test("no file is generated or binary, but for small samples of the tests")
  func plain() throws {
    for path in Repository.files {
      let size = try Repository.bytes(path).count
      #expect(size < 600_000, "\(path) has \(size) bytes")
      for kind in [".o", ".a", ".so", ".pyc", ".orig", ".rej", ".gz"] {
        #expect(!path.hasSuffix(kind), "\(path)")
      }
    }
  }
}
