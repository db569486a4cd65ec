import CLinux
import Formats
import Images
import Linux
import Walls

/// Reads single files of a root filesystem that is not mounted, such as its passwd: strangers' bytes, resolved inside the root.
struct BoxFiles {
  let root: RootFilesystem

  /// The bytes of a regular file of at most `limit` bytes; nil where it is not there or is something else.
  func read(_ path: String, limit: Int = 1 << 20) -> [UInt8]? {
    switch root {
    case .host: return contents(of: path, under: "/", limit)
    case .directory(let tree, _): return contents(of: path, under: tree, limit)
    case .layers(let layers, _):
      // The topmost layer that says anything about the file decides: a whiteout there hides it.
      for layer in layers {
        switch look(path, under: layer) {
        case .absent: continue
        case .hidden: return nil
        case .file: return contents(of: path, under: layer, limit)
        }
      }
      return nil
    case .image(let image, _):
      if let mount = image.mount { return contents(of: path, in: mount, limit) }
      // As below: whatever is the matter, there is nothing to look names up in.
      guard var unmounted = try? UnmountedImage(image) else { return nil }
      return (try? unmounted.contents(of: path, limit: limit)) ?? nil
    }
  }

  private enum Look { case absent, hidden, file }

  private func look(_ path: String, under layer: String) -> Look {
    guard let tree = try? File.open(layer, O_PATH | O_DIRECTORY) else { return .absent }
    guard let file = try? File.open(path, O_PATH | O_NOFOLLOW, at: tree.rawValue, resolve: [.inRoot, .noMagicLinks]),
      let status = try? File.status("", at: file.rawValue)
    else { return .absent }
    let isWhiteout = File.kind(status) == S_IFCHR && status.st_rdev == 0
    return isWhiteout ? .hidden : .file
  }

  private func contents(of path: String, under root: String, _ limit: Int) -> [UInt8]? {
    // A folder that is not there has no files.
    guard let tree = try? File.open(root, O_PATH | O_DIRECTORY) else { return nil }
    return contents(of: path, in: tree.rawValue, limit)
  }

  private func contents(of path: String, in tree: Int32, _ limit: Int) -> [UInt8]? {
    // Not a regular file, too large or unreadable all mean the same to the caller: there is nothing to look names up in.
    guard
      let file = try? File.open(
        path, O_RDONLY | O_NONBLOCK | O_NOCTTY, at: tree, resolve: [.inRoot, .noMagicLinks]),
      let status = try? File.status("", at: file.rawValue), File.kind(status) == S_IFREG
    else { return nil }
    return try? File.readAll(file.rawValue, limit: limit)
  }
}

/// passwd(5) and group(5) of a box.
struct BoxAccounts {
  struct User { let name: String, id: UInt32, group: UInt32, home: String }
  private let accounts: [UInt8]
  private let memberships: [UInt8]
  /// Whose files they are, for error messages: "the image's".
  private let whose: String

  init(_ files: BoxFiles) {
    accounts = files.read("etc/passwd") ?? []
    memberships = files.read("etc/group") ?? []
    whose = "the image's"
  }

  /// Nobody is known: numbers only.
  static let none = BoxAccounts(accounts: [], memberships: [], whose: "the sandbox's")

  private init(accounts: [UInt8], memberships: [UInt8], whose: String) {
    self.accounts = accounts
    self.memberships = memberships
    self.whose = whose
  }

  /// Of a box that runs: read as they are now, whatever its code made of them.
  init(runningIn files: any FileTransfer, limit: Int = 1 << 20) throws(WallError) {
    accounts = try files.contents(of: "/etc/passwd", limit: limit) ?? []
    memberships = try files.contents(of: "/etc/group", limit: limit) ?? []
    whose = "the sandbox's"
  }

