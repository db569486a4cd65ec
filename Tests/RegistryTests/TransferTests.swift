import Foundation
import Testing

/// Downloads that are cut, held up, refused for now, or begun by an earlier command (Fixtures/registry.py), and where an image is asked for.
@Suite(.enabled(if: FrontCommand.isBuilt, FrontCommand.whyNot), .whileTheSuiteRuns)
struct TransferTests {
  let front = FrontCommand()
  let server: Server

  init() throws { server = try Server(["python3", Server.fixture("registry.py")]) }

  private var place: String { "127.0.0.1:\(server.announced)" }

  private func environment(_ configuration: String) throws -> [String: String] {
    let path = front.scratch.path + "/registries.conf"
    try configuration.write(toFile: path, atomically: true, encoding: .utf8)
    return ["PATH": "/usr/bin:/bin", "HOME": front.scratch.path, "CONTAINERS_REGISTRIES_CONF": path]
  }

  @Test(arguments: [
    // What it is asked to leave alone for an hour is not waited for.
    ("limited", "has had too many requests (pull rate limit): try again in 3600 seconds"),
    ("stall", "has sent nothing for 1 seconds"),
    ("trickle", " for 1 seconds"),
    ("length", "announces 300322 bytes of the layer"),
    // A registry that never has enough of tokens is asked for two at most.
    ("always401", "there is no such image, or it wants to know who asks"),
    ("artifact", "is an artifact, not an image"),
    ("foreign", "is a foreign (non-distributable) layer"),
    ("sha512", "is a digest of an algorithm that is not supported; only sha256 is"),
  ]) func isOneClearError(_ mode: String, _ words: String) throws {
    // Who is not waited for must be slow by itself, not for want of a processor.
    let patience = mode == "stall" || mode == "trickle" ? "1" : "300"
    let result = try front("pull", "--quiet", "--retry", "0", "--stall-timeout", patience, place + "/" + mode)
    #expect(result.status == 1)
    #expect(result.error.contains(words), "\(result.error)")
    #expect(result.error.split(separator: "\n").count == 1, "\(result.error)")
    #expect(front.entries("names").isEmpty && front.entries("layers").isEmpty)
    if mode == "always401" {
      #expect(try server.end().split(separator: "\n").count { $0.hasPrefix("token") } == 1)
    }
  }

  @Test func tooManyRequestsAreWaitedFor() throws {
    let result = try front("pull", place + "/busy")
    #expect(result.status == 0, "\(result.error)")
  }

  /// A token that ends in the middle of a layer is got anew, and the layer goes on where it was.
  @Test func tokensAreRenewedInTheMiddle() throws {
    let result = try front("pull", place + "/expiring")
    #expect(result.status == 0, "\(result.error)")
    let seen = try server.end().split(separator: "\n")
    #expect(seen.count { $0 == "token for repository:expiring:pull" } == 2, "\(seen)")
    #expect(seen.contains { $0.hasPrefix("range bytes=") }, "\(seen)")
    #expect(seen.contains { $0.hasSuffix("Bearer t2") }, "\(seen)")
  }

  /// A tag that means another image each time: the one that came first is the image, nothing of the other is mixed in.
  @Test func aRegistryThatChangesItsMind() throws {
    #expect(try front("pull", place + "/mind").status == 0)
    let first = try front("images", "--format", "json").output
    #expect(try front("pull", place + "/mind").status == 0)
    let second = try front("images", "--format", "json").output
    #expect(first != second && front.entries("layers").count == 1)
  }

