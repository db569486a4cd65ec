public import Formats

/// One step in which an image was made, as its configuration's history and its layers tell it.
public struct ImageStep: Sendable {
  /// What its author says; nothing of it is verified.
  public let history: ImageConfiguration.History
  /// The layer that it added; nil for a step that changed the configuration only.
  public let layer: Digest?
  public let diffID: Digest?
  /// Bytes of the layer's files, unpacked.
  public let size: Int64?
}

extension ImageStore {
  /// The steps that made an image, the last one first. A history that tells of fewer layers than there are leaves steps without words;
  /// one that tells of more has steps without a layer.
  public func steps(of image: Image) throws(ImageError) -> [ImageStep] {
    let layers = try manifest(image.manifestDigest)?.layers ?? []
    let diffIDs = image.configuration.diffIDs
    var steps: [ImageStep] = []
    var next = 0
    func add(_ history: ImageConfiguration.History) throws(ImageError) {
      guard next < layers.count else {
        return steps.append(ImageStep(history: history, layer: nil, diffID: nil, size: nil))
      }
      let digest = layers[next].digest
      steps.append(
        ImageStep(
          history: history, layer: digest, diffID: next < diffIDs.count ? diffIDs[next] : nil,
          size: try layer(digest)?.bytes))
      next += 1
    }
    for entry in image.configuration.history {
      if entry.isEmptyLayer {
        steps.append(ImageStep(history: entry, layer: nil, diffID: nil, size: nil))
      } else {
        try add(entry)
      }
    }
    while next < layers.count { try add(ImageConfiguration.History()) }
    return steps.reversed()
  }
}
