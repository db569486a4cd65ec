public import Trees

/// One name that the code in the box left different from what the folder had.
public struct Change: Sendable, Equatable {
  public enum Kind: String, Sendable, CaseIterable {
    case added, modified, deleted
    /// A file became a folder, a link became a file, and so on.
    case typeChanged = "type_changed"
    /// Content as before, permissions not.
    case mode
  }
  public enum FileKind: String, Sendable { case file, folder, link }

  public let path: RelativePath
  public let kind: Kind
  /// What is there now; for a deleted name, what was there.
  public let fileKind: FileKind
  /// Permission bits before and after, 0 to 0o777; nil where there is none.
  public let oldMode: UInt32?
  public let newMode: UInt32?
  /// Bytes of a regular file now.
  public let size: UInt64
  /// What a link points to now, as the box wrote it.
  public let target: [UInt8]?
  /// Why the host would execute it, or follow it, without being asked: "git runs it", "new executable".
  public let warnings: [String]
}

/// Something the code left behind that is never given to the host.
public struct DroppedItem: Sendable, Equatable {
  public enum What: String, Sendable {
    case device, socket
    case namedPipe = "named_pipe"
    case setUserID = "set_user_id"
    case setGroupID = "set_group_id"
    case fileCapabilities = "file_capabilities"

    /// As a person reads it.
    var words: String {
      switch self {
      case .device: "a device"
      case .socket: "a socket"
      case .namedPipe: "a named pipe"
      case .setUserID: "the set-user-id bit"
      case .setGroupID: "the set-group-id bit"
      case .fileCapabilities: "file capabilities"
      }
    }
  }
  public let path: RelativePath
  public let what: What
}

/// Everything an overlay's upper folder says.
public struct WorkspaceChanges: Sendable, Equatable {
  /// In the order of a walk.
  public var changes: [Change] = []
  public var dropped: [DroppedItem] = []
  public var isEmpty: Bool { changes.isEmpty && dropped.isEmpty }
}
