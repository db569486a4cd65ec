import CLinux
public import Formats
import Linux

extension RegistriesConfiguration {
  /// What this machine's files say about registries (containers-registries.conf(5), containers-registries.conf.d(5)):
  /// `$CONTAINERS_REGISTRIES_CONF`, else the user's file, else the machine's; then the pieces in `registries.conf.d` of the machine and of
  /// the user; then the aliases that podman recorded.
  /// - Throws: `usage` with the file and line of what is wrong.
  public static func load() throws(ImageError) -> RegistriesConfiguration {
    let home = Process.environment("HOME") ?? "/root"
    let own = home + "/.config/containers"
    let machine = "/etc/containers"
    var configuration = RegistriesConfiguration()
    if let named = Process.environment("CONTAINERS_REGISTRIES_CONF"), !named.isEmpty {
      guard let read = try read(named) else {
        throw ImageError(
          .usage, "$CONTAINERS_REGISTRIES_CONF names \"\(FormatError.presentable(named))\", which is not there")
      }
      configuration = read
    } else if let read = try read(own + "/registries.conf") {
      configuration = read
    } else if let read = try read(machine + "/registries.conf") {
      configuration = read
    }
    for folder in [machine, own] {
      for name in try pieces(folder + "/registries.conf.d") {
        if let read = try read(folder + "/registries.conf.d/" + name) { configuration.merge(read) }
      }
    }
    if let read = try read(aliasFile) { configuration.merge(read) }
    return configuration
  }

  /// Where podman records what short names were said to mean (containers-registries.conf.d(5), "Short-Name Aliasing").
  private static var aliasFile: String {
    var cache = "/var/cache"
    if Process.effectiveUser != 0 {
      cache = (Process.environment("HOME") ?? "") + "/.cache"
      if let set = Process.environment("XDG_CACHE_HOME"), set.hasPrefix("/") { cache = set }
    }
    return cache + "/containers/short-name-aliases.conf"
  }

  /// Records what a short name means, for podman and us: replaced in one rename. podman takes a lock of a kind of its own meanwhile; of
  /// two that write at the same moment one is asked again.
  public static func remember(_ name: String, means whole: String) throws(ImageError) {
    let path = aliasFile
    var aliases = try read(path)?.aliases ?? [:]
    aliases[name] = whole
    let bytes = Array(file(ofAliases: aliases).utf8)
    try system("cannot record what \"\(FormatError.presentable(name))\" means") { () throws(SystemError) in
      let parent = File.parent(of: path) ?? "/"
      try File.makeDirectories(parent, mode: 0o755)
      let folder = try File.open(parent, O_RDONLY | O_DIRECTORY)
      _ = try File.lock(folder.rawValue)
      try File.replaceAtomically("short-name-aliases.conf", bytes, at: folder.rawValue)
    }
  }

  private static func read(_ path: String) throws(ImageError) -> RegistriesConfiguration? {
    let bytes: [UInt8]
    do throws(SystemError) { bytes = try File.contents(path, limit: 4 << 20) } catch {
      if error.errno == .noEntry || error.errno == .notDirectory { return nil }
      throw ImageError("cannot read what is said about registries", error)
    }
    do throws(FormatError) { return try RegistriesConfiguration(bytes, source: path) } catch {
      throw ImageError(.usage, "\(error)")
    }
  }

  private static func pieces(_ folder: String) throws(ImageError) -> [String] {
    do throws(SystemError) {
      return try File.names(inDirectory: folder).filter { $0.hasSuffix(".conf") && !$0.hasPrefix(".") }.sorted()
    } catch {
      if error.errno == .noEntry || error.errno == .notDirectory { return [] }
      throw ImageError("cannot read what is said about registries", error)
    }
  }
}

extension ImageStore {
  /// The stored image that a short name means by the aliases and the registries that are searched; asked only where the name is not
  /// here as Docker Hub's, so that a start reads none of those files.
  func find(short text: String) throws(ImageError) -> NamedImage? {
    guard ImageReference.isShort(text) else { return nil }
    let meanings: [ImageReference]
    let configuration = try RegistriesConfiguration.load()
    do throws(FormatError) { meanings = try configuration.candidates(for: text) } catch {
      throw ImageError(.usage, "image \(error)")
    }
    for meaning in meanings {
      if let found = try named(ImageName.reference(meaning).canonical) { return found }
    }
    return nil
  }

  /// Repositories of a registry that are known to hold blobs, by the images that came from there or went there under a name.
  public func repositories(holding wanted: Set<Digest>, at registry: String) throws(ImageError) -> [Digest: [String]] {
    var found: [Digest: [String]] = [:]
    for image in try list() {
      guard case .reference(let reference)? = try? ImageName(image.name), reference.registry == registry,
        let manifest = try manifest(image.manifest)
      else { continue }
      for digest in [manifest.configuration.digest] + manifest.layers.map(\.digest) where wanted.contains(digest) {
        if found[digest]?.contains(reference.repository) != true {
          found[digest, default: []].append(reference.repository)
        }
      }
    }
    return found
  }
}
