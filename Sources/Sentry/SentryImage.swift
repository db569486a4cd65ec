import CLinux
import Linux
import Walls

/// The files of a root's image as the store keeps them, open for the sentry, which reads them itself: so the guests' own kernel alone decides
/// who may read what, and no name or byte of them costs a call of the host's kernel.
final class SentryImage {
  let metadata: OwnedDescriptor
  /// In the order of the metadata's table of devices.
  let devices: [OwnedDescriptor]

  var descriptors: [Int32] { [metadata.rawValue] + devices.map(\.rawValue) }

  private init(_ image: ImageMount) throws(SystemError) {
    metadata = try Self.open(image.metadata)
    var devices: [OwnedDescriptor] = []
    for path in image.devices { devices.append(try Self.open(path)) }
    self.devices = devices
  }

  /// By whoever may read the store, above the numbers that the sentry gives away.
  private static func open(_ path: String) throws(SystemError) -> OwnedDescriptor {
    let file = try File.open(path, O_RDONLY | O_CLOEXEC)
    return OwnedDescriptor(try file.duplicate(atLeast: 64))
  }

  /// - Returns: nil where the root is no image that the store keeps whole.
  static func open(of root: RootFilesystem) throws(WallError) -> SentryImage? {
    guard case .image(let image, _) = root else { return nil }
    do throws(SystemError) { return try SentryImage(image) } catch { throw WallError("root filesystem", error) }
  }

  func close() {
    metadata.close()
    for device in devices { device.close() }
  }
}
