public import Formats
import Linux

/// What the configuration says of how the program runs: scheduler, I/O priority, execution domain (config.md, "Scheduler", "I/O
/// Priority"; config-linux.md, "Personality"). Set while the capabilities for it are still held.
public struct ProcessTraits: Sendable, Equatable {
  public var scheduler: SchedulerConfiguration?
  public var ioPriority: IOPriorityConfiguration?
  public var personality: PersonalityConfiguration?
  /// CPUs, as `CPUList` has them.
  public var cpus: String?

  public init() {}
  public init(_ process: ProcessConfiguration, personality: PersonalityConfiguration?) {
    scheduler = process.scheduler
    ioPriority = process.ioPriority
    self.personality = personality
  }

  func apply() throws(SystemError) {
    if let cpus, let numbers = CPUList.numbers(cpus) { try Scheduling.setAffinity(numbers) }
    if let scheduler {
      try Scheduling.set(
        policy: scheduler.policy.rawValue, flags: scheduler.flags, nice: scheduler.nice, priority: scheduler.priority,
        runtime: scheduler.runtime, deadline: scheduler.deadline, period: scheduler.period)
    }
    if let ioPriority { try Scheduling.setIOPriority(kind: ioPriority.kind.rawValue, level: ioPriority.level) }
    if let personality { try Scheduling.setPersonality(personality.number) }
  }
}
