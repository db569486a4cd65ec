import ChildProcesses
import Foundation
import Linux
import Testing

/// Root filesystems whose links lead out of them. What each destination would reach on the host is a folder of the test's own, so that a
/// defence that was taken out shows there: with `BoxRoot.make` and `find` opening by path (without RESOLVE_IN_ROOT) the files below appear
/// in `outside`, and the mounts cover it.
@Suite("Hostile root filesystems under the OCI runtime", .enabled(if: OCI.canRun, OCI.whyNot))
struct HostileRootTests {
  private func attempt(
    _ script: String, plant: (_ root: String, _ outside: String) throws -> Void,
    _ change: (inout [String: Any]) -> Void
  ) throws -> (result: OCI.Result, outside: [String]) {
    let oci = try OCI()
    let id = oci.newID()
    let outside = oci.path + "/outside"
    try FileManager.default.createDirectory(atPath: outside, withIntermediateDirectories: true)
    let bundle = try oci.bundle(["sh", "-c", script], change)
    try plant(bundle + "/rootfs", outside)
    let result = try oci.run("run", "--bundle", bundle, id)
    return (result, try FileManager.default.contentsOfDirectory(atPath: outside))
  }

  private func link(_ place: String, to target: String) throws {
    try? FileManager.default.removeItem(atPath: place)
    try FileManager.default.createSymbolicLink(atPath: place, withDestinationPath: target)
  }

  /// A destination below a link to the host: what is made of it is made within the root.
  @Test func aMountPointIsNeverMadeOutside() throws {
    let (result, outside) = try attempt("cat /escape/place/passwd | wc -l") { root, outside in
      try link(root + "/escape", to: outside)
    } _: { configuration in
      let mounts = configuration["mounts"] as? [[String: Any]] ?? []
      configuration["mounts"] =
        mounts + [["destination": "/escape/place", "type": "bind", "source": "/etc", "options": ["rbind", "ro"]]]
    }
    #expect(outside.isEmpty, "\(outside)")
    // Within the root the link leads to a folder that is not there, and is made.
    #expect(result.status == 0 || result.error.contains("/escape/place"), "\(result.error)")
  }

  /// /proc, /sys and /dev that are links are refused: the kernel's own file systems are mounted where the box's path says and nowhere else
  /// (CVE-2019-19921, CVE-2023-27561). Without `noSymlinks` in `kernelPlace` the run succeeds.
  @Test(arguments: ["proc", "sys", "dev"])
  func aKernelFileSystemIsNotSentElsewhere(name: String) throws {
    let (result, outside) = try attempt("true") { root, _ in
      try FileManager.default.createDirectory(atPath: root + "/elsewhere", withIntermediateDirectories: true)
      try link(root + "/" + name, to: "/elsewhere")
    } _: { _ in
    }
    #expect(result.status != 0 && result.error.contains("/" + name), "\(result)")
    #expect(outside.isEmpty)
  }

  /// A masked path that is a link is masked where it leads within the root; the host's file of that name is not.
  @Test func aMaskedPathIsWithinTheRoot() throws {
    let (result, _) = try attempt("cat /etc/masked; echo end") { root, outside in
      try Data("host\n".utf8).write(to: URL(fileURLWithPath: outside + "/file"))
      try link(root + "/etc/masked", to: outside + "/file")
      try Data("box\n".utf8).write(to: URL(fileURLWithPath: root + "/etc/passwd"))
    } _: { configuration in
      var linux = configuration["linux"] as? [String: Any] ?? [:]
      linux["maskedPaths"] = ["/etc/masked", "/etc/passwd"]
      configuration["linux"] = linux
    }
    #expect(result.status == 0, "\(result.error)")
    #expect(result.output == "end\n")
  }

  /// Where the image's /dev/null is what masks would be made of, it must be the null device (CVE-2025-31133). Without the check in
  /// `verifiedNull` the masked file shows what the image put there.
  @Test func masksAreNeverMadeOfAnImagesFile() throws {
    let (result, _) = try attempt("cat /etc/secret") { root, _ in
      try Data("planted\n".utf8).write(to: URL(fileURLWithPath: root + "/dev/null"))
      try Data("secret\n".utf8).write(to: URL(fileURLWithPath: root + "/etc/secret"))
    } _: { configuration in
      var linux = configuration["linux"] as? [String: Any] ?? [:]
      linux["maskedPaths"] = ["/etc/secret"]
      configuration["linux"] = linux
      let mounts = configuration["mounts"] as? [[String: Any]] ?? []
      configuration["mounts"] = mounts.filter { !($0["destination"] as? String ?? "").hasPrefix("/dev") }
    }
    #expect(result.status != 0 && result.error.contains("not the null device"), "\(result)")
  }

  /// A setting is written through a /proc of the runtime's own (CVE-2019-16884, CVE-2025-52881): the image's file of that path, with
  /// nothing mounted over it, is not what is written. Written through the root's own /proc the image's file would have the value.
  @Test func settingsAreNotWrittenToAnImagesFile() throws {
    let (result, _) = try attempt("cat /proc/sys/net/ipv4/ip_forward") { root, _ in
      let folder = root + "/proc/sys/net/ipv4"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      try Data("planted\n".utf8).write(to: URL(fileURLWithPath: folder + "/ip_forward"))
    } _: { configuration in
      let mounts = configuration["mounts"] as? [[String: Any]] ?? []
      configuration["mounts"] = mounts.filter { $0["destination"] as? String != "/proc" }
      var linux = configuration["linux"] as? [String: Any] ?? [:]
      linux["sysctl"] = ["net.ipv4.ip_forward": "1"]
      linux["maskedPaths"] = [String]()
      linux["readonlyPaths"] = [String]()
      configuration["linux"] = linux
    }
    #expect(result.output == "planted\n", "\(result)")
  }

  /// tmpcopyup copies links as links: one to a file of the host leads nowhere new.
  @Test func copiesAreNotOfTheHost() throws {
    let (result, _) = try attempt("cat /data/link; ls /data") { root, outside in
      try Data("host\n".utf8).write(to: URL(fileURLWithPath: outside + "/file"))
      try FileManager.default.createDirectory(atPath: root + "/data", withIntermediateDirectories: true)
      try link(root + "/data/link", to: outside + "/file")
    } _: { configuration in
      let mounts = configuration["mounts"] as? [[String: Any]] ?? []
      configuration["mounts"] =
        mounts + [["destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]]]
    }
    #expect(result.output == "link\n", "\(result)")
  }
}
