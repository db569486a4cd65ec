import CLinux
package import Linux
package import Walls

/// Parts of the host's tree that the box will see, as detached copies of mounts. As root the parent opens them before the clone
/// (the box's builder is nobody to the host's folders), and translates their owners once the box's user namespace has its map;
/// a user's builder opens them itself, for only it may clone mounts.
package final class HostTrees {
  package init() {}

  package enum Owners {
    /// As on the host: whoever is not mapped appears as nobody.
    case asTheyAre
    /// As the box's own ids where the file system can, else as they are.
    case translatedIfPossible
    /// As the box's own ids, or an error.
    case translated
  }
  package struct Request {
    package var path: String
    /// How messages name it: "volume /srv/data".
    package var what: String
    var recursive = true
    package var owners = Owners.asTheyAre
    package var set: MountAttributes = []
    var clear: MountAttributes = []
    var attributesBelow = false
    /// For the mounts below as well as for the first, whatever `attributesBelow` says.
    var setBelow: MountAttributes = []
    var clearBelow: MountAttributes = []
    var propagation = MountPropagation.private
    var propagationBelow = true
    /// How owners are translated where the mount itself says so, and whether also below.
    var mapping: IDMapNamespace?
    var mapsBelow = false
    /// Whether it must be a folder, and no link to one.
    var isRoot = false
    /// A detached mount that somebody keeps: it is cloned, and `path` is what messages call it.
    var kept: Int32?
  }

  package private(set) var requests: [Request] = []
  package private(set) var descriptors: [Int32] = []
  package private(set) var isFile: [Bool] = []
  /// Which have their owners translated.
  package private(set) var isTranslated: [Bool] = []

  deinit { close() }

  /// Closes the descriptors; the mounts live on where they were attached.
  package func close() {
    for descriptor in descriptors where descriptor >= 0 { _ = FileDescriptor(owning: descriptor) }
    descriptors = []
  }

  /// Whether some tree takes part in how mounts spread on the host.
  package var wantPeers: Bool { requests.contains { $0.propagation == .slave || $0.propagation == .shared } }
  /// Whether some tree translates owners by a map of its own, which only the parent can write: it sees the processes of the /proc here.
  package var wantMaps: Bool { requests.contains { $0.mapping != nil } }
  /// Whether some tree is a mount that this process keeps.
  package var wantKept: Bool { requests.contains { $0.kept != nil } }

  /// Whether what lies at the path is an overlay, whose files' owners cannot be translated.
  package static func isOverlay(_ path: String) -> Bool {
    let magic = 0x794c_7630
    // What cannot be opened is told when it is opened in earnest.
    guard let file = try? File.open(path, O_PATH) else { return false }
    return (try? File.fileSystemKind(file.rawValue)) == magic
  }

  package func add(_ request: Request) -> Int {
    requests.append(request)
    isTranslated.append(false)
    return requests.count - 1
  }

  /// Opens every tree. Links at the end of a path are followed: it is the host's path, as the user gave it; but a root's is made by
  /// whoever unpacked the image.
  package func open() throws(WallError) {
    for request in requests {
      do throws(SystemError) {
        if let kept = request.kept {
          descriptors.append(try Self.copy(of: kept))
          isFile.append(false)
          continue
        }
        let source = try File.open(request.path, request.isRoot ? O_PATH | O_DIRECTORY | O_NOFOLLOW : O_PATH)
        let kind = UInt32(try File.status("", at: source.rawValue).st_mode) & UInt32(S_IFMT)
        isFile.append(kind != UInt32(S_IFDIR))
        let tree = try DetachedMount.clone("", at: source.rawValue, recursive: request.recursive)
        descriptors.append(tree.release())
      } catch {
        throw WallError("\(request.what): \(request.path): \(error.errno) (\(error.call))")
      }
    }
  }

  /// A clone with attributes of its own. Before Linux 6.15 the kernel clones nothing that is attached nowhere (EINVAL): then the mount
  /// itself serves, once.
  private static func copy(of kept: Int32) throws(SystemError) -> Int32 {
    do throws(SystemError) {
      return try DetachedMount.clone("", at: kept, recursive: false).release()
    } catch  where error.errno == .invalid {
      return try FileDescriptor.duplicate(kept).release()
    }
  }

  /// Gives each its attributes, and translates owners where that is asked for and `userNamespace` is one to do it through.
  package func finish(userNamespace: Int32?) throws(WallError) {
    try finish { _ in userNamespace }
  }

  /// The same with a user namespace for each request; nil leaves its owners as they are.
  package func finish(through chosen: (Request) throws(WallError) -> Int32?) throws(WallError) {
    for (index, request) in requests.enumerated() {
      let userNamespace = try chosen(request)
      do throws(SystemError) {
        if let userNamespace, request.owners != .asTheyAre {
          if try translate(index, request, through: userNamespace) { continue }
        }
        if let mapping = request.mapping {
          let namespace = try mapping.open()
          try Mount.mapIDs(descriptors[index], through: namespace.rawValue, recursive: request.mapsBelow)
          isTranslated[index] = true
        }
        if !request.setBelow.isEmpty || !request.clearBelow.isEmpty {
          try Mount.change(descriptors[index], set: request.setBelow, clear: request.clearBelow, recursive: true)
        }
        let changesBelow = request.attributesBelow && request.recursive
        if !request.set.isEmpty || !request.clear.isEmpty {
          try Mount.change(
            descriptors[index], set: request.set, clear: request.clear, recursive: changesBelow)
        }
        try Mount.change(
          descriptors[index], propagation: request.propagation,
          recursive: request.recursive && request.propagationBelow)
      } catch {
        throw WallError("\(request.what): \(request.path)", error)
      }
    }
  }

  private func translate(_ index: Int, _ request: Request, through userNamespace: Int32) throws(SystemError) -> Bool {
    do throws(SystemError) {
      try Mount.mapIDs(
        descriptors[index], through: userNamespace, set: request.set, propagation: request.propagation,
        recursive: request.recursive)
      isTranslated[index] = true
      return true
    } catch  where error.errno == .invalid || error.errno == .notPermitted || error.errno == .notSupported {
      if request.owners == .translatedIfPossible { return false }
      throw SystemError(
        "mount_setattr(MOUNT_ATTR_IDMAP)",
        "(its file system cannot translate owners: use --userns host, or a folder on ext4, xfs, btrfs or tmpfs)",
        error.errno)
    }
  }
}

extension HostTrees.Request {
  /// A root filesystem's folder with the owners that it has on the host.
  package init(root path: String) {
    self.init(path: path, what: "root filesystem")
    isRoot = true
  }
}
