import CLinux
import Foundation
import Linux
import Testing

/// `save`, and what reads its archives: `load`, skopeo, podman.
@Suite(.enabled(if: FrontCommand.isBuilt, FrontCommand.whyNot), .whileTheSuiteRuns)
struct SaveTests {
  let front = FrontCommand()
  let other = FrontCommand()

  private func path(_ name: String) -> String { front.scratch.path + "/" + name }

  /// Two images: every kind of file, links, attributes, long names (gzip) with whiteouts, and a sparse file (plain).
  private func makeImages(keepingBlobs: Bool = false) throws {
    try front.shell(
      """
      python3 '\(Server.fixture("layers.py"))' kinds kinds.tar && gzip -kn9 kinds.tar
      mkdir tree && echo hello > tree/hello && truncate -s 3M tree/holes && echo end >> tree/holes
      tar --format=gnu -S -C tree -cf sparse.tar . && python3 '\(Server.fixture("layers.py"))' whiteouts whiteouts.tar
      """)
    for (file, name) in [("kinds.tar.gz", "some/kinds:1"), ("sparse.tar", "sparse"), ("whiteouts.tar", "white:outs")] {
      let result = try FrontCommand.run(
        [FrontCommand.path, "--root", front.root, "import"] + (keepingBlobs ? ["--keep-blobs"] : [])
          + ["--cmd", "/hello", path(file), name])
      #expect(result.status == 0, "\(result.error)")
    }
  }

  /// A line for every file of every layer: kind, mode, owner, device, contents, links, time and attributes (folders that no archive names have the
  /// time they were made at); layers by the digest of their tars,
  /// which do not differ by how a layer was compressed.
  private func trees(_ command: FrontCommand) throws -> String {
    try command.makeTrees()
    return try command.shell(
      """
      cat > trees.py <<'END'
      import glob, hashlib, json, os, stat
      for layer in sorted(glob.glob("root/images/layers/*"), key=lambda p: json.load(open(p + "/layer.json"))["diffID"]):
          known = json.load(open(layer + "/layer.json"))
          print({k: known.get(k) for k in ("diffID", "tarSize", "bytes", "entries", "notes", "image", "headers")})
          if "image" in known:
              data, start = open(layer + "/layer.erofs", "rb").read(), known["image"]["start"]
              assert hashlib.sha256(data[start:] + data[:start]).hexdigest() == known["image"]["digest"][7:]
          for folder, folders, files in os.walk(layer + "/tree/diff"):
              folders.sort()
              for name in [""] + sorted(folders + files):
                  path = os.path.join(folder, name).rstrip("/")
                  s = os.lstat(path)
                  what = hashlib.sha256(open(path, "rb").read()).hexdigest() if stat.S_ISREG(s.st_mode) else ""
                  names = [] if stat.S_ISLNK(s.st_mode) else sorted(os.listxattr(path))
                  print(os.path.relpath(path, layer), oct(s.st_mode), s.st_uid, s.st_gid, s.st_rdev, what,
                        (s.st_nlink, int(s.st_mtime)) if what else "", {n: os.getxattr(path, n) for n in names})
      END
      python3 trees.py; rm trees.py
      """)
  }

  private func id(_ name: String, _ command: FrontCommand) throws -> String {
    let listed = try JSONSerialization.jsonObject(with: Data(try command("images", "--format", "json").output.utf8))
    let image = (listed as? [[String: Any]])?.first { $0["name"] as? String == name }
    return try #require(image?["id"] as? String, "\(name)")
  }

  // MARK: Round trips

