import CLinux
public import Linux
public import Walls

/// A program in a box as the supervisor sees sandboxes: it is watched over in the same way, and has none of a box's own abilities.
public final class ExecutedProgram: Sandbox {
  private let program: any BoxProcess
  public init(_ program: any BoxProcess) { self.program = program }

  public var process: ProcessIdentity { program.process }
  public var details: [String: String] { [:] }
  public var exitDescriptor: Int32 { program.exitDescriptor }
  public var terminal: Int32? { program.terminal }
  public var execution: (any Execution)? { nil }
  public var pausing: (any Pausing)? { nil }
  public var measurement: (any Measurement)? { nil }
  public var listing: (any ProcessListing)? { nil }
  public func start() throws(WallError) {}
  public func collect() throws(WallError) -> Walls.Ending { try program.collect() }
  public func signal(_ number: Int32) throws(WallError) { try program.signal(number) }
  public func destroy() throws(WallError) { try program.signal(SIGKILL) }
}
