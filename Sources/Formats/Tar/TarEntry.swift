/// One member of a tar archive: what its header and its extended headers say, names as raw bytes.
public struct TarEntry: Sendable, Equatable {
  public enum Kind: Sendable, Equatable {
    case file, hardLink, symbolicLink, characterDevice, blockDevice, directory, fifo
  }

  public struct Attribute: Sendable, Equatable {
    public var name: [UInt8]
    public var value: [UInt8]
    public init(name: [UInt8], value: [UInt8]) {
      self.name = name
      self.value = value
    }
  }

  public var kind: Kind
  /// As the archive has it: it may be absolute, have `..` in it and end in slashes; it holds no NUL and is not empty.
  public var path: [UInt8]
  /// For links; empty otherwise.
  public var linkTarget: [UInt8] = []
  /// Permission bits with setuid, setgid and sticky, 0 to 0o7777.
  public var mode: UInt32 = 0o644
  public var uid: UInt32 = 0
  public var gid: UInt32 = 0
  /// Bytes of the file, holes included; 0 for what is not a file.
  public var size: Int64 = 0
  /// Seconds since 1970, and nanoseconds from 0 to 999,999,999 after them.
  public var modified: Int64 = 0
  public var modifiedNanoseconds: UInt32 = 0
  public var deviceMajor: UInt32 = 0
  public var deviceMinor: UInt32 = 0
  /// `SCHILY.xattr.*`, in the archive's order; no name occurs twice.
  public var attributes: [Attribute] = []

  public init(kind: Kind, path: [UInt8]) {
    self.kind = kind
    self.path = path
  }
}

/// What a tar reader takes before it calls an archive hostile.
public struct TarLimits: Sendable {
  /// Members and extended headers together.
  public var entries = 2_000_000
  /// Bytes in a path or link target (Linux: PATH_MAX).
  public var pathLength = 4096
  /// Bytes between two slashes (Linux: NAME_MAX).
  public var nameLength = 255
  /// Bytes in one extended header, and in all global ones together.
  public var metadata = 1 << 20
  /// Bytes in one file, holes included.
  public var fileSize: Int64 = 1 << 40
  /// Pieces between the holes of one sparse file.
  public var segments = 1 << 16
  /// Extended attributes of one member; a name has at most 255 bytes, a value at most 65,536 (xattr(7)).
  public var attributes = 256
  public init() {}
}
