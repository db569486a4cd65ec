import CLinux
package import Linux

/// What overlayfs shows of layers, made as plain files in a folder of one's own, for where no overlay is to be had
/// (Documentation/filesystems/overlayfs.rst: whiteouts, opaque and merged directories).
///
/// The layers are strangers' work: names are found beneath their roots with no link followed and no mount crossed (openat2(2)), what
/// is made is always new, and nothing is held open but one folder of each layer, however deep a tree is. Nobody else may change the
/// target meanwhile.
package final class LayerMerge {
  /// How it ended, for a person to read.
  package struct Tally: Equatable, Sendable {
    package var files: UInt64 = 0
    /// Contents in whole pages, and 2 KiB for each name: what it costs in memory.
    package var bytes: UInt64 = 0
    /// Device nodes that this process may not make.
    package var devices: UInt64 = 0
    /// Attributes that the target's file system does not take.
    package var attributes: UInt64 = 0
    /// Files that this process may not read.
    package var unreadable: UInt64 = 0
  }

  package internal(set) var tally = Tally()
  /// The topmost first; each the root of a tree.
  let layers: [Int32]
  let target: Int32
  /// "user.overlay." or "trusted.overlay.": whose marks the overlay would have read.
  private let marks: String
  /// Paths that are not there, whatever the layers hold.
  private let hidden: Set<RelativePath>
  /// Whether files that this process may not read are left out; else they are an error.
  let leavesUnreadableOut: Bool
  /// More than so much is ENOMEM.
  private let limit: UInt64
  /// Where the first name of a file with several was made, by layer and inode.
  var firstNames: [HardLink: RelativePath] = [:]
  private var steps: [Step] = []

  struct HardLink: Hashable {
    var layer: Int
    var device: UInt64
    var inode: UInt64
  }

  private enum Step {
    /// A folder that is there, empty, to be filled from these layers.
    case fill(RelativePath, [Int])
    /// A folder with everything in it, which gets the owner, mode and times that it has in this layer.
    case finish(RelativePath, Int)
  }

  /// - Parameters:
  ///   - layers: the topmost first, open folders (O_PATH is enough), which stay the caller's.
  ///   - target: an empty folder (O_PATH is enough), which stays the caller's.
  package init(
    _ layers: [Int32], into target: Int32, userAttributes: Bool, hidden: [RelativePath] = [],
    leavesUnreadableOut: Bool = false, limit: UInt64 = .max
  ) {
    self.layers = layers
    self.target = target
    marks = userAttributes ? "user.overlay." : "trusted.overlay."
    self.hidden = Set(hidden)
    self.leavesUnreadableOut = leavesUnreadableOut
    self.limit = limit
  }

  /// Copies it all. ENOSPC where the target is full, ENOMEM above the limit; what was made is then the caller's to drop.
  package func run() throws(SystemError) {
    // The roots are merged whatever marks they carry, as overlayfs does.
    steps = [.fill(.root, Array(layers.indices))]
    while let step = steps.popLast() {
      switch step {
      case .fill(let path, let from):
        // An overlay's root is that of its writable layer: what the caller made.
        if !path.isRoot { steps.append(.finish(path, from[0])) }
        try fill(path, from)
      case .finish(let path, let layer): try finish(path, layer)
      }
    }
  }

  func count(_ bytes: UInt64) throws(SystemError) {
    tally.bytes += bytes
    if tally.bytes > limit { throw SystemError("copy", "of the image", .noMemory) }
  }

  // MARK: Folders

  private func fill(_ path: RelativePath, _ from: [Int]) throws(SystemError) {
    let made = try folder(target, path)
    var seen: Set<[UInt8]> = []
    for (position, layer) in from.enumerated() {
      guard let source = try readable(layer, path) else { continue }
      for name in try source.names(limit: 2_000_000) {
        // A layer hides what lower ones have under the same name.
        if from.count > 1, !seen.insert(name).inserted { continue }
        let child = path.appending(name)
        if !hidden.isEmpty, hidden.contains(child) { continue }
        guard let status = try source.status(name), !status.isWhiteoutDevice else { continue }
        tally.files += 1
        try count(2048)
        guard status.isDirectory else {
          try copy(name, from: source, layer, into: made, child)
          continue
        }
        try made.makeDirectory(name, mode: 0o700)
        steps.append(.fill(child, try merged(child, name, source, layer, below: from[(position + 1)...], path)))
      }
    }
  }

  /// The layers whose folders of that name are one: down to the first that is opaque, and above the first that has something else.
  private func merged(
    _ child: RelativePath, _ name: [UInt8], _ source: borrowing Folder, _ layer: Int, below: ArraySlice<Int>,
    _ parent: RelativePath
  ) throws(SystemError) -> [Int] {
    var merged = [layer]
    if below.isEmpty { return merged }
    if try isOpaque(child, layer) { return merged }
    for lower in below {
      guard let status = try folder(layers[lower], parent).status(name) else { continue }
      guard status.isDirectory else { break }
      merged.append(lower)
      if try isOpaque(child, lower) { break }
    }
    return merged
  }

  private func isOpaque(_ path: RelativePath, _ layer: Int) throws(SystemError) -> Bool {
    // What lies below a folder that is left out might be hidden by it.
    guard let folder = try readable(layer, path) else { return true }
    return try ExtendedAttribute.value(marks + "opaque", of: folder.raw) == [UInt8(ascii: "y")]
  }

  private func finish(_ path: RelativePath, _ layer: Int) throws(SystemError) {
    let made = try folder(target, path)
    // What could not be looked into stays empty and its maker's.
    guard let source = try readable(layer, path) else { return }
    let status = try File.status("", at: source.raw)
    let mode = try own(Array(".".utf8), in: made, status)
    try File.changeMode(made.raw, mode)
    try copyAttributes(from: source.raw, to: made.raw)
    try setTimes(Array(".".utf8), in: made, status)
  }

  /// Nil for a folder that this process may not read and that is left out.
  private func readable(_ layer: Int, _ path: RelativePath) throws(SystemError) -> Folder? {
    do throws(SystemError) { return try folder(layers[layer], path) } catch {
      try leaveOut(error)
      return nil
    }
  }

  /// What is mounted within a layer is not part of it: where it stands is an empty place, as in an overlay. The same for what this
  /// process may not read, if that is said.
  func leaveOut(_ error: SystemError) throws(SystemError) {
    if error.errno == .crossDevice { return }
    guard leavesUnreadableOut, error.errno == .accessDenied else { throw error }
    tally.unreadable += 1
  }

  /// Beneath a root that may be open for its path only.
  private func folder(_ root: Int32, _ path: RelativePath) throws(SystemError) -> Folder {
    try Folder.withDescriptor(root) { root throws(SystemError) in try root.folder(path) }
  }

  /// A second name for what was made already.
  func link(_ name: [UInt8], in folder: borrowing Folder, to first: RelativePath) throws(SystemError) {
    let parent = try self.folder(target, first.parent)
    try folder.makeHardLink(name, to: first.name, in: parent)
  }
}
