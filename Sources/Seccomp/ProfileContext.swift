/// What the conditions of Docker's profile dialect (`includes`, `excludes`) are asked about.
public struct ProfileContext: Sendable, Hashable {
  /// What the process will hold in its bounding set, as capget(2) numbers the bits.
  public var capabilities: UInt64
  /// The running kernel's version, as uname(2) has it.
  public var kernel: (major: UInt32, minor: UInt32)
  public var machine: Architecture

  public init(
    capabilities: UInt64 = 0, kernel: (major: UInt32, minor: UInt32) = (5, 11), machine: Architecture = .host
  ) {
    self.capabilities = capabilities
    self.kernel = kernel
    self.machine = machine
  }

  public static func == (one: Self, other: Self) -> Bool {
    one.capabilities == other.capabilities && one.kernel == other.kernel && one.machine == other.machine
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(capabilities)
    hasher.combine(kernel.major)
    hasher.combine(kernel.minor)
    hasher.combine(machine)
  }
}
