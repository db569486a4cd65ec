import Foundation
import Testing

/// The peak memory of taking an image in, whatever process of those that take part is the largest: 64 MB and 150 bytes an entry, what has
/// gone on in a file counted in as far as it is in memory.
@Suite(.enabled(if: FrontCommand.isBuilt, FrontCommand.whyNot), .whileTheSuiteRuns)
struct MemoryTests {
  private static let isWhole = ProcessInfo.processInfo.environment["IMMURE_TEST_ALL"] == "1"

  /// In folders of a usual size, all in one folder, and (`make test-all`) so many that they go on in a file.
  @Test(
    arguments: [(100_000, 1000), (100_000, 100_000)] + (isWhole ? [(1_900_000, 1000), (1_900_000, 1_900_000)] : []))
  func isBounded(_ entries: Int, _ folder: Int) throws {
    let front = FrontCommand()
    let result = try FrontCommand.run(
      [
        "/usr/bin/python3", Server.fixture("many-entries.py"), "\(entries)", "\(folder)", FrontCommand.path, "--root",
        front.root, "import", "-", "many",
        // 12 s of processor time for 1,900,000 entries.
      ], seconds: 3000)
    try #require(result.status == 0, "\(result.error)")
    let peak = try #require(Int(result.output.split(separator: "\n").last ?? ""))
    #expect(peak * 1024 <= 64_000_000 + 150 * entries, "\(peak) kB for \(entries) entries")
    // The image is whole: its metadata was made of it, and all of it is as it was stored.
    #expect(front.entries("merged").count == 1)
    #expect(try front("image", "fsck", seconds: 3000).status == 0)
  }
}
