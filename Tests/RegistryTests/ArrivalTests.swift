import Foundation
import Testing

/// `import`, `load`, `oci:` folders, names, and commands that are killed.
@Suite(.enabled(if: FrontCommand.isBuilt, FrontCommand.whyNot), .whileTheSuiteRuns)
struct ArrivalTests {
  let front = FrontCommand()

  private func makeRoot() throws {
    try front.shell(
      "mkdir -p tree/bin && echo hello > tree/bin/hello && tar -C tree -cf root.tar . && gzip -k root.tar")
  }

  @Test(arguments: ["root.tar", "root.tar.gz", "root.tar.zst"])
  func importsARoot(_ file: String) throws {
    try makeRoot()
    if file.hasSuffix("zst") {
      guard FrontCommand.has("zstd") else { return }
      try front.shell("zstd -q root.tar")
    }
    let path = front.scratch.path + "/" + file
    let result = try front(
      "import", "--cmd", "/bin/hello world", "--env", "A=b", "--workdir", "/bin", "--user", "7", path, "my/image:1")
    #expect(result.status == 0, "\(result.error)")
    let text = try front("image", "inspect", "my/image:1").output
    let parsed = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
    let configuration = (parsed?["configuration"] as? [String: Any])?["config"] as? [String: Any]
    #expect(configuration?["Cmd"] as? [String] == ["/bin/hello", "world"])
    #expect(configuration?["WorkingDir"] as? String == "/bin")
    #expect(configuration?["User"] as? String == "7")
    #expect((configuration?["Env"] as? [String])?.contains("A=b") == true)
    #expect(try String(contentsOfFile: front.onlyLayer() + "/bin/hello", encoding: .utf8) == "hello\n")
    // Found by its id too.
    let id = try #require((parsed?["id"] as? String)?.dropFirst(7).prefix(12))
    #expect(try front("image", "inspect", String(id)).status == 0)
  }

  @Test(arguments: [
    (["import", "/nowhere.tar", "x"], "cannot open \"/nowhere.tar\""),
    (["import", "/etc/passwd", "x"], "/etc/passwd is no root file system in a tar archive"),
    (["import", "/etc/passwd", "Bad:Name:x"], "Bad:Name:x"),
    (["import", "/etc/passwd", "oci:/tmp"], "cannot name an image"),
    (["load", "/etc/passwd"], "/etc/passwd"),
    (["pull", "oci:/nowhere"], "/nowhere"),
    (["pull", "oci:/etc"], "oci-layout"),
    (["rmi", "nothing"], "there is no image \"nothing\""),
    (["tag", "nothing", "else"], "there is no image \"nothing\""),
    (["image", "inspect", "nothing"], "there is no image \"nothing\""),
    (["images", "--format", "xml"], "\"xml\""),
    (["pull", "--platform", "a b", "x"], "a b"),
    (["pull", "Bad:Name:x"], "Bad:Name:x"),
    (["rmi", "Bad:Name:x"], "Bad:Name:x"),
    (["tag", "Bad:Name:x", "else"], "Bad:Name:x"),
    (["image", "inspect", "Bad:Name:x"], "Bad:Name:x"),
    (["images", "--bogus"], "--bogus"),
    (["pull"], "IMAGE"),
  ])
  func badInputIsOneLine(_ words: [String], _ expected: String) throws {
    let result = try FrontCommand.run([FrontCommand.path, "--root", front.root] + words)
    // 125 is Docker's word for `run` only.
    #expect(result.status == 1)
    #expect(result.error.contains(expected), "\(result.error)")
    #expect(result.error.hasPrefix("immure: ") && result.error.split(separator: "\n").count == 1, "\(result.error)")
    #expect(result.output.isEmpty)
  }

  @Test func namesComeAndGo() throws {
    try makeRoot()
    #expect(try front("import", front.scratch.path + "/root.tar", "one").status == 0)
    #expect(try front("tag", "one", "two:x").status == 0)
    #expect(try front("rmi", "one").output == "removed one:latest\n")
    #expect(front.entries("layers").count == 1)
    #expect(try front("image", "inspect", "one").status == 1)
    #expect(try front("image", "inspect", "two:x").status == 0)
    let last = try front("rmi", "two:x")
    #expect(last.output.hasPrefix("removed two:x\ndeleted layer "))
    for folder in ["layers", "merged", "names", "blobs/sha256", "incoming", "locks"] {
      #expect(front.entries(folder).isEmpty)
    }
  }

