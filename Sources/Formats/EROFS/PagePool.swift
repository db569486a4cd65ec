/// Where pages come from once a tree's tables have outgrown memory: a file, as a rule. The pure side asks, the caller makes the system calls.
public protocol PageSpill: AnyObject {
  /// So many bytes that nobody else has, aligned to 64. They stay where they are as long as the spill does.
  func take(_ bytes: Int) throws(FormatError) -> UnsafeMutableRawPointer
  /// Lets go of what is in memory of all that was taken; no byte of it is lost.
  func relax()
}

/// The memory of a tree's tables, in pages that never move: up to a bound this process's own, beyond it a spill's.
@safe public final class PagePool: @unchecked Sendable {
  // SAFETY (of Sendable): only the tree that it was made for uses it, which is used by one thread at a time.
  /// What a million entries with names of usual lengths take.
  public static let defaultLimit = 100 << 20

  private let limit: Int
  private let spill: (any PageSpill)?
  private var taken = 0
  private var spilled = 0
  private var steps = 0
  /// How much may come back into memory before it is let go again, in bytes taken and in steps of a walk.
  private static let slack = 8 << 20
  private static let stride = 1 << 16

  /// Without a spill all memory is this process's.
  public init(limit: Int = PagePool.defaultLimit, spill: (any PageSpill)? = nil) {
    self.limit = limit
    self.spill = spill
  }

  /// A page, aligned to 64; `isOwn` where the caller is to free it.
  func page(_ bytes: Int) throws(FormatError) -> (start: UnsafeMutableRawPointer, isOwn: Bool) {
    guard let spill, taken + bytes > limit else {
      taken += bytes
      return unsafe (own(bytes), true)
    }
    spilled += bytes
    if spilled >= Self.slack {
      spilled = 0
      spill.relax()
    }
    // SAFETY: nobody else has these bytes, and they stay as long as the spill, which this value holds.
    return unsafe (try spill.take(bytes), false)
  }

  /// A page in memory whatever there is, not counted.
  func own(_ bytes: Int) -> UnsafeMutableRawPointer { .allocate(byteCount: bytes, alignment: 64) }

  /// Called for each element by walks over whole tables, which would bring all of the spill back into memory.
  @inline(__always)
  func step() {
    steps += 1
    if steps & (Self.stride - 1) == 0 { relax() }
  }

  private func relax() { if taken + Self.slack > limit { spill?.relax() } }
}
