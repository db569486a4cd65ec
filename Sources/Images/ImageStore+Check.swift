public import Formats
import Linux

/// What one who verifies the store needs of it, damaged as it may be.
extension ImageStore {
  /// Every name with what it leads to, or why that cannot be told.
  public func namesForCheck() throws(ImageError) -> [(file: String, image: Result<NamedImage, ImageError>)] {
    var found: [(file: String, image: Result<NamedImage, ImageError>)] = []
    for file in try entries(of: names) where !file.hasPrefix(".") {
      do throws(ImageError) {
        guard let image = try readName(file) else { continue }
        guard self.file(of: image.name) == file else {
          throw ImageError(.damaged, "is the name of another file: \(FormatError.presentable(image.name))")
        }
        found.append((file, .success(image)))
      } catch { found.append((file, .failure(error))) }
    }
    return found
  }

  /// The digests that layers are stored under.
  public func layersForCheck() throws(ImageError) -> [Digest] {
    var found: [Digest] = []
    for name in try entries(of: layers) {
      // Nothing of ours has another name; what it is, the next `rmi` removes.
      do throws(FormatError) { found.append(try Digest(hex: name)) } catch { continue }
    }
    return found
  }

  /// Whether a layer is here as a tree only, of which there is nothing to verify.
  public func isTreeOnly(_ layer: Digest) -> Bool {
    !File.exists(layers + "/" + layer.hex + "/" + Self.imageName) && File.exists(layers + "/" + layer.hex + "/diff")
  }
}
