import CLinux
import Formats
import Linux
package import Walls

/// This machine's own root by an allowlist: what is not named is not there, names that are links stay links.
package enum HostRootPlan {
  /// Present and empty in every box.
  private static let emptyFolders: [(path: String, mode: UInt32)] = [
    ("dev", 0o755), ("home", 0o755), ("mnt", 0o755), ("proc", 0o555), ("root", 0o700), ("run", 0o755), ("srv", 0o755),
    ("sys", 0o555), ("tmp", 0o1777), ("var", 0o755), ("var/tmp", 0o1777), ("var/log", 0o755), ("var/lib", 0o755),
    ("run/lock", 0o1777),
  ]

  package static func make(
    _ root: HostRoot, _ scratch: Scratch, _ trees: HostTrees, _ identity: BoxIdentity
  ) throws(WallError) -> RootAssembly.Shape {
    let limit: UInt64
    switch scratch {
    case .memory(let bytes): limit = bytes
    case .none: limit = 16 << 20
    case .directory(let path):
      throw WallError(
        "writable layer \(path): the host's own root is kept in memory only; use an image to keep changes")
    }
    var parts: [RootAssembly.Part] = []
    var links: [(path: String, target: String)] = []
    var folders = emptyFolders
    for path in root.visible {
      guard let kind = (try? File.status(path, followSymlinks: false))?.st_mode else { continue }
      if UInt32(kind) & UInt32(S_IFMT) == UInt32(S_IFLNK) {
        guard let target = try? File.readLink(path) else { continue }
        links.append((String(path.dropFirst()), target))
        continue
      }
      // An empty folder (/opt, mostly) needs no layer of its own.
      if path != "/usr" && path != "/etc" && (try? File.names(inDirectory: path))?.isEmpty == true {
        folders.append((String(path.dropFirst()), 0o755))
        continue
      }
      parts.append(part(path, scratch, root.hidden, trees, identity))
    }
    if let directory = root.workingDirectory, !isVisible(directory, in: root) {
      let tree = workingDirectory(directory, trees, identity)
      parts.append(RootAssembly.Part(path: directory, tree: tree, overlay: false, isSocketless: true))
    }
    return .host(parts: parts, links: links, folders: folders, limit: limit)
  }

  /// The current folder's tree, read-only.
  static func workingDirectory(_ path: String, _ trees: HostTrees, _ identity: BoxIdentity) -> Int {
    trees.add(
      HostTrees.Request(
        path: path, what: "working directory", recursive: true,
        owners: identity.mapsFiles ? .translatedIfPossible : .asTheyAre,
        set: [.readOnly, .noSetUserID, .noDevices], attributesBelow: true))
  }

  /// Programs are translated, so that the box's root may replace them in its throw-away layer. /etc is not: what only root may
  /// read there stays unreadable, whether or not a pattern names it; new files and replacements are possible all the same.
  private static func part(
    _ path: String, _ scratch: Scratch, _ patterns: [String], _ trees: HostTrees, _ identity: BoxIdentity
  ) -> RootAssembly.Part {
    let hidden = PathPattern.expand(patterns, below: path)
    let isTranslated = identity.mapsFiles && path != "/etc"
    let writable = scratch != .none && (identity.writesAsRoot || path == "/etc")
    let overlay = writable || !hidden.isEmpty
    let tree = trees.add(
      HostTrees.Request(
        path: path, what: "host folder", recursive: !overlay || identity.lease == nil && identity.map != nil,
        owners: isTranslated ? .translatedIfPossible : .asTheyAre,
        set: [.readOnly, .noSetUserID, .noDevices], attributesBelow: true))
    // Services put sockets of theirs into /opt or /etc; nobody does into /usr.
    return RootAssembly.Part(
      path: path, tree: tree, overlay: overlay, isSocketless: !overlay && path != "/usr", hidden: hidden)
  }

  /// Whether the folder is there anyway, below a visible path.
  static func isVisible(_ directory: String, in root: HostRoot) -> Bool {
    root.visible.contains { directory == $0 || directory.hasPrefix($0 + "/") }
  }
}

/// Path patterns in which "*" stands for any run of characters but "/".
package enum PathPattern {
  /// The existing paths below `folder` that patterns name, relative to it, parents before children and none twice.
  package static func expand(_ patterns: [String], below folder: String) -> [String] {
    var found: [String] = []
    var listing = Listing()
    for pattern in patterns where pattern.hasPrefix(folder + "/") {
      let words = pattern.dropFirst(folder.utf8.count + 1).split(separator: "/").map(String.init)
      for path in matches(words, in: folder, &listing) where !found.contains(path) { found.append(path) }
    }
    return found.filter { path in !found.contains { path.hasPrefix($0 + "/") } }
  }

  /// The folder that was listed last: patterns of one folder stand together.
  private struct Listing {
    var folder = ""
    var names: [ArraySlice<UInt8>] = []
  }

  private static func matches(_ words: [String], in folder: String, _ listing: inout Listing) -> [String] {
    guard let word = words.first else { return [] }
    var names: [String]
    if word.utf8.contains(UInt8(ascii: "*")) {
      if listing.folder != folder { listing = Listing(folder: folder, names: list(folder)) }
      let pattern = Array(word.utf8)
      names = []
      // Few of a folder's many names match: only those become strings.
      for name in listing.names where matches(pattern[...], name) {
        names.append(String(decoding: name, as: UTF8.self))
      }
    } else {
      names = (try? File.status(folder + "/" + word, followSymlinks: false)) == nil ? [] : [word]
    }
    if words.count == 1 { return names }
    return names.flatMap { name in
      matches(Array(words.dropFirst()), in: folder + "/" + name, &listing).map { name + "/" + $0 }
    }
  }

  /// The names in a folder. What cannot be read here cannot be read in the box either.
  private static func list(_ folder: String) -> [ArraySlice<UInt8>] {
    var names: [ArraySlice<UInt8>] = []
    guard let open = try? File.open(folder, O_RDONLY | O_DIRECTORY) else { return names }
    while let block = try? File.directoryEntries(open.rawValue), !block.isEmpty { names += File.entryNames(block) }
    return names
  }

  private static func matches(_ pattern: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) -> Bool {
    var pattern = pattern
    var name = name
    while let first = pattern.first, first != UInt8(ascii: "*") {
      if name.first != first { return false }
      pattern = pattern.dropFirst()
      name = name.dropFirst()
    }
    if pattern.isEmpty { return name.isEmpty }
    let rest = pattern.dropFirst()
    while true {
      if matches(rest, name) { return true }
      if name.isEmpty { return false }
      name = name.dropFirst()
    }
  }
}
