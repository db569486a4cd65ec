public import Formats
public import Linux

/// Why the image store could not do what it was asked: one line, with what to do.
public struct ImageError: Error, Sendable, CustomStringConvertible {
  public enum Kind: Sendable, Equatable {
    /// There is no such image here.
    case notFound
    /// A sandbox uses it, or a name leads to it.
    case inUse
    /// Content is not what its digest, size or format says.
    case damaged
    /// The words given make no sense.
    case usage
    /// The store or the machine failed.
    case failed
  }
  public let kind: Kind
  public let message: String

  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  /// The store or the machine failed.
  public init(_ message: String) { self.init(.failed, message) }

  /// A failed system call while doing `what`.
  public init(_ what: String, _ error: SystemError) {
    self.init(.failed, "\(what): \(error)")
  }

  /// Content that could not be understood.
  public init(_ what: String, _ error: FormatError) {
    self.init(.damaged, "\(what): \(error)")
  }

  public var description: String { message }
}

/// Runs system calls whose error is told as `what` was being done.
package func system<R: ~Copyable>(
  _ what: @autoclosure () -> String, _ body: () throws(SystemError) -> R
) throws(ImageError) -> R {
  do throws(SystemError) { return try body() } catch { throw ImageError(what(), error) }
}
