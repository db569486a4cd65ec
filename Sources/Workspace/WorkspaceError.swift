public import Linux

/// Why a workspace could not be used: one line, with what to do.
public struct WorkspaceError: Error, Sendable, Equatable, CustomStringConvertible {
  public let message: String
  public init(_ message: String) { self.message = message }

  /// A failed system call while doing `what`.
  public init(_ what: String, _ error: SystemError) { message = "workspace: \(what): \(error)" }

  public var description: String { message }
}

/// Runs system calls with an error of the workspace's.
func attempt<Value: ~Copyable>(
  _ what: @autoclosure () -> String, _ body: () throws(SystemError) -> Value
) throws(WorkspaceError) -> Value {
  do { return try body() } catch { throw WorkspaceError(what(), error) }
}
