import ChildProcesses
import Foundation
import Testing

/// The kernel's files within a container: /dev nodes and /proc that the image replaced, masks, control groups, what the machine as a whole
/// obeys.
@Suite("The kernel's files", .enabled(if: Rig.canRun, Rig.whyNot), .timeLimit(.minutes(60)))
struct KernelFileTests {
  /// CVE-2025-31133: a masked file is covered by the null device. Without a /dev of the configuration's, the image's /dev/null would be
  /// bound there: a link to a file of /proc makes that file readable and writable at the masked path.
  /// Shown: with the check in ProtectedPaths.verifiedNull taken out, and links followed there, the image's file is read at the masked path.
  @Test("a mask is never made of the image's /dev/null", arguments: ["link", "file", "folder", "pipe", "other device"])
  func masks(_ kind: String) throws {
    let rig = try Rig()
    let bundle = try rig.bundle(["sh", "-c", "cat /proc/timer_list; echo x > /proc/timer_list"]) { configuration in
      configuration["mounts"] = [["destination": "/proc", "type": "proc", "source": "proc"]]
      configuration.change("linux") { $0["maskedPaths"] = ["/proc/timer_list"] }
    }
    let null = bundle + "/rootfs/dev/null"
    switch kind {
    case "link":
      try FileManager.default.createSymbolicLink(atPath: null, withDestinationPath: "/proc/sys/kernel/ostype")
    case "file": try "mine".write(toFile: null, atomically: false, encoding: .utf8)
    case "folder": try FileManager.default.createDirectory(atPath: null, withIntermediateDirectories: false)
    case "pipe": try #require(unsafe mkfifo(null, 0o666) == 0)
    // kmsg, 1:11.
    default: try #require(unsafe mknod(null, S_IFCHR | 0o666, 1 << 8 | 11) == 0)
    }
    let result = try rig.run("run", "--bundle", bundle, rig.newID(), seconds: 120)
    #expect(result.status == 1 && result.output == "", "\(result.output)")
    #expect(result.error.contains("/proc/timer_list") && result.error.contains("null"), "\(result.error)")
  }

