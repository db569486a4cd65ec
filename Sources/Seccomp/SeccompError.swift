/// Why a profile was refused: one line that names the offending text and where it stands.
public struct SeccompError: Error, Sendable, Hashable, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}
