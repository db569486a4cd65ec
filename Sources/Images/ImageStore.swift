import CLinux
public import Formats
import Linux

/// Images on disk, content-addressed, under one folder (mode 0700: layers hold setuid programs of strangers):
///
///     blobs/sha256/HEX     manifests, indexes and configurations, verified when written
///     layers/HEX/          a layer: HEX is the digest of the blob it came as
///         layer.erofs        its files as an EROFS image, which is never mounted: it is read, and serves as data behind `merged`
///         layer.headers      the headers of its tar (zstd): with the image, the tar again bit for bit
///         layer.json         what is known about it; a layer without it is none
///         blob               the blob, where it is to be kept
///         tree/diff          the same files as folders, where images cannot be mounted
///     merged/KEY.erofs     metadata over several layers, made here: what is mounted. KEY is the digest of the layers' names
///     names/HEX            a name (HEX is its SHA-256): which manifest it leads to
///     views/HEX/           an image's files to look into, by its manifest (ImageStore+Views)
///     incoming/            what is being made; each entry has a lock of its name while its maker lives
///     locks/, lock         flock(2) files
///
/// Every step is one rename, so kill -9 anywhere leaves at most entries in `incoming`, which the next command clears.
public struct ImageStore: Sendable {
  /// `<state root>/images`.
  public let directory: String
  /// Whether layers that come are kept as they came too, so that `save` hands on their own digests.
  public var keepsBlobs = false

  var blobs: String { directory + "/blobs/sha256" }
  var layers: String { directory + "/layers" }
  var names: String { directory + "/names" }
  var merged: String { directory + "/merged" }
  var incoming: String { directory + "/incoming" }
  var locks: String { directory + "/locks" }

  /// - Parameter root: the state root that sandboxes share (`--root`).
  public init(root: String) { directory = root + "/images" }

  /// Makes the folders; what is there stays.
  public func prepare() throws(ImageError) {
    try system("cannot make the image store") { () throws(SystemError) in
      try File.makeDirectories(File.parent(of: directory) ?? "/", mode: 0o711)
      try File.makeDirectories(directory, mode: 0o700)
      for folder in [blobs, layers, merged, names, incoming, locks] { try File.makeDirectories(folder, mode: 0o700) }
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
