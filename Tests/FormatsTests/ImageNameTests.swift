import Formats
import Testing

private let digits = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

@Suite struct ImageNameTests {
  @Test(arguments: [
    ("python", "python:latest", "docker.io/library/python:latest"),
    ("python:3.12", "python:3.12", "docker.io/library/python:3.12"),
    ("library/python", "python:latest", "docker.io/library/python:latest"),
    ("docker.io/python", "python:latest", "docker.io/library/python:latest"),
    ("index.docker.io/python", "python:latest", "docker.io/library/python:latest"),
    ("docker.io/library/python:3", "python:3", "docker.io/library/python:3"),
    ("me/app", "me/app:latest", "docker.io/me/app:latest"),
    ("library/a/b", "library/a/b:latest", "docker.io/library/a/b:latest"),
    ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
    ("localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"),
    ("quay.io/a/b/c:x", "quay.io/a/b/c:x", "quay.io/a/b/c:x"),
    ("127.0.0.1:80/a", "127.0.0.1:80/a:latest", "127.0.0.1:80/a:latest"),
    ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
    ("HOST/a", "HOST/a:latest", "HOST/a:latest"),
    ("docker.io", "docker.io:latest", "docker.io/library/docker.io:latest"),
    ("a__b", "a__b:latest", "docker.io/library/a__b:latest"),
    ("a---b.c_d", "a---b.c_d:latest", "docker.io/library/a---b.c_d:latest"),
    ("a:_x.Y-z", "a:_x.Y-z", "docker.io/library/a:_x.Y-z"),
    ("a@sha256:" + digits, "a@sha256:" + digits, "docker.io/library/a@sha256:" + digits),
    ("a:t@sha256:" + digits, "a:t@sha256:" + digits, "docker.io/library/a:t@sha256:" + digits),
    ("a.b/" + digits, "a.b/" + digits + ":latest", "a.b/" + digits + ":latest"),
    ("docker.io/" + digits, digits + ":latest", "docker.io/library/" + digits + ":latest"),
    ("docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c:latest"),
    ("docker.io/localhost/c", "docker.io/localhost/c:latest", "docker.io/localhost/c:latest"),
    (digits + ":v1", digits + ":v1", "docker.io/library/" + digits + ":v1"),
  ]) func reads(_ text: String, _ familiar: String, _ canonical: String) throws {
    let reference = try ImageReference(text)
    #expect(reference.familiar == familiar)
    #expect(reference.canonical == canonical)
    #expect(try ImageReference(familiar) == reference)
    #expect(try ImageReference(canonical) == reference)
  }

  @Test(arguments: [
    "", "/", "a/", "/a", "a//b", "A", "a/B", "library/Python", "a:", "a:-x", "a:.x", "a:x/y", "a b", "a\n", "a\0", "é",
    "a:é",
    "-a", "a-", ".a", "a.", "_a", "a___b", "a..b", "a._b", "a.-b", "a@", "a@sha256:", "a@sha256:abc", "a@md5:abc",
    "a@b@c",
    "a.b:/c", "a.b:0/c", "a.b:65536/c", "a.b:123456/c", "a.b:x/c", "-a.b/c", "a-.b/c", "a..b/c", "[::1/c", "[]/c",
    "[::g]/c",
    "a_b.c/d", digits, "../a", "a/../b", "a/./b", "https://a.b/c", "a?b", "a#b", "a%b", "x:5000/",
    "localhost/",
    "a@sha256:" + digits.uppercased(), "a@sha512:" + digits + digits,
    "a:" + String(repeating: "t", count: 129), String(repeating: "a", count: 300),
    String(repeating: "a/", count: 200) + "a",
  ]) func refuses(_ text: String) {
    let error = #expect(throws: FormatError.self) { try ImageReference(text) }
    #expect(error?.description.contains("\n") == false)
    if !text.isEmpty { #expect(error?.offending.isEmpty == false) }
  }

  @Test func digestIsStrict() throws {
    let digest = try Digest("sha256:" + digits)
    #expect(digest.hex == digits)
    #expect(digest == Digest.of([]))
    #expect(Digest(bytes: digest.bytes.span) == digest)
    #expect(try Digest(hex: digits) == digest)
    for text in [
      "", digits, "sha256", "sha256:", "sha256:" + digits.dropLast(), "sha256:" + digits + "0", "SHA256:" + digits,
      "sha256:" + digits.uppercased(), "sha256:../" + digits.dropFirst(3), "sha256:" + digits.dropLast() + "g",
    ] { #expect(throws: FormatError.self, "\(text)") { try Digest(text) } }
    let error = #expect(throws: FormatError.self) { try Digest("sha512:" + digits + digits) }
    #expect(error?.problem == "is a digest of an algorithm that is not supported; only sha256 is")
  }

  @Test(arguments: [
    ("linux/amd64", "linux/amd64"), ("amd64", "linux/amd64"), ("linux/arm64/v8", "linux/arm64"),
    ("aarch64", "linux/arm64"),
    ("linux/arm", "linux/arm/v7"), ("linux/arm/v6", "linux/arm/v6"), ("linux/amd64/v3", "linux/amd64/v3"),
    ("linux/riscv64", "linux/riscv64"), ("linux/x86_64", "linux/amd64"),
  ]) func platforms(_ text: String, _ normal: String) throws { #expect(try Platform(text).description == normal) }

  @Test(arguments: ["", "/", "linux/", "a/b/c/d", "linux/am d64", "linux/\n"]) func refusesPlatforms(_ text: String) {
    #expect(throws: FormatError.self) { try Platform(text) }
  }
}
