import CLinux
import Formats
import Foundation
import Images
import Linux
import Synchronization
import Testing
import Walls

/// The store's own rules, without unpacking anything.
@Suite struct ImageStoreTests {
  let scratch: Scratch
  let store: ImageStore
  init() throws {
    scratch = try Scratch()
    store = ImageStore(root: scratch.path)
    try store.prepare()
  }

  /// Puts an image of one empty layer there, as the front does; nothing leads to it before it has a name.
  @discardableResult
  private func add(_ name: String, layer: String = "layer", platform: Platform = .host) throws -> Digest {
    let blob = Digest.of(Array(layer.utf8))
    var configuration = ImageConfiguration(platform: platform)
    configuration.diffIDs = [blob]
    configuration.command = ["/bin/true"]
    let configurationBytes = configuration.json.bytes()
    let manifest = ImageManifest(
      configuration: Descriptor(
        mediaType: MediaType.ociConfiguration, digest: Digest.of(configurationBytes),
        size: Int64(configurationBytes.count)),
      layers: [Descriptor(mediaType: MediaType.ociLayer, digest: blob, size: 5)])
    let bytes = manifest.json.bytes()
    let digest = Digest.of(bytes)
    if let incoming = try store.beginLayer(blob) {
      var summary = LayerSummary(diffID: blob, bytes: 0, entries: 0, notes: [])
      summary.image = StoredFile(digest: Digest.of([]), size: 0)
      try store.commit(incoming, as: blob, summary)
    }
    if !store.hasMetadata([blob]) { try store.commit(try store.beginMetadata(), over: [blob]) }
    try store.keep(configurationBytes, as: manifest.configuration)
    try store.keep(bytes, as: digest)
    try store.name(
      NamedImage(
        name: try ImageName(name), manifest: digest, configuration: manifest.configuration.digest, platform: platform,
        size: 5))
    return manifest.configuration.digest
  }

