import Foundation
import Testing

/// What immure writes others read, and what they write immure reads: the id of the image stays the same on every way.
@Suite(
  .enabled(if: FrontCommand.isBuilt, FrontCommand.whyNot), .enabled(if: FrontCommand.isRoot, FrontCommand.notRoot),
  .whileTheSuiteRuns)
struct InteroperabilityTests {
  let front = FrontCommand()

  /// An image of two layers with every kind of file and whiteouts, as `some/image:1`, and as the layout `layout` (tag 1) and `image.tar`.
  private func makeImage() throws -> String {
    try front.shell(
      """
      python3 '\(Server.fixture("layers.py"))' kinds kinds.tar && python3 '\(Server.fixture("layers.py"))' whiteouts whiteouts.tar
      gzip -k kinds.tar
      python3 - <<'END'
      import hashlib, json, os
      os.makedirs("made/blobs/sha256")
      def keep(data):
          digest = hashlib.sha256(data).hexdigest()
          open("made/blobs/sha256/" + digest, "wb").write(data)
          return {"digest": "sha256:" + digest, "size": len(data)}
      oci = "application/vnd.oci.image."
      read = lambda name: open(name, "rb").read()
      layers = [{"mediaType": oci + "layer.v1.tar+gzip", **keep(read("kinds.tar.gz"))},
                {"mediaType": oci + "layer.v1.tar", **keep(read("whiteouts.tar"))}]
      diff = ["sha256:" + hashlib.sha256(read(name)).hexdigest() for name in ["kinds.tar", "whiteouts.tar"]]
      history = [{"created_by": "one"}, {"created_by": "CMD [\\"x\\"]\\x1b[31m", "empty_layer": True}, {"created_by": "two", "comment": "last"}]
      config = keep(json.dumps({"os": "linux", "architecture": "amd64", "history": history, "config": {"Cmd": ["/x"], "Healthcheck": {"Test": ["NONE"]}},
                                "rootfs": {"type": "layers", "diff_ids": diff}}).encode())
      manifest = {"schemaVersion": 2, "mediaType": oci + "manifest.v1+json", "layers": layers, "config": {"mediaType": oci + "config.v1+json", **config}}
      index = [{"mediaType": oci + "manifest.v1+json", **keep(json.dumps(manifest).encode()), "annotations": {"org.opencontainers.image.ref.name": "v1"}}]
      json.dump({"schemaVersion": 2, "manifests": index}, open("made/index.json", "w"))
      open("made/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
      END
      """)
    let place = front.scratch.path
    let pulled = try front("pull", "-q", "oci:\(place)/made:v1")
    try #require(pulled.status == 0, "\(pulled.error)")
    let id = pulled.output.trimmingCharacters(in: .whitespacesAndNewlines)
    for words in [
      ["tag", "made:v1", "some/image:1"], ["rmi", "made:v1"],
      ["image", "copy", "-q", "some/image:1", "oci:\(place)/layout:1"],
      ["save", "--format", "oci-archive", "-o", "\(place)/image.tar", "some/image:1"],
    ] {
      let result = try FrontCommand.run([FrontCommand.path, "--root", front.root] + words)
      try #require(result.status == 0, "\(words): \(result.error)")
    }
    return id
  }

  /// A second store takes an archive or a layout; the id that it has there.
  private func taken(_ words: String...) throws -> (id: String, name: String) {
    let other = FrontCommand()
    let result = try FrontCommand.run([FrontCommand.path, "--root", other.root] + words)
    #expect(result.status == 0, "\(words): \(result.error)")
    let listed = try JSONSerialization.jsonObject(with: Data(try other("images", "--format", "json").output.utf8))
    let images = try #require(listed as? [[String: Any]])
    try #require(images.count == 1, "\(images)")
    return (images[0]["id"] as? String ?? "", images[0]["name"] as? String ?? "")
  }

  @Test(.enabled(if: FrontCommand.has("skopeo", "umoci"), "wants skopeo and umoci")) func skopeoAndUmoci() throws {
    let id = try makeImage()
    let place = front.scratch.path
    try front.shell(
      """
      skopeo copy -q oci:layout:1 docker-archive:skopeo-docker.tar:sk/d:1
      skopeo copy -q oci:layout:1 oci-archive:skopeo-oci.tar:sk/o:1
      skopeo copy -q oci:layout:1 oci:skopeo-layout:1
      umoci unpack --image layout:1 bundle > /dev/null
      umoci tag --image layout:1 second
      """)
    #expect(try taken("load", place + "/skopeo-oci.tar") == (id, "sk/o:1"))
    #expect(try taken("pull", "oci:\(place)/skopeo-layout:1") == (id, "skopeo-layout:1"))
    #expect(try taken("pull", "oci:\(place)/layout:second") == (id, "layout:second"))
    // skopeo writes the configuration anew for Docker's archive; the layers are the same.
    #expect(try taken("load", place + "/skopeo-docker.tar").name == "sk/d:1")
    #expect(try front("load", place + "/skopeo-docker.tar").error.components(separatedBy: "here already").count == 2)
  }

