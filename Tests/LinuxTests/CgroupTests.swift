import Linux
import Synchronization
import Testing

import class Dispatch.DispatchSemaphore
import class Foundation.Thread

@Suite struct CgroupTests {
  @Test func membershipReadsEveryVersion() {
    let text = """
      9:name=systemd:/
      4:memory:/process_api/55c6
      3:cpu,cpuacct:/a:b
      0::/user.slice/x
      nonsense
      5:pids:relative
      """
    let membership = CgroupMembership(text: text)
    #expect(membership.unified == "/user.slice/x")
    #expect(membership.legacy["memory"] == "/process_api/55c6")
    #expect(membership.legacy["cpu"] == "/a:b")
    #expect(membership.legacy["cpuacct"] == "/a:b")
    #expect(membership.legacy["name=systemd"] == "/")
    #expect(membership.legacy["pids"] == nil)
  }

  @Test func ownMembershipIsThere() throws {
    let membership = try CgroupMembership.of()
    #expect(membership.unified != nil || !membership.legacy.isEmpty)
  }

  private var limits: CgroupLimits {
    var limits = CgroupLimits()
    limits.memory = 1 << 28
    limits.memoryAndSwap = 1 << 29
    limits.pids = -1
    limits.cpuShares = 1024
    limits.cpuQuota = 50_000
    limits.cpus = "0-1"
    limits.throttles = [CgroupLimits.Throttle(kind: .readBytes, major: 8, minor: 0, rate: 1_000_000)]
    limits.devices = [CgroupLimits.DeviceRule(allow: false, text: "a *:* rwm")]
    return limits
  }

  @Test func legacySettings() {
    let settings = limits.legacySettings.map { "\($0.file)=\($0.value)" }
    #expect(
      settings == [
        "memory.limit_in_bytes=268435456", "memory.memsw.limit_in_bytes=536870912", "pids.max=max",
        "cpu.shares=1024", "cpu.cfs_quota_us=50000", "cpuset.cpus=0-1",
        "blkio.throttle.read_bps_device=8:0 1000000", "devices.deny=a *:* rwm",
      ])
  }

  @Test func unifiedSettings() {
    let settings = limits.unifiedSettings.map { "\($0.file)=\($0.value)" }
    #expect(
      settings == [
        "memory.max=268435456", "memory.swap.max=268435456", "pids.max=max", "cpu.weight=39",
        "cpu.max=50000 100000", "cpuset.cpus=0-1", "io.max=8:0 rbps=1000000",
      ])
  }

  @Test func limitsNeedTheirControllersOnly() {
    var limits = CgroupLimits()
    #expect(limits.controllers.isEmpty)
    limits.pids = 5
    #expect(limits.controllers == [.pids])
    #expect(self.limits.controllers == [.memory, .pids, .cpu, .cpuset, .blkio, .devices])
  }

  /// The conversion's ends and Docker's default, as runc and crun have them.
  @Test(arguments: [(2, 1), (1024, 39), (262_144, 10_000), (0, 1), (.max, 10_000)] as [(UInt64, UInt64)])
  func weight(shares: UInt64, weight: UInt64) {
    #expect(CgroupLimits.weight(shares: shares) == weight)
  }

  @Test func placesOnPaper() {
    let group = Cgroup(places: [
      Cgroup.Place(controller: .memory, path: "/sys/fs/cgroup/memory/immure/x"),
      Cgroup.Place(controller: nil, path: "/sys/fs/cgroup/unified/immure/x=y"),
    ])
    #expect(Cgroup(text: group.text) == group)
    #expect(Cgroup(text: "memory=relative\nnope=/x\n=\n").places.isEmpty)
  }
}

private let canMakeGroups = Cgroup.canMake(.pids) && Cgroup.canMake(.memory)

