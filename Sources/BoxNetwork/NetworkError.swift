public import Linux

/// Why the user-mode network could not be had: one line, with what to do.
public struct NetworkError: Error, Sendable, Equatable, CustomStringConvertible {
  public let message: String
  public init(_ message: String) { self.message = message }

  /// A failed system call while doing `what`.
  public init(_ what: String, _ error: SystemError) { message = "\(what): \(error)" }

  public var description: String { message }
}