  @Test(.enabled(if: FrontCommand.has("umoci", "skopeo"), "wants umoci and skopeo"))
  func layoutsAndArchives() throws {
    try front.shell(
      """
      mkdir tree upper && echo low > tree/f && echo low > tree/g
      umoci init --layout image && umoci new --image image:v1 && umoci insert --image image:v1 tree /d >/dev/null
      umoci insert --image image:v1 --whiteout /d/f >/dev/null
      umoci config --image image:v1 --os linux --architecture amd64 --config.cmd /x
      umoci tag --image image:v1 v2
      skopeo copy -q oci:image:v1 oci-archive:archive.tar:some/name:v3
      """)
    let folder = front.scratch.path + "/image"
    let ambiguous = try front("pull", "oci:\(folder)")
    #expect(ambiguous.status == 1)
    #expect(ambiguous.error.contains("has several images: name one of v1, v2"), "\(ambiguous.error)")
    #expect(try front("pull", "oci:\(folder):v1").status == 0)
    #expect(front.entries("layers").count == 2)
    #expect(try front("image", "inspect", "oci:\(folder):v1").status == 0)
    let loaded = try front("load", front.scratch.path + "/archive.tar")
    #expect(loaded.status == 0, "\(loaded.error)")
    #expect(loaded.output.hasPrefix("loaded some/name:v3 "), "\(loaded.output)")
    // Skopeo compresses as umoci does: the same layers.
    #expect(front.entries("layers").count == 2)
    #expect(front.entries("incoming").isEmpty == false || front.entries("locks").isEmpty)
    // A blob that was changed is refused.
    try front.shell("f=$(ls -S image/blobs/sha256/* | head -1); chmod u+w $f; printf x >> $f")
    let other = FrontCommand()
    let changed = try other("pull", "oci:\(folder):v1")
    #expect(changed.status == 1)
    #expect(changed.error.split(separator: "\n").count == 1 && changed.error.contains("sha256:"), "\(changed.error)")
    // A link in a layout leads nowhere.
    try front.shell("rm image/index.json && ln -s /etc/passwd image/index.json")
    #expect(try other("pull", "oci:\(folder):v1").error.contains("index.json"))
  }

  @Test(.enabled(if: FrontCommand.has("umoci", "skopeo"), "wants umoci and skopeo")) func dockersArchive() throws {
    try front.shell(
      """
      mkdir tree && echo hello > tree/hello
      umoci init --layout image && umoci new --image image:v1 && umoci insert --image image:v1 tree / >/dev/null
      umoci config --image image:v1 --os linux --architecture amd64 --config.cmd /hello
      skopeo copy -q oci:image:v1 docker-archive:saved.tar:my/name:v7
      """)
    let loaded = try front("load", front.scratch.path + "/saved.tar")
    #expect(loaded.status == 0, "\(loaded.error)")
    #expect(loaded.output.hasPrefix("loaded my/name:v7 "))
    #expect(try String(contentsOfFile: front.onlyLayer() + "/hello", encoding: .utf8) == "hello\n")
    #expect(try front("load", front.scratch.path + "/saved.tar").error.contains("here already"))
    // A manifest that leads out of the archive, and one with another layer than its configuration says.
    try front.shell(
      """
      mkdir evil && cd evil && tar xf ../saved.tar && chmod -R u+w .
      sed 's#"Config":"[^"]*"#"Config":"../../../../../../etc/passwd"#' manifest.json > m && mv m manifest.json && tar cf ../evil.tar .
      cd .. && mkdir other && cd other && tar xf ../saved.tar && chmod -R u+w .
      layer=$(python3 -c 'import json; print(json.load(open("manifest.json"))[0]["Layers"][0])')
      rm "$layer" && tar cf "$layer" --exclude "$layer" manifest.json && tar cf ../other.tar .
      """)
    let other = FrontCommand()
    let evil = try other("load", front.scratch.path + "/evil.tar")
    #expect(evil.status == 1)
    #expect(evil.error.contains("evil.tar") && evil.error.split(separator: "\n").count == 1, "\(evil.error)")
    let changed = try other("load", front.scratch.path + "/other.tar")
    #expect(changed.status == 1)
    #expect(changed.error.contains("but the image's configuration says"), "\(changed.error)")
    #expect(other.entries("names").isEmpty)
  }

  @Test func killedCommandsLeaveNothing() throws {
    // Large enough to be killed in the middle, at many points.
    try front.shell(
      "mkdir tree && for i in $(seq 400); do head -c 50000 /dev/urandom > tree/$i; done && tar -C tree -cf root.tar .")
    let path = front.scratch.path + "/root.tar"
    for tenths in [1, 2, 4, 7, 11, 16, 24] {
      _ = try FrontCommand.run([
        "timeout", "-s", "KILL", "0.0\(tenths < 10 ? "0" : "")\(tenths)", FrontCommand.path, "--root", front.root,
        "import", path, "big",
      ])
      #expect(front.entries("layers").isEmpty || front.entries("names").count <= 1)
    }
    let whole = try front("import", path, "big")
    #expect(whole.status == 0, "\(whole.error)")
    #expect(try front("rmi", "big").status == 0)
    for folder in ["layers", "merged", "names", "blobs/sha256", "incoming", "locks"] {
      #expect(front.entries(folder).isEmpty, "\(folder): \(front.entries(folder))")
    }
  }

  @Test func manyAtOnce() throws {
    try makeRoot()
    let command = "\(FrontCommand.path) --root \(front.root)"
    try front.shell(
      """
      for i in $(seq 8); do \(command) import root.tar image:$i >/dev/null & jobs[$i]=$!; done
      for i in $(seq 8); do wait ${jobs[$i]}; done
      """)
    #expect(front.entries("layers").count == 1)
    #expect(front.entries("names").count == 8)
    try front.shell("\(command) rmi $(for i in $(seq 8); do echo image:$i; done)")
    for folder in ["layers", "names", "blobs/sha256", "incoming"] { #expect(front.entries(folder).isEmpty) }
  }
}
