import CLinux
import Linux

/// The opened files of an image, which are what the store made: nobody else's metadata is ever given to the kernel.
struct ImageFiles: ~Copyable {
  let path: String
  /// The metadata first.
  private(set) var descriptors: [Int32] = []
  /// Whether a file was made so lately that it still is in memory.
  private(set) var isFresh = false
  /// Where the contents are (st_dev).
  private(set) var device: UInt64 = 0

  /// - Throws: `damaged` where a file is no regular file, somebody else's, or others may write it.
  init(_ mountable: MountableFiles) throws(ImageError) {
    path = mountable.metadata
    let now = Clock.realTime().seconds
    for file in [mountable.metadata] + mountable.devices {
      do throws(SystemError) {
        let opened = try File.open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        let status = try File.status("", at: opened.rawValue)
        descriptors.append(opened.release())
        device = UInt64(status.st_dev)
        guard File.kind(status) == S_IFREG, status.st_uid == Process.effectiveUser, status.st_mode & 0o022 == 0 else {
          throw SystemError("open", file, .accessDenied)
        }
        if now - Int64(status.st_mtim.tv_sec) < 60 { isFresh = true }
      } catch {
        let lost = error.errno == .accessDenied
        throw ImageError(
          .damaged,
          lost
            ? "\(file) is not as the image store made it (another owner, or others may write it): it is not mounted; pull the image again"
            : "the image store lacks a part: \(error); `immure image fsck` says what to pull again")
      }
    }
  }

  deinit { for descriptor in descriptors { _ = FileDescriptor(owning: descriptor) } }
}