/// Real groups under names of this process's own, removed at the end of each test.
@Suite(.enabled(if: canMakeGroups, "wants writable pids and memory control groups"))
struct CgroupOnThisMachineTests {
  @Test func makesLimitsAndRemoves() throws {
    let name = "linux-tests-\(Process.id)"
    var limits = CgroupLimits()
    limits.memory = 64 << 20
    limits.pids = 7
    let group = try Cgroup.create(name, limits: limits)
    defer { try? group.remove() }
    #expect(group.number(.memory, legacy: "memory.limit_in_bytes", unified: "memory.max") == 64 << 20)
    #expect(group.number(.pids, legacy: "pids.max", unified: "pids.max") == 7)
    #expect(group.memoryKills() == 0)
    #expect(try group.processes().isEmpty)
    // What a killed command leaves is found by the name alone.
    #expect(Set(Cgroup.leftovers(name).places.map(\.path)) == Set(group.places.map(\.path)))
    try Cgroup.leftovers(name).removeKilling()
    #expect(Cgroup.leftovers(name).places.isEmpty)
    // Removing what is gone is no error.
    try group.remove()
  }

  @Test(
    arguments: [
      (-1, nil), (0, nil), (16 << 20, 12 << 20), (32 << 20, 24 << 20), (48 << 20, 40 << 20), (128 << 20, 112 << 20),
      (1 << 30, 992 << 20),
    ] as [(Int64, Int64?)])
  func shareOfGuests(limit: Int64, share: Int64?) { #expect(CgroupParts.share(of: limit) == share) }

  @Test func leavesNothingWhenALimitIsRefused() throws {
    let name = "linux-tests-bad-\(Process.id)"
    var limits = CgroupLimits()
    limits.pids = 7
    limits.cpus = "4000-5000"
    #expect(throws: SystemError.self) { _ = try Cgroup.create(name, limits: limits) }
    #expect(Cgroup.leftovers(name).places.isEmpty)
  }

  /// Two commands that clear one sandbox up: a group that the other removes between open and read has nobody in it.
  @Test func goesWhileItIsRead() throws {
    let name = "linux-tests-gone-\(Process.id)"
    var limits = CgroupLimits()
    limits.pids = 7
    let group = try Cgroup.create(name, limits: limits)
    let path = try #require(group.places.first).path
    defer { try? group.remove() }
    // A thread of its own: one of a pool's may not come to run before this one is through.
    let remover = Remover(of: path)
    defer { remover.stop() }
    // Gone as often as there, for as long as it takes to meet both many times.
    var (gone, there) = (0, 0)
    while gone < 500 || there < 500 {
      do throws(SystemError) { try group.killAll() } catch { Issue.record("\(error)") }
      do throws(SystemError) {
        _ = try group.processes()
        there += 1
      } catch {
        gone += 1
        #expect(error.errno == .noEntry)
      }
    }
  }

  /// Removes a group and makes it again, until it is stopped; then it is there.
  private final class Remover: Sendable {
    private let isStopping = Atomic(false)
    private let hasEnded = DispatchSemaphore(value: 0)

    init(of path: String) {
      Thread.detachNewThread { [self] in
        while !isStopping.load(ordering: .relaxed) {
          try? File.removeDirectory(path)
          try? File.makeDirectory(path)
        }
        hasEnded.signal()
      }
    }

    func stop() {
      isStopping.store(true, ordering: .relaxed)
      hasEnded.wait()
    }
  }

  @Test func freezesAndKills() throws {
    let name = "linux-tests-kill-\(Process.id)"
    var limits = CgroupLimits()
    limits.pids = 16
    let group = try Cgroup.create(name, limits: limits)
    defer {
      try? group.removeKilling()
      try? CgroupFreezer.removeLeftovers(name)
    }
    let sleeper = try Process.spawn("/bin/sleep", arguments: ["sleep", "60"], environment: [], descriptors: [])
    try group.join(pid: sleeper.pid)
    #expect(try group.processes() == [sleeper.pid])
    let freezer = try CgroupFreezer.prepare(for: group, name: name)
    try freezer.freeze { () throws(SystemError) in try group.processes() }
    #expect(try freezer.isFrozen())
    try freezer.thaw()
    try group.killAll()
    #expect(try sleeper.wait() == .signaled(9))
  }
}
