import CLinux
import Linux
package import Walls

extension Streams {
  /// A pipe of the caller's belongs to a user whom the box does not know, who could not open /dev/stdout again: it is given to the
  /// box's user. Only nameless pipes; a file or a terminal keeps its owner.
  package func givePipes(to owner: UInt32) {
    guard case .descriptors(let input, let output, let error) = self else { return }
    let pipefs = 0x5049_5045
    for descriptor in [input, output, error] {
      guard (try? File.fileSystemKind(descriptor)) == pipefs else { continue }
      // Where it cannot be given away, only opening it again by name fails.
      try? File.changeOwner("", user: owner, group: UInt32.max, at: descriptor)
    }
  }
}
