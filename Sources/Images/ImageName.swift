import CLinux
public import Formats
import Linux

/// What a person calls an image by: a registry's name, a folder in OCI image layout, or an id.
public enum ImageName: Sendable, Hashable, CustomStringConvertible {
  case reference(ImageReference)
  /// `oci:DIR[:TAG]`: the folder's absolute path and the tag (`org.opencontainers.image.ref.name`), nil where it has one image.
  case layout(path: String, tag: String?)

  /// - Throws: `ImageError` of kind `usage` that quotes the text and says what is wrong with it.
  public init(_ text: String) throws(ImageError) {
    guard text.hasPrefix("oci:") else {
      do throws(FormatError) { self = .reference(try ImageReference(text)) } catch {
        throw ImageError(.usage, "image \(error)")
      }
      return
    }
    let rest = text.dropFirst(4)
    // The tag stands after the last colon that no slash follows.
    var path = rest
    var tag: String?
    if let colon = rest.lastIndex(of: ":"), !rest[colon...].contains("/") {
      path = rest[..<colon]
      tag = String(rest[rest.index(after: colon)...])
    }
    guard !path.isEmpty, !path.utf8.contains(0), tag != "" else {
      throw ImageError(.usage, "image \"\(FormatError.presentable(text))\" is not oci:DIR[:TAG]")
    }
    self = .layout(path: try Self.absolute(String(path)), tag: tag)
  }

  /// Reference or layout spelled out; equal images of one place have equal texts.
  public var canonical: String {
    switch self {
    case .reference(let reference):
      // A digest says all: the tag beside it is a remark (as Docker has it).
      reference.digest.map { reference.name + "@" + $0.description } ?? reference.canonical
    case .layout(let path, let tag): "oci:" + path + (tag.map { ":" + $0 } ?? "")
    }
  }

  /// As a person writes it.
  public var familiar: String {
    switch self {
    case .reference(let reference): reference.familiar
    case .layout: canonical
    }
  }

  public var description: String { familiar }

  private static func absolute(_ path: String) throws(ImageError) -> String {
    do throws(SystemError) {
      let folder = try File.open(path, O_RDONLY | O_DIRECTORY)
      return try File.readLink("/proc/self/fd/\(folder.rawValue)")
    } catch {
      throw ImageError("cannot open the image layout \"\(FormatError.presentable(path))\"", error)
    }
  }
}
