import Foundation
import Testing

/// A layer's image is written by a process that a stranger's tar may have taken over: it can be anything. It is never mounted; those who
/// read it, to make metadata over layers and to make trees, refuse what makes no sense and make nothing outside.
@Suite(.enabled(if: FrontCommand.isBuilt, FrontCommand.whyNot), .whileTheSuiteRuns)
struct ForgedImageTests {
  let front = FrontCommand()

  /// Bytes changed at random, most of them in the metadata, which is at the end; and images cut off or blown up.
  @Test func forgedImagesAreReadOrRefused() throws {
    try front.shell(
      """
      mkdir -p outside tree/d/e && echo untouched > outside/victim && echo one > tree/d/one && ln tree/d/one tree/two
      ln -s "$PWD/outside" tree/door && ln -s ../../../../outside/victim tree/d/e/link && mkfifo tree/fifo
      for i in $(seq 200); do echo $i > tree/d/file$i; done
      setfattr -n user.note -v here tree/d/one 2>/dev/null || :
      tar --xattrs -C tree -cf root.tar .
      """)
    #expect(try front("import", front.scratch.path + "/root.tar", "victim").status == 0)
    let manifest = try #require(try front.manifests().first)
    let layer = front.store + "/layers/" + front.entries("layers")[0]
    let whole = try Data(contentsOf: URL(fileURLWithPath: layer + "/layer.erofs"))
    let given = ProcessInfo.processInfo.environment["IMMURE_TEST_SEED"].flatMap { UInt64($0) }
    var state = given ?? UInt64.random(in: 1...UInt64(UInt32.max))
    print("forged images: IMMURE_TEST_SEED=\(state)")
    func next(_ limit: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(limit))
    }
    let rounds = ProcessInfo.processInfo.environment["IMMURE_TEST_ALL"] == "1" ? 2000 : 25
    var refused = 0
    for round in 0..<rounds {
      var forged = whole
      switch round {
      case 0: forged = forged.prefix(4096)
      case 1: forged = Data()
      case 2: forged.replaceSubrange(1024..<1280, with: [UInt8](repeating: 0xFF, count: 256))
      default:
        let metadata = min(forged.count, 32768)
        for _ in 0..<(1 + next(8)) {
          let place = next(3) == 0 ? 1024 + next(128) : forged.count - metadata + next(metadata)
          forged[place] = UInt8(next(256))
        }
      }
      try forged.write(to: URL(fileURLWithPath: layer + "/layer.erofs"))
      try front.shell("rm -rf root/images/merged/* \(layer)/tree")
      for role in ["image-metadata", "image-trees"] {
        let made = try front.make(role, manifest)
        #expect(made.status == 0 || made.status == 1, "\(role), round \(round): \(made.status) \(made.output)")
        if made.status == 1 {
          refused += 1
          #expect(made.output.split(separator: "\n").count == 1, "\(role), round \(round): \(made.output)")
          #expect(!made.output.contains("was ended"), "\(role), round \(round): \(made.output)")
        }
        #expect(made.error.isEmpty, "\(role), round \(round): \(made.error)")
      }
      #expect(try front.shell("cat outside/victim; ls outside") == "untouched\nvictim\n")
    }
    #expect(refused >= 5)
    // What failed is cleared away by the next command; the damage is told.
    let check = try front("image", "fsck")
    #expect(check.status == 1 && check.output.contains("its image is not what was stored"), "\(check.output)")
    #expect(front.entries("incoming").isEmpty)
    #expect(try front("rmi", "victim").status == 0)
    for folder in CrashTests.folders { #expect(front.entries(folder).isEmpty) }
  }

  /// Metadata over the layers is made at the end of a pull, again where it is gone, equal, and goes with the image.
  @Test func metadataComesAndGoes() throws {
    try front.shell("mkdir tree && echo hello > tree/hello && tar -C tree -cf root.tar .")
    #expect(try front("import", front.scratch.path + "/root.tar", "x").status == 0)
    #expect(front.entries("merged").count == 1)
    let before = try front.shell("sha256sum root/images/merged/*")
    try front.shell("rm root/images/merged/*")
    // To be made at the next use: not damage.
    #expect(try front("image", "fsck").status == 0)
    #expect(try front.make("image-metadata", front.manifests()[0]).status == 0)
    #expect(try front.shell("sha256sum root/images/merged/*") == before)
    try front.shell("printf x | dd of=$(ls root/images/merged/*) bs=1 seek=1100 conv=notrunc status=none")
    let check = try front("image", "fsck", "--format", "json")
    #expect(check.status == 1)
    let found = try JSONSerialization.jsonObject(with: Data(check.output.utf8)) as? [String: Any]
    let problem = (found?["problems"] as? [[String: Any]])?.first
    #expect(problem?["kind"] as? String == "metadata" && problem?["images"] as? [String] == ["x:latest"])
    #expect(try front("rmi", "x").status == 0)
    #expect(front.entries("merged").isEmpty)
  }
}