  /// The first account that fits; lines that are none are passed over.
  private func user(where fits: (_ name: ArraySlice<UInt8>, _ id: UInt32) -> Bool) -> User? {
    for fields in BoxAccounts.lines(accounts) where fields.count >= 6 {
      guard let id = BoxAccounts.id(fields[2]), let group = BoxAccounts.id(fields[3]), fits(fields[0], id) else {
        continue
      }
      return User(
        name: String(decoding: fields[0], as: UTF8.self), id: id, group: group,
        home: String(decoding: fields[5], as: UTF8.self))
    }
    return nil
  }

  private func group(named name: String) -> UInt32? {
    for fields in BoxAccounts.lines(memberships) where fields.count >= 4 && fields[0].elementsEqual(name.utf8) {
      if let id = BoxAccounts.id(fields[2]) { return id }
    }
    return nil
  }

  /// The groups that name the account among their members.
  private func groups(of name: String) -> [UInt32] {
    var found: [UInt32] = []
    for fields in BoxAccounts.lines(memberships) where fields.count >= 4 && !fields[3].isEmpty {
      guard let id = BoxAccounts.id(fields[2]) else { continue }
      let isMember = fields[3].split(separator: UInt8(ascii: ",")).contains { $0.elementsEqual(name.utf8) }
      if isMember { found.append(id) }
    }
    return found
  }

  /// The fields of every line. Bytes, not strings: a start reads these files and asks for one line.
  private static func lines(_ bytes: [UInt8]) -> [[ArraySlice<UInt8>]] {
    bytes.split(separator: UInt8(ascii: "\n")).map {
      $0.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
    }
  }

  /// Digits only, at most 2^31-1: 2^32-1 would mean "as it is" to setresuid(2), which is root. A line with another id is none.
  private static func id(_ field: ArraySlice<UInt8>) -> UInt32? {
    guard !field.isEmpty, field.count <= 10, field.allSatisfy({ $0 >= 48 && $0 <= 57 }),
      let number = UInt32(String(decoding: field, as: UTF8.self)), number <= 0x7fff_ffff
    else { return nil }
    return number
  }

  /// The ids that "USER[:GROUP]" stands for, names or numbers, and the user's home. A number needs no account; an id is at most
  /// 2^31-1, so that nothing wraps to root (CVE-2024-40635).
  func resolve(_ text: String) throws(CommandError) -> (user: UInt32, group: UInt32, groups: [UInt32], home: String) {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let word = parts.first ?? ""
    let account: User?
    let id: UInt32
    if word.isEmpty {
      id = 0
      account = user { $1 == 0 }
    } else if let number = try BoxAccounts.number(word) {
      id = number
      account = user { $1 == number }
    } else if let found = user(where: { name, _ in name.elementsEqual(word.utf8) }) {
      id = found.id
      account = found
    } else {
      throw CommandError(
        125,
        "--user \"\(FormatError.presentable(word))\": \(whose) /etc/passwd has no such user; a number needs none")
    }
    var group = account?.group ?? 0
    if parts.count == 2 && !parts[1].isEmpty {
      if let number = try BoxAccounts.number(parts[1]) {
        group = number
      } else if let found = self.group(named: parts[1]) {
        group = found
      } else {
        throw CommandError(
          125,
          "--user \"\(FormatError.presentable(text))\": \(whose) /etc/group has no group \"\(FormatError.presentable(parts[1]))\"; a number needs none"
        )
      }
    }
    // An explicit group stands alone, as in Docker; otherwise the account's memberships come along.
    let member = parts.count == 2 ? [] : account.map { groups(of: $0.name) } ?? []
    let home = account?.home ?? "/"
    return (id, group, member.filter { $0 != group }, home.isEmpty ? "/" : home)
  }

  private static func number(_ text: String) throws(CommandError) -> UInt32? {
    guard text.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
    guard let number = UInt32(text), number <= 0x7fff_ffff else {
      throw CommandError(125, "--user \"\(FormatError.presentable(text))\": an id is at most 2147483647")
    }
    return number
  }
}
