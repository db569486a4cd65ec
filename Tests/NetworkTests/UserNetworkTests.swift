import ChildProcesses
import Foundation
import Testing

private let isRoot = geteuid() == 0
private let hasPasta = FileManager.default.isExecutableFile(atPath: "/usr/bin/pasta")
private let hasSlirp4netns = FileManager.default.isExecutableFile(atPath: "/usr/bin/slirp4netns")

/// Real helpers between a box and a little Internet, all in namespaces of the test's own (rig.sh builds them).
@Suite(.serialized, .enabled(if: isRoot, "making the networks wants root"))
struct UserNetworkTests {
  /// What the rig printed: `details` before "ready", then an answer for each target.
  struct Seen {
    var details: [String: String] = [:]
    var answers: [String: String] = [:]
    var published: [String] = []
    var output = ""
  }

  private func run(user: Int, mode: String = "normal", _ arguments: [String] = []) throws -> Seen {
    let folder = FileManager.default.temporaryDirectory.path + "/immure-network-\(UUID().uuidString)"
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    defer {
      // What cannot be removed stays in the temporary folder.
      try? FileManager.default.removeItem(atPath: folder)
    }
    let own = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path
    let tools =
      ((try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) as NSString)
      .deletingLastPathComponent
    // The user that the rig becomes may not be able to look into the build's folder.
    let probe = folder + "/probe"
    try FileManager.default.copyItem(atPath: tools + "/NetworkProbe", toPath: probe)
    let output = try Finished.run(
      [
        "unshare", "-n", "-m", "--propagation", "private", "sh", own + "/rig.sh", probe, folder, "\(user)", mode,
      ] + arguments,
      environment: [
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "SERVE": own + "/serve.py",
        "ASK": own + "/ask.py", "LC_ALL": "C",
        "LD_LIBRARY_PATH": ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"] ?? "",
      ], isMerged: true, seconds: 120, killsAtOnce: true
    ).output
    var seen = Seen(output: output)
    var isPublished = false
    for line in output.split(separator: "\n") {
      if line == "published" { isPublished = true }
      let words = line.split(separator: " ", maxSplits: 1).map(String.init)
      if words[0].contains(":"), words.count == 2 {
        if isPublished { seen.published.append(String(line)) } else { seen.answers[words[0]] = words[1] }
      } else if let equals = line.firstIndex(of: "=") {
        seen.details[String(line[..<equals])] = String(line[line.index(after: equals)...])
      }
    }
    return seen
  }

  /// Refused by default: everything private, in whatever way it is asked for.
  private static let privateTargets = [
    "tcp:10.77.0.1:80", "tcp:10.77.0.2:1235", "tcp:127.0.0.1:1234", "tcp:169.254.169.254:80", "tcp:192.168.5.5:80",
    "tcp:172.16.3.3:80", "tcp:100.64.0.9:80", "tcp:198.18.0.1:1234", "tcp:198.18.0.2:1234", "udp:10.77.1.53:53",
    "device:10.77.0.1:80", "device:169.254.169.254:80", "device:10.77.0.2:1235", "frame:10.77.0.1:80",
  ]

  /// What is not as it must be: empty if the Internet is reached and nothing private is.
  private func faults(_ seen: Seen, helper: String) -> [String] {
    var faults: [String] = []
    func want(_ what: String, _ found: String?, _ wanted: String?) {
      if found != wanted { faults.append("\(what): \(found ?? "nothing"), not \(wanted ?? "nothing")") }
    }
    want("helper", seen.details["network.helper"], helper)
    want("stopped", seen.details["stopped"], "1")
    want("left", seen.details["left"], nil)
    want("the Internet", seen.answers["tcp:9.9.9.9:80"], "hello 10.77.0.2")
    want("names", seen.answers["udp:198.18.0.3:53"], "answer question")
    // The control: a frame made by hand does get out where it may.
    want("a frame", seen.answers["frame:9.9.9.9:80"], "SYN+ACK")
    for target in Self.privateTargets where seen.answers[target]?.hasPrefix("refused") != true {
      want(target, seen.answers[target], "refused")
    }
    return faults
  }

