import ChildProcesses
import Foundation
import Linux
import Testing

/// Fields that need something of the machine: a network device, a controller, a second CPU. Each is read back; where the machine has not
/// what it wants, the test says so by being skipped, or holds that the field is refused by its name.
@Suite("Fields that need something of the machine", .enabled(if: OCI.canRun, OCI.whyNot))
struct MachineFieldTests {
  private func set(_ configuration: inout [String: Any], _ part: String, _ values: [String: Any]) {
    var object = configuration[part] as? [String: Any] ?? [:]
    object.merge(values) { $1 }
    configuration[part] = object
  }

  /// In namespaces of the test's own, made by `prefix`, a shell command.
  private func run(
    _ prefix: [String] = [], _ script: String, _ change: (inout [String: Any]) -> Void
  ) throws -> OCI.Result {
    let oci = try OCI()
    let bundle = try oci.bundle(["sh", "-c", script], change)
    return try OCI.command(
      prefix + [oci.program, "--root", oci.path + "/state", "run", "--bundle", bundle, oci.newID()])
  }

  /// A device moves with its address, under another name, and the caller has it no more.
  @Test func netDevices() throws {
    let prefix = [
      "unshare", "-n", "sh", "-c",
      "ip link add immv0 type veth peer name immv1 && ip addr add 10.9.8.7/24 dev immv0 && \"$@\" && ! ip link show immv0 2>/dev/null && echo moved",
      "x",
    ]
    let result = try run(prefix, "busybox ip -o addr show dev moved0; busybox ip -o link show dev moved0") {
      set(&$0, "linux", ["netDevices": ["immv0": ["name": "moved0"]]])
    }
    #expect(
      result.output.contains("10.9.8.7/24") && result.output.contains(",UP") && result.output.hasSuffix("moved\n"),
      "\(result.output)\(result.error)")
    let none = try run([], "true") { set(&$0, "linux", ["netDevices": ["immure-none": [String: Any]()]]) }
    #expect(none.status != 0 && none.error.contains("linux.netDevices"), "\(none.error)")
  }

  /// What mountinfo(5) says of the root, where the host's mounts are shared.
  @Test(arguments: [
    ("shared", "shared:"), ("rshared", "shared:"), ("slave", "master:"), ("rslave", "master:"),
    ("unbindable", "unbindable"), ("private", ""),
  ])
  func rootfsPropagation(word: String, tag: String) throws {
    let prefix = ["unshare", "-m", "--propagation", "shared"]
    let result = try run(prefix, "busybox awk '$5 == \"/\" { print }' /proc/self/mountinfo") {
      set(&$0, "linux", ["rootfsPropagation": word])
    }
    let tags = (result.output.components(separatedBy: " - ").first ?? "").split(separator: " ").dropFirst(6)
    #expect(result.status == 0 && !result.output.isEmpty, "\(result.error)")
    #expect(tag.isEmpty ? tags.isEmpty : tags.contains { $0.hasPrefix(tag) }, "\(result.output)")
    // What the box mounts never reaches the host: it is no peer of the host's mount.
    if word.hasSuffix("shared") { #expect(tags.contains { $0.hasPrefix("master:") }, "\(result.output)") }
  }

  @Test(.enabled(if: ProcessInfo.processInfo.processorCount > 1, "wants two CPUs"))
  func execCPUAffinity() throws {
    let oci = try OCI()
    let id = oci.newID()
    _ = try oci.create(id, try oci.bundle(["sleep", "1000"]))
    #expect(try oci.run("start", id).status == 0)
    var process = try oci.configuration()["process"] as? [String: Any] ?? [:]
    process["args"] = ["busybox", "grep", "Cpus_allowed_list", "/proc/self/status"]
    process["env"] = ["PATH=/bin"]
    process["terminal"] = false
    process["execCPUAffinity"] = ["initial": "0", "final": "1"]
    let file = oci.path + "/process.json"
    try JSONSerialization.data(withJSONObject: process).write(to: URL(fileURLWithPath: file))
    let result = try oci.run("exec", "--process", file, id)
    #expect(result.output == "Cpus_allowed_list:\t1\n", "\(result.output)\(result.error)")
  }

  /// personality(2) is a process's own: who enters is asked anew.
  @Test(
    "a program that enters has the container's execution domain",
    .enabled(if: OCI.isX86, "wants a 64-bit machine of Intel's kind"))
  func personality() throws {
    let oci = try OCI()
    let id = oci.newID()
    _ = try oci.create(
      id, try oci.bundle(["sleep", "1000"]) { set(&$0, "linux", ["personality": ["domain": "LINUX32"]]) })
    #expect(try oci.run("start", id).status == 0)
    #expect(try oci.run("exec", id, "busybox", "uname", "-m").output == "i686\n")
  }

  private static let isLegacy = [.legacy, .hybrid].contains(CgroupLayout.detect().mode)
  private static func has(_ file: String) -> Bool { FileManager.default.fileExists(atPath: "/sys/fs/cgroup/" + file) }

  @Test(.enabled(if: isLegacy && has("cpu/cpu.rt_runtime_us"), "wants CONFIG_RT_GROUP_SCHED and version 1"))
  func realtime() throws {
    let result = try run([], "cat /sys/fs/cgroup/cpu/cpu.rt_runtime_us /sys/fs/cgroup/cpu/cpu.rt_period_us") {
      set(
        &$0, "linux",
        [
          "cgroupsPath": "/immure-rt-\(UUID().uuidString.prefix(8))",
          "resources": ["cpu": ["realtimeRuntime": 2000, "realtimePeriod": 900_000]],
        ])
    }
    #expect(result.output == "2000\n900000\n", "\(result.output)\(result.error)")
  }

  @Test(.enabled(if: isLegacy && has("blkio/blkio.bfq.io_serviced"), "wants BFQ and version 1"))
  func blockWeights() throws {
    let disk = try #require(
      try FileManager.default.contentsOfDirectory(atPath: "/sys/block").sorted().first, "no disk")
    let number = try String(contentsOfFile: "/sys/block/\(disk)/dev", encoding: .utf8).filter { $0 != "\n" }
    let parts = number.split(separator: ":").compactMap { Int($0) }
    func weights(_ resources: [String: Any]) throws -> OCI.Result {
      try run([], "cat /sys/fs/cgroup/blkio/blkio.bfq.weight") { set(&$0, "linux", ["resources": resources]) }
    }
    let plain = try weights(["blockIO": ["weight": 321]])
    #expect(plain.output.hasSuffix("321\n"), "\(plain.output)\(plain.error)")
    // A disk without BFQ takes no weight of its own: the kernel says so, and what it said is told.
    let device = try weights([
      "blockIO": ["weightDevice": [["major": parts[0], "minor": parts[1], "weight": 432]]]
    ])
    let isHeld = device.output.contains("\(number) 432")
    #expect(isHeld || device.status != 0 && device.error.contains("432"), "\(device.output)\(device.error)")
  }

  /// The controllers that no hierarchy of this machine has, mounted where nobody else sees them.
  @Test(.enabled(if: isLegacy && !has("net_cls/tasks") && !has("net_prio/tasks"), "wants version 1 without net_cls"))
  func networkClass() throws {
    let oci = try OCI()
    let hierarchies = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../EngineTests/hierarchies.sh").path
    let prefix = [
      "unshare", "-m", "--propagation", "private", "sh", "-c",
      """
      save='\(oci.path)/save'; mkdir "$save" && mount --rbind /sys/fs/cgroup "$save" && mount -t tmpfs x /sys/fs/cgroup || exit 70
      for d in "$save"/*/; do n=$(basename "$d"); mkdir /sys/fs/cgroup/$n && mount --bind "$d" /sys/fs/cgroup/$n; done
      for n in net_cls net_prio; do mkdir /sys/fs/cgroup/$n; mount -t cgroup -o $n x /sys/fs/cgroup/$n || exit 77; done
      "$@"; status=$?
      # A hierarchy with a group in it would stay with the machine, for everybody to see.
      for n in net_cls net_prio; do rmdir /sys/fs/cgroup/$n/immure; umount /sys/fs/cgroup/$n; done
      bash '\(hierarchies)'
      exit $status
      """, "x",
    ]
    let result = try run(prefix, "cd /sys/fs/cgroup; cat net_cls/net_cls.classid; cat net_prio/net_prio.ifpriomap") {
      set(
        &$0, "linux",
        ["resources": ["network": ["classID": 1_048_577, "priorities": [["name": "lo", "priority": 5]]]]])
    }
    // A kernel without them refuses the mount.
    if result.status == 77 { return }
    #expect(result.output.hasPrefix("1048577\n") && result.output.contains("lo 5"), "\(result.output)\(result.error)")
  }

  /// Where no hierarchy has the controller, the field is refused by the controller's name.
  @Test(
    .enabled(if: isLegacy), arguments: [("hugetlb", "hugepageLimits"), ("rdma", "rdma")])
  func absentControllers(controller: String, field: String) throws {
    let page = (try? FileManager.default.contentsOfDirectory(atPath: "/sys/kernel/mm/hugepages")) ?? []
    if controller == "hugetlb" && !page.contains("hugepages-2048kB") { return }
    let result = try run(
      [], "cat /sys/fs/cgroup/\(controller)/*2MB.limit_in_bytes /sys/fs/cgroup/\(controller)/rdma.max"
    ) {
      set(
        &$0, "linux",
        [
          "resources": controller == "rdma"
            ? ["rdma": ["mlx5_0": ["hcaHandles": 3]]]
            : ["hugepageLimits": [["pageSize": "2MB", "limit": 4 << 20]]]
        ])
    }
    if Self.has(controller + "/tasks") {
      #expect(controller == "rdma" || result.output.hasPrefix("\(4 << 20)\n"), "\(result.output)\(result.error)")
    } else {
      #expect(result.status != 0 && result.error.contains(controller), "\(result.output)\(result.error)")
    }
  }
}

extension OCI {
  static var isX86: Bool {
    #if arch(x86_64)
      true
    #else
      false
    #endif
  }
}