  @Test(arguments: ["docker-archive", "oci-archive"], [false, true])
  func comesBackTheSame(_ format: String, _ keepsBlobs: Bool) throws {
    try makeImages(keepingBlobs: keepsBlobs)
    #expect(try front("tag", "sparse", "second/name:x").status == 0)
    let names = ["some/kinds:1", "sparse:latest", "second/name:x", "white:outs"]
    let saved = try FrontCommand.run(
      [FrontCommand.path, "--root", front.root, "save", "--format", format, "-o", path("saved.tar")] + names)
    #expect(saved.status == 0, "\(saved.error)")
    #expect(saved.output.isEmpty)
    if format == "oci-archive" && !keepsBlobs {
      #expect(saved.error.hasPrefix("immure: some/kinds:1: its layers are compressed anew: the manifest is sha256:"))
      #expect(saved.error.split(separator: "\n").count == 1, "\(saved.error)")
    } else {
      #expect(saved.error.isEmpty, "\(saved.error)")
    }
    let loaded = try FrontCommand.run(
      [FrontCommand.path, "--root", other.root, "load"] + (keepsBlobs ? ["--keep-blobs"] : []) + [path("saved.tar")])
    #expect(loaded.status == 0, "\(loaded.error)")
    for name in names { #expect(try id(name, front) == id(name, other)) }
    #expect(other.entries("names").count == 4 && other.entries("layers").count == 3)
    #expect(try trees(front) == trees(other))
    // Saved from there it is the same archive again.
    #expect(
      try FrontCommand.run(
        [FrontCommand.path, "--root", other.root, "save", "--format", format, "-o", path("again.tar")] + names
      ).status == 0)
    try front.shell("cmp saved.tar again.tar")
  }