  @Test(.enabled(if: FrontCommand.has("podman"), "wants podman")) func podman() throws {
    // podman takes no whiteout of a file of the same layer.
    try front.shell("python3 '\(Server.fixture("layers.py"))' kinds kinds.tar && gzip kinds.tar")
    let place = front.scratch.path
    let imported = try front("import", "-q", "--cmd", "/x", place + "/kinds.tar.gz", "some/kinds:1")
    let id = imported.output.trimmingCharacters(in: .whitespacesAndNewlines)
    #expect(try front("image", "copy", "-q", "some/kinds:1", "oci:\(place)/layout:1").status == 0)
    try front.shell(
      """
      p="podman --root $PWD/p --runroot $PWD/r --tmpdir $PWD/t --storage-driver vfs --events-backend none"
      $p pull -q oci:layout:1 > pulled
      $p tag $(cat pulled) other/name:2
      $p save -q --format oci-archive -o podman-oci.tar other/name:2
      $p push -q other/name:2 oci:podman-layout:2
      """)
    #expect(try front.shell("cat pulled").hasPrefix(id.dropFirst(7)))
    #expect(try taken("load", place + "/podman-oci.tar") == (id, "localhost/other/name:2"))
    #expect(try taken("pull", "oci:\(place)/podman-layout:2") == (id, "podman-layout:2"))
  }

  @Test(.enabled(if: FrontCommand.has("containerd", "ctr"), "wants containerd")) func containerd() throws {
    let id = try makeImage()
    let place = front.scratch.path
    try front.shell(
      """
      printf 'version = 2\\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\\n' > c.toml
      containerd -c c.toml --root $PWD/croot --state $PWD/cstate --address $PWD/c.sock > c.log 2>&1 & daemon=$!
      trap 'kill $daemon; wait $daemon || :' EXIT
      for n in $(seq 1200); do ctr -a $PWD/c.sock version > /dev/null 2>&1 && break; sleep 0.1; done
      ctr -a $PWD/c.sock images import --no-unpack image.tar > /dev/null
      ctr -a $PWD/c.sock images ls -q | grep -qx docker.io/some/image:1
      ctr -a $PWD/c.sock images export exported.tar docker.io/some/image:1
      """)
    #expect(try taken("load", place + "/exported.tar") == (id, "some/image:1"))
  }

  // MARK: The commands' own ways