  @Test(.enabled(if: hasPasta, "pasta is not installed"), arguments: [0, 4321])
  func pastaReachesTheInternetAndNothingPrivate(user: Int) throws {
    let seen = try run(user: user)
    #expect(faults(seen, helper: "pasta") == [], "\(seen.output)")
  }

  @Test(.enabled(if: hasSlirp4netns, "slirp4netns is not installed"), arguments: [0, 4321])
  func slirp4netnsIsTakenWithoutPasta(user: Int) throws {
    let seen = try run(user: user, mode: "no-pasta")
    #expect(faults(seen, helper: "slirp4netns") == [], "\(seen.output)")
  }

  @Test(.enabled(if: hasPasta, "pasta is not installed"))
  func privateAddressesAnswerWhenTheyAreAllowed() throws {
    let seen = try run(user: 0, ["private"])
    for target in [
      "tcp:9.9.9.9:80", "tcp:10.77.0.1:80", "tcp:192.168.5.5:80", "tcp:172.16.3.3:80", "tcp:100.64.0.9:80",
    ] {
      #expect(seen.answers[target] == "hello 10.77.0.2", "\(target)")
    }
    // The host's loopback is not an address of any network.
    for target in ["tcp:127.0.0.1:1234", "tcp:198.18.0.2:1234"] {
      #expect(seen.answers[target]?.hasPrefix("refused") == true, "\(target)")
    }
  }

  @Test(.enabled(if: hasPasta, "pasta is not installed"), arguments: [0, 4321])
  func publishedPortsLeadIntoTheBox(user: Int) throws {
    let seen = try run(user: user, ["127.0.0.1:18080:8080", "18081:8080", "15353:5353/udp"])
    #expect(
      seen.published == [
        "tcp:127.0.0.1:18080 hello 198.18.0.1", "tcp:10.77.0.2:18081 hello 198.18.0.1",
        "udp:127.0.0.1:15353 answer question", "big:127.0.0.1:18080 same",
        // From outside: the port on every address, and not the one that is the loopback's.
        "tcp:10.77.0.2:18081 hello 198.18.0.1", "tcp:10.77.0.2:18080 refused [Errno 111] Connection refused",
      ], "\(seen.output)")
    #expect(seen.details["network.forwarder"] != nil)
    #expect(seen.details["stopped"] == "1" && seen.details["left"] == nil, "\(seen.output)")
  }

  @Test(arguments: [
    (0, "no-helper", [], "neither is in /usr/bin"), (4321, "no-helper", [], "neither is in /usr/bin"),
    (0, "no-route", [], "no default route"), (4321, "tun-0600", [], "/dev/net/tun may not be opened by this user"),
    (4321, "no-tun", [], "/dev/net/tun is missing"), (0, "hanging", [], "pasta was not ready within 2 s"),
    (0, "normal", ["127.0.0.1:1234:80"], "port 127.0.0.1:1234 cannot be published: another program has it"),
    (4321, "normal", ["127.0.0.1:80:80"], "port 127.0.0.1:80 cannot be published: ports below"),
    (0, "normal", ["8.8.8.8:8080:80"], "this host does not have that address"),
  ])
  func whatIsMissingIsNamedInOneLineAtOnce(user: Int, mode: String, ports: [String], message: String) throws {
    let start = ContinuousClock.now
    let seen = try run(user: user, mode: mode, ports)
    #expect(seen.output.contains(message), "\(seen.output)")
    #expect(seen.output.split(separator: "\n").count == 1, "\(seen.output)")
    #expect(ContinuousClock.now - start < .seconds(50), "it waited for a helper that hangs for a minute")
  }
}