  /// The masks of the configuration hold against every way to the file that a container has, also for its root.
  /// The last part shows it: without maskedPaths and readonlyPaths in the configuration the same program reads what it must not.
  @Test("masked and read-only paths hold")
  func protected() throws {
    let rig = try Rig()
    let script = """
      cat /proc/timer_list /proc/kcore /proc/self/root/proc/timer_list 2>&1; ls /sys/firmware;
      for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/irq/default_smp_affinity /proc/sys/vm/drop_caches; do
        (echo > $f) 2>/dev/null && echo ESCAPED $f
      done; /attack rewrite /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/self/root/proc/sys/kernel/core_pattern
      """
    // An empty line in core_pattern would be the machine's: the root of a user namespace of its own is asked, who may not even without
    // masks; the host's root writes back only what stands there.
    let mapped = try rig.box(["sh", "-c", script]) { $0.mapUsers() }
    #expect(
      mapped.status == 0 && !mapped.output.contains("ESCAPED") && !mapped.output.contains("Timer"), "\(mapped.output)")
    let own = try rig.box(["/attack", "rewrite", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe"])
    #expect(own.output.contains("core_pattern refused: Read-only file system"), "\(own.output)")
    #expect(!own.output.contains("ESCAPED"), "\(own.output)")
    let read = try rig.box(["cat", "/proc/timer_list", "/proc/keys", "/proc/self/root/proc/timer_list"])
    #expect(read.output == "", "\(read.output.prefix(200))")
    let bare = try rig.box(["cat", "/proc/timer_list", "/proc/keys"]) { configuration in
      configuration.change("linux") { linux in
        linux["maskedPaths"] = nil
        linux["readonlyPaths"] = nil
      }
    }
    #expect(bare.output != "", "there is nothing to mask here: \(bare.error)")
  }

  /// CVE-2025-52565: /dev/console and /dev/pts prepared by the image; the terminal is bound to /dev/console.
  /// Shown: with `noSymlinks` ignored in BoxRoot.find the terminal is put where the link leads, and the run succeeds.
  @Test("the console goes to no link of the image's", arguments: ["console", "pts"])
  func console(_ name: String) throws {
    let rig = try Rig()
    let canary = rig.path + "/canary"
    try "canary".write(toFile: canary, atomically: false, encoding: .utf8)
    let bundle = try rig.bundle(["cat", "/proc/self/mountinfo"]) { configuration in
      configuration.change("process") { $0["terminal"] = true }
      // A /dev of the image's own: a bind mount stands for it.
      configuration["mounts"] = (configuration["mounts"] as? [[String: Any]])?.filter { mount in
        let destination = mount["destination"] as? String
        return destination != "/dev" && (name == "console" || destination != "/dev/pts")
      }
    }
    let dev = bundle + "/rootfs/dev"
    if name == "console" {
      for target in ["/proc/sys/kernel/core_pattern", canary] {
        try? FileManager.default.removeItem(atPath: dev + "/console")
        try FileManager.default.createSymbolicLink(atPath: dev + "/console", withDestinationPath: target)
        let result = try terminal(rig, bundle)
        #expect(!result.output.contains("core_pattern") && result.status != 0, "\(result.output)")
        #expect(result.output.contains("/dev/console"), "\(result.output)")
      }
    } else {
      // A folder with a ptmx of the image's own, which is no terminal multiplexer.
      try FileManager.default.createDirectory(atPath: dev + "/pts", withIntermediateDirectories: false)
      try FileManager.default.createSymbolicLink(
        atPath: dev + "/pts/ptmx", withDestinationPath: "/proc/sys/kernel/core_pattern")
      #expect(try terminal(rig, bundle).status != 0)
      try FileManager.default.removeItem(atPath: dev + "/pts/ptmx")
      try "mine".write(toFile: dev + "/pts/ptmx", atomically: false, encoding: .utf8)
      let result = try terminal(rig, bundle)
      #expect(result.status != 0 && result.output.contains("not a devpts file system"), "\(result.output)")
    }
    #expect(try String(contentsOfFile: canary, encoding: .utf8) == "canary")
  }

  /// `run` on a terminal that script(1) makes.
  private func terminal(_ rig: Rig, _ bundle: String) throws -> Rig.Result {
    let words = rig.words(["run", "--bundle", bundle, rig.newID()]).joined(separator: " ")
    return try Rig.command(["/usr/bin/script", "-qec", words, "/dev/null"], input: .silence, seconds: 120)
  }

  /// CVE-2019-16884: a volume of the image's at /proc, or at a file of it, so that what is written there by the runtime goes nowhere.
  /// Shown: with the check of the file system's kind taken out of BoxMounts.place the second and third run.
  @Test("nothing is mounted into /proc")
  func mountsInProc() throws {
    let rig = try Rig()
    let source = rig.path + "/fake"
    try FileManager.default.createDirectory(atPath: source + "/attr", withIntermediateDirectories: true)
    try "".write(toFile: source + "/file", atomically: false, encoding: .utf8)
    for (place, from) in [
      ("/proc/self/attr", source), ("/proc/sys", source), ("/proc/self/status", source + "/file"), ("/way/sys", source),
    ] {
      let bundle = try rig.bundle(["true"]) { $0.mount(place, "bind", from, ["bind"]) }
      try FileManager.default.createSymbolicLink(atPath: bundle + "/rootfs/way", withDestinationPath: "/proc")
      let result = try rig.run("run", "--bundle", bundle, rig.newID())
      #expect(result.status == 1 && result.error.contains("/proc"), "\(place): \(result.error)")
    }
  }

  /// CVE-2025-52881: a sysctl goes to the kernel and not to what the image or a volume put at /proc.
  /// Shown: with Sysctl.write going through the root's /proc, and the check of its kind taken out, the volume's file is written.
  @Test("a sysctl is not written to a fake /proc")
  func sysctl() throws {
    let rig = try Rig()
    let fake = rig.path + "/fake"
    try FileManager.default.createDirectory(atPath: fake + "/sys/net/ipv4", withIntermediateDirectories: true)
    try "canary".write(toFile: fake + "/sys/net/ipv4/ip_default_ttl", atomically: false, encoding: .utf8)
    let bundle = try rig.bundle(["cat", "/proc/sys/net/ipv4/ip_default_ttl"]) { configuration in
      configuration["mounts"] = [["destination": "/proc", "type": "bind", "source": fake, "options": ["bind"]]]
      configuration.change("linux") { linux in
        linux["sysctl"] = ["net.ipv4.ip_default_ttl": "77"]
        linux["maskedPaths"] = nil
        linux["readonlyPaths"] = nil
      }
    }
    let result = try rig.run("run", "--bundle", bundle, rig.newID())
    // Refused or written to the kernel: never to the file.
    #expect(["canary", ""].contains(result.output), "\(result.output)\(result.error)")
    #expect(try String(contentsOfFile: fake + "/sys/net/ipv4/ip_default_ttl", encoding: .utf8) == "canary")
  }

  /// The same for `exec`, whose process file has an oom score: /proc is a folder that the container can write.
  /// Shown: with the score written by Confinement.enter, as it was, the container's file gets it.
  @Test("exec writes nothing to a fake /proc")
  func execution() throws {
    let rig = try Rig()
    let id = rig.newID()
    let bundle = try rig.bundle(["/attack", "wait"]) { configuration in
      configuration["mounts"] = []
      configuration.change("linux") { linux in
        linux["maskedPaths"] = nil
        linux["readonlyPaths"] = nil
      }
    }
    let own = bundle + "/rootfs/proc/self"
    try FileManager.default.createDirectory(atPath: own + "/attr", withIntermediateDirectories: true)
    for name in ["oom_score_adj", "attr/exec", "attr/current", "setgroups", "uid_map", "loginuid"] {
      try "canary".write(toFile: own + "/" + name, atomically: false, encoding: .utf8)
    }
    _ = try rig.begin(id, bundle)
    var process = try rig.configuration(["/bin/true"])["process"] as? [String: Any] ?? [:]
    process["oomScoreAdj"] = 500
    let file = rig.path + "/process.json"
    try JSONSerialization.data(withJSONObject: process).write(to: URL(fileURLWithPath: file))
    let result = try rig.run("exec", "--process", file, id)
    #expect(result.status == 0, "\(result.error)")
    for name in ["oom_score_adj", "attr/exec", "attr/current", "setgroups", "uid_map", "loginuid"] {
      #expect(try String(contentsOfFile: own + "/" + name, encoding: .utf8) == "canary", "\(name) was written")
    }
  }

  /// CVE-2022-0492, CVE-2023-25809: the container's groups are its own and, where the configuration says so, not to be written; a root
  /// group's files are not among them, and a hierarchy mounted anew is not to be had.
  /// Shown: with the attributes taken out of CgroupMount.bind the container's own limits are written, and its shell can fork no more.
  @Test("control groups: no release_agent, nothing to write", arguments: [false, true])
  func cgroups(_ isMapped: Bool) throws {
    let rig = try Rig()
    let script = """
      find /sys/fs/cgroup -name release_agent -o -name devices.allow -size +1 | grep release_agent && echo ESCAPED;
      for f in $(find /sys/fs/cgroup -name cgroup.procs -o -name tasks -o -name memory.limit_in_bytes -o -name pids.max); do
        (echo 0 > $f) 2>/dev/null && echo ESCAPED $f
      done
      mount -o remount,rw /sys/fs/cgroup 2>/dev/null && echo ESCAPED remount
      /attack release-agent; ls /sys/fs/cgroup
      """
    let result = try rig.box(["sh", "-c", script]) { configuration in
      if isMapped { configuration.mapUsers() }
      configuration.change("linux") { $0.change("resources") { $0["pids"] = ["limit": 100] } }
    }
    #expect(result.status == 0 && !result.output.contains("ESCAPED"), "\(result.output)\(result.error)")
    #expect(result.output.contains("pids") || result.output.contains("pids.max"), "\(result.output)")
  }
}