  /// From every place to every other, without leaving a name or a layer behind.
  @Test func imagesAreCopiedBetweenAllPlaces() throws {
    let id = try makeImage()
    let place = front.scratch.path
    let ways = [
      ("some/image:1", "docker-archive:\(place)/a.tar:x/y:3"), ("docker-archive:\(place)/a.tar", "oci:\(place)/b:4"),
      ("oci:\(place)/b:4", "oci-archive:\(place)/c.tar:5"),
      ("oci-archive:\(place)/c.tar:5", "docker-archive:\(place)/d.tar"),
      ("docker-archive:\(place)/a.tar:x/y:3", "oci-archive:\(place)/e.tar:q/r:6"),
      ("oci-archive:\(place)/e.tar:q/r:6", "end:7"),
    ]
    let other = FrontCommand()
    for (index, way) in ways.enumerated() {
      // The first is from the store that has the image, all others from one that has nothing.
      let command = index == 0 ? front : other
      let result = try command("image", "copy", "-q", way.0, way.1)
      #expect(result.status == 0 && result.output == id + "\n", "\(way): \(result.error)")
      if index > 0 && index < ways.count - 1 {
        for folder in ["layers", "names", "blobs/sha256"] { #expect(other.entries(folder).isEmpty, "\(way)") }
      }
    }
    #expect(try taken("load", place + "/c.tar").name == "c:5")
    #expect(try taken("load", place + "/e.tar").name == "q/r:6")
    #expect(try taken("load", place + "/d.tar").name == "c:5")
    #expect(try other("images", "-q").output == id + "\n")
  }

  /// A folder that has images takes more: what is there stays, an image of the same tag gives way, and no link in it is followed.
  @Test(.enabled(if: FrontCommand.has("skopeo", "umoci"), "wants skopeo and umoci")) func aFolderTakesFurtherImages()
    throws
  {
    let id = try makeImage()
    let place = front.scratch.path
    // Made by another tool, with words that are not ours.
    try front.shell(
      """
      skopeo copy -q oci:layout:1 oci:many:one
      python3 - <<'END'
      import json
      index = json.load(open("many/index.json"))
      index["annotations"] = {"who": "made it"}
      index["manifests"][0]["annotations"]["more"] = "words"
      json.dump(index, open("many/index.json", "w"))
      END
      """)
    #expect(try front("image", "copy", "-q", "some/image:1", "oci:\(place)/many:two").output == id + "\n")
    #expect(try front("push", "-q", "some/image:1", "oci:\(place)/many:three").status == 0)
    #expect(try front("import", "-q", place + "/kinds.tar", "kinds").status == 0)
    #expect(try front("image", "copy", "-q", "kinds", "oci:\(place)/many:three").status == 0)
    let told = try front.shell(
      """
      umoci ls --layout many | tr '\n' ' '
      for tag in one two three; do skopeo inspect oci:many:$tag | grep -c sha256: > /dev/null; done
      for tag in one two three; do umoci unpack --rootless --image many:$tag bundle-$tag > /dev/null; done
      diff <(cd bundle-one/rootfs; find . -type f -exec sha256sum {} + | sort) <(cd bundle-two/rootfs; find . -type f -exec sha256sum {} + | sort) && echo same
      python3 - <<'END'
      import json
      index = json.load(open("many/index.json"))
      print(index["annotations"], index["manifests"][0]["annotations"]["more"], len(index["manifests"]))
      END
      ls -A many many/blobs/sha256 | grep -c '^[.]' || :
      """)
    #expect(told == "one two three same\n{'who': 'made it'} words 3\n0\n", "\(told)")
    #expect(try front("pull", "-q", "oci:\(place)/many:two").output == id + "\n")
    // A hostile folder: the blob that is to be written is a link, or the folder of blobs is.
    try front.shell(
      """
      echo mine > victim; mkdir elsewhere; cp -r many links; cp -r many moved
      for f in links/blobs/sha256/*; do ln -sf $PWD/victim $f; done
      mv moved/blobs/sha256 moved/blobs/real; ln -s $PWD/elsewhere moved/blobs/sha256
      """)
    #expect(try front("image", "copy", "-q", "some/image:1", "oci:\(place)/links:four").status == 0)
    let refused = try front("image", "copy", "-q", "some/image:1", "oci:\(place)/moved:four")
    #expect(refused.status == 1 && refused.error.split(separator: "\n").count == 1, "\(refused.error)")
    #expect(try front.shell("cat victim; ls elsewhere; umoci ls --layout moved | wc -l") == "mine\n3\n")
    let other = try front("image", "copy", "-q", "some/image:1", "oci:\(place):x")
    #expect(
      other.status == 1 && other.error.contains("neither empty nor a folder in OCI image layout"), "\(other.error)")
  }

  /// Several that add to one folder at once: all are there afterwards.
  @Test func aFolderTakesImagesAtOnce() throws {
    _ = try makeImage()
    let said = try front.shell(
      """
      copy() { '\(FrontCommand.path)' --root '\(front.root)' image copy -q some/image:1 oci:many:$1; }
      copy 0 > /dev/null
      for n in 1 2 3 4 5 6; do copy $n > /dev/null & done; wait
      python3 -c 'import json; print(sorted(m["annotations"]["org.opencontainers.image.ref.name"] for m in json.load(open("many/index.json"))["manifests"]))'
      """)
    #expect(said == "['0', '1', '2', '3', '4', '5', '6']\n")
  }

  @Test(arguments: [
    (["image", "copy", "nothing", "oci:x"], "there is no image \"nothing\""),
    (["image", "copy", "dir:/x", "y"], "the transport dir: is not supported"),
    (["push", "x", "dir:/y"], "the transport dir: is not supported"),
    (["image", "copy", "x", "docker-daemon:y:1"], "the transport docker-daemon: is not supported"),
    (["image", "copy", "docker-archive:/nowhere.tar", "y"], "/nowhere.tar"),
    (["image", "copy", "oci:", "y"], "is not oci:PLACE"),
    (["image", "copy", "oci-archive:/x:", "y"], "is not oci-archive:PLACE"),
    (["history", "nothing"], "there is no image \"nothing\""),
    (["history", "x", "y"], "history"),
    (["history", "--format", "xml", "x"], "\"xml\""),
    (["image", "prune"], "say --force"),
    (["commit", "x", "y"], "commit is a command of `immure`"),
  ])
  func badWordsAreOneLine(_ words: [String], _ expected: String) throws {
    let result = try FrontCommand.run([FrontCommand.path, "--root", front.root] + words)
    #expect(result.status == 1)
    #expect(result.error.contains(expected) && result.error.split(separator: "\n").count == 1, "\(result.error)")
  }

