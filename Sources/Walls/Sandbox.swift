public import Formats
public import Linux
public import Trees

/// A box that was raised. What it can do beyond this is offered as values that are there or not, never as calls that may fail
/// for want of the ability.
public protocol Sandbox: AnyObject {
  /// The process on the host that stands for the box: its first process, its monitor, or its VMM.
  var process: ProcessIdentity { get }

  /// What `Wall.open` needs to find it again; kept in the sandbox's record.
  var details: [String: String] { get }

  /// What was found while it was raised, a line each for the user and the record: an image that was copied for want of overlayfs.
  var remarks: [String] { get }

  /// Lets the untrusted program begin; the error's kind says whether it was not found or could not be run.
  func start() throws(WallError)

  /// Readable (poll(2)) once the program has ended. Owned by the sandbox.
  var exitDescriptor: Int32 { get }

  /// After `exitDescriptor` is readable: how it ended. Frees everything the wall made (cgroups, mounts, processes).
  func collect() throws(WallError) -> Ending

  /// Sends a signal to the program (with init: init forwards it).
  func signal(_ number: Int32) throws(WallError)

  /// Ends every process of the box, also stopped, traced or detached ones, and frees everything. May be called again, and on a
  /// box whose supervisor was killed at any moment.
  func destroy() throws(WallError)

  /// The near end of the box's terminal when its streams are one. Owned by the sandbox.
  var terminal: Int32? { get }

  var execution: (any Execution)? { get }
  var pausing: (any Pausing)? { get }
  var measurement: (any Measurement)? { get }
  var listing: (any ProcessListing)? { get }
  var parting: (any Parting)? { get }
  var limiting: (any Limiting)? { get }
  var files: (any FileTransfer)? { get }
  var root: (any RootReading)? { get }

  /// Its namespaces as descriptors, where its process hides them from an unprivileged caller; nil where the process is enough.
  var namespaces: BoxNamespaces? { get }
}

/// Descriptors of namespaces (/proc/PID/ns/*), owned by the sandbox.
public struct BoxNamespaces: Sendable, Equatable {
  public var user: Int32
  public var network: Int32
  public init(user: Int32, network: Int32) {
    self.user = user
    self.network = network
  }
}

extension Sandbox {
  public var remarks: [String] { [] }
  public var parting: (any Parting)? { nil }
  public var limiting: (any Limiting)? { nil }
  public var files: (any FileTransfer)? { nil }
  public var root: (any RootReading)? { nil }
  public var namespaces: BoxNamespaces? { nil }
}

/// How a box's program, or one executed in it, ended.
public struct Ending: Sendable, Equatable {
  public var status: ExitStatus
  /// The limit that ended it.
  public var limit: LimitHit?
  public init(status: ExitStatus, limit: LimitHit? = nil) {
    self.status = status
    self.limit = limit
  }
}

/// A limit that ended a box.
public enum LimitHit: String, Sendable, CaseIterable {
  case memory, timeout, output
  case fileSize = "file_size"
  case cpuTime = "cpu_time"

  /// The exit status of `run`.
  public var code: Int32 {
    switch self {
    case .memory: 137
    case .timeout: 124
    case .output: 125
    case .fileSize: 153
    case .cpuTime: 152
    }
  }
}

/// Further programs in a running box.
public protocol Execution {
  /// Starts a program beside the first; the process's capabilities, ids and limits are those given.
  func execute(_ process: ProcessConfiguration, streams: Streams, _ options: ExecutionOptions) throws(WallError)
    -> any BoxProcess
}

extension Execution {
  public func execute(_ process: ProcessConfiguration, streams: Streams) throws(WallError) -> any BoxProcess {
    try execute(process, streams: streams, ExecutionOptions())
  }
}

