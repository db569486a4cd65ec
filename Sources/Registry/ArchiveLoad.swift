import Formats
public import Images
import Linux

/// Images out of a tar archive that holds an OCI image layout (`skopeo copy … oci-archive:`, `podman save --format oci-archive`),
/// or Docker's own form (`docker save`).
/// The archive is unpacked by the same confined worker and writer as a layer, into a private folder, and is then a layout like
/// any other: not trusted, every byte verified.
public enum ArchiveLoad {
  /// - Returns: the names the images have now, as a person writes them.
  public static func install(
    _ path: String, in store: ImageStore, _ progress: any Progress
  ) throws(ImageError) -> [String] {
    let shown = FormatError.presentable(path)
    let folder = try open(path, in: store)
    if isDockers(folder.path) {
      do throws(ImageError) {
        let names = try DockerArchive.install(folder.path, in: store, progress)
        _ = consume folder
        return names
      } catch { throw ImageError(error.kind, "\(shown): \(error)") }
    }
    let layout = LayoutDirectory(path: folder.path)
    var names: [String] = []
    var groups: [(name: ImageName, entries: [LayoutDirectory.Entry])] = []
    for entry in try layout.entries() {
      let name = try name(of: entry, archive: path)
      if let known = groups.firstIndex(where: { $0.name == name }) {
        groups[known].entries.append(entry)
      } else {
        groups.append((name, [entry]))
      }
    }
    for (name, entries) in groups {
      let plan: ImagePlan
      if entries.count == 1 {
        let (digest, bytes) = try layout.manifest(entries[0].descriptor, platform: .host)
        plan = try LayoutSource.install(layout, digest, bytes, as: name, in: store, progress)
      } else {
        // One name on an image for each platform.
        plan = try LayoutSource.install(layout, tag: entries[0].tag, platform: .host, as: name, in: store, progress)
      }
      names.append(name.familiar + " " + plan.manifest.configuration.digest.short)
    }
    if names.isEmpty { throw ImageError(.damaged, "\(shown) holds no image") }
    _ = consume folder
    return names
  }

  /// The archive unpacked into a private folder of the store.
  static func open(_ path: String, in store: ImageStore) throws(ImageError) -> IncomingFolder {
    let folder = try store.beginFolder("load")
    do throws(ImageError) { try unpack(path, into: folder) } catch {
      throw ImageError(error.kind, "\(FormatError.presentable(path)): \(error)")
    }
    return folder
  }

  /// Newer Docker writes both forms; the layout says more.
  static func isDockers(_ folder: String) -> Bool {
    !File.exists(folder + "/index.json") && DockerArchive.isHere(folder)
  }

  /// The whole name where a tool wrote one; a bare tag is joined to the archive's own name, as podman and skopeo have it.
  private static func name(of entry: LayoutDirectory.Entry, archive: String) throws(ImageError) -> ImageName {
    if let full = entry.fullName { return try ImageName(full) }
    guard let tag = entry.tag else { return try ImageName("load:" + entry.descriptor.digest.short) }
    if tag.contains("/") || tag.contains(":") { return try ImageName(tag) }
    var base = String(archive.split(separator: "/").last ?? "load").lowercased()
    for suffix in [".zst", ".gz", ".tar", ".oci"] where base.hasSuffix(suffix) { base.removeLast(suffix.count) }
    do throws(ImageError) { return try ImageName(base + ":" + tag) } catch { return try ImageName("load:" + tag) }
  }

  private static func unpack(_ path: String, into folder: borrowing IncomingFolder) throws(ImageError) {
    let processes = try system("cannot unpack the archive") { () throws(SystemError) in
      let file = path == "-" ? try FileDescriptor.duplicate(0) : try File.open(path, 0)
      let target = try File.open(folder.path, 0)
      return try UnpackingProcesses.start(
        ArchiveReader.role, input: file.rawValue, tree: target.rawValue, lock: folder.lockDescriptor,
        limit: LayerInstallation.defaultLimit, isPlain: true)
    }
    if case .failed(let isDamaged, let message) = try processes.wait().0 {
      throw ImageError(isDamaged ? .damaged : .failed, message)
    }
  }
}
