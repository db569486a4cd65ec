/// What of the host a box without an image shows by itself; the wall's words, handed in.
public struct ShownPlaces: Sendable {
  /// Absolute folders that appear read-only, writes to them being thrown away.
  public var visible: [String]
  /// Patterns hidden within them.
  public var hidden: [String]
  public init(visible: [String], hidden: [String]) {
    self.visible = visible
    self.hidden = hidden
  }
}

/// The file rules that a run needs, with the reason for each, and what is left to a person.
struct FileNeeds {
  struct Line: Equatable {
    /// Nil for a remark alone.
    var path: String?
    var why: String
    /// Not granted: it stands in the policy as a comment.
    var isLeftOut = false
  }
  private(set) var read: [Line] = []
  private(set) var write: [Line] = []
  private(set) var hidden: [Line] = []
  private(set) var devices: [Line] = []
  /// What appears in the box without a rule.
  private(set) var shown: [String] = []
  /// Made in the box's own scratch, and lost with it.
  private(set) var lost: [String] = []

  /// The paths of rules, for reading or writing.
  private var given: [String: String] = [:]
  private let facts: TraceFacts
  private let places: ShownPlaces

  /// More files of one folder than this stand for the folder.
  static let mostNamed = 8
  /// Own and empty in every box; /tmp and its like also writable.
  private static let scratch = ["/tmp", "/var/tmp", "/dev/shm", "/run/lock"]
  private static let kernels = ["/proc", "/sys", "/dev"]
  /// Device nodes that every box has (runtime-spec config-linux.md, "Default Devices").
  private static let boxDevices = [
    "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/console", "/dev/ptmx",
    "/dev/pts", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/fd",
  ]
  /// Devices that programs are often given; others may be disks or memory.
  private static let commonDevices = [
    "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/dri", "/dev/snd", "/dev/hwrng", "/dev/vhost-vsock",
  ]
  /// Folders that are never given whole.
  private static let broad: Set<String> = [
    "/", "/home", "/root", "/var", "/var/lib", "/var/log", "/var/run", "/run", "/srv", "/mnt", "/media", "/boot",
    "/data",
    "/tmp", "/var/tmp", "/etc", "/usr", "/opt", "/lib", "/bin", "/sbin", "/lib64", "/dev", "/proc", "/sys",
  ]

  init(_ facts: TraceFacts, _ places: ShownPlaces) {
    self.facts = facts
    self.places = places
    decide()
  }

  private func isSecret(_ path: String) -> Bool {
    SecretPlace.holds(path, home: facts.home, patterns: places.hidden)
  }
  private func isVisible(_ path: String) -> Bool { places.visible.contains { PathText.isIn(path, $0) } }

  /// Whether a folder may be given whole.
  private func mayGive(_ folder: String) -> Bool {
    PathText.depth(folder) >= 2 && !Self.broad.contains(folder) && folder != facts.home
      && !(PathText.parent(folder) == "/home") && SecretPlace.isPlain(folder, home: facts.home) && !isSecret(folder)
  }

  /// The folder the program stood in, where `run` shows it: everywhere but in / and a home.
  private var shownFolder: String? {
    isVisible(facts.folder) || ["/", "/root", "/home", facts.home].contains(facts.folder) ? nil : facts.folder
  }
  /// The same where it is no folder that holds everything: a rule may name it, since that shows no more.
  private var folder: String? { shownFolder.flatMap { Self.broad.contains($0) ? nil : $0 } }

