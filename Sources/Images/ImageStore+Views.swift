import CLinux
public import Formats
public import Linux

/// An image's files at a path, for people who want to look inside (`views/HEX`, HEX being its manifest's digest):
///
///     view.json   the name it was asked for by, and what `root` is
///     root        a read-only mount of the image, or a copy of its files
///
/// A view keeps its image's layers as a living sandbox does. A mount that is gone (unmounted by hand, or by a reboot) is no view any more.
public struct ImageView: Sendable, Equatable {
  public enum Kind: String, Sendable {
    case mount, copy
  }
  public let manifest: Digest
  /// As a person wrote it.
  public let name: String
  public let kind: Kind
  public let path: String
  /// What a copy could not keep of the image, as lines.
  public let notes: [String]
}

/// A view that is being made; the lock keeps others from making or clearing it.
public struct IncomingView: ~Copyable, Sendable {
  let manifest: Digest
  let name: String
  let entry: String
  let lock: StoreLock
  /// The empty folder that is to be the view's root, open by its path only.
  public let root: FileDescriptor
  /// For another process that writes there: to be held as long as it lives.
  public var lockDescriptor: Int32 { lock.descriptor.rawValue }
}

extension ImageStore {
  var views: String { directory + "/views" }

  /// Every view there is, by name.
  public func allViews() throws(ImageError) -> [ImageView] {
    var found: [ImageView] = []
    for entry in try entries(of: views) {
      if let digest = Self.digest(entry), let view = try view(digest) { found.append(view) }
    }
    return found.sorted { ($0.name, $0.manifest.hex) < ($1.name, $1.manifest.hex) }
  }

  /// The view of an image; nil where there is none, or its mount is gone.
  public func view(_ manifest: Digest) throws(ImageError) -> ImageView? {
    let folder = views + "/" + manifest.hex
    let bytes: [UInt8]
    do throws(SystemError) { bytes = try File.contents(folder + "/view.json", limit: 1 << 20) } catch {
      if error.errno == .noEntry { return nil }
      throw ImageError("cannot read the image store", error)
    }
    let view: ImageView
    do throws(FormatError) {
      let node = try JSONNode.parse(bytes, source: folder + "/view.json")
      guard let kind = ImageView.Kind(rawValue: try node.string("kind")) else { return nil }
      view = ImageView(
        manifest: manifest, name: try node.string("name"), kind: kind, path: folder + "/root",
        notes: try node.strings("notes"))
    } catch {
      // It appeared whole: the disk lost it. What nobody can tell is no view, and is cleared.
      return nil
    }
    if view.kind == .mount, try !isMounted(view.path) { return nil }
    return view
  }

