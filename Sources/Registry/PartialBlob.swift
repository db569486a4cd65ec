import CLinux
import Formats
import Images
import Linux

/// The part of a large layer's blob that came before a command was cut off: kept under `partial/HEX` of the store, given to the next command that
/// wants the layer, and removed once the layer is there. Nothing of it is believed: what was read from it is hashed with the rest.
final class PartialBlob {
  /// Smaller blobs are sooner fetched again than kept.
  static let smallest: Int64 = 1 << 20
  /// One that nobody asked for again for so long goes: three days.
  private static let seconds: Int64 = 3 * 86_400

  private let folder: FileDescriptor
  private let file: FileDescriptor
  private let name: String
  private var isWritable = true

  private init(_ folder: consuming FileDescriptor, _ file: consuming FileDescriptor, _ name: String) {
    self.folder = folder
    self.file = file
    self.name = name
  }

  /// Opens what there is of a blob, or begins it; nil for a small one, and where it cannot be had: the download does without then. The
  /// caller holds the layer's lock.
  static func open(_ descriptor: Descriptor, in store: ImageStore) -> PartialBlob? {
    guard descriptor.size >= smallest else { return nil }
    do throws(SystemError) {
      let path = store.directory + "/partial"
      try File.makeDirectories(path, mode: 0o700)
      let folder = try File.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      let name = descriptor.digest.hex
      let file = try File.open(name, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600, at: folder.rawValue)
      guard try File.lock(file.rawValue, wait: false) else { return nil }
      return PartialBlob(folder, file, name)
    } catch { return nil }
  }

  /// Hands what is there on, from its beginning; what comes later is appended.
  func replay(_ give: (Span<UInt8>) throws(ImageError) -> Void) throws(ImageError) {
    var buffer = [UInt8](repeating: 0, count: 256 << 10)
    while true {
      let count = try system("cannot read the part of a layer that is here") { () throws(SystemError) in
        var span = buffer.mutableSpan
        return try File.read(file.rawValue, into: &span)
      }
      if count == 0 { return }
      try give(buffer.span.extracting(0..<count))
    }
  }

  /// Keeps the next bytes. Where that fails (a full disk) what was kept before is still a beginning.
  func append(_ bytes: Span<UInt8>) {
    guard isWritable else { return }
    do throws(SystemError) { try File.writeAll(file.rawValue, bytes) } catch { isWritable = false }
  }

  /// The layer is there, or what was kept is not its beginning.
  func remove() {
    // One that stays is found to be whole, or damaged, by the next command.
    try? File.remove(name, at: folder.rawValue)
  }

  /// Removes what nobody came back for, and what a command left that was cut off between having the layer and removing its part.
  static func clear(_ store: ImageStore) {
    let path = store.directory + "/partial"
    // Without the folder there is nothing to clear; what cannot be looked at stays.
    guard let names = try? File.names(inDirectory: path) else { return }
    let now = Clock.realTime().seconds
    for name in names {
      guard let status = try? File.status(path + "/" + name, followSymlinks: false),
        now - Int64(status.st_mtim.tv_sec) > seconds || isDone(name, store)
      else { continue }
      // Another command may be using it.
      guard let file = try? File.open(path + "/" + name, O_RDONLY | O_NOFOLLOW),
        (try? File.lock(file.rawValue, wait: false)) == true
      else { continue }
      try? File.remove(path + "/" + name)
    }
  }

  /// Whether the layer is there; of one that cannot be looked at nobody knows.
  private static func isDone(_ name: String, _ store: ImageStore) -> Bool {
    guard let digest = try? Digest(hex: name) else { return false }
    return (try? store.isWhole(digest)) ?? false
  }
}
