import ChildProcesses
import Foundation
import Testing

/// immure-oci under the engines that people use, as the documents set them up. Each test is a life that a user would lead with one.
@Suite(
  "Engines", .serialized, .timeLimit(.minutes(60)),
  .enabled(if: World.obstacle == nil, Comment(rawValue: World.obstacle ?? "")), InOneWorld()
)
struct EngineTests {
  /// The one that the suite runs in.
  func world() throws -> World { try #require(World.current) }

  /// Expects an ending and, where given, all that was printed.
  @discardableResult
  func expect(
    _ result: World.Result, _ status: Int32 = 0, _ output: String? = nil, at location: SourceLocation = #_sourceLocation
  ) -> World.Result {
    #expect(result.status == status, "\(result.output)\(result.error)", sourceLocation: location)
    if let output { #expect(result.line == output, "\(result.error)", sourceLocation: location) }
    return result
  }
}
