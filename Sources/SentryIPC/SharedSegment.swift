import CLinux
public import Linux
import SentryABI

/// include/uapi/linux/shm.h.
public enum SegmentLimits {
  /// SHMMNI and SHMMAX.
  public static let segments = 4096
  public static let size: UInt64 = .max - (1 << 24)
}

/// A segment of shared memory (shmget(2)): one of the host's, in the namespace that sentry and guests share, so that the host's kernel counts
/// who has it attached, through every fork, exec and end. Whose it is and who may attach it is for the sentry: on the host all guests
/// are one user.
public final class SharedSegment: IPCObject {
  /// What the host knows of it (struct shmid64_ds).
  public struct Facts: Equatable, Sendable {
    public let attached: Int64
    public let detached: Int64
    /// By the sentry's numbers.
    public let lastProcess: Int32
    public let attachments: UInt64
  }
  public var permissions: IPCPermissions
  /// Bytes.
  public let size: UInt64
  public let creator: Int32
  public var changed: Int64
  let id: Int32

  /// - Returns: it and its identifier, the host's.
  /// - Throws: what the host says: EINVAL of the size, ENOMEM, ENOSPC.
  public static func make(
    size: UInt64, flags: Int32, _ permissions: IPCPermissions, creator: Int32, now: Int64
  ) throws(Errno) -> (SharedSegment, Int32) {
    guard let bytes = UInt(exactly: size) else { throw .invalid }
    let noReserve: Int32 = 0o10000
    let result = systemCall(Int(SYS_shmget), 0, bytes, word(flags & noReserve | 0o1700))
    if result < 0 { throw Errno(rawValue: Int32(truncatingIfNeeded: -result)) }
    let id = Int32(truncatingIfNeeded: result)
    return (SharedSegment(id, size, permissions, creator, now), id)
  }

  private init(_ id: Int32, _ size: UInt64, _ permissions: IPCPermissions, _ creator: Int32, _ now: Int64) {
    self.id = id
    self.size = size
    self.permissions = permissions
    self.creator = creator
    changed = now
  }

  /// With its namespace (shm_exit_ns, ipc/shm.c).
  deinit { if permissions.mode & Self.isRemoved == 0 { remove() } }

  /// SHM_DEST.
  private static let isRemoved: UInt32 = 0o1000

  /// - Returns: nil where the host has it no more: it was removed, and the last who had it attached is gone.
  public var facts: Facts? {
    var bytes = [UInt8](repeating: 0, count: 112)
    let stat: UInt = 2
    // SAFETY: the kernel fills a struct shmid64_ds, 112 bytes (asm-generic/shmbuf.h), of the array.
    let result = unsafe bytes.withUnsafeMutableBytes {
      systemCall(Int(SYS_shmctl), word(id), stat, UInt(bitPattern: $0.baseAddress))
    }
    guard result == 0 else { return nil }
    return Facts(
      attached: Int64(bitPattern: bytes.little64(56)), detached: Int64(bitPattern: bytes.little64(64)),
      lastProcess: Int32(bitPattern: bytes.little32(84)), attachments: bytes.little64(88))
  }

  /// IPC_RMID: it goes with the last who has it attached.
  public func remove() {
    // There is nobody else who could have removed it.
    _ = systemCall(Int(SYS_shmctl), word(id), 0, 0)
    permissions.mode |= Self.isRemoved
  }
}

extension IPCTable<SharedSegment> {
  /// As `find`, but for one that the host has let go of.
  public func findLiving(_ id: Int32) throws(Errno) -> (segment: SharedSegment, facts: SharedSegment.Facts) {
    let segment = try find(id)
    guard let facts = segment.facts else {
      remove(id)
      throw .invalid
    }
    return (segment, facts)
  }

  /// Lets go of those that the host has let go of.
  public func prune() {
    for id in hidden {
      // Who finds one that is gone takes it out.
      do throws(Errno) { _ = try findLiving(id) } catch {}
    }
  }
}
