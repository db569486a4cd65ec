import ChildProcesses
import Foundation
import Linux
import Testing

/// What is left after kill -9 of a verb: `delete --force` clears it, with no process and no control group left over.
@Suite("Killed OCI verbs", .enabled(if: OCI.canRun, OCI.whyNot))
struct FaultTests {
  /// Every process of the machine whose root is the bundle's: those of the container, however they are named.
  static func processes(of bundle: String) -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    let end = "/" + (bundle as NSString).lastPathComponent + "/rootfs"
    return names.filter { Int($0) != nil }.filter { pid in
      // A process that has ended meanwhile has no mounts.
      let text = (try? String(contentsOfFile: "/proc/\(pid)/mountinfo", encoding: .utf8)) ?? ""
      return text.split(separator: "\n").contains { line in
        let fields = line.split(separator: " ")
        return fields.count > 4 && fields[4] == "/" && fields[3].hasSuffix(end)
      }
    }
  }

  static func groups(_ id: String) -> [String] {
    let result = try? OCI.command(["/usr/bin/find", "/sys/fs/cgroup", "-type", "d", "-name", "*\(id)*"])
    return result?.output.split(separator: "\n").map { String($0) } ?? []
  }

  /// The delays walk through the few milliseconds that the verb takes; which step each one meets is chance, and every step must be
  /// safe. `make test-all` takes many more.
  @Test("create and start killed at any moment", arguments: ["create", "start"])
  func killed(_ verb: String) throws {
    let oci = try OCI()
    let isWhole = ProcessInfo.processInfo.environment["IMMURE_TEST_ALL"] == "1"
    for round in 0..<(isWhole ? 200 : 16) {
      let id = oci.newID("k\(round)")
      let bundle = try oci.bundle(["sleep", "1000"])
      let words = [oci.program, "--root", oci.path + "/state"]
      var command = words + ["create", "--bundle", bundle, id]
      if verb == "start" {
        _ = try oci.create(id, bundle)
        command = words + ["start", id]
      }
      let delay = Double(round) * (isWhole ? 0.0004 : 0.004)
      _ = try OCI.command(["/usr/bin/timeout", "-s", "KILL", "\(delay + 0.0005)"] + command)
      if verb == "start", try oci.status(id) == "created" {
        // The container is not lost: it waits for the next one.
        #expect(try oci.run("start", id).status == 0)
      }
      let deleted = try oci.run("delete", "--force", id)
      #expect(deleted.status == 0, "\(deleted.error)")
      #expect(try oci.run("list", "-q").output == "")
      #expect(Self.groups(id) == [])
      let deadline = Date(timeIntervalSinceNow: 120)
      while !Self.processes(of: bundle).isEmpty && Date() < deadline { usleep(20_000) }
      #expect(Self.processes(of: bundle) == [])
    }
  }
}
