import CLinux
import Formats
import Images
import Linux

/// Images added to a folder in OCI image layout that has some already. Each blob appears whole, by a rename; the index is the last to change,
/// and what it says of other images stays. Nothing in the folder is trusted: it is written to beneath itself, and no link is followed.
struct SaveLayout: SaveWriter, ~Copyable {
  private let folder: FileDescriptor
  private let shown: String

  /// - Returns: nil where there is nothing, or an empty folder, which `SaveFolder` makes.
  /// - Throws: `usage` where the folder is another thing than a layout.
  static func open(_ path: String) throws(ImageError) -> SaveLayout? {
    let shown = "\"\(FormatError.presentable(path))\""
    do throws(SystemError) {
      if try File.names(inDirectory: path).isEmpty { return nil }
    } catch {
      if error.errno == .noEntry { return nil }
      throw SavePath.failure(shown, error)
    }
    // Its version and its index are looked at before anything is written.
    do throws(ImageError) { _ = try LayoutDirectory(path: path).entries() } catch {
      throw ImageError(.usage, "\(shown) is neither empty nor a folder in OCI image layout: \(error)")
    }
    do throws(SystemError) {
      return SaveLayout(folder: try File.open(path, O_RDONLY | O_DIRECTORY), shown: shown)
    } catch { throw SavePath.failure(shown, error) }
  }

  private init(folder: consuming FileDescriptor, shown: String) {
    self.folder = folder
    self.shown = shown
  }

  mutating func add(folder name: String) throws(ImageError) {
    do throws(SystemError) { try File.makeDirectory(name, mode: 0o755, at: folder.rawValue) } catch {
      if error.errno != .exists { throw SavePath.failure(shown, error) }
    }
  }

  /// The index is joined to the one that is there; a blob, or the layout's mark, is as it is.
  mutating func add(_ name: String, _ bytes: [UInt8]) throws(ImageError) {
    switch name {
    case "oci-layout": break
    case "index.json": try join(bytes)
    default: try add(name, size: nil) { (give) throws(ImageError) in try give(bytes.span) }
    }
  }

  mutating func add(
    _ name: String, size: Int64?,
    _ pass: (_ give: (Span<UInt8>) throws(ImageError) -> Void) throws(ImageError) -> Void
  ) throws(ImageError) {
    let (above, last) = try SavePath.split(name, shown)
    let place: FileDescriptor
    do throws(SystemError) {
      place = try File.open(
        above, O_RDONLY | O_DIRECTORY, at: folder.rawValue, resolve: [.beneath, .noSymlinks, .noMagicLinks])
    } catch { throw SavePath.failure(shown, error) }
    var file = try SaveTarget.file(last, in: place, shown, mode: 0o644)
    try pass { (chunk) throws(ImageError) in try file.write(chunk) }
    try file.finish()
  }

  mutating func finish() throws(ImageError) {}

  /// Entries of the same name give way, as with skopeo; those of other images, and fields that are not known here, stay.
  private func join(_ bytes: [UInt8]) throws(ImageError) {
    do {
      // What the index is going to lead to is on the disk first; of several that add, one after the other.
      try checked("syncfs", "", systemCall(Int(SYS_syncfs), word(folder.rawValue)))
      _ = try File.lock(folder.rawValue)
      let file = try File.open(
        "index.json", O_RDONLY | O_NONBLOCK, at: folder.rawValue, resolve: [.beneath, .noSymlinks, .noMagicLinks])
      let known = try File.readAll(file.rawValue, limit: Int(Descriptor.maximumManifestSize))
      guard case .object(var index) = try JSONValue.parse(known),
        case .array(let old) = index["manifests"] ?? .array([]),
        case .object(let added) = try JSONValue.parse(bytes),
        case .array(let new)? = added["manifests"]
      else { throw FormatError("the index is no list of images") }
      let names = new.map(Self.name)
      index["manifests"] = .array(
        old.filter { entry in !new.contains(entry) && (Self.name(entry).map { !names.contains($0) } ?? true) } + new)
      try File.replaceAtomically(
        "index.json", JSONValue.object(index).bytes(), mode: 0o644, at: folder.rawValue, sync: true)
    } catch let error as SystemError {
      throw SavePath.failure(shown, error)
    } catch {
      throw ImageError(.damaged, "\(shown): \(error)")
    }
  }

  private static func name(_ entry: JSONValue) -> String? {
    guard case .object(let entry) = entry, case .object(let notes)? = entry["annotations"],
      case .string(let name)? = notes["org.opencontainers.image.ref.name"]
    else { return nil }
    return name
  }
}