  /// Two images share a layer, and one has it twice: it is written once, and every list still has it as often as it should.
  @Test func aLayerStandsOnceInAnArchive() throws {
    try front.shell(
      """
      mkdir tree && echo hello > tree/hello && tar -C tree -cf root.tar . && gzip -kn root.tar
      python3 - <<'END'
      import hashlib, json, os
      os.makedirs("layout/blobs/sha256")
      def keep(data):
          digest = hashlib.sha256(data).hexdigest()
          open("layout/blobs/sha256/" + digest, "wb").write(data)
          return {"digest": "sha256:" + digest, "size": len(data)}
      oci = "application/vnd.oci.image."
      layer = {"mediaType": oci + "layer.v1.tar+gzip", **keep(open("root.tar.gz", "rb").read())}
      diff = "sha256:" + hashlib.sha256(open("root.tar", "rb").read()).hexdigest()
      index = []
      for count, tag in [(1, "once"), (2, "twice")]:
          config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [diff] * count}})
          manifest = {"schemaVersion": 2, "mediaType": oci + "manifest.v1+json", "layers": [layer] * count,
                      "config": {"mediaType": oci + "config.v1+json", **keep(config.encode())}}
          index.append({"mediaType": oci + "manifest.v1+json", **keep(json.dumps(manifest).encode()),
                        "annotations": {"org.opencontainers.image.ref.name": tag}})
      json.dump({"schemaVersion": 2, "manifests": index}, open("layout/index.json", "w"))
      open("layout/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
      END
      """)
    for tag in ["once", "twice"] {
      #expect(try front("pull", "--platform", "linux/amd64", "oci:\(path("layout")):\(tag)").status == 0)
      #expect(try front("tag", "oci:\(path("layout")):\(tag)", "x/\(tag):1").status == 0)
    }
    for format in ["docker-archive", "oci-archive"] {
      let other = FrontCommand()
      #expect(try front("save", "--format", format, "-o", path(format), "x/once:1", "x/twice:1").status == 0)
      #expect(try front.shell("tar -tf \(format) | sort | uniq -d") == "")
      if format == "docker-archive" { #expect(try front.shell("tar -tf \(format) | grep -c tar$") == "1\n") }
      let loaded = try other("load", path(format))
      #expect(loaded.status == 0, "\(loaded.error)")
      for tag in ["x/once:1", "x/twice:1"] { #expect(try id(tag, front) == id(tag, other)) }
      #expect(other.entries("layers").count == 1)
    }
    // Both have the tag 1: a layout tells them apart by their whole names.
    let names = try front.shell("tar -xOf oci-archive index.json")
    for name in ["docker.io/x/once:1", "docker.io/x/twice:1"] {
      #expect(names.contains("\"org.opencontainers.image.ref.name\":\"\(name)\""), "\(names)")
    }
    if FrontCommand.has("skopeo") {
      try front.shell(
        """
        skopeo copy -q docker-archive:docker-archive:docker.io/x/twice:1 dir:out
        skopeo copy -q oci-archive:oci-archive:docker.io/x/twice:1 dir:out2
        """)
    }
  }

  @Test func aFolderComesBackToo() throws {
    try makeImages()
    let result = try front("save", "--format", "oci-dir", "-o", path("folder"), "some/kinds:1", "sparse")
    #expect(result.status == 0, "\(result.error)")
    #expect(try other("pull", "oci:\(path("folder")):1").output == id("some/kinds:1", front) + "\n")
    #expect(try other("pull", "oci:\(path("folder")):latest").output == id("sparse:latest", front) + "\n")
    // A folder with something in it is nobody's to replace.
    let twice = try front("save", "--format", "oci-dir", "-o", path("folder"), "sparse")
    #expect(twice.status == 1 && twice.error.contains("folder\": Directory not empty"), "\(twice.error)")
    #expect(try front.shell("ls -A | grep immure- || :") == "")
  }

  @Test func theSameImagesGiveTheSameBytes() throws {
    try makeImages()
    // A file's headers are mended when a layer's size is known, a stream's must be right at once.
    for format in ["docker-archive", "oci-archive"] {
      try front.shell(
        """
        save="'\(FrontCommand.path)' --root '\(front.root)' save --format \(format)"
        eval $save -o one.tar some/kinds:1 white:outs
        eval $save some/kinds:1 white:outs > two.tar
        eval $save -o - some/kinds:1 white:outs | cat > three.tar
        mkfifo pipe; cat pipe > four.tar & eval $save -o pipe some/kinds:1 white:outs; wait; test -p pipe; rm pipe
        ln -sf five.tar link && touch five.tar && eval $save -o link some/kinds:1 white:outs; test -L link
        for file in two three four five; do cmp one.tar $file.tar; done
        tar -tvf one.tar | awk '{ print $2, $4, $5 }' | sort -u
        """)
      #expect(
        try front.shell("tar --utc -tvf one.tar | awk '{ print $2, $4, $5 }' | sort -u") == "0/0 1970-01-01 00:00\n")
    }
  }

  @Test func anIdHasNoName() throws {
    try makeImages()
    let id = try id("sparse:latest", front)
    #expect(try front("save", "-o", path("id.tar"), String(id.dropFirst(7).prefix(12))).status == 0)
    let loaded = try other("load", "-i", path("id.tar"))
    #expect(loaded.output.hasPrefix("loaded load:"), "\(loaded.output)\(loaded.error)")
    #expect(try other("images", "-q").output == id + "\n")
  }

  @Test func throughAPipe() throws {
    try makeImages()
    let command = "'\(FrontCommand.path)' --root"
    try front.shell("\(command) '\(front.root)' save sparse | \(command) '\(other.root)' load")
    #expect(try id("sparse:latest", front) == id("sparse:latest", other))
  }

  // MARK: Other tools

  @Test(.enabled(if: FrontCommand.has("skopeo"), "wants skopeo"), arguments: [false, true])
  func skopeoReadsThem(_ keepsBlobs: Bool) throws {
    try makeImages(keepingBlobs: keepsBlobs)
    var said = ""
    for format in ["docker-archive", "oci-archive"] {
      let saved = try front("save", "--format", format, "-o", path(format), "some/kinds:1", "sparse")
      #expect(saved.status == 0)
      said = saved.error
    }
    let digest = try front.shell(
      """
      skopeo inspect docker-archive:docker-archive:some/kinds:1 | grep -q Layers
      skopeo copy -q docker-archive:docker-archive:some/kinds:1 dir:docker
      skopeo copy -q oci-archive:oci-archive:1 dir:oci
      python3 -c 'import json; print(*[json.load(open(f + "/manifest.json"))["config"]["digest"] for f in ("docker", "oci")])'
      """)
    let id = try id("some/kinds:1", front)
    #expect(digest == "\(id) \(id)\n")
    let inspection = try front("image", "inspect", "some/kinds:1").output
    let manifest = try front.shell("sha256sum < oci/manifest.json | cut -c -64").prefix(64)
    if keepsBlobs {
      // The manifest as it is here, and so the compressed layer's own bytes.
      #expect(inspection.contains("sha256:\(manifest)"))
      try front.shell("cmp oci/$(sha256sum kinds.tar.gz | cut -c -64) kinds.tar.gz")
    } else {
      // The new one is told; in the layer, compressed anew, is the tar that came.
      #expect(said.contains("the manifest is sha256:\(manifest), it came as sha256:"), "\(said)")
      let layer =
        "oci/$(python3 -c 'import json; print(json.load(open(\"oci/manifest.json\"))[\"layers\"][0][\"digest\"][7:])')"
      try front.shell("gzip -dc < \(layer) | cmp - kinds.tar")
    }
  }

  /// A manifest in Docker's words is put into OCI's for an OCI archive, where skopeo takes no other; the id stays.
  @Test(.enabled(if: FrontCommand.has("skopeo", "umoci"), "wants skopeo and umoci")) func dockersManifestsToo() throws {
    try front.shell(
      """
      mkdir tree && echo hello > tree/hello
      umoci init --layout image && umoci new --image image:v1 && umoci insert --image image:v1 tree /d >/dev/null
      umoci config --image image:v1 --os linux --architecture amd64 --config.cmd /x
      skopeo copy -q --format v2s2 oci:image:v1 dir:v2s2
      python3 - <<'END'
      import hashlib, json, os
      m = open("v2s2/manifest.json", "rb").read()
      assert b"docker.distribution.manifest.v2" in m
      os.makedirs("layout/blobs/sha256")
      for f in os.listdir("v2s2"):
          if len(f) == 64: os.rename("v2s2/" + f, "layout/blobs/sha256/" + f)
      d = hashlib.sha256(m).hexdigest()
      open("layout/blobs/sha256/" + d, "wb").write(m)
      open("layout/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
      json.dump({"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "digest": "sha256:" + d, "size": len(m)}]}, open("layout/index.json", "w"))
      END
      """)
    #expect(try front("pull", "oci:\(path("layout"))").status == 0)
    #expect(try front("tag", "oci:\(path("layout"))", "docker/made:1").status == 0)
    #expect(try front("save", "--format", "oci-archive", "-o", path("oci.tar"), "docker/made:1").status == 0)
    let digest = try front.shell(
      """
      skopeo copy -q oci-archive:oci.tar:1 dir:out
      python3 -c 'import json; print(json.load(open("out/manifest.json"))["config"]["digest"])'
      """)
    #expect(try digest == id("docker/made:1", front) + "\n")
  }

  @Test(
    .enabled(if: FrontCommand.has("podman"), "wants podman"), .enabled(if: FrontCommand.isRoot, FrontCommand.notRoot),
    arguments: ["docker-archive", "oci-archive"])
  func podmanLoadsThem(_ format: String) throws {
    try makeImages()
    #expect(try front("save", "--format", format, "-o", path("saved.tar"), "some/kinds:1").status == 0)
    let podman = "podman --root \"$PWD/podman\" --runroot \"$PWD/run\" --storage-driver vfs"
    let loaded = try front.shell(
      """
      \(podman) load -q -i saved.tar >/dev/null
      \(podman) images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}'
      """)
    #expect(try loaded == "docker.io/some/kinds:1 \(id("some/kinds:1", front))\n")
  }

  // MARK: What goes wrong

  @Test(arguments: [
    (["save"], "IMAGE"), (["save", "nothing"], "there is no image \"nothing\""),
    (["save", "Bad Name"], "\"Bad Name\" is not an image name"),
    (["save", "--format", "zip", "sparse"], "there are docker-archive, oci-archive, oci-dir"),
    (["save", "--format", "oci-dir", "sparse"], "give -o DIR"),
    (["save", "-o", "/nowhere/at/all", "sparse"], "cannot write \"/nowhere/at/all\": No such file or directory"),
    (["save", "-o", "/", "sparse"], "\"/\" is a folder"),
    (["save", "-o", "", "sparse"], "-o names nothing"),
    (["save", "-o", "/dev/full", "sparse"], "cannot write \"/dev/full\": the disk is full"),
    (["load", "-i", "x", "y"], "named twice"),
  ])
  func badInputIsOneLine(_ words: [String], _ expected: String) throws {
    try front.shell("mkdir tree && echo hello > tree/hello && tar -C tree -cf root.tar .")
    #expect(try front("import", path("root.tar"), "sparse").status == 0)
    let result = try FrontCommand.run([FrontCommand.path, "--root", front.root] + words)
    #expect(result.status == 1)
    #expect(result.error.contains(expected), "\(result.error)")
    #expect(result.error.hasPrefix("immure: ") && result.error.split(separator: "\n").count == 1, "\(result.error)")
    #expect(result.output.isEmpty)
  }

  @Test(.enabled(if: FrontCommand.has("script"), "wants script")) func aTerminalIsRefused() throws {
    try makeImages()
    let said = try FrontCommand.run([
      "script", "-qec", "\(FrontCommand.path) --root \(front.root) save sparse", "/dev/null",
    ])
    #expect(said.status == 1)
    #expect(
      said.output == "immure: save: an archive is nothing for a terminal: give -o FILE, or redirect standard output\r\n"
    )
  }

