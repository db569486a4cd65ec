import CLinux
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
    // Not a regular file, too large or unreadable all mean the same to the caller: there is nothing to look names up in.
    guard let tree = try? File.open(root, O_PATH | O_DIRECTORY),
      let file = try? File.open(
        path, O_RDONLY | O_NONBLOCK | O_NOCTTY, at: tree.rawValue, resolve: [.inRoot, .noMagicLinks]),
      let status = try? File.status("", at: file.rawValue), File.kind(status) == S_IFREG
    else { return nil }
    return try? File.readAll(file.rawValue, limit: limit)
  }
}

/// passwd(5) and group(5) of a box.
struct BoxAccounts {
  struct User { let name: String, id: UInt32, group: UInt32, home: String }
  let users: [User]
  let groups: [(name: String, id: UInt32, members: [String])]

  init(_ files: BoxFiles) {
    users = BoxAccounts.lines(files.read("etc/passwd")).compactMap { fields in
      guard fields.count >= 6, let id = UInt32(fields[2]), let group = UInt32(fields[3]) else { return nil }
      return User(name: fields[0], id: id, group: group, home: fields[5])
    }
    groups = BoxAccounts.lines(files.read("etc/group")).compactMap { fields in
      guard fields.count >= 4, let id = UInt32(fields[2]) else { return nil }
      return (fields[0], id, fields[3].split(separator: ",").map(String.init))
    }
  }

  private static func lines(_ bytes: [UInt8]?) -> [[String]] {
    guard let bytes else { return [] }
    return bytes.split(separator: UInt8(ascii: "\n")).map { line in
      line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        .map { String(decoding: $0, as: UTF8.self) }
    }
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
      account = users.first { $0.id == 0 }
    } else if let number = try BoxAccounts.number(word) {
      id = number
      account = users.first { $0.id == number }
    } else if let found = users.first(where: { $0.name == word }) {
      id = found.id
      account = found
    } else {
      throw CommandError(125, "--user \"\(word)\": the image's /etc/passwd has no such user; a number needs none")
    }
    var group = account?.group ?? 0
    if parts.count == 2 && !parts[1].isEmpty {
      if let number = try BoxAccounts.number(parts[1]) {
        group = number
      } else if let found = groups.first(where: { $0.name == parts[1] }) {
        group = found.id
      } else {
        throw CommandError(
          125, "--user \"\(text)\": the image's /etc/group has no group \"\(parts[1])\"; a number needs none")
      }
    }
    // An explicit group stands alone, as in Docker; otherwise the account's memberships come along.
    let name = account?.name
    let member = parts.count == 2 ? [] : groups.filter { entry in name.map { entry.members.contains($0) } ?? false }
    let home = account?.home ?? "/"
    return (id, group, member.map(\.id).filter { $0 != group }, home.isEmpty ? "/" : home)
  }

  private static func number(_ text: String) throws(CommandError) -> UInt32? {
    guard text.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
    guard let number = UInt32(text), number <= 0x7fff_ffff else {
      throw CommandError(125, "--user \"\(text)\": an id is at most 2147483647")
    }
    return number
  }
}