  /// Nothing of ours but an image is EROFS in the store.
  private func isMounted(_ path: String) throws(ImageError) -> Bool {
    do throws(SystemError) {
      let root = try File.open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW)
      return try File.fileSystemKind(root.rawValue) == DetachedMount.erofsKind
    } catch {
      if error.errno == .noEntry { return false }
      throw ImageError("cannot look at \(path)", error)
    }
  }

  /// Begins the view of an image, or finds it there; where another command makes it, waits for that. The caller holds a lease.
  public func beginView(_ image: Image) throws(ImageError) -> IncomingView? {
    let name = "view-" + image.manifestDigest.hex
    guard let lock = try lock(name) else { throw ImageError("cannot lock the image \(image.name)") }
    if try view(image.manifestDigest) != nil {
      lock.end()
      return nil
    }
    try clearView(image.manifestDigest.hex)
    let entry = name + "." + String(Clock.monotonicNanoseconds(), radix: 36)
    let path = incoming + "/" + entry
    let root = try system("cannot write the image store") { () throws(SystemError) in
      try File.makeDirectories(views, mode: 0o700)
      try File.makeDirectory(path, mode: 0o700)
      try File.makeDirectory(path + "/root", mode: 0o755)
      return try File.open(path + "/root", O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    }
    return IncomingView(manifest: image.manifestDigest, name: image.name, entry: entry, lock: lock, root: root)
  }

  /// Makes a filled copy a view.
  public func commit(copied view: consuming IncomingView, notes: [String]) throws(ImageError) {
    try publish(view, .copy, notes)
    view.lock.end()
  }

  /// Makes an image's files, which the kernel has as a file system, a view: the mount is the last step, so that what is killed before has
  /// left an empty folder.
  public func commit(mounting mount: consuming DetachedMount, _ view: consuming IncomingView) throws(ImageError) {
    try publish(view, .mount, [])
    let path = views + "/" + view.manifest.hex + "/root"
    try system("cannot mount the image \(view.name)") { () throws(SystemError) in
      // A stranger's programs are to be looked at, not run.
      try mount.change(set: [.readOnly, .noSetUserID, .noDevices, .noExecute], propagation: .private)
      try mount.attach(onto: view.root.rawValue)
    }
    guard try isMounted(path) else {
      throw ImageError("cannot mount the image \(view.name): \(path) was moved meanwhile")
    }
    view.lock.end()
  }

  private func publish(
    _ view: borrowing IncomingView, _ kind: ImageView.Kind, _ notes: [String]
  ) throws(ImageError) {
    let path = incoming + "/" + view.entry
    try system("cannot keep the view of \(view.name)") { () throws(SystemError) in
      let open = try File.open(path, O_RDONLY | O_DIRECTORY)
      let record: JSONValue = [
        "name": .string(view.name), "kind": .string(kind.rawValue), "notes": .array(notes.map { .string($0) }),
      ]
      try File.replaceAtomically("view.json", record.bytes(), at: open.rawValue)
      if kind == .copy { try File.syncFileSystem(of: open.rawValue) }
      try File.rename(path, to: views + "/" + view.manifest.hex)
      let parent = try File.open(views, O_RDONLY | O_DIRECTORY)
      try File.sync(parent.rawValue)
    }
  }

  /// Takes the view of an image away: by the image's name, its id, or the view's path.
  ///
  /// Only sound while this process has one thread where it is not root's.
  /// - Throws: `notFound` where there is none.
  public func removeView(_ text: String) throws(ImageError) -> ImageView {
    let all = try allViews()
    var found = all.first { $0.path == text || $0.name == text }
    if found == nil, !text.hasPrefix("/") {
      // The image's name may be gone, its digest is not.
      let manifest = try find(text)?.manifest
      found = all.first { $0.manifest == manifest || $0.manifest.description == text }
      if found == nil, text.utf8.count >= 6 { found = all.first { $0.manifest.hex.hasPrefix(text) } }
    }
    guard let view = found else {
      throw ImageError(
        .notFound, "no image \"\(FormatError.presentable(text))\" is mounted; `immure image mount` lists those that are"
      )
    }
    guard let lock = try lock("view-" + view.manifest.hex) else {
      throw ImageError("cannot lock the image \(view.name)")
    }
    try clearView(view.manifest.hex)
    lock.end()
    return view
  }

  /// Removes a view's folder, whatever is mounted there; under its lock.
  func clearView(_ entry: String) throws(ImageError) {
    let path = views + "/" + entry
    guard File.exists(path) else { return }
    // More than one only where somebody mounted by hand.
    while try isMounted(path + "/root") {
      try system("cannot unmount \(path)/root") { () throws(SystemError) in try Mount.detach(path + "/root") }
    }
    try system("cannot remove \(path)") { () throws(SystemError) in
      let dead = incoming + "/view-" + entry + ".dead"
      try LayerTree.remove(dead)
      try File.rename(path, to: dead)
      try LayerTree.remove(dead)
    }
  }

  /// Removes views whose mount is gone.
  func clearGoneViews() throws(ImageError) {
    for entry in try entries(of: views) {
      guard let lock = try lock("view-" + entry, wait: false) else { continue }
      if Self.digest(entry) == nil {
        try clearView(entry)
      } else if let digest = Self.digest(entry), try view(digest) == nil {
        try clearView(entry)
      }
      lock.end()
    }
  }

  /// Whether a person is looking into an image.
  func isViewed(_ manifest: Digest) throws(ImageError) -> Bool { try view(manifest) != nil }
}
