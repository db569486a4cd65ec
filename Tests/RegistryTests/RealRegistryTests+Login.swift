import Foundation
import Testing

/// `login`, `logout` and what is done with credentials, against docker-registry; the files are shared with skopeo and podman.
extension RealRegistryTests {
  private func guarded() throws -> (Server, name: String, certificates: String) {
    try prepare()
    let (server, port) = try start(tls + "auth: {htpasswd: {realm: rig, path: \(front.scratch.path)/passwords}}")
    return (server, "localhost:\(port)", front.scratch.path + "/certs")
  }

  private var environment: [String: String] {
    [
      "PATH": front.scratch.path + "/bin:/usr/bin:/bin", "HOME": front.scratch.path,
      "XDG_RUNTIME_DIR": front.scratch.path + "/run",
    ]
  }

  /// A command with a password on its standard input.
  private func login(_ words: String, password: String) throws -> FrontCommand.Result {
    let settings = environment.map { "\($0)='\($1)'" }.joined(separator: " ")
    return try FrontCommand.run(
      [
        "/bin/bash", "-c",
        "printf '%s\\n' '\(password)' | env \(settings) '\(FrontCommand.path)' --root '\(front.root)' login --password-stdin \(words)",
      ],
      folder: front.scratch.path)
  }

  @Test func loginIsProvedThenKept() throws {
    let (server, name, certificates) = try guarded()
    let file = front.scratch.path + "/run/containers/auth.json"
    let wrong = try login("-u u --cert-dir certs \(name)", password: "geheim")
    #expect(wrong.status == 1 && wrong.error.contains("refuses this name and password"), "\(wrong.error)")
    #expect(!wrong.error.contains("geheim") && !FileManager.default.fileExists(atPath: file))
    let untrusted = try login("-u u \(name)", password: "p")
    #expect(untrusted.error.contains("is not one that is trusted here"), "\(untrusted.error)")

    // What others keep in the file stays.
    try front.shell(
      #"mkdir -p run/containers && echo '{"auths": {"else.example": {"auth": "eDp5", "email": "z"}}, "HttpHeaders": {"X": "y"}, "psFormat": 7}' > run/containers/auth.json && chmod 644 run/containers/auth.json"#
    )
    let good = try login("-u u --cert-dir certs \(name)", password: "p")
    #expect(good.status == 0, "\(good.error)")
    #expect(good.output == "logged in to \(name) as u, kept in \(file)\n")
    let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
    #expect(mode == 0o600)
    let kept = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: file))) as? [String: Any]
    let auths = kept?["auths"] as? [String: [String: String]]
    #expect(auths?["else.example"] == ["auth": "eDp5", "email": "z"] && auths?[name] == ["auth": "dTpw"])
    #expect((kept?["HttpHeaders"] as? [String: String]) == ["X": "y"] && kept?["psFormat"] as? Int == 7)

    #expect(try front("login", "--get-login", name, environment: environment).output == "u\n")
    // skopeo finds it there, and we find what skopeo keeps.
    try front.shell(
      "XDG_RUNTIME_DIR=$PWD/run skopeo copy -q --dest-cert-dir certs oci:image:v1 docker://\(name)/some/image:v1")
    #expect(
      try front("pull", "--cert-dir", certificates, "\(name)/some/image:v1", environment: environment).status == 0)
    #expect(try front("logout", name, environment: environment).output == "logged out of \(name)\n")
    #expect(try front("logout", name, environment: environment).error.contains("nobody is logged in to"))
    #expect(try String(contentsOfFile: file, encoding: .utf8).contains("HttpHeaders"))
    #expect(
      try front("pull", "--cert-dir", certificates, "\(name)/some/image:v1", environment: environment).status == 1)
    try front.shell("XDG_RUNTIME_DIR=$PWD/run skopeo login --cert-dir certs -u u -p p \(name) >/dev/null")
    #expect(
      try front("pull", "--cert-dir", certificates, "\(name)/some/image:v1", environment: environment).status == 0)
    #expect(
      try front("logout", "--all", environment: environment).output
        == "logged out of else.example\nlogged out of \(name)\n")
    _ = try server.end()
  }

  /// A link is followed to the file that it names; a file somebody put in the way of the new one is not written to.
  @Test func theFileIsWrittenSafely() throws {
    let (server, name, _) = try guarded()
    try front.shell("mkdir real shared && echo '{}' > real/auth.json && ln -s ../real/auth.json shared/auth.json")
    #expect(try login("-u u --cert-dir certs --authfile shared/auth.json \(name)", password: "p").status == 0)
    #expect(
      try front.shell(
        "readlink shared/auth.json; stat -c %a real/auth.json; ls -A real shared | grep immure || echo none")
        == "../real/auth.json\n600\nnone\n")
    try front.shell("echo '{broken' > real/auth.json")
    let broken = try login("-u u --cert-dir certs --authfile real/auth.json \(name)", password: "p")
    #expect(broken.status == 1 && broken.error.contains("real/auth.json:1:"), "\(broken.error)")
    #expect(try front.shell("cat real/auth.json") == "{broken\n")
    _ = try server.end()
  }

  /// A helper of our own keeps the secret; what it was started with is on record.
  @Test func helpersKeepTheSecret() throws {
    let (server, name, certificates) = try guarded()
    try front.shell(
      #"""
      mkdir -p bin run/containers
      cat > bin/docker-credential-rig <<'EOF'
      #!/bin/bash
      echo "$@" >> "$HOME/helper.log"
      case $1 in
        store) cat > "$HOME/secret" ;;
        get) read -r server; [ -e "$HOME/secret" ] && cat "$HOME/secret" || { echo "credentials not found in native keychain"; exit 1; } ;;
        erase) rm "$HOME/secret" ;;
      esac
      EOF
      chmod +x bin/docker-credential-rig
      """#)
    try #"{"credHelpers": {"\#(name)": "rig"}}"#.write(
      toFile: front.scratch.path + "/run/containers/auth.json", atomically: true, encoding: .utf8)
    let good = try login("-u u --cert-dir certs \(name)", password: "p")
    #expect(good.status == 0 && good.output.hasSuffix("kept by docker-credential-rig\n"), "\(good.error)")
    #expect(try front.shell("cat secret").contains(#""Secret":"p""#))
    #expect(try !front.shell("cat run/containers/auth.json").contains("dTpw"))
    try front.shell("skopeo copy -q --dest-cert-dir certs --dest-creds u:p oci:image:v1 docker://\(name)/some/image:v1")
    let pulled = try front("pull", "--cert-dir", certificates, "\(name)/some/image:v1", environment: environment)
    #expect(pulled.status == 0, "\(pulled.error)")
    #expect(try front("logout", name, environment: environment).status == 0)
    let gone = try front("pull", "--cert-dir", certificates, "\(name)/some/image:v1", environment: environment)
    #expect(gone.status == 1 && gone.error.contains("give --creds"), "\(gone.error)")
    // No secret in any process's arguments.
    #expect(try front.shell("sort -u helper.log") == "erase\nget\nstore\n")

    // Helpers that fail, say too much, or something else: one line each, and never their output.
    for (script, words) in [
      ("echo no key >&2; echo locked; exit 2", "docker-credential-rig get fails: locked"),
      ("echo '{\"Username\":\"u\",\"Secret\":\"geheim'", "answers with something that is no JSON"),
      ("head -c 100000 /dev/zero", "cannot run docker-credential-rig"),
    ] {
      try front.shell(
        "printf '#!/bin/bash\\n%s\\n' '\(script.replacingOccurrences(of: "'", with: "'\\''"))' > bin/docker-credential-rig"
      )
      let failed = try front(
        "pull", "--quiet", "--cert-dir", certificates, "\(name)/some/image:v1", environment: environment)
      #expect(failed.status == 1 && failed.error.contains(words), "\(failed.error)")
      #expect(!failed.error.contains("geheim") && failed.error.split(separator: "\n").suffix(1).count == 1)
    }
    try front.shell("rm bin/docker-credential-rig")
    let absent = try front("pull", "--cert-dir", certificates, "\(name)/some/image:v1", environment: environment)
    #expect(absent.error.contains("is nowhere along PATH"), "\(absent.error)")
    _ = try server.end()
  }

  @Test(arguments: [
    (["https://"], "names no registry"), (["not a host"], "is no registry"), (["x/y"], "is no registry"),
    (["-u", "a:b", "-p", "x", "localhost:1"], "has a colon"), (["-u", "u", "-p", "", "localhost:1"], "is empty"),
    (["--password-stdin", "localhost:1"], "wants --username"),
    (["-u", "u", "localhost:1"], "standard input is no terminal"),
    (["-u", "u", "-p", "geheim", "localhost:1"], "refuses the connection"),
    (["--get-login", "localhost:1"], "nobody is logged in to localhost:1"),
  ]) func badLogins(_ words: [String], _ expected: String) throws {
    let result = try FrontCommand.run(
      [FrontCommand.path, "--root", front.root, "login"] + words, environment: environment)
    #expect(result.status == 1 && result.error.contains(expected), "\(result.error)")
    #expect(result.error.split(separator: "\n").count == 1 && !result.error.contains("geheim"), "\(result.error)")
  }

  /// A password typed at a terminal is not shown, and the terminal is as it was.
  @Test(.enabled(if: FrontCommand.has("script"), "wants script")) func aPasswordIsAskedForWithoutShowingIt() throws {
    let (server, name, _) = try guarded()
    let settings = environment.map { "\($0)='\($1)'" }.joined(separator: " ")
    // The registry answers only what is typed after the prompts: u, then "pX", a backspace, and the end of the line.
    let typed = try FrontCommand.run(
      [
        "python3", "-c",
        """
        import os, pty, sys
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvp("/bin/bash", ["bash", "-c", "stty -a > before; env \(settings) '\(FrontCommand.path)' login --cert-dir certs \(name); s=$?; stty -a > after; exit $s"])
        seen = b""
        def until(text):
            global seen
            while text not in seen:
                try: chunk = os.read(terminal, 1000)
                except OSError: chunk = b""
                if not chunk: break
                seen += chunk
        until(b"Name at"); os.write(terminal, b"u\\r")
        until(b"Password of u"); os.write(terminal, b"geheimX\\x15pX\\x7f\\r")
        until(b"<none>")
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        sys.stdout.buffer.write(seen)
        sys.exit(status)
        """,
      ], folder: front.scratch.path)
    #expect(typed.status == 0, "\(typed.output)\(typed.error)")
    #expect(typed.output.contains("logged in to \(name) as u") && !typed.output.contains("geheim"), "\(typed.output)")
    #expect(try front.shell("cmp before after && echo same") == "same\n")
    _ = try server.end()
  }

  /// A registry that wants to see a certificate of ours (containers-certs.d(5)).
  @Test func clientsCertificates() throws {
    try prepare()
    try front.shell(
      """
      openssl req -newkey rsa:2048 -nodes -keyout client.key -out client.csr -subj /CN=me 2>/dev/null
      openssl x509 -req -in client.csr -CA certs/ca.crt -CAkey ca.key -CAcreateserial -out client.cert -days 2 2>/dev/null
      """)
    let (server, port) = try start(
      "  tls: {certificate: \(front.scratch.path)/server.crt, key: \(front.scratch.path)/server.key, clientcas: [\(front.scratch.path)/certs/ca.crt]}\n"
    )
    try front.shell(
      "mkdir both && cp certs/ca.crt client.cert client.key both && skopeo copy -q --dest-cert-dir both oci:image:v1 docker://localhost:\(port)/a/b:v1"
    )
    let name = "localhost:\(port)/a/b:v1"
    let without = try front("pull", "--quiet", "--cert-dir", front.scratch.path + "/certs", name)
    #expect(without.status == 1 && without.error.split(separator: "\n").count == 1, "\(without.error)")
    let with = try front("pull", "--cert-dir", front.scratch.path + "/both", name)
    #expect(with.status == 0, "\(with.error)")
    // By the folder that is looked in without being named.
    try front.shell("mkdir -p .config/containers/certs.d && cp -r both .config/containers/certs.d/localhost:\(port)")
    #expect(try front("pull", name, environment: environment).status == 0)
    try front.shell("rm both/client.key")
    let keyless = try front("pull", "--cert-dir", front.scratch.path + "/both", name)
    #expect(keyless.status == 1 && keyless.error.contains("has no key beside it"), "\(keyless.error)")
    _ = try server.end()
  }
}

/// Credentials and TLS: what an attacker who speaks for a registry, or answers behind one, would like to be told.
extension RealRegistryTests {
  @Test func credentialsNeverLeaveTLSNorTheirHost() throws {
    try prepare()
    let server = try Server([
      "python3", Server.fixture("registry.py"), front.scratch.path + "/server.crt", front.scratch.path + "/server.key",
    ])
    let port = try #require(server.announced.split(separator: " ").last)
    let certificates = front.scratch.path + "/certs"
    func pull(_ mode: String) throws -> FrontCommand.Result {
      try front("pull", "--quiet", "--cert-dir", certificates, "--creds", "u:p", "localhost:\(port)/\(mode)")
    }
    // A redirect to plain http is refused, whoever's host it is; so is a token server that is asked in the clear.
    let downgraded = try pull("downgrade")
    #expect(
      downgraded.status == 1 && downgraded.error.contains("redirects from https to http://127.0.0.1"),
      "\(downgraded.error)")
    let clear = try pull("clear-token")
    #expect(clear.status == 1 && clear.error.contains("which is not https: refused"), "\(clear.error)")
    // Another host gets no credentials, over TLS either.
    let across = try pull("across")
    #expect(across.status == 0, "\(across.error)")
    let seen = try server.end().split(separator: "\n")
    #expect(!seen.isEmpty && seen.allSatisfy { $0.hasPrefix("authorization localhost:\(port) /v2/") }, "\(seen)")
  }
}
