public import Linux

/// Limits of a walk, as openat2(2) names them.
public struct WalkLimits: OptionSet, Sendable {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  /// EXDEV where the path would cross a mount.
  public static let noMounts = WalkLimits(rawValue: 1)
  /// ELOOP at a magic link (/proc/PID/fd/N).
  public static let noMagicLinks = WalkLimits(rawValue: 2)
  /// ELOOP at any link.
  public static let noLinks = WalkLimits(rawValue: 4)
  /// EXDEV where the path would leave the place where it starts.
  public static let beneath = WalkLimits(rawValue: 8)
  /// The place where it starts is "/".
  public static let inRoot = WalkLimits(rawValue: 16)
}

/// Where a path ends.
public struct Landing {
  public enum Last: Sendable { case name, dot, dotDot, root }
  /// The directory of the last name; for "." and "/" the place itself.
  public let parent: Path
  public let last: Last
  /// Of the last name, negative where there is none; for others the place itself.
  public let place: Path
  /// The path ends in a slash.
  public let mustBeDirectory: Bool

  public var exists: Bool { place.dentry.inode != nil }
  public var name: [UInt8] { last == .name ? place.dentry.name : [] }
}

/// Walks paths name by name over our own dentries: ".." goes by parents, links by their texts, so no path of a guest is ever
/// resolved by the host (path_resolution(7)).
public struct PathWalk {
  public let context: PathContext
  public let caller: FileCaller
  public var limits: WalkLimits = []
  public var trail: WalkTrail?
  /// Linux: MAXSYMLINKS, NAME_MAX.
  private static var maximumLinks: Int { 40 }
  private static var maximumName: Int { 255 }

  public init(_ context: PathContext, _ caller: FileCaller, limits: WalkLimits = []) {
    self.context = context
    self.caller = caller
    self.limits = limits
  }

  /// What is at the end of a path.
  /// - Parameter start: where a relative path begins; nil for the current directory.
  /// - Throws: ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG; EXDEV by `limits`.
  public func find(_ path: [UInt8], from start: Path? = nil, followsLast: Bool = true) throws(Errno) -> Path {
    // SAFETY: the bytes are read within the call.
    let known = try unsafe path.span.withUnsafeBytes { (path) throws(Errno) -> Path? in
      try unsafe self.known(path, from: start, followsLast: followsLast)
    }
    if let known { return known }
    let landing = try land(path, from: start, followsLast: followsLast)
    guard landing.exists else { throw .noEntry }
    return landing.place
  }

  /// As `find`, but a last name that is not there is no error.
  /// - Parameter forName: the last name itself is meant, as mkdir(2), unlink(2) and rename(2) do: also before a slash no link is
  ///   followed, and a file may stand there.
  public func land(
    _ path: [UInt8], from start: Path? = nil, followsLast: Bool, forName: Bool = false
  ) throws(Errno) -> Landing {
    var isStable = limits.isEmpty
    let landing = try land(path, start, followsLast, forName, &isStable)
    // What must be a directory says so to its caller alone.
    if isStable, !forName, landing.exists || !landing.mustBeDirectory {
      keep(path, from: start, followsLast: followsLast, landing.place)
    }
    return landing
  }

