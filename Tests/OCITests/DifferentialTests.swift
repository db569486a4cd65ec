import ChildProcesses
import Foundation
import Testing

/// The same generated configurations through Debian's runc and crun and ours: what a probe inside sees is the same, but for what
/// Fixtures/differential.json explains (Fixtures/differential.py).
@Suite(
  "Beside runc and crun",
  .enabled(if: OCI.canRun && OtherRuntimes.found.count == 2, "wants root, runc, crun, python3"))
struct DifferentialTests {
  @Test("generated configurations look alike from inside")
  func alike() throws {
    let oci = try OCI()
    let isWhole = ProcessInfo.processInfo.environment["IMMURE_TEST_ALL"] == "1"
    let seed = UInt32.random(in: 0...UInt32.max)
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Fixtures/differential.py").path
    // crun takes no hybrid host: in this mount namespace the machine has version 1 only.
    let result = try OCI.command(
      [
        "unshare", "-m", "--propagation", "private", "sh", "-c",
        "if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi; exec \"$@\"", "x",
        "python3", script, "\(seed)", isWhole ? "300" : "8", oci.path + "/differential", OCI.busybox ?? "",
        "immure=\(oci.program)",
      ] + OtherRuntimes.found.map { "\($0.name)=\($0.path)" }, seconds: isWhole ? 1200 : 120)
    #expect(result.status == 0, "seed \(seed): \(result.output.suffix(4000)) \(result.error.suffix(1000))")
    #expect(result.output.contains("0 differences without explanation"))
  }
}

/// Debian's runtimes.
enum OtherRuntimes {
  static let found = ["runc", "crun"].compactMap { name in
    ["/usr/sbin/", "/usr/bin/", "/usr/local/sbin/", "/usr/local/bin/"].map { $0 + name }
      .first { FileManager.default.isExecutableFile(atPath: $0) }.map { (name: name, path: $0) }
  }
}
