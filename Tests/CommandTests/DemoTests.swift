import ChildProcesses
import Foundation
import Testing

/// `make demo` on this machine: the attempts get through unjailed, so they are real ones, and no wall lets one through.
@Suite(.enabled(if: Immure.isBuilt && Immure.hasFront && Immure.isRoot, Immure.whyNoFront)) struct DemoTests {
  @Test(.timeLimit(.minutes(60)))
  func nothingGetsThroughAWall() throws {
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../Scripts/demo.sh").standardized.path
    let result = try Immure.command([script, Immure.folder ?? ""], seconds: 300)
    #expect(result.status == 0, "\(result.error)")
    let last = result.output.split(separator: "\n").last.map(String.init) ?? ""
    // "Unjailed, 13 of 14 attempts got through; container, image: 0; …"
    let parts = last.dropLast().components(separatedBy: "; ")
    let control = parts.first?.split(separator: " ").compactMap { Int($0) } ?? []
    try #require(control.count == 2, "\(result.output)")
    #expect(
      control[0] >= control[1] - 2, "the attempts are real: they get through where nothing stops them\n\(result.output)"
    )
    #expect(parts.count >= 3, "at least one wall, from an image and from the host's programs\n\(result.output)")
    for wall in parts.dropFirst() { #expect(wall.hasSuffix(": 0"), "\(wall)\n\(result.output)") }
  }
}
