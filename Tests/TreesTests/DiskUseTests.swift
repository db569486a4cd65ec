import ChildProcesses
import Foundation
import Testing
import Trees

/// Room on the disk, held against du(1).
struct DiskUseTests {
  private func shell(_ text: String) throws -> String {
    let result = try Finished.run(["/bin/sh", "-euc", text])
    try #require(result.status == 0, "\(result.error)")
    return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// Files with holes, with several names, links, odd names, folders in folders.
  @Test func isWhatDuSays() throws {
    let folder = NSTemporaryDirectory() + "immure-du-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let said = try shell(
      """
      mkdir -p \(folder)/a/b/c && cd \(folder) && head -c 100000 /dev/zero > a/full && truncate -s 50M a/holes && ln a/full a/b/again
      ln -s a/full link && ln -s / outside && mkfifo pipe && touch "$(printf 'odd\\nname\\377')" && sync -f .
      du -s --block-size=1 . | cut -f 1
      """)
    let use = try DiskUse.of(folder)
    #expect(use.bytes == Int64(said))
    #expect(use.files == 10)
    #expect(try DiskUse.of(folder + "/a/full").bytes >= 100_000)
    #expect(try DiskUse.of(folder + "/nothing") == DiskUse())
  }
}
