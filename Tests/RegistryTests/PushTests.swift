import Foundation
import Testing

/// `push`: what is sent and what is not (Fixtures/upload-registry.py), and what others then find (docker-registry, skopeo, podman).
@Suite(.enabled(if: FrontCommand.isBuilt, FrontCommand.whyNot), .whileTheSuiteRuns)
struct PushTests {
  let front = FrontCommand()

  /// An image `NAME` with one layer of about two megabytes, and one of a few bytes beside it where `second`.
  private func image(_ name: String) throws {
    try front.shell("mkdir -p tree && head -c 2000000 /dev/urandom > tree/large && tar -C tree -cf root.tar .")
    let result = try front("import", "--cmd", "/x", front.scratch.path + "/root.tar", name)
    try #require(result.status == 0, "\(result.error)")
  }

  private func uploads() throws -> Server { try Server(["python3", Server.fixture("upload-registry.py")]) }

  @Test func onlyWhatIsMissing() throws {
    let server = try uploads()
    let place = "127.0.0.1:\(server.announced)"
    try image("one")
    let pushed = try front("push", "one", place + "/plain:v1")
    #expect(pushed.status == 0, "\(pushed.error)")
    #expect(pushed.output.hasPrefix("sha256:") && pushed.output.utf8.count == 72)
    let again = try front("push", "one", place + "/plain:v2")
    #expect(again.output == pushed.output)
    #expect(again.error.contains("here already"), "\(again.error)")
    let seen = try server.end().split(separator: "\n").map(String.init)
    #expect(seen.count { $0.hasPrefix("PATCH") } == 1, "\(seen)")
    #expect(seen.count { $0.hasPrefix("PUT /v2/plain/blobs") } == 2, "\(seen)")
    // The manifest comes last.
    #expect(
      seen.filter { $0.hasPrefix("PUT") }.map { $0.split(separator: " ")[1] }.suffix(2) == [
        "/v2/plain/manifests/v1", "/v2/plain/manifests/v2",
      ])
  }

  @Test(arguments: [
    // Taken up again where the registry got to; begun anew where it has forgotten.
    ("cut", ["GET", "PATCH 700000"]), ("forget", ["GET", "POST", "PATCH"]),
  ]) func uploadsGoOn(_ mode: String, _ expected: [String]) throws {
    let server = try uploads()
    try image("one")
    let pushed = try front("push", "one", "127.0.0.1:\(server.announced)/\(mode)")
    #expect(pushed.status == 0, "\(pushed.error)")
    let seen = try server.end().split(separator: "\n").map(String.init).filter {
      $0.contains("/blobs/uploads") && !$0.hasPrefix("PUT")
    }
    if mode == "cut" {
      #expect(seen.contains { $0.hasPrefix("PATCH") && $0.contains(" 700000-") }, "\(seen)")
      #expect(seen.count { $0.hasPrefix("POST") } == 2, "\(seen)")
    } else {
      #expect(seen.count { $0.hasPrefix("POST") } == 3, "\(seen)")
    }
    #expect(seen.count { $0.hasPrefix("GET") } >= 1)
    _ = expected
  }

  /// Who asks may have to be proved when the bytes are on their way already; only here the registry wants to know at all.
  @Test func theMiddleOfAnUploadMayWantCredentials() throws {
    let server = try uploads()
    try image("one")
    let place = "127.0.0.1:\(server.announced)/late"
    #expect(try front("push", "--quiet", "one", place).error.contains("does not let \(place):latest be pushed"))
    let pushed = try front("push", "--creds", "u:p", "one", place)
    #expect(pushed.status == 0, "\(pushed.error)")
  }

  @Test(arguments: [
    ("nowhere", "begins an upload without saying where"),
    ("file", "wants the upload at \"file:///etc/passwd\", which is no URL"),
    ("full", "has no room left"),
    ("forbidden", "forbids to push"),
    ("liar", "has \"0-99999999\" of an upload"),
    ("renames", "calls it sha256:000000"),
  ]) func isOneClearError(_ mode: String, _ words: String) throws {
    let server = try uploads()
    try image("one")
    let result = try front("push", "--quiet", "--retry", "1", "one", "127.0.0.1:\(server.announced)/\(mode)")
    #expect(result.status == 1)
    #expect(result.error.contains(words), "\(result.error)")
    #expect(result.error.split(separator: "\n").count == 1 && result.output.isEmpty, "\(result.error)")
  }

  /// A store whose bytes have changed: the registry refuses them, and nothing has the image's name there.
  @Test func aDamagedStoreIsNotPushed() throws {
    let server = try uploads()
    try image("one")
    try front.shell(
      "f=$(ls root/images/layers/*/layer.erofs) && printf xyz | dd of=$f bs=1 seek=9000 conv=notrunc 2>/dev/null"
    )
    let result = try front("push", "--quiet", "one", "127.0.0.1:\(server.announced)/plain")
    #expect(
      result.status == 1 && result.error.contains("the image store is damaged: the layer sha256:"), "\(result.error)")
    #expect(try server.end().contains("manifests") == false)
  }

  @Test func layersAreMountedFromWhereTheyAreKnown() throws {
    let server = try uploads()
    let place = "127.0.0.1:\(server.announced)"
    try image("one")
    #expect(try front("tag", "one", place + "/origin:v1").status == 0)
    // Its own name is where it goes.
    let pushed = try front("push", "one", place + "/mounting")
    #expect(pushed.status == 0, "\(pushed.error)")
    #expect(pushed.error.contains("mounted from origin"), "\(pushed.error)")
    // One that does not mount gets the bytes.
    let refused = try front("push", "one", place + "/plain")
    #expect(refused.status == 0, "\(refused.error)")
    let seen = try server.end().split(separator: "\n").map(String.init)
    #expect(seen.contains { $0.hasPrefix("POST /v2/mounting/blobs/uploads/ from=origin mount=sha256:") }, "\(seen)")
    #expect(!seen.contains { $0.hasPrefix("PATCH /v2/mounting") } && seen.contains { $0.hasPrefix("PATCH /v2/plain") })
  }

  @Test(arguments: [
    (["nosuch", "127.0.0.1:1/x"], "there is no image \"nosuch\""),
    (["one", "127.0.0.1:1/x@sha256:" + String(repeating: "0", count: 64)], "has a digest"),
    (["one", "oci-archive:"], "is not oci-archive:PLACE"),
    (["one", "Bad:Name:x"], "Bad:Name:x"),
    (["one", "127.0.0.1:1/x"], "refuses the connection"),
  ]) func badInputIsOneLine(_ words: [String], _ expected: String) throws {
    try image("one")
    let result = try FrontCommand.run([FrontCommand.path, "--root", front.root, "push"] + words)
    #expect(result.status == 1 && result.error.contains(expected), "\(result.error)")
    #expect(result.error.split(separator: "\n").count == 1 && result.output.isEmpty)
  }

  @Test(.enabled(if: FrontCommand.has("skopeo"), "wants skopeo")) func archivesAndFolders() throws {
    try image("one:v1")
    for target in ["oci:layout", "oci-archive:a.tar", "docker-archive:d.tar"] {
      let parts = target.split(separator: ":")
      let whole = "\(parts[0]):\(front.scratch.path)/\(parts[1])"
      let result = try front("push", "--quiet", "one:v1", whole)
      #expect(result.status == 0, "\(result.error)")
      let name = target.hasPrefix("docker") ? "" : ":v1"
      let inspected = try front.shell("skopeo inspect --config \(whole)\(name) | tr -d ' \\n'")
      #expect(inspected.contains("\"Cmd\":[\"/x\"]"), "\(inspected)")
    }
  }
}