  private func files(_ folder: String) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: store.directory + "/" + folder)) ?? []
  }

  @Test func isFoundByNameAndId() throws {
    let id = try add("python:3.12")
    for word in ["python:3.12", "docker.io/library/python:3.12", id.description, id.hex, String(id.hex.prefix(12))] {
      let image = try #require(try store.resolve(word), "\(word)")
      #expect(image.configuration.command == ["/bin/true"])
      #expect(image.layerPaths.count == 1 && image.layerPaths[0].hasSuffix("/tree/diff"))
      let files = try #require(image.files)
      #expect(files.devices.count == 1 && files.devices[0].hasSuffix("/layer.erofs"))
      #expect(File.exists(files.metadata) && files.metadata.contains("/merged/"))
    }
    for word in ["python", "python:3.1", "abcdef", "ubuntu"] { #expect(try store.resolve(word) == nil) }
    #expect(throws: ImageError.self) { try store.resolve("Not A Name") }
  }

  @Test func platformMustFit() throws {
    try add("arm", platform: Platform(os: "linux", architecture: "riscv64"))
    #expect(try store.resolve("arm") != nil)
    #expect(try store.resolve("arm", platform: .host) == nil)
    #expect(try store.resolve("arm", platform: Platform(os: "linux", architecture: "riscv64")) != nil)
  }

  @Test func anIncompleteImageIsNotHere() throws {
    try add("x")
    let layer = try #require(files("layers").first)
    try FileManager.default.removeItem(atPath: store.directory + "/layers/" + layer)
    #expect(try store.resolve("x") == nil)
  }

  @Test func lookUpIsFast() throws {
    for index in 0..<200 { try add("image\(index):tag", layer: "\(index)") }
    _ = try store.resolve("image100:tag")
    let start = Clock.monotonicNanoseconds()
    for _ in 0..<100 { #expect(try store.resolve("image100:tag") != nil) }
    let each = Double(Clock.monotonicNanoseconds() - start) / 100 / 1e6
    #expect(each < 10, "\(each) ms")
  }

  @Test func aLeaseKeepsTheImage() throws {
    try add("used")
    let image = try #require(try store.resolve("used"))
    let lease = try store.lease(image)
    let refused = #expect(throws: ImageError.self) { try store.removeName("used") }
    #expect(refused?.kind == .inUse)
    // Forced: the name goes, the layers stay for as long as the sandbox lives.
    #expect(try store.removeName("used", force: true).count == 1)
    #expect(try store.collectGarbage() == [])
    #expect(files("layers").count == 1)
    #expect(try store.resolve("used") == nil)
    let held = lease.descriptor
    _ = consume lease
    #expect(held >= 0)
    #expect(try store.collectGarbage()?.count == 1)
    for folder in ["layers", "merged", "blobs/sha256", "locks"] { #expect(files(folder).isEmpty, "\(folder)") }
    // Too late for a lease.
    let gone = #expect(throws: ImageError.self) { _ = try store.lease(image) }
    #expect(gone?.kind == .notFound)
  }

  /// An image that lost its name while somebody was about to use it: who collects garbage did not see the lease, and goes on.
  @Test func aLeaseTakenTooLateIsNone() async throws {
    try add("used")
    let image = try #require(try store.resolve("used"))
    // The collector, after it has looked at names and leases.
    _ = try store.removeName("used")
    let lock = try File.open(store.directory + "/lock", O_RDWR)
    #expect(try File.lock(lock.rawValue))
    let status = try File.status("", at: lock.rawValue)
    // It waits in flock(2): on a thread of its own, not on one of those that tests share.
    let (ends, end) = AsyncStream.makeStream(of: Result<Int32, any Error>.self)
    let hasEnded = Flag()
    Thread.detachNewThread { [store] in
      let result = Result { try store.lease(image).descriptor }
      hasEnded.set()
      end.yield(result)
      end.finish()
    }
    // A lock that is waited for stands behind an arrow (proc_locks(5)).
    let ours = String(format: "%02x:%02x:%llu", major(status), minor(status), UInt64(status.st_ino))
    let waits = {
      try File.text("/proc/locks").split(separator: "\n").contains { $0.contains("->") && $0.contains(ours) }
    }
    while try !waits() && !hasEnded.isSet { await Task.yield() }
    let hasWaited = !hasEnded.isSet
    #expect(hasWaited, "the lease did not wait")
    try FileManager.default.removeItem(atPath: store.directory + "/layers/" + files("layers")[0])
    _ = consume lock
    var late = ends.makeAsyncIterator()
    let result = try #require(await late.next())
    let gone = #expect(throws: ImageError.self) { _ = try result.get() }
    #expect(gone?.kind == .notFound)
  }

  private final class Flag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
  }

  private func major(_ status: stat) -> UInt64 { UInt64(status.st_dev) >> 8 & 0xFFF }
  private func minor(_ status: stat) -> UInt64 { UInt64(status.st_dev) & 0xFF | UInt64(status.st_dev) >> 12 & 0xFFF00 }

  @Test func sharedLayersStay() throws {
    try add("one", layer: "same")
    try store.tag("one", as: "two")
    try add("three", layer: "other")
    #expect(try store.removeName("one").count == 1)
    #expect(try store.collectGarbage() == [])
    #expect(try store.resolve("two") != nil)
    #expect(try store.removeName("two").count == 1)
    #expect(try store.collectGarbage()?.count == 1)
    #expect(try store.resolve("three") != nil)
    #expect(try store.list().map(\.familiar) == ["three:latest"])
  }

  @Test func nothingIsCollectedWhileSomethingIsAdded() throws {
    let adding = try store.beginAdding()
    try add("x")
    _ = try store.removeName("x")
    #expect(try store.collectGarbage() == nil)
    #expect(files("layers").count == 1)
    _ = consume adding
    #expect(try store.collectGarbage()?.count == 1)
  }

  @Test func bytesMustBeTheirDigests() throws {
    let descriptor = Descriptor(mediaType: MediaType.ociManifest, digest: Digest.of(Array("a".utf8)), size: 1)
    #expect(throws: ImageError.self) { try store.keep(Array("b".utf8), as: descriptor) }
    #expect(throws: ImageError.self) { try store.keep(Array("aa".utf8), as: descriptor) }
    try store.keep(Array("a".utf8), as: descriptor)
    #expect(try store.blob(descriptor.digest) == Array("a".utf8))
  }

  @Test func leftoversAreClearedOnceTheirMakerIsGone() throws {
    let digest = Digest.of(Array("unfinished".utf8))
    let layer = try store.beginLayer(digest)
    #expect(files("incoming").count == 1)
    try store.clearLeftovers()
    #expect(files("incoming").count == 1)
    _ = consume layer
    try store.clearLeftovers()
    #expect(files("incoming").isEmpty && files("locks").isEmpty)
  }

  @Test(arguments: [
    ("oci:", false), ("oci:/nowhere", false), ("oci:/tmp:", false), ("oci:/tmp", true), ("oci:/tmp:v1", true),
    ("x", true),
    ("x@y", false), ("", false), ("http://x", false),
  ])
  func names(_ text: String, _ isName: Bool) {
    let name = try? ImageName(text)
    #expect((name != nil) == isName)
  }

  @Test func damagedFilesAreToldByName() throws {
    try add("x")
    let name = try #require(files("names").first)
    try "{".write(toFile: store.directory + "/names/" + name, atomically: true, encoding: .utf8)
    let error = #expect(throws: ImageError.self) { try store.resolve("x") }
    #expect(error?.message.contains(name) == true)
    #expect(error?.message.contains("\n") == false)
  }
}