  private mutating func decide() {
    var reads: Set<String> = []
    var folders: [String: String] = [:]
    var writes: [String: String] = [:]
    var secrets: [String] = []
    var looked: [String] = []
    var visible: [String: Int] = [:]
    var thrownAway: [String] = []
    var settings: [String] = []

    for (path, fact) in facts.paths.sorted(by: { $0.key < $1.key }) {
      let uses = fact.uses
      let isContent = !uses.isDisjoint(with: [.read, .changed, .created, .removed, .executed, .listed])
      let isChange = !uses.isDisjoint(with: [.changed, .created, .removed])
      // What the run makes itself is nobody's secret yet; where it makes it may be.
      if isSecret(path), !cameFromRun(path) {
        if isContent && fact.kind != .folder { secrets.append(path) }
        continue
      }
      if let scratch = Self.scratch.first(where: { PathText.isIn(path, $0) }),
        folder.map({ !PathText.isIn(path, $0) }) ?? true
      {
        if path == scratch || cameFromRun(path) {
          if uses.contains(.created) && fact.remains && path != scratch { lost.append(path) }
          continue
        }
      } else if Self.kernels.contains(where: { PathText.isIn(path, $0) }) {
        if fact.kind == .device, isContent, !Self.boxDevices.contains(where: { PathText.isIn(path, $0) }) {
          let isGiven =
            Self.commonDevices.contains { PathText.isIn(path, $0) } && !path.utf8.contains(UInt8(ascii: ":"))
          devices.append(
            Line(
              path: path,
              why: (isChange ? "it wrote to this" : "it read this")
                + (isGiven ? "" : "; a device is not given unasked"),
              isLeftOut: !isGiven))
        } else if isChange, path.hasPrefix("/proc/sys/") || path.hasPrefix("/sys/") {
          settings.append(path)
        }
        continue
      } else if isVisible(path), !(isChange && PathText.isIn(path, facts.folder) && mayGive(facts.folder)) {
        if isChange { thrownAway.append(path) }
        if isContent, fact.kind != .folder {
          visible[
            PathText.isIn(path, "/etc") ? path : places.visible.first { PathText.isIn(path, $0) } ?? "/", default: 0] +=
            1
        }
        continue
      }
      if fact.kind == .socket { continue }
      if !uses.isDisjoint(with: [.created, .removed]) {
        let place = placeOfNames(path)
        writes[place] =
          writes[place]
          ?? (uses.contains(.created) ? "it made \(Quoted.text(path))" : "it removed \(Quoted.text(path))")
      } else if uses.contains(.changed) && fact.remains {
        if cameFromRun(path) { continue }
        writes[path] = writes[path] ?? "it changed this"
      }
      if cameFromRun(path) || !fact.remains { continue }
      if uses.contains(.listed) {
        folders[path] = "it read this folder's names"
      } else if !uses.isDisjoint(with: [.read, .executed]) && fact.kind != .folder {
        reads.insert(path)
      } else if fact.kind == .file && uses == .looked {
        looked.append(path)
      }
    }
    settle(writes)
    settle(reads, folders)
    keepSecrets(secrets)
    remark(looked)
    shown = visible.sorted { $0.key < $1.key }.map {
      PathText.isIn($0.key, "/etc") ? $0.key : "\($0.key) (\($0.value) files)"
    }
    if !settings.isEmpty {
      write.append(Line(why: "it changed the kernel's settings, which no box may: \(Self.some(settings))"))
    }
    if !thrownAway.isEmpty {
      write.append(
        Line(
          why: "it wrote these, which `immure run` lets it do in a layer that is thrown away: \(Self.some(thrownAway))")
      )
    }
  }

  /// Whether the run made the path or a folder above it, so that it will make it again.
  private func cameFromRun(_ path: String) -> Bool {
    var place = path
    while place != "/" {
      if facts.paths[place]?.uses.contains(.created) == true { return true }
      place = PathText.parent(place)
    }
    return false
  }

  /// The folder in which a name was made or removed: the nearest that was there before.
  private func placeOfNames(_ path: String) -> String {
    var place = PathText.parent(path)
    while place != "/", cameFromRun(place) { place = PathText.parent(place) }
    return place
  }

