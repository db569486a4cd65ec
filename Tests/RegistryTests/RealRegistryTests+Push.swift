import Foundation
import Testing

/// `push` to docker-registry: what others pull from there is what was pushed.
extension RealRegistryTests {
  @Test func whatIsPushedIsWhatOthersPull() throws {
    try prepare()
    let (server, port) = try start(tls + "auth: {htpasswd: {realm: rig, path: \(front.scratch.path)/passwords}}")
    let place = "localhost:\(port)"
    let certificates = front.scratch.path + "/certs"
    // In OCI's words and in Docker's: the manifest goes back as it came.
    for (format, repository) in [("oci", "a/oci"), ("v2s2", "a/docker")] {
      try front.shell(
        "skopeo copy -q --format \(format) --dest-cert-dir certs --dest-creds u:p oci:image:v1 docker://\(place)/\(repository):v1"
      )
      let pulled = try front("pull", "--cert-dir", certificates, "--creds", "u:p", "\(place)/\(repository):v1")
      #expect(pulled.status == 0, "\(pulled.error)")
      let refused = try front(
        "push", "--quiet", "--cert-dir", certificates, "\(place)/\(repository):v1", "\(place)/b/\(format):v2")
      #expect(
        refused.status == 1 && refused.error.contains("does not let \(place)/b/\(format):v2 be pushed"),
        "\(refused.error)")
      let pushed = try front(
        "push", "--cert-dir", certificates, "--creds", "u:p", "\(place)/\(repository):v1", "\(place)/b/\(format):v2")
      #expect(pushed.status == 0, "\(pushed.error)")
      // The registry had the layer in the other repository.
      #expect(pushed.error.contains("mounted from \(repository)"), "\(pushed.error)")
      let digest = try front.shell(
        "skopeo inspect --cert-dir certs --creds u:p --format '{{.Digest}}' docker://\(place)/b/\(format):v2")
      #expect(digest == pushed.output)
      let original = try front.shell(
        "skopeo inspect --cert-dir certs --creds u:p --format '{{.Digest}}' docker://\(place)/\(repository):v1")
      #expect(original == pushed.output)
      try front.shell(
        "skopeo copy -q --src-cert-dir certs --src-creds u:p docker://\(place)/b/\(format):v2 dir:copied-\(format)")
    }
    // An image that no registry gave, with a layer that is streamed.
    try front.shell("mkdir large && head -c 3000000 /dev/urandom > large/f && tar -C large -czf large.tar.gz .")
    #expect(try front("import", front.scratch.path + "/large.tar.gz", "large").status == 0)
    let streamed = try front("push", "--cert-dir", certificates, "--creds", "u:p", "large", "\(place)/c/large")
    #expect(streamed.status == 0, "\(streamed.error)")
    try front.shell(
      """
      skopeo copy -q --src-cert-dir certs --src-creds u:p docker://\(place)/c/large oci:back:x
      umoci unpack --rootless --image back:x bundle >/dev/null 2>&1
      cmp large/f bundle/rootfs/f
      """)
    if FrontCommand.isRoot, FrontCommand.has("podman") {
      let podman = try front.shell(
        """
        p="podman --root $PWD/p --runroot $PWD/r --storage-driver vfs"
        $p pull -q --cert-dir certs --creds u:p \(place)/c/large >/dev/null 2>podman.err || { cat podman.err >&2; exit 1; }
        $p image inspect --format '{{.Digest}}' \(place)/c/large
        """)
      #expect(podman == streamed.output)
    }
    _ = try server.end()
  }

  /// Tokens say what may be done: the scopes of a push and of what is mounted from, and refresh tokens.
  @Test func tokensForPushing() throws {
    try prepare()
    let (server, port, tokens) = try startWithTokens()
    let place = "127.0.0.1:\(port)"
    try front.shell(
      "skopeo copy -q --dest-tls-verify=false --dest-creds u:p oci:image:v1 docker://\(place)/from/image:v1")
    #expect(try front("pull", "--creds", "u:p", "\(place)/from/image:v1").status == 0)
    let pushed = try front("push", "--creds", "u:p", "\(place)/from/image:v1", "\(place)/to/image:v1")
    #expect(pushed.status == 0, "\(pushed.error)")
    #expect(pushed.error.contains("mounted from from/image"), "\(pushed.error)")
    // As `docker login` keeps an identity token.
    try #"{"auths": {"\#(place)": {"identitytoken": "refresh"}}}"#
      .write(toFile: front.scratch.path + "/auth.json", atomically: true, encoding: .utf8)
    let other = FrontCommand()
    let refreshed = try other("pull", "--authfile", front.scratch.path + "/auth.json", "\(place)/to/image:v1")
    #expect(refreshed.status == 0, "\(refreshed.error)")
    let login = try front("login", "-u", "u", "-p", "wrong", "--authfile", front.scratch.path + "/new.json", place)
    #expect(login.status == 1 && login.error.contains("refuses this name and password"), "\(login.error)")
    #expect(try front("login", "-u", "u", "-p", "p", "--authfile", front.scratch.path + "/new.json", place).status == 0)
    let seen = try tokens.end().split(separator: "\n")
    #expect(seen.contains("GET repository:to/image:pull,push repository:from/image:pull"), "\(seen)")
    #expect(seen.contains("POST repository:to/image:pull"), "\(seen)")
    _ = try server.end()
  }
}
