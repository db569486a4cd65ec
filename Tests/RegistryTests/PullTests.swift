import Foundation
import Testing

/// `pull` against a registry that misbehaves in one way at a time (Fixtures/registry.py).
@Suite(.enabled(if: FrontCommand.isBuilt, FrontCommand.whyNot), .whileTheSuiteRuns)
struct PullTests {
  @Test(arguments: ["good", "cut", "cut-norange", "flaky", "nested", "platforms"])
  func comesInWhole(_ mode: String) throws {
    let server = try Server(["python3", Server.fixture("registry.py")])
    let front = FrontCommand()
    let result = try front("pull", "127.0.0.1:\(server.announced)/\(mode)")
    #expect(result.status == 0, "\(result.error)")
    let hello = try String(contentsOfFile: try front.onlyLayer() + "/hello", encoding: .utf8)
    #expect(hello == "hello\n")
    #expect(front.entries("incoming").isEmpty)
    #expect(front.entries("locks").isEmpty)
    let listing = try front("images", "--format", "json").output
    #expect(listing.contains("127.0.0.1:\(server.announced)/\(mode):latest"))
    // Again: nothing is fetched twice.
    let again = try front("pull", "127.0.0.1:\(server.announced)/\(mode)")
    #expect(again.status == 0)
    #expect(again.error.contains("here already"))
  }

  @Test(arguments: [
    ("endless", "has more than the 300318 bytes announced"),
    ("swapped", "refused"),
    ("short", "after 1000 of 300318 bytes"),
    ("nowhere", "redirects to nowhere"),
    ("loop", "redirects more than five times"),
    ("corrupt", "refused"),
    ("wrong-diffid", "but the image's configuration says"),
    ("ambiguous", "refused as ambiguous"),
    ("too-deep", "more than three deep"),
    ("other-platform", "\"linux/amd64\" is not a platform this image has; it has linux/s390x"),
    ("index-lies", "where 7 were announced"),
    ("huge", "more than 4194304 bytes"),
    ("no-json", "\"<\""),
    ("traversal", "\"sha256:../../../../etc/passwd\" is not a sha256 digest"),
    ("schema1", "Docker's schema 1"),
    ("nosuch", "there is no image"),
  ])
  func isRefused(_ mode: String, _ words: String) throws {
    let server = try Server(["python3", Server.fixture("registry.py")])
    let front = FrontCommand()
    let result = try front("pull", "--quiet", "127.0.0.1:\(server.announced)/\(mode)")
    #expect(result.status == 1)
    #expect(result.error.contains(words), "\(result.error)")
    #expect(result.error.hasPrefix("immure: ") && result.error.split(separator: "\n").count == 1, "\(result.error)")
    // Nothing of it is an image, and what it left is cleared by the next command.
    #expect(front.entries("layers").isEmpty)
    #expect(front.entries("names").isEmpty)
    #expect(try front("rmi", "nothing").status == 1)
    #expect(front.entries("incoming").isEmpty)
    #expect(front.entries("blobs/sha256").isEmpty)
  }

  @Test func credentialsStayWithTheHostThatAskedForThem() throws {
    let server = try Server(["python3", Server.fixture("registry.py")])
    let front = FrontCommand()
    let result = try front("pull", "--creds", "u:p", "127.0.0.1:\(server.announced)/redirect")
    #expect(result.status == 0, "\(result.error)")
    let seen = try server.end().split(separator: "\n")
    #expect(!seen.isEmpty)
    // The blob lies at "localhost", which is another host.
    #expect(seen.allSatisfy { $0.contains(" 127.0.0.1:") && !$0.contains("/elsewhere/") }, "\(seen)")
  }

  @Test(arguments: [
    ("127.0.0.1:1/x", "refuses the connection"),
    ("host.invalid/x", "is not known (DNS)"),
    ("UPPER case", "\"UPPER case\""),
    ("x@sha256:12", "no valid digest"),
  ])
  func unreachable(_ name: String, _ words: String) throws {
    let result = try FrontCommand()("pull", name)
    #expect(result.status != 0)
    #expect(result.error.contains(words), "\(result.error)")
    #expect(result.error.split(separator: "\n").count == 1)
  }

  @Test func twoAtOnceShareTheWork() throws {
    let server = try Server(["python3", Server.fixture("registry.py")])
    let front = FrontCommand()
    let pull = "\(FrontCommand.path) --root \(front.root) pull 127.0.0.1:\(server.announced)/good"
    let output = try front.shell(
      "for i in 1 2 3 4; do \(pull) & jobs[$i]=$!; done; for i in 1 2 3 4; do wait ${jobs[$i]}; done")
    #expect(Set(output.split(separator: "\n")).count == 1)
    #expect(front.entries("layers").count == 1)
    #expect(front.entries("incoming").isEmpty)
  }
}
