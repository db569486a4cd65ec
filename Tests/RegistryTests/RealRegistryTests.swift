import Foundation
import Testing

/// docker-registry with TLS, passwords and tokens; images made by skopeo and umoci.
@Suite(
  .enabled(if: FrontCommand.isBuilt, FrontCommand.whyNot),
  .enabled(
    if: FrontCommand.has("docker-registry", "skopeo", "umoci", "openssl", "htpasswd"),
    "wants docker-registry, skopeo, umoci, openssl and htpasswd: `make test` installs them"),
  .whileTheSuiteRuns)
struct RealRegistryTests {
  let front = FrontCommand()

  /// A folder with a tiny image as `image:v1`, an authority's certificate in `certs`, and a server's beside it.
  func prepare() throws {
    try front.shell(
      """
      mkdir tree certs && echo hello > tree/hello && ln -s hello tree/link
      umoci init --layout image && umoci new --image image:v1
      umoci insert --image image:v1 tree / >/dev/null && umoci config --image image:v1 --os linux --architecture amd64
      openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out certs/ca.crt -days 2 -subj /CN=rig-ca 2>/dev/null
      openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost 2>/dev/null
      printf 'subjectAltName=DNS:localhost,DNS:registry.test,IP:127.0.0.1' > names
      openssl x509 -req -in server.csr -CA certs/ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile names 2>/dev/null
      htpasswd -Bbc passwords u p 2>/dev/null
      """)
  }

  /// Starts the registry on a port that the kernel chooses: it says which, once it listens. What else it says is read, so that it never
  /// waits for a reader.
  func start(_ settings: String) throws -> (Server, port: String) {
    try """
    version: 0.1
    log: {level: info, accesslog: {disabled: true}}
    storage: {filesystem: {rootdirectory: \(front.scratch.path)/data}}
    http:
      addr: 127.0.0.1:0
    \(settings)
    """.write(toFile: front.scratch.path + "/registry.yml", atomically: true, encoding: .utf8)
    let listens = #"s/.*msg="listening on [^ "]*:\([0-9]*\)[^0-9].*/\1/p"#
    let server = try Server([
      "bash", "-c", "exec docker-registry serve \(front.scratch.path)/registry.yml 2> >(exec sed -un '\(listens)')",
    ])
    try #require(!server.announced.isEmpty, "docker-registry ended before it listened")
    return (server, server.announced)
  }

  /// A registry that sends its clients to a token server.
  func startWithTokens() throws -> (Server, port: String, tokens: Server) {
    let tokens = try Server([
      "python3", Server.fixture("token-server.py"), front.scratch.path + "/server.crt",
      front.scratch.path + "/server.key",
    ])
    let (server, port) = try start(
      """
      auth:
        token: {realm: "http://127.0.0.1:\(tokens.announced)/token", service: rig-registry, issuer: rig-auth, rootcertbundle: \(front.scratch.path)/server.crt}
      """)
    return (server, port, tokens)
  }

  var tls: String {
    "  tls: {certificate: \(front.scratch.path)/server.crt, key: \(front.scratch.path)/server.key}\n"
  }

  @Test func basicOverTLS() throws {
    try prepare()
    let (server, port) = try start(tls + "auth: {htpasswd: {realm: rig, path: \(front.scratch.path)/passwords}}")
    let name = "localhost:\(port)/some/image:v1"
    try front.shell(
      "skopeo copy -q --dest-cert-dir certs --dest-creds u:p oci:image:v1 docker://\(name)")
    let certificates = front.scratch.path + "/certs"

    let untrusted = try front("pull", "--creds", "u:p", name)
    #expect(untrusted.status == 1)
    #expect(
      untrusted.error.contains("certificate of localhost:\(port) is not one that is trusted here"), "\(untrusted.error)"
    )
    let anonymous = try front("pull", "--cert-dir", certificates, name)
    #expect(anonymous.status == 1)
    #expect(anonymous.error.contains("give --creds or --authfile"), "\(anonymous.error)")
    let wrong = try front("pull", "--cert-dir", certificates, "--creds", "u:wrong", name)
    #expect(wrong.status == 1)
    #expect(wrong.error.contains("the credentials given are refused"), "\(wrong.error)")
    #expect(!wrong.error.contains("u:wrong"))

