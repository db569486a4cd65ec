import CLinux
public import Linux

/// What a tree takes on its disk: blocks, as du(1) counts them, each file once however many names it has. No link is followed and no
/// mount crossed, and what is removed meanwhile or may not be read is not
/// counted.
public struct DiskUse: Sendable, Equatable {
  public var bytes: Int64 = 0
  public var files: Int64 = 0

  public init() {}

  public static func + (a: DiskUse, b: DiskUse) -> DiskUse {
    var sum = a
    sum.bytes += b.bytes
    sum.files += b.files
    return sum
  }

  /// Of a file or a folder with all in it; nothing where there is none.
  public static func of(_ path: String) throws(SystemError) -> DiskUse {
    var use = DiskUse()
    do throws(SystemError) {
      let status = try File.status(path, followSymlinks: false)
      use.add(status)
      guard File.kind(status) == mode_t(S_IFDIR) else { return use }
      var walk = Walk(use: use)
      try walk.take(Folder(owning: try File.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)))
      return walk.use
    } catch  where error.errno == .noEntry { return use }
  }

  private mutating func add(_ status: stat) {
    // st_blocks counts units of 512 bytes (stat(3type)).
    bytes += Int64(status.st_blocks) * 512
    files += 1
  }

  private struct Walk {
    var use: DiskUse
    private var seen: Set<Identity> = []

    private struct Identity: Hashable {
      let device: UInt64
      let inode: UInt64
    }

    init(use: DiskUse) { self.use = use }

    mutating func take(_ top: borrowing Folder) throws(SystemError) {
      var waiting: [RelativePath] = [.root]
      while let path = waiting.popLast() {
        let folder: Folder
        do throws(SystemError) { folder = try top.folder(path) } catch
          where [.noEntry, .notDirectory, .crossDevice, .accessDenied].contains(error.errno)
        { continue }
        for name in try folder.names() {
          guard let status = try folder.fullStatus(name) else { continue }
          if File.kind(status) == mode_t(S_IFDIR) {
            waiting.append(path.appending(name))
          } else if status.st_nlink > 1 {
            let identity = Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
            if !seen.insert(identity).inserted { continue }
          }
          use.add(status)
        }
      }
    }
  }
}