  /// - Parameter isStable: false on return where another walk may end elsewhere without any call of a guest's.
  private func land(
    _ path: [UInt8], _ start: Path?, _ followsLast: Bool, _ forName: Bool, _ isStable: inout Bool
  ) throws(Errno) -> Landing {
    guard !path.isEmpty else { throw .noEntry }
    let origin = start ?? context.current
    let root = limits.isDisjoint(with: [.inRoot, .beneath]) ? context.root : origin
    var here = origin
    var rest = path
    var at = 0
    var links = 0
    if rest[0] == UInt8(ascii: "/") {
      if limits.contains(.beneath) { throw .crossDevice }
      here = root
    }
    var last = Landing.Last.root
    if rest[0] != UInt8(ascii: "/") { last = .dot }
    while true {
      while at < rest.count, rest[at] == UInt8(ascii: "/") { at += 1 }
      // Links may have ended with slashes only.
      if at == rest.count {
        return Landing(parent: here, last: last, place: here, mustBeDirectory: true)
      }
      guard let directory = here.inode, directory.kind == .directory else { throw .notDirectory }
      trail?.add(directory)
      if !directory.fileSystem.isStable {
        isStable = false
        try directory.refresh()
      }
      try caller.credentials.check(.execute, of: directory.attributes)
      var end = at
      while end < rest.count, rest[end] != UInt8(ascii: "/") { end += 1 }
      guard end - at <= Self.maximumName else { throw .nameTooLong }
      var next = end
      while next < rest.count, rest[next] == UInt8(ascii: "/") { next += 1 }
      let isLast = next == rest.count
      let hasSlash = next > end
      if end - at == 1, rest[at] == UInt8(ascii: ".") {
        if isLast { return Landing(parent: here, last: .dot, place: here, mustBeDirectory: true) }
        last = .dot
        at = next
        continue
      }
      if end - at == 2, rest[at] == UInt8(ascii: "."), rest[at + 1] == UInt8(ascii: ".") {
        let before = here
        here = try up(here, root)
        if isLast { return Landing(parent: before, last: .dotDot, place: here, mustBeDirectory: true) }
        last = .dotDot
        at = next
        continue
      }
      let parent = here
      let dentry = try here.dentry.child(Array(rest[at..<end]), caller)
      guard let inode = dentry.inode else {
        guard isLast else { throw .noEntry }
        return Landing(
          parent: parent, last: .name, place: Path(mount: here.mount, dentry: dentry), mustBeDirectory: hasSlash)
      }
      if inode.kind == .symbolicLink, !isLast || followsLast || hasSlash && !forName {
        links += 1
        trail?.add(inode)
        if links > Self.maximumLinks || limits.contains(.noLinks) { throw .loop }
        switch try inode.readLink(caller) {
        case .text(let text):
          if text.isEmpty { throw .noEntry }
          rest = text + rest[end...]
          at = 0
          if text[0] == UInt8(ascii: "/") {
            if limits.contains(.beneath) { throw .crossDevice }
            here = root
            last = .root
          } else {
            last = .dot
          }
        case .place(let place, _):
          trail?.breaks()
          if !limits.isDisjoint(with: [.noMagicLinks]) { throw .loop }
          if !limits.isDisjoint(with: [.beneath, .inRoot]) { throw .crossDevice }
          here = place
          last = .root
          if isLast {
            return Landing(parent: place, last: .root, place: place, mustBeDirectory: hasSlash)
          }
          at = next
        }
        continue
      }
      var place = Path(mount: here.mount, dentry: dentry)
      while let above = place.mount.covering(place.dentry) {
        if limits.contains(.noMounts) { throw .crossDevice }
        place = Path(mount: above, dentry: above.root)
      }
      if isLast {
        if hasSlash, !forName, place.inode?.kind != .directory { throw .notDirectory }
        return Landing(parent: parent, last: .name, place: place, mustBeDirectory: hasSlash)
      }
      here = place
      at = next
    }
  }

  /// "..": never above `root`, across mounts.
  private func up(_ place: Path, _ root: Path) throws(Errno) -> Path {
    var here = place
    while true {
      if here == root {
        if limits.contains(.beneath) { throw .crossDevice }
        return here
      }
      if here.dentry !== here.mount.root {
        guard let parent = here.dentry.parent else { return here }
        here = Path(mount: here.mount, dentry: parent)
        while let above = here.mount.covering(here.dentry) { here = Path(mount: above, dentry: above.root) }
        return here
      }
      guard let point = here.mount.point else { return here }
      if limits.contains(.noMounts) { throw .crossDevice }
      here = point
    }
  }
}
