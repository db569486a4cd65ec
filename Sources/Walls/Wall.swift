public import Formats
public import Linux
public import Policy

/// What stands between untrusted code and the host. A new wall is one module with a type like this, and one line where
/// walls are listed (Launch's `Walls+All`).
public protocol Wall: Sendable {
  var name: WallName { get }

  /// Whether this machine and this user can raise the wall, and if not what is missing and what to do about it.
  func availability(on host: Host) -> Availability

  /// How far the wall holds one rule here.
  func enforcement(of rule: Rule, on host: Host) -> Enforcement

  /// Who answers the code's system calls; nil where the host's kernel answers all of them.
  func callCounts(under policy: Policy) -> CallCounts?

  /// Every system call, by number; nil where the host's kernel answers all of them.
  func calls(under policy: Policy) -> [CallEntry]?

  /// Raises the box up to, but not including, the first untrusted instruction. Every limit is set. Nothing is left behind
  /// when it throws.
  func create(_ bundle: Bundle, streams: Streams, on host: Host) throws(WallError) -> any Sandbox

  /// Details of a box that are known before it is raised: with them in the record, `open` finds what a command left that was killed
  /// while it raised the box.
  func traces(of bundle: Bundle) throws(WallError) -> [String: String]

  /// The handle of a sandbox that another command raised, from what that command recorded.
  func open(_ record: SandboxRecord, on host: Host) throws(WallError) -> any Sandbox
}

extension Wall {
  public func traces(of bundle: Bundle) throws(WallError) -> [String: String] { [:] }
  public func callCounts(under policy: Policy) -> CallCounts? { nil }
  public func calls(under policy: Policy) -> [CallEntry]? { nil }
}

public enum Availability: Sendable, Equatable {
  /// Can be raised; the notes say what is weaker than elsewhere and why ("cgroups not writable: limits become rlimits").
  case ready(notes: [String])
  /// Cannot, for these reasons.
  case missing([Lack])
}

/// Something that is not there, and what a person can do about it.
public struct Lack: Sendable, Equatable {
  public let what: String
  public let remedy: String
  public init(_ what: String, remedy: String) {
    self.what = what
    self.remedy = remedy
  }
}

/// Why a wall could not do what it was asked: one line, with what to do.
public struct WallError: Error, Sendable, CustomStringConvertible {
  public enum Kind: Sendable, Equatable {
    /// The wall itself failed (Docker's exit status 125).
    case wall
    /// The program is there but cannot be run (126).
    case notExecutable
    /// There is no such program in the box (127).
    case notFound
    /// The machine lacks something; `availability` says what.
    case unavailable
    /// The sandbox has ended.
    case gone
  }
  public let kind: Kind
  public let message: String

  public init(_ message: String) {
    self.init(.wall, message)
  }

  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  /// A failed system call while doing `what`.
  public init(_ what: String, _ error: SystemError) {
    self.init(.wall, "\(what): \(error)")
  }

  public var description: String { message }
}

/// What goes into a wall.
public struct Bundle: Sendable {
  /// The sandbox's id: [A-Za-z0-9_.-], at most 64 bytes; names its cgroup and hostname.
  public var id: String
  /// The sandbox's own folder on the host, mode 0700; the wall may keep files and mount points under it.
  public var directory: String
  public var configuration: RuntimeConfiguration
  public var root: RootFilesystem
  /// Compiled seccomp instructions, each a `struct sock_filter` in 64 bits as the kernel reads them; nil is unconfined.
  public var filter: SeccompFilter?
  /// Makes the filter where `filter` is nil: a wall calls it while its child is at work.
  public var compileFilter: (@Sendable () throws(WallError) -> SeccompFilter)?
  /// Where the listener of a filter that notifies is sent; the filter's flags then ask for one.
  public var seccompListener: SeccompListener?
  /// What the code may do; the wall takes from it what the configuration does not say (network sockets, Landlock rules).
  public var policy: Policy
  /// Whether guest/init is the first process and the command its child (`run`), or the command itself (the OCI verbs).
  public var usesInit: Bool
  /// What hooks are told about the container; nil runs none.
  public var hookState: HookState?
  /// Descriptors the box is given besides 0, 1 and 2, from 3 up in order.
  public var preservedDescriptors: [Int32]
  /// Whether systemd is to make the box's control group, `cgroupsPath` being "SLICE:PREFIX:NAME" (or absent).
  public var usesSystemd = false
  /// Whether what the code asked for and is not there is told on the box's stderr, by walls with a kernel of their own.
  public var debug = false

