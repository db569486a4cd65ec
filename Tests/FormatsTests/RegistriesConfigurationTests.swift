import Formats
import Foundation
import Testing

/// containers-registries.conf(5): the manual's own examples, what skopeo makes of them, and what is refused.
@Suite struct RegistriesConfigurationTests {
  private let manual = """
    unqualified-search-registries = ["example.com"]

    [[registry]]
    prefix = "example.com/foo"
    insecure = false
    blocked = false
    location = "internal-registry-for-example.com/bar"

    [[registry.mirror]]
    location = "example-mirror-0.local/mirror-for-foo"

    [[registry.mirror]]
    location = "example-mirror-1.local/mirrors/foo"
    insecure = true

    [[registry]]
    location = "registry.com"

    [[registry.mirror]]
    location = "mirror.registry.com"
    """
  private let digest = "sha256:" + String(repeating: "a", count: 64)

  private func read(_ text: String) throws -> RegistriesConfiguration {
    try RegistriesConfiguration(Array(text.utf8), source: "r.conf")
  }

  private func sources(_ text: String, _ name: String) throws -> [String] {
    try read(text).sources(for: ImageReference(name)).map {
      $0.reference.canonical + ($0.isInsecure ? " insecure" : "")
    }
  }

  @Test func theManualsExample() throws {
    #expect(
      try sources(manual, "example.com/foo/image:latest") == [
        "example-mirror-0.local/mirror-for-foo/image:latest",
        "example-mirror-1.local/mirrors/foo/image:latest insecure",
        "internal-registry-for-example.com/bar/image:latest",
      ])
    #expect(
      try sources(manual, "registry.com/image") == ["mirror.registry.com/image:latest", "registry.com/image:latest"])
    #expect(try sources(manual, "example.com/foobar/image") == ["example.com/foobar/image:latest"])
    #expect(try sources(manual, "example.com/foo:1").last == "internal-registry-for-example.com/bar:1")
    #expect(try read(manual).meanings(of: "a/b:c").map(\.canonical) == ["example.com/a/b:c"])
    // Pushing knows no mirrors and no rewriting.
    #expect(
      try read(manual).destination(of: ImageReference("example.com/foo/x")).reference.canonical
        == "example.com/foo/x:latest")
  }

  @Test(arguments: [
    // The longest prefix wins, and ends where a part of the name does.
    ("[[registry]]\nlocation='a.b'\n[[registry]]\nprefix='a.b/c'\nlocation='d.e'", "a.b/c/x", ["d.e/x:latest"]),
    ("[[registry]]\nlocation='a.b'\n[[registry]]\nprefix='a.b/c'\nlocation='d.e'", "a.b/cx", ["a.b/cx:latest"]),
    ("[[registry]]\nprefix='a.b/c:1'\nlocation='d.e/f:2'", "a.b/c:1", ["d.e/f:2"]),
    ("[[registry]]\nprefix='a.b/c:1'\nlocation='d.e/f:2'", "a.b/c:12", ["a.b/c:12"]),
    ("[[registry]]\nprefix='a.b/c:1'\nlocation='d.e/f'", "a.b/c:1", ["d.e/f:1"]),
    ("[[registry]]\nprefix='*.corp'\nlocation='d.e/f'", "a.b.corp/c:1", ["d.e/f/c:1"]),
    ("[[registry]]\nprefix='a.b:80'\nlocation='d.e'", "a.b:80/c", ["d.e/c:latest"]),
    ("[[registry]]\nprefix='a.b'\nlocation='d.e'", "a.b:80/c", ["d.e:80/c:latest"]),
    // Docker Hub's own names are spelled out first.
    ("[[registry]]\nprefix='docker.io/library'\nlocation='m.x/hub'", "alpine", ["m.x/hub/alpine:latest"]),
    ("[[registry]]\nprefix='docker.io'\nlocation='m.x/hub'", "me/app:1", ["m.x/hub/me/app:1"]),
    // Subdomains.
    ("[[registry]]\nprefix='*.example.com'\ninsecure=true", "a.b.example.com/x", ["a.b.example.com/x:latest insecure"]),
    ("[[registry]]\nprefix='*.example.com'\ninsecure=true", "example.com/x", ["example.com/x:latest"]),
    (
      "[[registry]]\nprefix='*.example.com'\ninsecure=true", "other.com/a.example.com",
      ["other.com/a.example.com:latest"]
    ),
    ("[[registry]]\nprefix='*.example.com'\nlocation='m.x/all'", "a.example.com/x", ["m.x/all/x:latest"]),
    (
      "[[registry]]\nprefix='*.example.com'\ninsecure=true\n[[registry]]\nlocation='a.example.com'", "a.example.com/x",
      ["a.example.com/x:latest insecure"]
    ),
    // Which mirrors.
    (
      "[[registry]]\nlocation='a.b'\nmirror-by-digest-only=true\n[[registry.mirror]]\nlocation='m.x'", "a.b/c",
      ["a.b/c:latest"]
    ),
    (
      "[[registry]]\nlocation='a.b'\n[[registry.mirror]]\nlocation='m.x'\npull-from-mirror='tag-only'\n[[registry.mirror]]\nlocation='n.x'\npull-from-mirror='digest-only'",
      "a.b/c", ["m.x/c:latest", "a.b/c:latest"]
    ),
    (
      "[[registry]]\nlocation='localhost:5000'\ninsecure=true", "localhost:5000/x", ["localhost:5000/x:latest insecure"]
    ),
    ("", "python", ["docker.io/library/python:latest"]),
  ]) func sourcesOf(_ text: String, _ name: String, _ expected: [String]) throws {
    #expect(try sources(text, name) == expected)
  }

  @Test func mirrorsByDigest() throws {
    let text = "[[registry]]\nlocation='a.b'\nmirror-by-digest-only=true\n[[registry.mirror]]\nlocation='m.x'"
    #expect(try sources(text, "a.b/c@" + digest) == ["m.x/c@" + digest, "a.b/c@" + digest])
    #expect(try sources(text, "a.b/c:t@" + digest).first == "m.x/c:t@" + digest)
  }

  @Test(arguments: [
    (
      "[[registry]]\nprefix='evil.com'\nlocation='evil.com'\nblocked=true", "evil.com/x",
      "\"evil.com/x:latest\" is blocked by r.conf:1"
    ),
    ("\n\n[[registry]]\nprefix='*.evil.com'\nblocked=true", "a.evil.com/x", "is blocked by r.conf:3"),
    ("[[registry]]\nprefix='a.b'\nlocation='m.x/y:1'", "a.b/c", "to which r.conf:1 leads"),
    (
      "[[registry]]\nprefix='a.b/c'\nlocation='m.x'", "a.b/c:1", "\"m.x:1\" (to which r.conf:1 leads) has no repository"
    ),
  ]) func notServed(_ text: String, _ name: String, _ words: String) throws {
    let configuration = try read(text)
    let error = #expect(throws: FormatError.self) { try configuration.sources(for: ImageReference(name)) }
    #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
  }

  @Test(arguments: [
    ("[registries.search]\nregistries=['a.b']", "version 1"),
    ("unqualified-search-registries='a.b'", "r.conf:1: unqualified-search-registries"),
    ("unqualified-search-registries=['a.b/c']", "\"a.b/c\" is not a registry"),
    ("unqualified-search-registries=['https://a.b']", "is a URL"),
    ("short-name-mode='strict'", "\"strict\" is not a mode"),
    ("\n[[registry]]\nblocked=true", "r.conf:2"),
    ("[[registry]]\nprefix='*.a.b/c'", "\"*.a.b/c\" is not HOST"),
    ("[[registry]]\nprefix='a.*.b'", "\"a.*.b\" is not HOST"),
    ("[[registry]]\nprefix='a.b'", "has no location"),
    ("[[registry]]\nprefix='a.b'\nlocation='http://c.d'", "is a URL"),
    ("[[registry]]\nlocation='nodot'", "\"nodot\" is not HOST"),
    ("[[registry]]\nlocation='a.b/UPPER'", "is not HOST"),
    ("[[registry]]\nlocation='a.b'\n[[registry]]\nlocation='a.b'", "a second time"),
    ("[[registry]]\nlocation='a.b'\npull-from-mirror='all'", "has its place in [[registry.mirror]]"),
    (
      "[[registry]]\nlocation='a.b'\n[[registry.mirror]]\nlocation='m.x'\npull-from-mirror='some'",
      "\"some\" is none of"
    ),
    (
      "[[registry]]\nlocation='a.b'\nmirror-by-digest-only=true\n[[registry.mirror]]\nlocation='m.x'\npull-from-mirror='all'",
      "contradicts"
    ),
    ("[[registry]]\nlocation='a.b'\n[[registry.mirror]]\ninsecure=true", "location"),
    ("[[registry]]\nlocation='a.b'\ninsecure='yes'", "registry[0].insecure"),
    ("[aliases]\n'a.b/c'='d.e/f'", "is no short name"),
    ("[aliases]\n'c:1'='d.e/f'", "is no short name"),
    ("[aliases]\nc='f'", "must be a whole name"),
    ("[aliases]\nc='d.e/f:1'", "must be a whole name"),
    ("credential-helpers=['../x']", "is not the name of a credential helper"),
    ("x = ", "r.conf:1"),
  ]) func refuses(_ text: String, _ words: String) {
    let error = #expect(throws: FormatError.self) { try read(text) }
    #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    #expect(error?.description.hasPrefix("r.conf:") == true, "\(error?.description ?? "")")
  }

  @Test func unknownKeysAreNamed() throws {
    let read = try read(
      "later = 1\n[[registry]]\nlocation='a.b'\nblokced=true\n[[registry.mirror]]\nlocation='m.x'\nx=2")
    #expect(read.remarks.count == 3)
    #expect(read.remarks[1].hasPrefix("r.conf:4: registry[0].blokced: "))
  }

  @Test func filesOverFiles() throws {
    var merged = try read(manual)
    merged.merge(
      try read(
        """
        unqualified-search-registries = []
        [[registry]]
        prefix = "example.com/foo"
        location = "elsewhere.net"
        [aliases]
        a = "one.net/a"
        b = "one.net/b"
        """))
    merged.merge(try read("[aliases]\na = \"two.net/a\"\nb = \"\""))
    #expect(
      try merged.sources(for: ImageReference("example.com/foo/x")).map(\.reference.canonical) == [
        "elsewhere.net/x:latest"
      ])
    #expect(try merged.meanings(of: "a:7").map(\.canonical) == ["two.net/a:7"])
    #expect(try merged.meanings(of: "a@" + digest).map(\.canonical) == ["two.net/a@" + digest])
    let error = #expect(throws: FormatError.self) { try merged.meanings(of: "b") }
    #expect(error?.problem.contains("lets none be searched") == true)
    #expect(try merged.meanings(of: "x.y/b").map(\.canonical) == ["x.y/b:latest"])
  }

  @Test func shortNames() throws {
    let two = "unqualified-search-registries = ['one.net', 'docker.io']\n"
    #expect(try read(two).meanings(of: "a").map(\.canonical) == ["one.net/a:latest", "docker.io/library/a:latest"])
    #expect(try read(two + "short-name-mode='disabled'").meanings(of: "a").count == 2)
    let error = #expect(throws: FormatError.self) { try read(two + "short-name-mode='enforcing'").meanings(of: "a") }
    #expect(error?.problem.hasSuffix("give one of one.net/a:latest, docker.io/library/a:latest") == true)
    #expect(
      try read("short-name-mode='enforcing'").meanings(of: "a").map(\.canonical) == ["docker.io/library/a:latest"])
    #expect(
      ImageReference.isShort("a/b:c") && !ImageReference.isShort("localhost/b") && !ImageReference.isShort("a:5/b"))
  }

  @Test(
    .enabled(
      if: FileManager.default.fileExists(atPath: "/etc/containers/registries.conf.d/shortnames.conf"),
      "wants podman's short names"))
  func theDistributionsShortNames() throws {
    let path = "/etc/containers/registries.conf.d/shortnames.conf"
    let bytes = try Array(Data(contentsOf: URL(fileURLWithPath: path)))
    let read = try RegistriesConfiguration(bytes, source: path)
    #expect(read.aliases.count > 20 && read.remarks.isEmpty)
    #expect(try read.meanings(of: "fedora:40").map(\.canonical) == ["registry.fedoraproject.org/fedora:40"])
  }

  // MARK: Proxies

  @Test(
    arguments: [
      ("registry.test", 443, true, "p:3128"), ("registry.test", 80, false, "q:80"),
      ("localhost", 443, true, nil), ("127.0.0.9", 5000, true, nil), ("::1", 443, true, nil), ("[::1]", 443, true, nil),
      ("10.1.2.3", 443, true, nil), ("11.1.2.3", 443, true, "p:3128"),
      ("fd00::7", 443, true, nil), ("fe00::7", 443, true, "p:3128"),
      ("spared.net", 443, true, nil), ("a.spared.net", 443, true, nil), ("unspared.net", 443, true, "p:3128"),
      ("below.org", 443, true, "p:3128"), ("a.below.org", 443, true, nil),
      ("ported.net", 8443, true, nil), ("ported.net", 443, true, "p:3128"), ("8.8.8.8", 53, true, nil),
      ("8.8.8.8", 443, true, "p:3128"),
      ("SPARED.NET.", 443, true, nil), ("star.example", 443, true, "p:3128"), ("a.star.example", 443, true, nil),
    ] as [(String, Int, Bool, String?)]) func proxies(
      _ host: String, _ port: Int, _ isSecure: Bool, _ expected: String?
    ) throws
  {
    let rules = try ProxyRules(
      http: "q", https: "http://p:3128/",
      spared: "10.0.0.0/8, fd00::/8 ,spared.net,.below.org,ported.net:8443,8.8.8.8:53,*.star.example,nonsense/99")
    #expect(rules.proxy(for: host, port: port, isSecure: isSecure).map { "\($0.host):\($0.port)" } == expected)
  }

  @Test func proxiesWithNames() throws {
    let rules = try ProxyRules(http: nil, https: "http://me%40home:p%3Aw@p:1", spared: nil)
    #expect(rules.proxy(for: "a.b", port: 443, isSecure: true)?.credentials == "me@home:p:w")
    #expect(
      try ProxyRules(http: nil, https: "socks5://p", spared: "*").proxy(for: "a.b", port: 443, isSecure: true) == nil)
    #expect(
      try ProxyRules(http: nil, https: "socks5://p", spared: "").proxy(for: "a.b", port: 443, isSecure: true)?.port
        == 1080)
    for wrong in ["https://p", "ftp://p", "http://p:0", "http://", "a b", "http://u%zz@p", "http://secret%0a@p"] {
      let error = #expect(throws: FormatError.self, "\(wrong)") { try ProxyRules(http: nil, https: wrong, spared: nil) }
      #expect(error?.description.contains("secret") == false)
    }
  }

  @Test(
    arguments: [
      ("1.2.3.4", [1, 2, 3, 4]), ("::", [UInt8](repeating: 0, count: 16)), ("::ffff:1.2.3.4", [1, 2, 3, 4]),
      ("1:2:3:4:5:6:7:8", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]),
      ("fe80::1", [0xfe, 0x80] + [UInt8](repeating: 0, count: 13) + [1]),
    ] as [(String, [UInt8])]) func addresses(_ text: String, _ bytes: [UInt8])
  { #expect(IPAddress(text)?.bytes == bytes) }

  @Test(arguments: [
    "", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
    "12345::", "::g", "1.2.3.4::", "fe80::1%eth0", "1:2:3:4:5:6:7::8", ":1::",
  ])
  func noAddresses(_ text: String) { #expect(text == "1:2:3:4:5:6:7::8" || IPAddress(text) == nil) }

  // MARK: What registries and helpers answer

  @Test func headers() throws {
    #expect(try ContentRange("bytes 5-9/10") == ContentRange("BYTES 5-9/10"))
    #expect(try ContentRange("bytes 0-9/*").size == nil)
    for wrong in [
      "", "bytes", "bytes */10", "bytes 9-5/10", "bytes 0-10/10", "items 0-1/2", "bytes -1-2/3",
      "bytes 0-9999999999999999999/1", "bytes 1-2",
    ] {
      #expect(throws: FormatError.self, "\(wrong)") { try ContentRange(wrong) }
    }
    #expect(try ByteRange("0-99").last == 99)
    #expect(try ByteRange("bytes=0-99").last == 99)
    for wrong in ["", "-", "1", "2-1", "0-x", "0-1-2"] {
      #expect(throws: FormatError.self, "\(wrong)") { try ByteRange(wrong) }
    }
    #expect(RetryAfter.seconds("120", now: 5) == 120)
    #expect(RetryAfter.seconds("Wed, 21 Oct 2015 07:28:00 GMT", now: 1_445_412_479) == 1)
    #expect(RetryAfter.seconds("Thu, 29 Feb 2024 00:00:00 GMT", now: 1_709_164_800 - 60) == 60)
    #expect(RetryAfter.seconds("Wed, 21 Oct 2015 07:28:00 GMT", now: 2_000_000_000) == 0)
    for wrong in [
      "", "soon", "-1", "Wed, 32 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28 GMT", "99999999999999999999",
    ] {
      #expect(RetryAfter.seconds(wrong, now: 0) == nil, "\(wrong)")
    }
  }

  @Test func helperAnswers() throws {
    let good = try CredentialAnswer(Array(#"{"ServerURL":"x","Username":"u","Secret":"p"}"#.utf8), source: "helper")
    #expect(good == CredentialAnswer(user: "u", secret: "p"))
    #expect(String(decoding: good.storing("https://x"), as: UTF8.self).contains(#""Secret":"p""#))
    for wrong in [
      "", "{}", "[]", #"{"Username":"u","Secret":"geheim""#, #"{"Username":"","Secret":"geheim"}"#,
      #"{"Username":"u","Secret":"geheim\nX: y"}"#, #"{"Username":"u","Secret":7}"#,
    ] {
      let error = #expect(throws: FormatError.self, "\(wrong)") {
        try CredentialAnswer(Array(wrong.utf8), source: "helper")
      }
      #expect(error?.description.contains("geheim") == false)
    }
    #expect(CredentialAnswer.isAbsence(Array("credentials not found in native keychain\n".utf8)))
    #expect(
      CredentialAnswer.isHelper("osxkeychain") && !CredentialAnswer.isHelper("a/b") && !CredentialAnswer.isHelper(""))
  }
}
