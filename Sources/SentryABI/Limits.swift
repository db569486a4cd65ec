/// The limits of a process (getrlimit(2)), by the numbers of asm-generic/resource.h.
public struct Limits: Equatable, Sendable {
  public struct Pair: Equatable, Sendable, BitwiseCopyable {
    public var soft: UInt64
    public var hard: UInt64
    public init(soft: UInt64, hard: UInt64) {
      self.soft = soft
      self.hard = hard
    }
  }
  public static let infinity = UInt64.max
  public static let cpu: Int32 = 0
  public static let fileSize: Int32 = 1
  public static let data: Int32 = 2
  public static let stack: Int32 = 3
  public static let core: Int32 = 4
  public static let processes: Int32 = 6
  public static let descriptors: Int32 = 7
  public static let lockedMemory: Int32 = 8
  public static let addressSpace: Int32 = 9
  public static let pendingSignals: Int32 = 11
  public static let niceness: Int32 = 13
  public static let realTimePriority: Int32 = 14
  /// RLIM_NLIMITS.
  public static let count: Int32 = 16

  private var pairs: [Pair]

  /// What Linux gives its first process (INIT_RLIMITS), with the numbers of descriptors and processes that programs meet under systemd.
  public init() {
    pairs = [Pair](repeating: Pair(soft: Self.infinity, hard: Self.infinity), count: Int(Self.count))
    self[Self.stack] = Pair(soft: 8 << 20, hard: Self.infinity)
    self[Self.core] = Pair(soft: 0, hard: Self.infinity)
    self[Self.descriptors] = Pair(soft: 1024, hard: 524_288)
    self[Self.lockedMemory] = Pair(soft: 8 << 20, hard: 8 << 20)
    self[12] = Pair(soft: 819_200, hard: 819_200)
    self[Self.niceness] = Pair(soft: 0, hard: 0)
    self[Self.realTimePriority] = Pair(soft: 0, hard: 0)
  }

  /// - Parameter kind: RLIMIT_*; one that isn't there has no bound and takes none.
  public subscript(kind: Int32) -> Pair {
    get { kind >= 0 && kind < Self.count ? pairs[Int(kind)] : Pair(soft: Self.infinity, hard: Self.infinity) }
    set { if kind >= 0 && kind < Self.count { pairs[Int(kind)] = newValue } }
  }
}