  public init(
    id: String, directory: String, configuration: RuntimeConfiguration, root: RootFilesystem,
    filter: SeccompFilter? = nil, policy: Policy, usesInit: Bool = true, preservedDescriptors: [Int32] = []
  ) {
    self.id = id
    self.directory = directory
    self.configuration = configuration
    self.root = root
    self.filter = filter
    self.policy = policy
    self.usesInit = usesInit
    self.preservedDescriptors = preservedDescriptors
  }
}

/// A compiled seccomp program (seccomp(2)): code | jt << 16 | jf << 24 | k << 32, which is `struct sock_filter` in little endian.
public struct SeccompFilter: Sendable, Equatable {
  public var instructions: [UInt64]
  /// SECCOMP_FILTER_FLAG_*.
  public var flags: UInt32
  public init(instructions: [UInt64], flags: UInt32 = 0) {
    self.instructions = instructions
    self.flags = flags
  }
}

/// Who decides about calls in the box's stead (config-linux.md, `listenerPath`, `listenerMetadata`).
public struct SeccompListener: Sendable, Equatable {
  /// A Unix stream socket on the host.
  public var path: String
  public var metadata: String?
  public init(path: String, metadata: String?) {
    self.path = path
    self.metadata = metadata
  }
}

/// Where a box's files come from. Walls see this value, never the store's folders.
public enum RootFilesystem: Sendable, Equatable {
  /// A ready tree on the host.
  case directory(path: String, readOnly: Bool)
  /// Unpacked layers, the topmost first, under a private writable layer.
  case layers(paths: [String], scratch: Scratch)
  /// An image that was never unpacked, under a private writable layer.
  case image(ImageMount, scratch: Scratch)
  /// This machine's own root by an allowlist.
  case host(HostRoot, scratch: Scratch)
}

/// An image as the store keeps it: one EROFS file with all names and owners, and one file with the contents for each layer. A wall that
/// has no right to mount (a kernel in user space, a virtual machine's disk) reads these files by itself; the store keeps them as they
/// are for as long as the image is in use.
public struct ImageMount: Sendable, Equatable {
  /// The file with the superblock, the folders and the inodes; blocks of 4096 bytes.
  public var metadata: String
  /// The layers' files, in the order of the metadata's device table.
  public var devices: [String]
  /// Where this machine's kernel mounted it: a detached mount, read-only, owners untranslated. The caller keeps it open; a wall clones
  /// it. Nil where nobody mounted it.
  public var mount: Int32?

  public init(metadata: String, devices: [String], mount: Int32? = nil) {
    self.metadata = metadata
    self.devices = devices
    self.mount = mount
  }
}

/// Where writes to a root filesystem go.
public enum Scratch: Sendable, Equatable {
  /// Nowhere: the root is read-only.
  case none
  /// Memory of at most so many bytes, gone with the box.
  case memory(limit: UInt64)
  /// A host folder with `upper` and `work` in it, kept.
  case directory(String)
}

/// What of the host's root a box without an image sees.
public struct HostRoot: Sendable, Equatable {
  /// Absolute paths that appear, links as links; those that do not exist are left out.
  public var visible: [String]
  /// Absolute path patterns hidden within them; "*" stands for any run of characters but "/".
  public var hidden: [String]
  /// The caller's current folder, read-only at its own path; nil when it is / or a home.
  public var workingDirectory: String?
  public init(visible: [String], hidden: [String], workingDirectory: String?) {
    self.visible = visible
    self.hidden = hidden
    self.workingDirectory = workingDirectory
  }

  /// Programs and libraries, and of /etc what is no secret.
  public static func standard(workingDirectory: String?) -> HostRoot {
    HostRoot(
      visible: ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/etc"],
      hidden: [
        "/etc/shadow*", "/etc/gshadow*", "/etc/sudoers*", "/etc/ssh/*_key", "/etc/ssl/private", "/etc/machine-id",
      ],
      workingDirectory: workingDirectory)
  }
}

/// What a program in a box reads and writes.
public enum Streams: Sendable, Equatable {
  /// These descriptors, which the caller keeps and closes.
  case descriptors(input: Int32, output: Int32, error: Int32)
  /// A terminal inside the box; the sandbox hands out its other end.
  case terminal(WindowSize)
}

/// A terminal's size in characters.
public struct WindowSize: Sendable, Equatable {
  public var rows: UInt16
  public var columns: UInt16
  public init(rows: UInt16 = 24, columns: UInt16 = 80) {
    self.rows = rows
    self.columns = columns
  }
}