  @Test func goesOnWhereAnEarlierCommandWasCutOff() throws {
    let cut = try front("pull", "--retry", "0", place + "/big")
    #expect(cut.status == 1 && cut.error.contains("closes the connection"), "\(cut.error)")
    let part = front.entries("partial")
    try #require(part.count == 1)
    #expect(front.entries("layers").isEmpty)
    let path = front.store + "/partial/" + part[0]
    let size = try #require(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
    #expect(size > 0 && size <= 2_000_000)

    // What is kept is believed no more than what comes: changed, it is refused, and gone.
    let kept = try Data(contentsOf: URL(fileURLWithPath: path))
    let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    try handle.seek(toOffset: UInt64(size / 2))
    try handle.write(contentsOf: Data([kept[size / 2] ^ 1]))
    try handle.close()
    let changed = try front("pull", place + "/big")
    #expect(changed.status == 1 && changed.error.contains("refused"), "\(changed.error)")
    #expect(front.entries("partial").isEmpty && front.entries("layers").isEmpty)

    try kept.write(to: URL(fileURLWithPath: path))
    let whole = try front("pull", place + "/big")
    #expect(whole.status == 0, "\(whole.error)")
    #expect(whole.error.contains("\(size) bytes were here already"), "\(whole.error)")
    #expect(front.entries("partial").isEmpty)
    #expect(try server.end().split(separator: "\n").suffix(1) == ["range bytes=\(size)-"])
  }

