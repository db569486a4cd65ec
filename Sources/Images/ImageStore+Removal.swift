import CLinux
public import Formats
import Linux

extension ImageStore {
  /// Gives an image a further name.
  /// - Throws: `notFound` where there is no such image; `usage` where the name is none for an image.
  public func tag(_ text: String, as new: String) throws(ImageError) {
    let adding = try beginAdding()
    guard var image = try find(text) else { throw Self.noSuchImage(text) }
    let name = try ImageName(new)
    guard case .reference(let reference) = name, reference.digest == nil else {
      throw ImageError(.usage, "\"\(FormatError.presentable(new))\" cannot be given to an image: use NAME[:TAG]")
    }
    image.name = name.canonical
    image.familiar = name.familiar
    try self.name(image)
    _ = consume adding
  }

  /// Takes a name away, or with an id every name of the image; the image goes with its last name (`collectGarbage`).
  ///
  /// - Parameter force: also where a live sandbox uses the image; its layers then stay until that sandbox has ended.
  /// - Returns: the names taken away.
  public func removeName(_ text: String, force: Bool = false) throws(ImageError) -> [NamedImage] {
    let adding = try beginAdding()
    let chosen = try chosen(text)
    let all = try list()
    for image in chosen {
      let others = all.filter { other in other.manifest == image.manifest && !chosen.contains(other) }
      if others.isEmpty && !force, try isViewed(image.manifest) {
        throw ImageError(
          .inUse,
          "the image \(image.familiar) is mounted: `immure image unmount \(image.familiar)` first, or use `immure rmi -f`"
        )
      }
      if others.isEmpty && !force, try isLeased(image.manifest) {
        throw ImageError(
          .inUse,
          "the image \(image.familiar) is used by a sandbox or being saved: end that first, or use `immure rmi -f`")
      }
    }
    for image in chosen { try forget(image.name) }
    _ = consume adding
    return chosen
  }

  private func chosen(_ text: String) throws(ImageError) -> [NamedImage] {
    // A layout's name is removed also where its folder has gone or changed.
    if text.hasPrefix("oci:"), let exact = try list().first(where: { $0.name == text }) { return [exact] }
    if text.hasPrefix("oci:"), let found = try find(text) { return [found] }
    if !text.hasPrefix("sha256:"), text.utf8.count != 64 {
      let name = try ImageName(text)
      if let exact = try named(name.canonical) { return [exact] }
    }
    guard let found = try find(text) else { throw Self.noSuchImage(text) }
    return try list().filter { $0.configuration == found.configuration }
  }

  /// What is said of a name that leads nowhere.
  public static func noSuchImage(_ text: String) -> ImageError {
    ImageError(.notFound, "there is no image \"\(FormatError.presentable(text))\" here; `immure images` lists them")
  }

  func isLeased(_ manifest: Digest) throws(ImageError) -> Bool {
    guard File.exists(locks + "/" + Self.leaseName(manifest)) else { return false }
    guard let lock = try lock(Self.leaseName(manifest), wait: false) else { return true }
    lock.end()
    return false
  }

  /// Removes every blob and layer that no name and no live sandbox leads to.
  ///
  /// Only sound while this process has one thread where it is not root's.
  /// - Returns: the layers removed, or nil where another command is adding to the store: what is not needed then goes later.
  @discardableResult
  public func collectGarbage() throws(ImageError) -> [Digest]? {
    try prepare()
    guard let alone = try storeLock(exclusive: true, wait: false) else { return nil }
    var roots = Set(try list().map(\.manifest))
    roots.formUnion(try allViews().map(\.manifest))
    // Held until the end, so that no sandbox begins to use what is being removed.
    let held = LockSet()
    for name in try entries(of: locks) where name.hasPrefix("image-") {
      guard let digest = Self.digest(String(name.dropFirst(6))), !roots.contains(digest) else { continue }
      if let lock = try lock(name, wait: false) { held.add(lock) } else { roots.insert(digest) }
    }
    var keptBlobs = Set(roots.map(\.hex))
    var keptLayers: Set<String> = []
    var keptMetadata: Set<String> = []
    for root in roots {
      guard let manifest = try manifest(root) else { continue }
      keptBlobs.insert(manifest.configuration.digest.hex)
      keptLayers.formUnion(manifest.layers.map(\.digest.hex))
      keptMetadata.insert(Self.mergedName(Self.stack(manifest)))
    }
    for name in try entries(of: blobs) where !keptBlobs.contains(name) {
      try system("cannot remove from the image store") { () throws(SystemError) in
        try File.remove(blobs + "/" + name)
      }
    }
    for name in try entries(of: merged) where !keptMetadata.contains(name) {
      try system("cannot remove from the image store") { () throws(SystemError) in
        try File.remove(merged + "/" + name)
      }
    }
    // What a killed command was writing.
    for name in try entries(of: names) where name.hasPrefix(".") {
      try system("cannot remove from the image store") { () throws(SystemError) in
        try File.remove(names + "/" + name)
      }
    }
    var removed: [Digest] = []
    for name in try entries(of: layers) where !keptLayers.contains(name) {
      try removeLayer(name)
      if let digest = Self.digest(name) { removed.append(digest) }
    }
    held.end()
    _ = consume alone
    return removed
  }

  static func digest(_ hex: String) -> Digest? {
    do throws(FormatError) { return try Digest(hex: hex) } catch { return nil }
  }

  /// Renamed away first: a layer is in the store whole or not at all.
  private func removeLayer(_ name: String) throws(ImageError) {
    let dead = "dead-" + name
    guard let lock = try lock(dead, wait: false) else { return }
    try system("cannot remove the layer \(name.prefix(12))") { () throws(SystemError) in
      // A removal that was cut short left one of the same name.
      if File.exists(incoming + "/" + dead) { try LayerTree.remove(incoming + "/" + dead) }
      try File.rename(layers + "/" + name, to: incoming + "/" + dead)
      try LayerTree.remove(incoming + "/" + dead)
    }
    lock.end()
  }

  /// Removes what commands that died left in the making. Only sound while this process has one thread where it is not root's.
  public func clearLeftovers() throws(ImageError) {
    for entry in try entries(of: incoming) {
      guard let lock = try lock(Self.lockName(of: entry), wait: false) else { continue }
      try system("cannot clear \(entry)") { () throws(SystemError) in
        try LayerTree.remove(incoming + "/" + entry)
      }
      lock.end()
    }
    try clearGoneViews()
    // A command may die between taking a lock and making what it is for.
    for name in try entries(of: locks) where !name.hasPrefix("image-") {
      if let lock = try lock(name, wait: false) { lock.end() }
    }
  }
}

/// Locks of several names, ended together.
private final class LockSet {
  private var first: Node?
  private final class Node {
    let lock: StoreLock
    let next: Node?
    init(_ lock: consuming StoreLock, _ next: Node?) {
      self.lock = lock
      self.next = next
    }
  }

  func add(_ lock: consuming StoreLock) { first = Node(lock, first) }

  func end() {
    var node = first
    while let each = node {
      // Files of no use any more; one that stays is taken as it is by the next holder.
      try? File.remove(each.lock.path)
      node = each.next
    }
    first = nil
  }
}