  private mutating func settle(_ writes: [String: String]) {
    for (path, why) in writes.sorted(by: { $0.key < $1.key }) where !PathText.isIn(path, anyOf: given) {
      let isFile = facts.paths[path].map { $0.kind != .folder } ?? false
      let isGiven = isFile || mayGive(path) || path == folder && SecretPlace.isPlain(path, home: facts.home)
      write.append(Line(path: path, why: why + (isGiven ? "" : "; too much to give unasked"), isLeftOut: !isGiven))
      if isGiven { given[path] = why }
    }
  }

  private mutating func settle(_ reads: Set<String>, _ folders: [String: String]) {
    var whole: [String: String] = [:]
    if let folder, reads.union(folders.keys).contains(where: { PathText.isIn($0, folder) }) {
      let count = reads.count { PathText.isIn($0, folder) }
      whole[folder] = "the working folder, which `immure run` shows anyway; \(count) files of it were read"
    }
    for (path, why) in folders.sorted(by: { $0.key < $1.key }) where !PathText.isIn(path, anyOf: whole) {
      if mayGive(path) {
        whole[path] = why
      } else {
        read.append(Line(path: path, why: why + "; too much to give unasked", isLeftOut: true))
      }
    }
    var single = reads.filter { !PathText.isIn($0, anyOf: whole) }
    // Many of one folder stand for it, from the deepest up; then many such folders for theirs.
    while true {
      var children: [String: Int] = [:]
      for path in single.union(whole.keys) where path != "/" { children[PathText.parent(path), default: 0] += 1 }
      let full = children.filter { $0.value > Self.mostNamed && whole[$0.key] == nil && mayGive($0.key) }
      guard let depth = full.keys.map(PathText.depth).max() else { break }
      let next = full.filter { PathText.depth($0.key) == depth }
      var inside: [String: Int] = [:]
      for path in reads {
        if let folder = PathText.ancestor(path, depth: depth), next[folder] != nil { inside[folder, default: 0] += 1 }
      }
      whole = whole.filter { !PathText.isIn($0.key, anyOf: next) }
      single = single.filter { !PathText.isIn($0, anyOf: next) }
      for folder in next.keys {
        whole[folder] = "\(inside[folder] ?? 0) files of it were read: the folder stands for them"
      }
    }
    for path in single {
      whole[path] = facts.paths[path]?.uses.contains(.executed) == true ? "it ran this" : "it read this"
    }
    for (path, why) in whole.sorted(by: { $0.key < $1.key })
    where !PathText.isIn(path, anyOf: given) {
      read.append(Line(path: path, why: why))
      given[path] = why
    }
  }

  /// Never granted by themselves; hidden where a rule above them would show them.
  private mutating func keepSecrets(_ secrets: [String]) {
    for path in secrets {
      let warning = "SECRET: the program used this. It is not given; a person decides"
      let isShown = shownFolder.map { PathText.isIn(path, $0) } ?? false
      if isShown || PathText.isIn(path, anyOf: given) {
        hidden.append(Line(path: path, why: warning + ", by taking this line out"))
      } else if facts.paths[path]?.uses.contains(.changed) == true {
        write.append(Line(path: path, why: warning, isLeftOut: true))
      } else {
        read.append(Line(path: path, why: warning, isLeftOut: true))
      }
    }
  }

  private mutating func remark(_ looked: [String]) {
    let rest = looked.filter { !PathText.isIn($0, anyOf: given) }
    for path in rest.prefix(Self.mostNamed) {
      read.append(
        Line(path: path, why: "it only asked about this (stat): give it if it must seem to be there", isLeftOut: true))
    }
    if rest.count > Self.mostNamed {
      read.append(Line(why: "it asked about \(rest.count - Self.mostNamed) more files (stat) and opened none of them"))
    }
  }

  static func some(_ paths: [String]) -> String {
    let first = paths.prefix(mostNamed).map(Quoted.text).joined(separator: ", ")
    return paths.count > mostNamed ? first + " and \(paths.count - mostNamed) more" : first
  }
}
