import CLinux
public import Formats
import Linux

/// Images on disk, content-addressed, under one folder (mode 0700: layers hold setuid programs of strangers):
///
///     blobs/sha256/HEX     manifests, indexes and configurations, verified when written
///     layers/HEX/          a layer: HEX is the digest of the blob it came as, `blob` that blob; `diff` the tree, `layer.json` about it
///     names/HEX            a name (HEX is its SHA-256): which manifest it leads to
///     incoming/            what is being made; each entry has a lock of its name while its maker lives
///     locks/, lock         flock(2) files
///
/// Every step is one rename, so kill -9 anywhere leaves at most entries in `incoming`, which the next command clears.
public struct ImageStore: Sendable {
  /// `<state root>/images`.
  public let directory: String

  var blobs: String { directory + "/blobs/sha256" }
  var layers: String { directory + "/layers" }
  var names: String { directory + "/names" }
  var incoming: String { directory + "/incoming" }
  var locks: String { directory + "/locks" }

  /// - Parameter root: the state root that sandboxes share (`--root`).
  public init(root: String) { directory = root + "/images" }

  /// Makes the folders; what is there stays.
  public func prepare() throws(ImageError) {
    try system("cannot make the image store") { () throws(SystemError) in
      try File.makeDirectories(File.parent(of: directory) ?? "/", mode: 0o711)
      try File.makeDirectories(directory, mode: 0o700)
      for folder in [blobs, layers, names, incoming, locks] { try File.makeDirectories(folder, mode: 0o700) }
    }
  }
}

extension Platform {
  /// This machine's.
  public static var host: Platform {
    #if arch(x86_64)
      Platform(os: "linux", architecture: "amd64")
    #elseif arch(arm64)
      Platform(os: "linux", architecture: "arm64")
    #else
      #error("immure runs on x86-64 and arm64")
    #endif
  }
}