    let pulled = try front("pull", "--cert-dir", certificates, "--creds", "u:p", name)
    #expect(pulled.status == 0, "\(pulled.error)")
    #expect(try String(contentsOfFile: front.onlyLayer() + "/hello", encoding: .utf8) == "hello\n")
    #expect(try front("pull", "--tls-verify=false", "--creds", "u:p", name).status == 0)

    // As `docker login` keeps them.
    let authentication = Data("u:p".utf8).base64EncodedString()
    try #"{"auths": {"localhost:\#(port)": {"auth": "\#(authentication)"}}}"#
      .write(toFile: front.scratch.path + "/auth.json", atomically: true, encoding: .utf8)
    let byFile = try front("pull", "--cert-dir", certificates, "--authfile", front.scratch.path + "/auth.json", name)
    #expect(byFile.status == 0, "\(byFile.error)")
    // By digest, and by a digest that is not there.
    let listing = try front("images", "--format", "json").output
    let parsed = try JSONSerialization.jsonObject(with: Data(listing.utf8)) as? [[String: Any]]
    let digest = try #require(parsed?.first?["manifest"] as? String)
    let byDigest = try front(
      "pull", "--cert-dir", certificates, "--creds", "u:p", "localhost:\(port)/some/image@\(digest)")
    #expect(byDigest.status == 0, "\(byDigest.error)")
    let absent = "sha256:" + String(repeating: "0", count: 64)
    #expect(
      try front("pull", "--cert-dir", certificates, "--creds", "u:p", "localhost:\(port)/some/image@\(absent)").status
        == 1)
    _ = try server.end()
  }

  @Test(arguments: ["http", "socks5", "socks5h"]) func throughAProxy(_ scheme: String) throws {
    try prepare()
    let (server, port) = try start(tls)
    try front.shell("skopeo copy -q --dest-cert-dir certs oci:image:v1 docker://localhost:\(port)/some/image:v1")
    let proxy = try Server(["python3", Server.fixture("proxy.py"), port])
    // A name that only the proxy knows.
    let environment = [
      "PATH": "/usr/bin:/bin", "HOME": front.scratch.path, "HTTPS_PROXY": "\(scheme)://127.0.0.1:\(proxy.announced)",
    ]
    let certificates = front.scratch.path + "/certs"
    let pulled = try front("pull", "--cert-dir", certificates, "registry.test/some/image:v1", environment: environment)
    #expect(pulled.status == 0, "\(pulled.error)")
    let spared = try front(
      "pull", "--cert-dir", certificates, "registry.test/some/image:v1",
      environment: environment.merging(["NO_PROXY": "other, .test"]) { $1 })
    #expect(spared.error.contains("is not known (DNS)"), "\(spared.error)")
    // The proxy looks the name up.
    let asked = scheme == "http" ? "CONNECT registry.test:443 HTTP/1.1" : "SOCKS 1 registry.test:443"
    #expect(Set(try proxy.end().split(separator: "\n")) == [Substring(asked)])
    _ = try server.end()
  }

  @Test func tokens() throws {
    try prepare()
    let (server, port, tokens) = try startWithTokens()
    for repository in ["public/image", "private/image"] {
      try front.shell(
        "skopeo copy -q --dest-tls-verify=false --dest-creds u:p oci:image:v1 docker://127.0.0.1:\(port)/\(repository):v1"
      )
    }
    let anonymous = try front("pull", "127.0.0.1:\(port)/public/image:v1")
    #expect(anonymous.status == 0, "\(anonymous.error)")
    let refused = try front("pull", "127.0.0.1:\(port)/private/image:v1")
    #expect(refused.status == 1)
    #expect(refused.error.contains("wants to know who asks"), "\(refused.error)")
    let known = try front("pull", "--creds", "u:p", "127.0.0.1:\(port)/private/image:v1")
    #expect(known.status == 0, "\(known.error)")
    _ = try server.end()
    _ = try tokens.end()
  }
}
