import CLinux
import Formats
import Linux

/// Where entries go, and what waits until all of them are there.
extension LayerWriter {
  mutating func makeWhiteout(_ path: [UInt8]) throws(SystemError) {
    guard let name = Self.lastComponent(path) else { return }
    let folder = try openParent(of: path)
    switch try LayerTree.kind(name, at: folder) {
    case UInt32(S_IFDIR): try makeOpaque(path)
    case nil: try LayerTree.makeNode(name, mode: UInt32(S_IFCHR), at: folder)
    default: break
    }
  }

  mutating func makeOpaque(_ path: [UInt8]) throws(SystemError) {
    let folder: FileDescriptor
    if let name = Self.lastComponent(path) {
      let parent = try openParent(of: path)
      try makeOpaqueFolder(name, at: parent)
      folder = try LayerTree.openDirectory(name, at: parent)
    } else {
      folder = try FileDescriptor.duplicate(root)
    }
    var isTold = false
    do throws(SystemError) {
      try LayerTree.setAttribute(Array("trusted.overlay.opaque".utf8), [UInt8(ascii: "y")], folder.rawValue)
      isTold = true
    } catch  where error.errno == .notPermitted || error.errno == .notSupported {}
    do throws(SystemError) {
      // Mounts in a user namespace read this one (overlayfs.rst, "userxattr").
      try LayerTree.setAttribute(Array("user.overlay.opaque".utf8), [UInt8(ascii: "y")], folder.rawValue)
    } catch {
      guard isTold, error.errno == .notSupported || error.errno == .notPermitted else { throw error }
    }
  }

  mutating func makeOpaqueFolder(_ name: [UInt8], at folder: Int32) throws(SystemError) {
    do throws(SystemError) { try LayerTree.makeDirectory(name, mode: 0o755, at: folder) } catch {
      guard error.errno == .exists else { throw error }
    }
  }

  func finish(_ folder: FolderMetadata) throws(SystemError) {
    let open: FileDescriptor
    do throws(SystemError) {
      open =
        folder.path.isEmpty
        ? try FileDescriptor.duplicate(root)
        : try LayerTree.open(
          folder.path, O_RDONLY | O_DIRECTORY, root: root, resolve: [.beneath, .noSymlinks, .noMagicLinks])
    } catch {
      // A later entry took its place.
      if error.errno == .noEntry || error.errno == .notDirectory || error.errno == .loop { return }
      throw error
    }
    try LayerTree.changeMode(open.rawValue, folder.mode)
    try LayerTree.changeTime(nil, seconds: folder.seconds, nanoseconds: folder.nanoseconds, at: open.rawValue)
  }

  mutating func keepFolder(_ entry: LayerRecord, _ path: [UInt8]) throws(SystemError) {
    keptBytes += path.count + 64
    guard keptBytes <= Self.maximumKeptBytes else { throw SystemError("keep", "too many folders", .noMemory) }
    folders.append(
      FolderMetadata(
        path: path, mode: entry.mode & 0o7777, seconds: entry.modified, nanoseconds: entry.modifiedNanoseconds))
  }

  /// The folder that a path's last name is in, made where it is not there. Valid until the next call.
  mutating func openParent(of path: [UInt8]) throws(SystemError) -> Int32 {
    let wanted = Self.folder(of: path)
    if wanted == parentPath, let open = parent?.rawValue { return open }
    parentPath = nil
    if wanted == [UInt8(ascii: ".")] {
      parent = try FileDescriptor.duplicate(root)
    } else {
      parent = try openFolder(wanted)
    }
    parentPath = wanted
    return parent?.rawValue ?? root
  }

  func openFolder(_ path: [UInt8]) throws(SystemError) -> FileDescriptor {
    let flags = pathOnly | O_DIRECTORY
    let resolve: ResolveFlags = [.inRoot, .noMagicLinks, .noMountCrossing]
    do throws(SystemError) { return try LayerTree.open(path, flags, root: root, resolve: resolve) } catch {
      guard error.errno == .noEntry else { throw error }
    }
    // Archives may leave folders out; the deepest that is there gets the rest.
    var folder = try FileDescriptor.duplicate(root)
    var prefix: [UInt8] = []
    for name in path.split(separator: UInt8(ascii: "/")) {
      if !prefix.isEmpty { prefix.append(UInt8(ascii: "/")) }
      prefix += name
      do throws(SystemError) {
        folder = try LayerTree.open(prefix, flags, root: root, resolve: resolve)
      } catch {
        guard error.errno == .noEntry else { throw error }
        try LayerTree.makeDirectory(Array(name), mode: 0o755, at: folder.rawValue)
        folder = try LayerTree.openDirectory(Array(name), at: folder.rawValue)
      }
    }
    return folder
  }

  mutating func forgetParent(unless folder: Int32) {
    if parent?.rawValue != folder {
      parent = nil
      parentPath = nil
    }
  }

  /// The components joined by single slashes, empty for the root; `..` is refused, also where it would stay inside.
  static func clean(_ path: [UInt8]) throws(ImageError) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(path.count)
    for name in path.split(separator: UInt8(ascii: "/")) where name != [UInt8(ascii: ".")] {
      if name.elementsEqual("..".utf8) { throw failure(path, "has \"..\" in it: refused") }
      if name.contains(0) || name.count > 255 { throw failure(path, "has a name that no file can have") }
      if !result.isEmpty { result.append(UInt8(ascii: "/")) }
      result += name
    }
    return result
  }

  static func lastComponent(_ path: [UInt8]) -> [UInt8]? {
    path.split(separator: UInt8(ascii: "/")).last.map(Array.init)
  }

  static func folder(of path: [UInt8]) -> [UInt8] {
    guard let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return [UInt8(ascii: ".")] }
    return Array(path[..<slash])
  }
}