/// How a further program stands to the command that starts it.
public struct ExecutionOptions: Sendable, Equatable {
  /// Whether it is killed when the command ends.
  public var endsWithCommand = true
  /// Descriptors it is given besides 0, 1 and 2, from 3 up in order.
  public var preservedDescriptors: [Int32] = []
  /// The box's execution domain (personality(2)), which a further program does not inherit from it.
  public var personality: PersonalityConfiguration?
  /// Who answers the calls of which a filter with a listener notifies; each program that installs the filter has a listener of its own.
  public var listener: ExecutionListener?
  public init() {}
}

/// Where the listener of a further program goes, and what its agent is told with it.
public struct ExecutionListener: Sendable, Equatable {
  public var listener: SeccompListener
  public var state: HookState
  /// The box's first process, as the runtime's namespace numbers it.
  public var boxPid: Int32
  public init(_ listener: SeccompListener, state: HookState, boxPid: Int32) {
    self.listener = listener
    self.state = state
    self.boxPid = boxPid
  }
}

/// Leaving a raised box to other commands, which start it and end it through `Wall.open`. Only a box without guest/init
/// (`Bundle.usesInit`) can be left.
public protocol Parting {
  /// The box no longer ends with this command: it waits until another one starts it. The box must stand in the record before, so
  /// that it can be found.
  func leave() throws(WallError)

  /// Whether it waits to be started still; asked by any command, at any time.
  func isWaiting() throws(WallError) -> Bool
}

/// Changing the limits of a box that runs.
public protocol Limiting {
  /// Sets what is given and leaves the rest as it is. Nothing is ignored: what cannot be changed in a living box is an error.
  func limit(_ resources: ResourceConfiguration) throws(WallError)
}

/// A program that was executed in a running box.
public protocol BoxProcess: AnyObject {
  var process: ProcessIdentity { get }
  var exitDescriptor: Int32 { get }
  var terminal: Int32? { get }
  func signal(_ number: Int32) throws(WallError)
  func collect() throws(WallError) -> Ending
}

/// Stopping a box's time.
public protocol Pausing {
  func pause() throws(WallError)
  func resume() throws(WallError)
}

/// What a box uses.
public protocol Measurement {
  func measure() throws(WallError) -> Usage
  /// The groups in which the box is counted; nil where there are none.
  var cgroup: Cgroup? { get }
}

extension Measurement {
  public var cgroup: Cgroup? { nil }
}

/// Resources in use; nil where the wall cannot tell.
public struct Usage: Sendable, Equatable {
  public var memoryBytes: UInt64?
  public var memoryPeakBytes: UInt64?
  public var cpuMicroseconds: UInt64?
  public var processes: UInt64?
  public init() {}
}

/// The box's processes as the host numbers them.
public protocol ProcessListing {
  func processes() throws(WallError) -> [Int32]
}

/// Files into and out of a box that runs or is paused, as tar streams. Paths are the box's own, resolved as inside; nothing of the
/// box is executed for it.
public protocol FileTransfer {
  /// Begins to write what `source` names into `output`, which the caller may close at once.
  func send(_ source: TreeSource, to output: Int32) throws(WallError) -> any TransferWork

  /// Begins to unpack the stream on `input`, which the caller may close at once.
  func receive(_ target: TreeTarget, from input: Int32) throws(WallError) -> any TransferWork

  /// The bytes of a regular file; nil where there is none of at most `limit` bytes.
  func contents(of path: String, limit: Int) throws(WallError) -> [UInt8]?
}

/// The whole root of a box that runs or is paused, and what its code changed there. What is mounted within it is left out.
public protocol RootReading {
  /// Whether it can be read while the box's time is stopped.
  var readsWhilePaused: Bool { get }

  /// Begins to write all of it as a tar archive.
  func export(to output: Int32) throws(WallError) -> any TransferWork

  /// Begins to write how it differs from what it began as.
  func changes(since root: RootFilesystem, as form: RootForm, to output: Int32) throws(WallError) -> any TransferWork
}

extension RootReading {
  public var readsWhilePaused: Bool { true }
}

/// The half of a transfer that the wall does, while the caller does the other.
public protocol TransferWork: AnyObject {
  /// Waits for the end of it. Call once the caller's end of the stream is closed.
  func finish() throws(WallError) -> TransferReport
}
