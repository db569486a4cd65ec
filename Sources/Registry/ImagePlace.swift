public import Formats
public import Images

/// Where an image is copied from or to, in the words of skopeo's transports (containers-transports(5)).
public enum ImagePlace: Sendable, Equatable {
  /// A name or an id of the store.
  case stored(String)
  /// `oci:DIR[:TAG]`.
  case layout(path: String, tag: String?)
  /// `oci-archive:FILE[:NAME]`.
  case ociArchive(path: String, name: String?)
  /// `docker-archive:FILE[:NAME]`.
  case dockerArchive(path: String, name: ImageReference?)
  /// `docker://NAME`.
  case registry(ImageReference)

  /// Whether it is a folder or an archive of this machine.
  public var isHere: Bool {
    switch self {
    case .layout, .ociArchive, .dockerArchive: true
    case .stored, .registry: false
    }
  }

  /// - Throws: `usage` that quotes the text; a transport that is known and not served is named.
  public init(_ text: String) throws(ImageError) {
    func parts(_ prefix: String) throws(ImageError) -> (path: String, name: String?) {
      let rest = text.dropFirst(prefix.utf8.count).split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      guard let path = rest.first, !path.isEmpty, !path.utf8.contains(0), rest.count == 1 || !rest[1].isEmpty else {
        throw ImageError(.usage, "\"\(FormatError.presentable(text))\" is not \(prefix)PLACE or \(prefix)PLACE:NAME")
      }
      return (String(path), rest.count > 1 ? String(rest[1]) : nil)
    }
    func reference(_ name: String) throws(ImageError) -> ImageReference {
      do throws(FormatError) { return try ImageReference(name) } catch { throw ImageError(.usage, "image \(error)") }
    }
    if text.hasPrefix("docker://") {
      self = .registry(try reference(String(text.dropFirst(9))))
    } else if text.hasPrefix("oci:") {
      let (path, tag) = try parts("oci:")
      self = .layout(path: path, tag: tag)
    } else if text.hasPrefix("oci-archive:") {
      let (path, name) = try parts("oci-archive:")
      self = .ociArchive(path: path, name: name)
    } else if text.hasPrefix("docker-archive:") {
      let (path, name) = try parts("docker-archive:")
      self = .dockerArchive(path: path, name: try name.map(reference))
    } else {
      for other in ["dir:", "docker-daemon:", "containers-storage:", "ostree:", "sif:", "tarball:"]
      where text.hasPrefix(other) {
        throw ImageError(
          .usage,
          "\"\(FormatError.presentable(text))\": the transport \(other) is not supported; there are oci:, oci-archive:, docker-archive:, docker:// and names of this store"
        )
      }
      self = .stored(text)
    }
  }
}