  /// The store's files are only as good as the disk: nothing leaves under a digest that it has not.
  @Test(arguments: ["docker-archive", "oci-archive"], [false, true])
  func aDamagedStoreIsSeen(_ format: String, _ keepsBlobs: Bool) throws {
    try makeImages(keepingBlobs: keepsBlobs)
    let layer = try front.shell("echo -n root/images/layers/$(sha256sum kinds.tar.gz | cut -c -64)")
    func save() throws -> FrontCommand.Result {
      try front("save", "--format", format, "-o", path("saved.tar"), "some/kinds:1")
    }
    // Cut short, another byte, other contents that inflate well, more of it, nothing of gzip.
    let blobs = [
      "truncate -s -9 blob", "printf x | dd of=blob bs=1 seek=300 conv=notrunc status=none",
      "echo other | gzip > blob", "echo more | gzip >> blob", "echo other > blob",
    ]
    // The same of the headers and of the contents.
    let images = [
      "truncate -s -9 layer.headers", "printf x | dd of=layer.headers bs=1 seek=30 conv=notrunc status=none",
      "echo other > layer.headers", ": > layer.headers", "cat kinds >> layer.headers", "truncate -s 4096 layer.erofs",
      ": > layer.erofs",
      "python3 -c 'd = open(\"layer.erofs\", \"rb\").read(); open(\"layer.erofs\", \"wb\").write(d.replace(b\"two\", b\"TWO\").replace(b\"long\", b\"LONG\"))'",
    ]
    try front.shell("cp -r \(layer) kept; cp kinds.tar.gz kept/kinds")
    for change in keepsBlobs ? blobs : images {
      try front.shell("cp kept/* \(layer)/ && cd \(layer) && \(change)")
      let result = try save()
      #expect(result.status == 1)
      #expect(
        result.error.hasPrefix("immure: the image store is damaged: the layer sha256:")
          && result.error.split(separator: "\n").count == 1, "\(change): \(result.error)")
      #expect(try front.shell("ls -A | grep saved || :") == "")
      // `image fsck` finds the same, and says what to pull again.
      let check = try front("image", "fsck")
      #expect(check.status == 1 && check.output.contains("then pull again: some/kinds:1"), "\(change): \(check.output)")
    }
    // A document that reads well but is another one.
    try front.shell(
      "cp kept/* \(layer)/; f=$(grep -l '\"/hello\"' root/images/blobs/sha256/* | head -1); sed -i 's#/hello#/bells#' $f"
    )
    let result = try front("save", "--format", format, "-o", path("saved.tar"), "some/kinds:1", "sparse", "white:outs")
    #expect(result.status == 1)
    #expect(result.error.hasPrefix("immure: the image store is damaged: the document"), "\(result.error)")
    #expect(try front.shell("ls -A | grep saved || :") == "")
  }

  /// Stores of earlier versions: layers that are trees, first without their blobs, later with them.
  @Test func layersOfEarlierVersions() throws {
    try makeImages(keepingBlobs: true)
    #expect(try front("save", "--format", "oci-dir", "-o", path("layout"), "some/kinds:1").status == 0)
    let before = try trees(front)
    try front.shell(
      """
      python3 - <<'END'
      import glob, json, os
      for layer in glob.glob("root/images/layers/*"):
          known = json.load(open(layer + "/layer.json"))
          json.dump({k: known[k] for k in ("diffID", "bytes", "entries", "notes")}, open(layer + "/layer.json", "w"))
          os.rename(layer + "/tree/diff", layer + "/diff")
          for name in ("layer.erofs", "layer.headers", "tree/tree.json"): os.remove(layer + "/" + name)
          os.rmdir(layer + "/tree")
      for name in os.listdir("root/images/merged"): os.remove("root/images/merged/" + name)
      END
      """)
    // With its blob it is whole: saved as it came, and checked; nobody makes a tree that is there.
    for format in ["docker-archive", "oci-archive"] {
      let saved = try front("save", "--format", format, "-o", path(format), "some/kinds:1")
      #expect(saved.status == 0 && saved.error.isEmpty, "\(saved.error)")
    }
    try front.shell("tar -xOf oci-archive blobs/sha256/$(sha256sum kinds.tar.gz | cut -c -64) | cmp - kinds.tar.gz")
    #expect(try front("image", "fsck").output.contains("whole"))
    try front.makeTrees()
    #expect(front.entries("merged").isEmpty)
    #expect(try front.shell("ls -d root/images/layers/*/tree 2>/dev/null || :") == "")
    // Without it the image runs but cannot be saved until it came once more.
    try front.shell("rm root/images/layers/*/blob")
    let result = try front("save", "-o", path("saved.tar"), "some/kinds:1")
    #expect(result.status == 1)
    #expect(result.error.contains("pull, load or import the image again"), "\(result.error)")
    #expect(try front("image", "fsck").output.contains("3 of an early version"))
    #expect(try front("pull", "oci:\(path("layout"))").status == 0)
    #expect(try front("save", "-o", path("saved.tar"), "some/kinds:1").status == 0)
    // The tree stays where it is, and serves on.
    let layer = try front.shell("echo -n root/images/layers/$(sha256sum kinds.tar.gz | cut -c -64)")
    try front.shell("test -d \(layer)/diff && test -f \(layer)/layer.erofs && test ! -e \(layer)/blob")
    try front.makeTrees()
    try front.shell("test ! -e \(layer)/tree && mkdir \(layer)/tree && mv \(layer)/diff \(layer)/tree/diff")
    let after = try trees(front).split(separator: "\n").filter { !$0.contains("'image': None") }
    #expect(after.count > 8)
    for line in after { #expect(before.contains(line), "\(line)") }
    #expect(front.entries("merged").count == 1)
    #expect(front.entries("incoming").count <= 1)
    #expect(try front("rmi", "some/kinds:1", "oci:\(path("layout"))", "sparse", "white:outs").status == 0)
    for folder in ["layers", "merged", "names", "blobs/sha256", "incoming"] { #expect(front.entries(folder).isEmpty) }
  }

  @Test(.enabled(if: FrontCommand.isRoot, FrontCommand.notRoot)) func aFullDiskSaysSoAndKeepsTheOld() throws {
    try front.shell(
      "mkdir tree small && head -c 3000000 /dev/urandom > tree/f && tar -C tree -cf root.tar . && gzip -k root.tar")
    for (name, file) in [("plain", "root.tar"), ("zipped", "root.tar.gz")] {
      #expect(try front("import", path(file), name).status == 0)
    }
    for format in ["docker-archive", "oci-archive", "oci-dir"] {
      for image in ["plain", "zipped"] {
        let said = try front.shell(
          """
          cat > full.sh <<'END'
          mount -t tmpfs -o size=1m none small
          [ \(format) = oci-dir ] || echo old > small/out
          '\(FrontCommand.path)' --root '\(front.root)' save --format \(format) -o small/out \(image) 2>&1 && echo saved
          ls -A small
          [ \(format) = oci-dir ] || cat small/out
          END
          unshare -m bash full.sh
          """)
        let kept = format == "oci-dir" ? "" : "out\nold\n"
        #expect(
          said
            == "immure: cannot write \"small/out\": the disk is full (No space left on device); make room, or save elsewhere\n"
            + kept)
      }
    }
  }

  /// The blob of a layer that compresses well takes less than its tree, so that either may be what fills the disk.
  @Test(.enabled(if: FrontCommand.isRoot, FrontCommand.notRoot)) func aStoreThatIsFullKeepsNothing() throws {
    try front.shell(
      """
      mkdir tree small && head -c 3000000 /dev/urandom > tree/f && tar -C tree -cf root.tar . && gzip -k root.tar
      head -c 9000000 /dev/zero > tree/f && tar -C tree -cf zeros.tar . && gzip zeros.tar
      """)
    for file in ["root.tar", "root.tar.gz", "zeros.tar.gz"] {
      let said = try front.shell(
        """
        cat > full.sh <<'END'
        mount -t tmpfs -o size=2m none small
        '\(FrontCommand.path)' --root small/root import \(file) x 2>&1 && echo imported
        ls small/root/images/layers small/root/images/names | grep -v : || :
        END
        unshare -m bash full.sh
        """)
      #expect(said.hasPrefix("immure: ") && said.contains("No space left on device"), "\(said)")
      #expect(said.split(separator: "\n").count == 1, "\(said)")
    }
  }

  @Test func killedAtAnyMomentThereIsNoHalfFile() throws {
    try front.shell(
      "mkdir tree out && for i in $(seq 60); do head -c 200000 /dev/urandom > tree/$i; done && tar -C tree -czf root.tar.gz ."
    )
    #expect(try front("import", path("root.tar.gz"), "big").status == 0)
    #expect(try front("save", "-o", path("whole.tar"), "big").status == 0)
    for hundredths in [1, 2, 4, 8, 16] {
      _ = try FrontCommand.run([
        "timeout", "-s", "KILL", "0.\(hundredths < 10 ? "0" : "")\(hundredths)", FrontCommand.path, "--root",
        front.root,
        "save", "-o", path("out/saved.tar"), "big",
      ])
      try front.shell("test ! -e out/saved.tar || cmp out/saved.tar whole.tar; rm -f out/saved.tar")
    }
  }

  /// While it is saved an image is not removed: the layers are read one after the other.
  @Test func anImageBeingSavedIsInUse() throws {
    // More than a pipe holds: the command waits for its reader.
    try front.shell("mkdir tree && head -c 300000 /dev/urandom > tree/f && tar -C tree -cf root.tar .")
    #expect(try front("import", path("root.tar"), "sparse").status == 0)
    let said = try front.shell(
      """
      mkfifo pipe
      '\(FrontCommand.path)' --root '\(front.root)' save -o pipe sparse & save=$!
      exec 3<pipe
      head -c 512 <&3 >/dev/null
      '\(FrontCommand.path)' --root '\(front.root)' rmi sparse 2>&1 || :
      cat <&3 >/dev/null
      wait $save
      '\(FrontCommand.path)' --root '\(front.root)' rmi sparse | head -1
      """)
    #expect(
      said
        == "immure: the image sparse:latest is used by a sandbox or being saved: end that first, or use `immure rmi -f`\n"
        + "removed sparse:latest\n")
  }
}