  /// kill -9 in the middle of a download leaves its part to the next command, and nothing else.
  @Test func aKilledDownloadGoesOn() throws {
    try front.shell(
      """
      '\(FrontCommand.path)' --root '\(front.root)' pull -q \(place)/held & command=$!
      until part=$(ls root/images/partial/* 2>/dev/null) && [ "$(stat -c %s $part)" -gt 1000000 ]; do kill -0 $command; done
      kill -9 $command
      wait $command || :
      """)
    let result = try front("pull", "\(place)/held")
    #expect(result.status == 0 && result.error.contains("bytes were here already"), "\(result.error)")
    for folder in ["partial", "incoming", "locks"] { #expect(front.entries(folder).isEmpty) }
    #expect(try server.end().contains("range bytes="))
  }

  /// A link where the part should be leads nowhere (the store is the user's own; the guard is for a store that somebody else wrote to).
  @Test func aPartIsNoLink() throws {
    #expect(try front("pull", "--retry", "0", place + "/big").status == 1)
    let part = try #require(front.entries("partial").first)
    try front.shell(
      "echo victim > victim && rm root/images/partial/\(part) && ln -s $PWD/victim root/images/partial/\(part)")
    #expect(try front("pull", place + "/big").status == 0)
    #expect(try front.shell("cat victim") == "victim\n")
  }

  @Test(.enabled(if: FrontCommand.isRoot, FrontCommand.notRoot)) func aFullDiskIsSaidToBeFull() throws {
    let result = try FrontCommand.run(
      [
        "unshare", "-m", "bash", "-c",
        "mkdir -p small && mount -t tmpfs -o size=1m none small && \(FrontCommand.path) --root $PWD/small/root pull --quiet \(place)/big; s=$?; [ -e small/root/images/names/* ] && exit 7; exit $s",
      ], folder: front.scratch.path)
    #expect(result.status == 1)
    #expect(result.error.contains("No space left on device"), "\(result.error)")
    #expect(result.error.split(separator: "\n").count == 1, "\(result.error)")
  }

  @Test func eventsAreJSON() throws {
    let result = try front("pull", "--progress", "json", place + "/good")
    #expect(result.status == 0)
    let events = try result.error.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any], "\($0)")
    }
    #expect(events.first?["event"] as? String == "layer" && events.last?["event"] as? String == "done")
    #expect(events.last?["size"] as? Int == 300_318 && events.last?["wasThere"] as? Bool == false)
    #expect(try front("pull", "--progress", "xml", place + "/good").error.contains("there are auto, plain and json"))
    #expect(try front("pull", "--retry", "many", place + "/good").error.contains("--retry \"many\""))
  }

  @Test func olderVariantsOfArmServe() throws {
    let result = try front("pull", "--platform", "linux/arm/v7", place + "/arm")
    #expect(result.status == 0, "\(result.error)")
    let none = try front("pull", "--platform", "linux/arm64", place + "/arm")
    #expect(none.error.contains("it has linux/arm/v5, linux/arm/v8"), "\(none.error)")
  }

  // MARK: registries.conf

  @Test func mirrorsComeFirstAndTheNameStays() throws {
    let environment = try environment(
      """
      [[registry]]
      prefix = "made.invalid"
      location = "also.invalid"
      [[registry.mirror]]
      location = "127.0.0.1:1"
      [[registry.mirror]]
      location = "\(place)"
      """)
    let result = try front("pull", "made.invalid/good", environment: environment)
    #expect(result.status == 0, "\(result.error)")
    #expect(result.error.contains("127.0.0.1:1/good: 127.0.0.1:1 refuses the connection"), "\(result.error)")
    #expect(try front("images", "--format", "json").output.contains("\"made.invalid/good:latest\""))
    // None has it: the last one's error is the error.
    let none = try front("pull", "--quiet", "made.invalid/nosuch", environment: environment)
    #expect(none.status == 1 && none.error.contains("also.invalid is not known (DNS)"), "\(none.error)")
    #expect(none.error.split(separator: "\n").count == 1)
  }

  @Test func blockedAndBrokenConfigurations() throws {
    let blocked = try front(
      "pull", place + "/good",
      environment: try environment("[[registry]]\nlocation = \"\(place)\"\nblocked = true\n"))
    #expect(blocked.status == 1)
    #expect(
      blocked.error.contains("/good:latest\" is blocked by \(front.scratch.path)/registries.conf:1"), "\(blocked.error)"
    )
    let broken = try front(
      "pull", place + "/good", environment: try environment("[[registry]]\nlocation = \"\(place)\"\ninsecure = 1\n"))
    #expect(broken.status == 1)
    #expect(broken.error.contains("registries.conf:3: registry[0].insecure"), "\(broken.error)")
    let unknown = try front(
      "pull", place + "/good", environment: try environment("[[registry]]\nlocation = \"\(place)\"\nblokced = true\n"))
    #expect(unknown.status == 0)
    #expect(unknown.error.contains("registries.conf:3: registry[0].blokced: "), "\(unknown.error)")
    #expect(try server.end().isEmpty)
  }

  /// Plain http goes through proxies of both kinds, and what one of them refuses is one line. TLS through them: RealRegistryTests.
  @Test(arguments: ["http", "socks5"]) func plainHTTPThroughAProxy(_ scheme: String) throws {
    let proxy = try Server(["python3", Server.fixture("proxy.py"), server.announced])
    let environment = [
      "PATH": "/usr/bin:/bin", "HOME": front.scratch.path, "http_proxy": "\(scheme)://127.0.0.1:\(proxy.announced)",
      // TLS is tried first, and is not to be had there.
      "https_proxy": "\(scheme)://127.0.0.1:\(proxy.announced)",
    ]
    let pulled = try front("pull", "--tls-verify=false", "registry.test/good", environment: environment)
    #expect(pulled.status == 0, "\(pulled.error)")
    let asked = try proxy.end().split(separator: "\n").filter { $0.contains("registry.test:80") }
    #expect(!asked.isEmpty && asked.allSatisfy { $0.hasPrefix(scheme == "http" ? "CONNECT " : "SOCKS 1 ") }, "\(asked)")

    let wall = try Server(["python3", Server.fixture("proxy.py"), "refuse"])
    for secure in ["true", "false"] {
      let refused = try front(
        "pull", "--quiet", "--retry", "0", "--tls-verify=\(secure)", "registry.test/good",
        environment: environment.mapValues { $0.replacingOccurrences(of: proxy.announced, with: wall.announced) })
      #expect(refused.status == 1 && refused.error.split(separator: "\n").count == 1, "\(refused.error)")
      #expect(refused.error.contains("proxy"), "\(refused.error)")
    }
    _ = try wall.end()
  }

  @Test func shortNames() throws {
    let environment = try environment(
      "unqualified-search-registries = [\"127.0.0.1:1\", \"\(place)\"]\n[aliases]\nshort = \"\(place)/good\"\n")
    let alias = try front("pull", "short", environment: environment)
    #expect(alias.status == 0, "\(alias.error)")
    // Found again by the short name, for whoever has the same files.
    #expect(try front("image", "inspect", "short", environment: environment).status == 0)
    #expect(try front("image", "inspect", "short").status == 1)
    let searched = try front("pull", "nested", environment: environment)
    #expect(searched.status == 0, "\(searched.error)")
    #expect(searched.error.contains("trying \(place)/nested:latest"), "\(searched.error)")
    #expect(try front("images").output.contains("\(place)/nested:latest"))
    let enforcing = try self.environment(
      "unqualified-search-registries = [\"127.0.0.1:1\", \"\(place)\"]\nshort-name-mode = \"enforcing\"\n")
    let unsaid = try front("pull", "good", environment: enforcing)
    #expect(unsaid.status == 1 && unsaid.error.contains("give one of 127.0.0.1:1/good:latest"), "\(unsaid.error)")
  }

  /// Somebody at a terminal is asked once, whatever the mode but `disabled`; podman and we know the answer from then on.
  @Test(
    .enabled(if: FrontCommand.isRoot && FrontCommand.has("unshare", "python3"), "wants root, unshare and python3"),
    arguments: ["", "short-name-mode = \"enforcing\"\n", "short-name-mode = \"disabled\"\n"])
  func shortNamesAreAskedFor(_ mode: String) throws {
    let environment = try environment("unqualified-search-registries = [\"127.0.0.1:1\", \"\(place)\"]\n" + mode)
    let settings = environment.map { "\($0)='\($1)'" }.joined(separator: " ")
    // The machine's own record is not this test's.
    let asked = try FrontCommand.run(
      [
        "unshare", "-m", "--propagation", "private", "python3", "-c",
        """
        import os, pty, subprocess, sys
        subprocess.check_call(["mount", "-t", "tmpfs", "none", "/var/cache"])
        def pull():
            pid, terminal = pty.fork()
            if pid == 0:
                os.execvp("/bin/sh", ["sh", "-c", "exec env \(settings) '\(FrontCommand.path)' --root '\(front.root)' pull good:latest"])
            seen = b""
            answers = [b"seven\\n", b"3\\n", b"2\\n"]
            while True:
                try: chunk = os.read(terminal, 1000)
                except OSError: chunk = b""
                if not chunk: break
                seen += chunk
                if seen.endswith(b"? ") and answers: os.write(terminal, answers.pop(0))
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode(), len(answers)
        print(*pull()); print("--"); print(*pull()); print("--")
        path = "/var/cache/containers/short-name-aliases.conf"
        print(open(path).read() if os.path.exists(path) else "none", end="")
        """,
      ], folder: front.scratch.path)
    let parts = asked.output.components(separatedBy: "--\n")
    try #require(asked.status == 0 && parts.count == 3, "\(asked.output)\(asked.error)")
    guard !mode.contains("disabled") else {
      #expect(parts[0].hasPrefix("0 ") && parts[0].hasSuffix(" 3\n") && parts[2] == "none", "\(parts)")
      return
    }
    #expect(parts[0].hasPrefix("0 ") && parts[0].hasSuffix(" 0\n"), "\(parts[0])")
    #expect(parts[0].contains("\"good:latest\" may mean\r\n  1  127.0.0.1:1/good:latest\r\n  2  \(place)/good:latest"))
    #expect(parts[0].components(separatedBy: "Which one, 1 to 2? ").count == 4)
    #expect(parts[1].hasPrefix("0 ") && parts[1].hasSuffix(" 3\n") && parts[1].contains("here already"), "\(parts[1])")
    #expect(parts[2] == "[aliases]\n  \"good\" = \"\(place)/good\"\n")
  }
}
