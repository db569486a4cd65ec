import Formats
import Foundation
import Testing

/// Names and registries.conf as skopeo understands them (containers/image, which podman uses too): the same places in the same order, and
/// the same texts refused. skopeo reaches nobody: its proxy is a port where nobody listens.
@Suite(.enabled(if: FrontCommand.has("skopeo"), "wants skopeo"), .whileTheSuiteRuns)
struct SkopeoOracleTests {
  private let scratch = Scratch()
  private let digest = "sha256:" + String(repeating: "a", count: 64)

  /// The places that skopeo tries; nil where it refuses the name or the file.
  private func skopeo(_ configuration: String, _ name: String) throws -> [String]? {
    let path = scratch.path + "/\(UUID().uuidString).conf"
    try configuration.write(toFile: path, atomically: true, encoding: .utf8)
    let result = try FrontCommand.run(
      ["skopeo", "--debug", "--registries-conf", path, "inspect", "docker://" + name],
      environment: [
        "PATH": "/usr/bin:/bin", "HOME": scratch.path, "HTTPS_PROXY": "http://127.0.0.1:1",
        "HTTP_PROXY": "http://127.0.0.1:1",
      ])
    #expect(result.status != 0)
    let marker = "Trying to access \\\""
    let tried = result.error.split(separator: "\n").compactMap { line -> String? in
      guard let range = line.range(of: marker) else { return nil }
      return String(line[range.upperBound...].prefix { $0 != "\\" })
    }
    return tried.isEmpty ? nil : tried
  }

  private func own(_ configuration: String, _ name: String) -> [String]? {
    do {
      return try RegistriesConfiguration(Array(configuration.utf8), source: "r.conf").sources(for: ImageReference(name))
        .map(\.reference.canonical)
    } catch { return nil }
  }

  @Test(arguments: [
    "python", "python:3.12", "library/python", "docker.io/python", "index.docker.io/python",
    "docker.io/library/python:3",
    "me/app", "library/a/b", "localhost/app", "localhost:5000/app:v1", "quay.io/a/b/c:x", "127.0.0.1:80/a",
    "docker.io", "a__b", "a---b.c_d", "a:_x.Y-z", "a.b/" + String(repeating: "e", count: 64), "a.b:65535/c",
    "sub.domain.example/a",
    "a/", "/a", "a//b", "A", "a/B", "library/Python", "a:", "a:-x", "a:.x", "a:x/y", "-a", "a-", ".a", "a.", "_a",
    "a___b", "a..b",
    "a._b", "a@", "a@sha256:", "a@sha256:abc", "a@md5:abc", "-a.b/c", "a-.b/c", "a..b/c", "[::1/c", "../a",
    "a/../b",
    "a/./b", "https://a.b/c", "a?b", "a#b", "a%b", "localhost/", String(repeating: "e", count: 64),
    "a:" + String(repeating: "t", count: 129),
  ]) func names(_ name: String) throws { #expect(own("", name) == (try skopeo("", name)), "\(name)") }

  /// Where we differ, on purpose: Docker takes addresses of IPv6 (skopeo's parser is older), and what is no host is none here. A prefix with a tag
  /// counts, as the manual has it and skopeo does not; one that no name can begin with is an error.
  @Test func differences() throws {
    #expect(own("", "[::1]:5000/a") == ["[::1]:5000/a:latest"] && own("", "a_b.c/d") == nil)
  }

  @Test func digests() throws {
    for name in ["a@" + digest, "quay.io/a/b@" + digest, "a@sha256:" + String(repeating: "A", count: 64)] {
      #expect(own("", name) == (try skopeo("", name)), "\(name)")
    }
  }

  /// Files of a few tables each, put together by chance from prefixes that overlap, with names that they may mean.
  @Test func generatedConfigurations() throws {
    let seed =
      UInt64.random(in: 0...UInt64.max)
    print("SkopeoOracleTests seed \(seed)")
    var random = Generator(state: seed)

    let prefixes = [
      "a.invalid", "a.invalid/x", "a.invalid/x/y", "a.invalid:80", "*.invalid", "*.a.invalid", "b.a.invalid",
      "docker.io/library",
      "docker.io", "localhost:5000", "*.invalid/x",
    ]
    let locations = ["m.invalid", "m.invalid:81/z", "a.invalid/x", "n.invalid/q", "http://m.invalid", ""]
    let names = [
      "a.invalid/x", "a.invalid/x/y:2", "a.invalid/xy", "a.invalid:80/x", "b.a.invalid/x:1", "c.invalid/x", "python",
      "me/app", "a.invalid/x:1",
      "a.invalid/x@" + digest, "localhost:5000/a",
    ]
    for _ in 0..<40 {
      var text = ""
      // A prefix that is there twice is an error here, and one of the two there.
      var used: Set<String> = []
      for _ in 0...random.below(3) {
        let prefix = random.below(8) == 0 ? "" : random.pick(prefixes)
        let location = random.below(4) == 0 ? "" : random.pick(locations)
        guard used.insert(prefix.isEmpty ? location : prefix).inserted else { continue }
        text += "[[registry]]\n"
        if !prefix.isEmpty { text += "prefix = \"\(prefix)\"\n" }
        if !location.isEmpty { text += "location = \"\(location)\"\n" }
        let isByDigest = random.below(5) == 0
        if isByDigest { text += "mirror-by-digest-only = true\n" }
        for _ in 0..<random.below(3) {
          text += "[[registry.mirror]]\nlocation = \"\(random.pick(locations.dropLast()))\"\n"
          if random.below(4) == 0 {
            text += "pull-from-mirror = \"\(random.pick(["all", "digest-only", "tag-only", "never"]))\"\n"
          }
        }
      }
      let name = random.pick(names)
      let (here, there) = (own(text, name), try skopeo(text, name))
      #expect(here == there, "seed \(seed), \(name) by\n\(text)")
    }
  }

  private struct Generator {
    var state: UInt64
    mutating func below(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(bound))
    }
    mutating func pick<Values: Collection>(_ values: Values) -> Values.Element {
      values[values.index(values.startIndex, offsetBy: below(values.count))]
    }
  }
}
