import CLinux
import Formats
package import Linux
package import Walls

/// Builds the box's root file system. The plan is made before the clone, by the parent, which asks for the host's trees; the
/// child then puts them together in its own mount namespace.
package struct RootAssembly {
  /// A tree that appears at a path of a root made of memory.
  package struct Part {
    var path: String
    var tree: Int
    /// Under a writable layer of its own.
    var overlay: Bool
    /// Seen through an overlay without a writable layer: files are readable as ever, but a socket of the host's in it does not
    /// answer, as it would through a bind mount.
    package var isSocketless = false
    /// Paths below it that are hidden, relative to it.
    var hidden: [String] = []

    /// Where there is no overlay: settings are few and something of them is hidden, programs are many.
    var isCopied: Bool { overlay && (path == "/etc" || !hidden.isEmpty) }
  }
  package enum Shape {
    case directory(tree: Int, readOnly: Bool)
    case layers(trees: [Int], scratch: Scratch, scratchTree: Int?)
    /// `places` are the paths of the box's mounts, and where its process begins, that lie in the image itself.
    case image(tree: Int, scratch: Scratch, scratchTree: Int?, places: [String])
    case host(
      parts: [Part], links: [(path: String, target: String)], folders: [(path: String, mode: UInt32)], limit: UInt64)
  }
  package let shape: Shape
  package let isUserNamespace: Bool
  /// What copies may cost where there is no overlay.
  let bounds: CopyBounds

  // MARK: Planning

  package static func plan(_ bundle: Bundle, _ trees: HostTrees, _ identity: BoxIdentity) throws(WallError)
    -> RootAssembly
  {
    let shape: Shape
    let owners: HostTrees.Owners = identity.mapsFiles ? .translated : .asTheyAre
    switch bundle.root {
    case .directory(let path, let readOnly):
      var request = HostTrees.Request(path: path, what: "root filesystem", recursive: true, owners: owners)
      // A root that others' mounts spread to follows the host's; it becomes shared for the box's own copies when it is the root.
      if let word = bundle.configuration.rootPropagation, word.hasSuffix("slave") || word.hasSuffix("shared") {
        request.propagation = .slave
      }
      request.isRoot = true
      let tree = trees.add(request)
      shape = .directory(tree: tree, readOnly: readOnly)
    case .layers(let paths, let scratch):
      if paths.isEmpty { throw WallError("root filesystem: no layers") }
      var layers: [Int] = []
      for (index, path) in paths.enumerated() {
        // The kernel takes no folder twice (ELOOP), and what lies lower has nothing that its twin above does not show.
        if paths[..<index].contains(path) { continue }
        layers.append(
          trees.add(HostTrees.Request(path: path, what: "image layer", recursive: false, owners: owners)))
      }
      shape = .layers(trees: layers, scratch: scratch, scratchTree: scratchTree(scratch, trees, owners))
    case .image(let image, let scratch):
      guard let mount = image.mount else {
        throw WallError(
          .unavailable,
          "root filesystem: \(image.metadata) is not mounted, and this wall reads no image files by itself")
      }
      var request = HostTrees.Request(path: image.metadata, what: "image layer", recursive: false, owners: owners)
      request.kept = mount
      let tree = trees.add(request)
      shape = .image(
        tree: tree, scratch: scratch, scratchTree: scratchTree(scratch, trees, owners), places: places(bundle))
    case .host(var root, let scratch):
      let isCovered = bundle.configuration.mounts.contains { MountPlan.directory(bundle.root, coveredBy: $0) != nil }
      if isCovered { root.workingDirectory = nil }
      shape = try HostRootPlan.make(root, scratch, trees, identity)
    }
    return RootAssembly(shape: shape, isUserNamespace: identity.map != nil, bounds: CopyBounds(bundle))
  }

  private static func scratchTree(_ scratch: Scratch, _ trees: HostTrees, _ owners: HostTrees.Owners) -> Int? {
    guard case .directory(let path) = scratch else { return nil }
    return trees.add(HostTrees.Request(path: path, what: "writable layer", recursive: false, owners: owners))
  }

  /// Where mounts are put, but those that lie within another.
  private static func places(_ bundle: Bundle) -> [String] {
    var places = bundle.configuration.mounts.map(\.destination)
    if bundle.usesInit { places += MountPlan.standard.map(\.destination) }
    if let folder = MountPlan.workingDirectory(bundle) { places.append(folder) }
    return places.filter { place in !places.contains { place.hasPrefix($0 + "/") } }
  }

  // MARK: Building, in the child

  /// The finished tree, attached over "/" of the child's mount namespace. What is done otherwise for want of overlayfs is said to the
  /// parent on `channel`.
  package func build(_ trees: HostTrees, _ channel: Int32) throws(WallError) -> BoxRoot {
    switch shape {
    case .directory(let tree, _):
      let mount = try doing("root filesystem") { () throws(SystemError) in
        DetachedMount(owning: try FileDescriptor.duplicate(trees.descriptors[tree]))
      }
      return try attach(mount)
    case .layers(let layers, let scratch, let scratchTree):
      return try attach(
        try image(
          layers.map { trees.descriptors[$0] }, scratch, scratchTree.map { trees.descriptors[$0] }, channel))
    case .image(let tree, let scratch, let scratchTree, let places):
      let image = trees.descriptors[tree]
      // What is read-only and lacks no place to mount on needs no layer above it.
      if scratch == .none && Self.has(places, in: image) {
        let mount = try doing("root filesystem") { () throws(SystemError) in
          DetachedMount(owning: try FileDescriptor.duplicate(image))
        }
        return try attach(mount)
      }
      return try attach(
        try self.image([image], scratch, scratchTree.map { trees.descriptors[$0] }, channel))
    case .host(let parts, let links, let folders, let limit):
      return try buildHost(parts, links, folders, limit, trees, channel)
    }
  }

  private func attach(_ mount: consuming DetachedMount) throws(WallError) -> BoxRoot {
    do throws(SystemError) {
      try mount.attach(onto: "/", at: File.currentDirectory)
      return BoxRoot(mount: mount)
    } catch {
      throw WallError("root filesystem", error)
    }
  }

  /// Whether every path is there. What cannot be looked at counts as missing.
  private static func has(_ paths: [String], in root: Int32) -> Bool {
    paths.allSatisfy { (try? File.open($0, O_PATH, at: root, resolve: [.inRoot, .noMagicLinks])) != nil }
  }

  /// By overlay, else as a copy; a writable layer that is to be kept wants an overlay.
  private func image(_ layers: [Int32], _ scratch: Scratch, _ scratchTree: Int32?, _ channel: Int32) throws(WallError)
    -> DetachedMount
  {
    do throws(SystemError) {
      return try overlay(layers, scratch, scratchTree)
    } catch {
      guard OverlayMount.isRefused(error), scratchTree == nil else { throw WallError("root filesystem", error) }
      return try copy(for: error, channel).image(layers)
    }
  }

  private func copy(for refusal: SystemError, _ channel: Int32) -> LayerCopy {
    LayerCopy(userAttributes: isUserNamespace, bounds: bounds, refusal: refusal, channel: channel)
  }

  private func overlay(_ layers: [Int32], _ scratch: Scratch, _ scratchTree: Int32?) throws(SystemError)
    -> DetachedMount
  {
    // A device node of an image opens nothing, whoever the box's user is outside: its devices are those of its /dev.
    var overlay = OverlayMount(lower: layers, userAttributes: isUserNamespace, attributes: [.noDevices])
    for layer in layers { try OverlayMount.stage(layer) }
    let limit: UInt64
    switch scratch {
    // A mount point that the image lacks must be made somewhere: not in the store's own layer, which it would be without a
    // layer above it. The wall makes the root read-only when all is mounted.
    case .none: limit = 1 << 20
    case .memory(let bytes): limit = bytes
    case .directory:
      guard let scratchTree else { throw SystemError("overlay", "no writable layer", .invalid) }
      try OverlayMount.stage(scratchTree)
      return try finish(&overlay, scratchTree)
    }
    let memory = try RootAssembly.memory(limit)
    try OverlayMount.stage(memory.descriptor.rawValue)
    try File.makeDirectory("upper", mode: 0o755, at: memory.descriptor.rawValue)
    try File.makeDirectory("work", mode: 0o755, at: memory.descriptor.rawValue)
    return try finish(&overlay, memory.descriptor.rawValue)
  }

  private func finish(_ overlay: inout OverlayMount, _ scratch: Int32) throws(SystemError) -> DetachedMount {
    let upper = try File.open("upper", O_PATH | O_DIRECTORY | O_NOFOLLOW, at: scratch)
    let work = try File.open("work", O_PATH | O_DIRECTORY | O_NOFOLLOW, at: scratch)
    overlay.upper = upper.rawValue
    overlay.work = work.rawValue
    let mount = try overlay.make()
    _ = consume upper
    _ = consume work
    return mount
  }

  /// A file system in memory of at most so many bytes; they count as the box's own memory too.
  package static func memory(
    _ limit: UInt64, mode: String = "755", attributes: MountAttributes = [.noSetUserID, .noDevices]
  ) throws(SystemError) -> DetachedMount {
    let context = try FileSystemContext("tmpfs")
    try context.set("size", "\(limit)")
    if mode != "1777" { try context.set("mode", mode) }
    return try context.mount(attributes)
  }

  /// One file system in memory holds the root's own folders (`root/`) and the writable layers of the parts (`1/`, `2/` …).
  private func buildHost(
    _ parts: [Part], _ links: [(path: String, target: String)], _ folders: [(path: String, mode: UInt32)],
    _ limit: UInt64, _ trees: HostTrees, _ channel: Int32
  ) throws(WallError) -> BoxRoot {
    let memory = try doing("root filesystem") { () throws(SystemError) in try RootAssembly.memory(limit) }
    let root = try doing("root filesystem") { () throws(SystemError) in
      let base = memory.descriptor.rawValue
      // Below the new root, so before it.
      try OverlayMount.stage(base)
      for part in parts where part.overlay || part.isSocketless { try OverlayMount.stage(trees.descriptors[part.tree]) }
      try File.makeDirectory("root", mode: 0o755, at: base)
      let mount = try DetachedMount.clone("root", at: base, recursive: false)
      try mount.attach(onto: "/", at: File.currentDirectory)
      let root = BoxRoot(mount: mount)
      for folder in folders { try File.makeDirectory(folder.path, mode: folder.mode, at: root.descriptor) }
      for link in links { try File.symlink(link.target, at: link.path, in: root.descriptor) }
      return root
    }
    var losses = OverlayLosses()
    for (index, part) in parts.enumerated() {
      let tree = trees.descriptors[part.tree]
      let base = memory.descriptor.rawValue
      let refusal: SystemError?
      do throws(SystemError) {
        let target = try root.make(part.path, trees.isFile[part.tree] ? .file : .directory)
        refusal = try attach(part, tree, base, "\(index)", target.rawValue)
      } catch {
        throw WallError("root filesystem: \(part.path)", error)
      }
      guard let refusal else { continue }
      losses.add(part, refusal)
      if part.isCopied {
        let place = try doing("root filesystem: \(part.path)") { () throws(SystemError) in try root.find(part.path) }
        losses.copied.append(
          try copy(for: refusal, channel).folder(tree, part, into: "\(index)-copy", of: base, onto: place.rawValue))
        _ = consume place
      }
    }
    try doing("root filesystem") { () throws(SystemError) in try losses.tell(channel) }
    return root
  }

  /// What the kernel refuses an overlay of it with: the host's folder itself stands there then, read-only, or nothing yet where it is
  /// to be copied.
  private func attach(_ part: Part, _ tree: Int32, _ memory: Int32, _ name: String, _ target: Int32)
    throws(SystemError) -> SystemError?
  {
    var refusal: SystemError?
    if part.isSocketless {
      refusal = try attachSocketless(tree, memory, target)
      if refusal == nil { return nil }
    } else if part.overlay {
      refusal = try attachLayered(part, tree, memory, name, target)
      if refusal == nil || part.isCopied { return refusal }
    }
    guard let refusal else {
      try Mount.attach(tree, onto: target)
      return nil
    }
    // Attached already to be a layer, and other layers upon it, which are not to come along.
    do throws(SystemError) {
      try DetachedMount.clone("", at: tree, recursive: false).attach(onto: target)
    } catch  where error.errno == .invalid {
      // With mounts below it that the kernel keeps together in a user namespace; its like was opened last.
      try Mount.attach(tree, onto: target)
    }
    return refusal
  }

  private func attachSocketless(_ tree: Int32, _ memory: Int32, _ target: Int32) throws(SystemError) -> SystemError? {
    // One empty folder serves every such part.
    do throws(SystemError) { try File.makeDirectory("none", mode: 0o755, at: memory) } catch
      where error.errno == .exists
    {}
    let none = try File.open("none", O_PATH | O_DIRECTORY, at: memory)
    var refusal: SystemError?
    let mount = try OverlayMount.withoutSockets(
      tree, none: none.rawValue, userAttributes: isUserNamespace, refusal: &refusal)
    _ = consume none
    guard let mount else { return refusal }
    try mount.attach(onto: target)
    return nil
  }

  private func attachLayered(_ part: Part, _ tree: Int32, _ memory: Int32, _ name: String, _ target: Int32)
    throws(SystemError) -> SystemError?
  {
    try File.makeDirectory(name, mode: 0o755, at: memory)
    let scratch = try File.open(name, O_PATH | O_DIRECTORY, at: memory)
    try File.makeDirectory("upper", mode: 0o755, at: scratch.rawValue)
    try File.makeDirectory("work", mode: 0o755, at: scratch.rawValue)
    for hidden in part.hidden { try hide(hidden, scratch.rawValue) }
    var overlay = OverlayMount(
      lower: [tree], userAttributes: isUserNamespace, attributes: [.noSetUserID, .noDevices])
    do throws(SystemError) {
      try finish(&overlay, scratch.rawValue).attach(onto: target)
      return nil
    } catch  where OverlayMount.isRefused(error) {
      return error
    }
  }

  /// A whiteout in the writable layer: the name is not there, and comes back by no means (overlayfs.rst, "whiteouts and opaque
  /// directories"). A character device 0:0 may be made in a user namespace too (Linux 5.8).
  private func hide(_ path: String, _ scratch: Int32) throws(SystemError) {
    var folder = "upper"
    // One type of string only: joining a String to a Substring looks up how at run time, in every box.
    let names = path.split(separator: "/").map { String($0) }
    for name in names.dropLast() {
      folder += "/" + name
      do throws(SystemError) {
        try File.makeDirectory(folder, mode: 0o755, at: scratch)
      } catch  where error.errno == .exists {}
    }
    try File.makeNode(folder + "/" + (names.last ?? ""), mode: UInt32(S_IFCHR), device: 0, at: scratch)
  }
}

/// Runs system calls; one that fails becomes a wall's error that begins with what was being done.
package func doing<R: ~Copyable>(_ what: @autoclosure () -> String, _ body: () throws(SystemError) -> R)
  throws(WallError) -> R
{
  do throws(SystemError) { return try body() } catch { throw WallError(what(), error) }
}
