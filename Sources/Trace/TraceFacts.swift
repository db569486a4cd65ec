public import Seccomp

/// What a program did with a path.
public struct PathUse: OptionSet, Sendable, Hashable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }
  /// Asked about (stat, access, readlink), entered, or opened only to name others.
  public static let looked = PathUse(rawValue: 1)
  public static let read = PathUse(rawValue: 2)
  /// Content or attributes of what was there were changed.
  public static let changed = PathUse(rawValue: 4)
  /// It was not there before.
  public static let created = PathUse(rawValue: 8)
  /// Unlinked, or renamed to another place.
  public static let removed = PathUse(rawValue: 16)
  /// A folder's names were read.
  public static let listed = PathUse(rawValue: 32)
  public static let executed = PathUse(rawValue: 64)

  static let names: [(use: PathUse, name: String)] = [
    (.looked, "looked"), (.read, "read"), (.changed, "changed"), (.created, "created"), (.removed, "removed"),
    (.listed, "listed"), (.executed, "executed"),
  ]
}

/// A path that a call succeeded on.
public struct PathFact: Sendable, Equatable {
  public enum Kind: String, Sendable { case file, folder, device, socket, pipe, absent }
  public var uses: PathUse
  public var kind: Kind
  /// Whether it is there once the program has ended.
  public var remains = true
  public init(_ uses: PathUse, _ kind: Kind = .file, remains: Bool = true) {
    self.uses = uses
    self.kind = kind
    self.remains = remains
  }
}

/// A system call that was made, under the architecture it was made in.
public struct CallFact: Sendable, Equatable {
  public var architecture: Architecture
  public var name: String
  public var count: UInt64 = 0
  /// The values of the one argument that is fixed (`FixedArgument`), their low 32 bits; nil where there were too many, or a profile
  /// cannot see them.
  public var values: Set<UInt32>? = []
  public init(_ architecture: Architecture, _ name: String, count: UInt64 = 1, values: Set<UInt32>? = []) {
    self.architecture = architecture
    self.name = name
    self.count = count
    self.values = values
  }
}

/// One end of an Internet connection.
public struct Endpoint: Sendable, Hashable {
  /// 4 bytes, or 16; addresses of version 4 within version 6 are held as 4.
  public var address: [UInt8]
  public var port: UInt16
  public var isDatagram: Bool
  public init(_ address: [UInt8], _ port: UInt16, isDatagram: Bool = false) {
    let mapped =
      address.count == 16 && address[..<10].allSatisfy { $0 == 0 } && address[10] == 255 && address[11] == 255
    self.address = mapped ? Array(address[12...]) : address
    self.port = port
    self.isDatagram = isDatagram
  }
}

/// All that was seen of a program and its descendants, without what it means for a policy.
public struct TraceFacts: Sendable {
  public var command: [String] = []
  /// Where the program was started.
  public var folder = "/"
  public var home: String?
  /// "NAME=value", as the program was started with.
  public var environment: [String] = []

  public var paths: [String: PathFact] = [:]
  public var calls: [CallFact] = []
  /// Numbers that no table knows, "x86_64 1000".
  public var unknownCalls: Set<String> = []

  /// Where it connected or sent to, how often.
  public var connections: [Endpoint: Int] = [:]
  /// Where it listened (TCP), or bound a port that it chose (UDP), and how many connections came.
  public var listeners: [Endpoint: Int] = [:]
  /// Paths of local sockets that it connected to; "@name" for abstract ones.
  public var localConnections: Set<String> = []
  public var localListeners: Set<String> = []

  /// Capabilities beyond Docker's default that calls succeeded by, and those calls.
  public var privileges: [String: Set<String>] = [:]

  public var peakTasks = 0
  public var peakMemoryBytes: UInt64 = 0
  public var peakDescriptors = 0
  public var milliseconds: UInt64 = 0
  /// The status `immure trace` ends with.
  public var status: Int32 = 0

  /// What could not be seen, or has no place in a policy; each once.
  public internal(set) var notes: [String] = []

  public init() {}

  private var pathBytes = 0

  // Bounds, so that a hostile program cannot fill the tracer's memory.
  static let mostPaths = 65_536
  static let mostPathBytes = 16 << 20
  static let mostEndpoints = 4096
  static let mostValues = 64
  static let mostNotes = 64

  public mutating func note(_ text: String) {
    if notes.count < Self.mostNotes, !notes.contains(text) { notes.append(text) }
  }

  mutating func add(_ path: String, _ uses: PathUse, kind: () -> PathFact.Kind) {
    if let known = paths[path] {
      if !known.uses.isSuperset(of: uses) { paths[path]?.uses.formUnion(uses) }
      return
    }
    guard paths.count < Self.mostPaths, pathBytes < Self.mostPathBytes else {
      return note("more paths were used than are kept: \(paths.count) are, the rest is not in the policy")
    }
    pathBytes += path.utf8.count
    paths[path] = PathFact(uses, kind())
  }

  mutating func add(connection: Endpoint) {
    guard connections[connection] != nil || connections.count < Self.mostEndpoints else {
      return note("more than \(Self.mostEndpoints) addresses were connected to: the rest is not in the policy")
    }
    connections[connection, default: 0] += 1
  }

  mutating func add(listener: Endpoint, accepted: Int) {
    guard listeners[listener] != nil || listeners.count < Self.mostEndpoints else {
      return note("more than \(Self.mostEndpoints) addresses were listened on: the rest is not in the policy")
    }
    listeners[listener, default: 0] += accepted
  }
}
