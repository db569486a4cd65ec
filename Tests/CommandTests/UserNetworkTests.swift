import ChildProcesses
import Foundation
import Testing

private let hasPasta = FileManager.default.isExecutableFile(atPath: "/usr/bin/pasta")

/// `--network user` and -p as a user types them, behind the walls that have it, in namespaces of the test's own (network.sh builds them).
/// The network itself, with its helpers and what can be missing, is NetworkTests' matter.
@Suite(
  .serialized, .enabled(if: Immure.isRoot && Immure.isBuilt && hasPasta, "wants root, pasta and IMMURE_BIN with immure")
)
struct UserNetworkTests {
  private func run(_ wall: String, user: Int) throws -> [String] {
    let folder = FileManager.default.temporaryDirectory.path + "/immure-net-\(UUID().uuidString.prefix(8))"
    let work = folder + "/work"
    try FileManager.default.createDirectory(
      atPath: work, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    defer {
      // What cannot be removed stays in the temporary folder.
      try? FileManager.default.removeItem(atPath: folder)
    }
    let own = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let tools = own.deletingLastPathComponent().path + "/NetworkTests"
    // The user that the script becomes may not be able to look into the sources.
    for name in ["ask.py", "serve.py"] {
      try FileManager.default.copyItem(atPath: tools + "/" + name, toPath: folder + "/" + name)
    }
    _ = try Immure.command(["chmod", "-R", "a+rX", folder])
    let seen = try Finished.run(
      [
        "unshare", "-n", "-m", "--propagation", "private", "sh", own.path + "/network.sh", folder, work, "\(user)",
        Caller.executable, "--wall", wall,
      ],
      environment: [
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
        "LD_LIBRARY_PATH": ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"] ?? "",
      ], isMerged: true, seconds: 120, killsAtOnce: true)
    return seen.output.split(separator: "\n").map(String.init)
  }

  @Test(arguments: [("container", 0), ("container", 4321), ("sentry", 0), ("sentry", 4321)])
  func theInternetIsReachedAndNothingPrivate(wall: String, user: Int) throws {
    let seen = try run(wall, user: user)
    func answer(_ target: String) -> String? {
      seen.first { $0.hasPrefix(target + " ") }.map { String($0.dropFirst(target.count + 1)) }
    }
    #expect(answer("tcp:9.9.9.9:80") == "hello 10.77.0.2", "\(seen)")
    #expect(answer("udp:198.18.0.3:53") == "answer question", "\(seen)")
    for target in [
      "tcp:10.77.0.1:80", "tcp:10.77.0.2:1235", "tcp:127.0.0.1:1234", "tcp:169.254.169.254:80", "tcp:192.168.5.5:80",
      "tcp:198.18.0.1:1234", "tcp:198.18.0.2:1234", "udp:10.77.1.53:53",
    ] {
      #expect(answer(target)?.hasPrefix("refused") == true, "\(target): \(answer(target) ?? "nothing")")
    }
    // What programs see of it: the resolver, addresses and routes by netlink, /proc, and that nothing of it can be changed.
    for line in [
      "nameserver 198.18.0.3", "eth0@if2         UP             198.18.0.100/32 ",
      "default via 198.18.0.1 dev eth0 onlink ", "RTNETLINK answers: Operation not permitted", "eth0",
    ] {
      #expect(seen.contains(line), "\(line): \(seen)")
    }
    let published = seen.drop { $0 != "published" }.dropFirst()
    #expect(
      published == [
        "tcp:127.0.0.1:18080 hello 198.18.0.1", "tcp:10.77.0.2:18081 hello 198.18.0.1",
        "udp:127.0.0.1:15353 answer question", "big:127.0.0.1:18080 same", "tcp:10.77.0.2:18081 hello 198.18.0.1",
        "tcp:10.77.0.2:18080 refused [Errno 111] Connection refused", "served", "ended 137",
      ], "\(seen)")
  }
}