  /// Steps without a layer are told apart, and an author's words do nothing to a terminal.
  @Test func aHistoryIsTold() throws {
    _ = try makeImage()
    let table = try front("history", "some/image:1").output.split(separator: "\n").map(String.init)
    #expect(table.count == 4 && table[1].contains("two") && table[1].hasSuffix("last"), "\(table)")
    #expect(table[2].hasPrefix("- ") && table[2].contains("CMD [\"x\"]\\u{1b}[31m"), "\(table)")
    #expect(try front("history", "-q", "some/image:1").output.split(separator: "\n").count == 2)
    let json = try JSONSerialization.jsonObject(
      with: Data(try front("image", "history", "--format", "json", "some/image:1").output.utf8))
    let steps = try #require(json as? [[String: Any]])
    #expect(steps.map { $0["emptyLayer"] as? Bool } == [false, true, false])
    #expect(steps[0]["diffID"] as? String == (try "sha256:" + front.shell("sha256sum < whiteouts.tar").prefix(64)))
    #expect(try front("history", "--no-trunc", "some/image:1").output.contains("sha256:"))
  }

  /// A folder's image has the folder's last part for its name; another image behind that name is not taken for it.
  @Test func aLayoutsImageIsNamedAfterIt() throws {
    let id = try makeImage()
    let place = front.scratch.path
    #expect(try front("pull", "-q", "oci:\(place)/layout:1").output == id + "\n")
    #expect(try front("images").output.contains("\nlayout:1 "))
    #expect(try front("import", "-q", place + "/kinds.tar", "layout:1").status == 0)
    #expect(try front("image", "inspect", "oci:\(place)/layout:1").status == 1)
    #expect(try front("rmi", "layout:1").status == 0)
    // No name: the folder's own words are kept.
    try front.shell("cp -r layout 'Odd Name'")
    #expect(try front("pull", "-q", "oci:\(place)/Odd Name:1").status == 0)
    #expect(try front("images").output.contains("oci:\(place)/Odd Name:1"))
    #expect(try front("rmi", "oci:\(place)/Odd Name:1").status == 0)
    #expect(try front("images", "-q").output == id + "\n")
  }

  /// An archive of images of which none has a name, and of one name on two of them for two platforms.
  @Test func imagesWithoutNamesAreLoaded() throws {
    let id = try makeImage()
    try front.shell(
      """
      python3 - <<'END'
      import hashlib, json, os, shutil
      shutil.copytree("made", "several")
      path = lambda digest: "several/blobs/sha256/" + digest[7:]
      first = json.load(open("several/index.json"))["manifests"][0]
      manifest = json.load(open(path(first["digest"])))
      config = json.load(open(path(manifest["config"]["digest"])))
      def variant(**fields):
          data = json.dumps({**config, **fields}).encode()
          digest = "sha256:" + hashlib.sha256(data).hexdigest(); open(path(digest), "wb").write(data)
          data = json.dumps({**manifest, "config": {**manifest["config"], "digest": digest, "size": len(data)}}).encode()
          digest = "sha256:" + hashlib.sha256(data).hexdigest(); open(path(digest), "wb").write(data)
          return {"mediaType": first["mediaType"], "digest": digest, "size": len(data)}
      plain = {k: first[k] for k in ["mediaType", "digest", "size"]}
      named = {"annotations": {"org.opencontainers.image.ref.name": "p/q:1"}}
      platform = lambda arch: {"platform": {"os": "linux", "architecture": arch}}
      index = [plain, variant(author="me"), {**variant(architecture="s390x"), **named, **platform("s390x")}, {**plain, **named, **platform("amd64")}]
      json.dump({"schemaVersion": 2, "manifests": index}, open("several/index.json", "w"))
      END
      tar -C several -cf several.tar .
      """)
    let other = FrontCommand()
    let loaded = try other("load", front.scratch.path + "/several.tar")
    #expect(loaded.status == 0, "\(loaded.error)")
    let lines = loaded.output.split(separator: "\n")
    #expect(lines.count == 3 && lines.filter { $0.hasPrefix("loaded load:") }.count == 2, "\(lines)")
    #if arch(x86_64)
      #expect(lines.last == "loaded p/q:1 \(id.dropFirst(7).prefix(12))", "\(lines)")
    #endif
  }
}
