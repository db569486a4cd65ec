/// One thing a layer does to a root filesystem, its names already made harmless: what the confined worker tells the
/// directory writer (and what that checks again, for the worker may have been taken over).
public struct LayerRecord: Sendable, Equatable {
  public enum Kind: UInt8, Sendable, Equatable, CaseIterable {
    case file = 1
    case directory, symbolicLink, hardLink, characterDevice, blockDevice, fifo
    /// The path is to be absent although a lower layer has it (image-spec, layer.md, "Whiteouts").
    case whiteout
    /// The directory hides what lower layers have in it.
    case opaque
  }

  public var kind: Kind
  /// Relative to the root: names joined by single slashes, none of them empty, `.` or `..`; empty means the root itself,
  /// which only a directory or an opaque mark can be.
  public var path: [UInt8]
  /// A symbolic link's text as it is, or the path a hard link leads to, of the same form as `path`.
  public var target: [UInt8] = []
  public var mode: UInt32 = 0
  public var uid: UInt32 = 0
  public var gid: UInt32 = 0
  /// Seconds since 1970, and nanoseconds from 0 to 999,999,999 after them.
  public var modified: Int64 = 0
  public var modifiedNanoseconds: UInt32 = 0
  /// Bytes of a file, holes included.
  public var size: Int64 = 0
  public var deviceMajor: UInt32 = 0
  public var deviceMinor: UInt32 = 0
  public var attributes: [TarEntry.Attribute] = []

  public init(kind: Kind, path: [UInt8]) {
    self.kind = kind
    self.path = path
  }

  /// The names of the path, one after the other; empty for the root.
  public var components: [ArraySlice<UInt8>] { path.split(separator: UInt8(ascii: "/")) }

  /// The path as text, for messages.
  public var name: String { path.isEmpty ? "/" : String(decoding: path, as: UTF8.self) }
}

/// What a layer may hold before it is called hostile.
public struct LayerLimits: Sendable {
  public var entries: Int = 2_000_000
  /// Bytes of all files' contents together, holes not counted.
  public var totalBytes: Int64 = 64 << 30
  /// Bytes of one file, holes included.
  public var fileSize: Int64 = 1 << 40
  /// Bytes of a path or a link's text; 255 for one name.
  public var pathLength = 4095
  /// Attributes of one entry; a name has at most 255 bytes, a value at most 65,536.
  public var attributes = 256
  /// Bytes of all attributes of one entry together.
  public var attributeBytes = 1 << 20
  public init() {}
}

extension LayerRecord {
  /// Holds a record against the rules above; both ends of the stream do.
  func check(_ limits: LayerLimits) throws(FormatError) {
    func wrong(_ problem: String) -> FormatError {
      FormatError(problem, offending: String(decoding: path.prefix(256), as: UTF8.self))
    }
    if path.isEmpty {
      guard kind == .directory || kind == .opaque else { throw FormatError("the layer's root is not a directory") }
    } else {
      guard Self.isNormal(path[...], limits) else { throw wrong("is not a plain path inside the layer") }
    }
    switch kind {
    case .hardLink:
      guard Self.isNormal(target[...], limits) else { throw wrong("is a hard link to something outside the layer") }
      guard target != path else { throw wrong("is a hard link to itself") }
    case .symbolicLink:
      guard (1...limits.pathLength).contains(target.count), !target.contains(0) else {
        throw wrong("is a symbolic link with an impossible target")
      }
    default: guard target.isEmpty else { throw wrong("has a link target and is no link") }
    }
    guard mode <= 0o7777 else { throw wrong("has impossible permissions") }
    guard uid != .max, gid != .max else { throw wrong("has an owner that is nobody's id") }
    guard modifiedNanoseconds < 1_000_000_000 else { throw wrong("has an impossible time") }
    guard (0...limits.fileSize).contains(size), kind == .file || size == 0 else {
      throw wrong("has an impossible size")
    }
    if kind == .characterDevice || kind == .blockDevice {
      // Linux: 12 bits and 20 bits (linux/kdev_t.h). Character device 0:0 is overlayfs's whiteout.
      guard deviceMajor < 1 << 12, deviceMinor < 1 << 20 else { throw wrong("has an impossible device number") }
      guard kind == .blockDevice || deviceMajor != 0 || deviceMinor != 0 else {
        throw wrong("is the character device 0:0, which overlayfs takes for a deletion; refused")
      }
    } else {
      guard deviceMajor == 0, deviceMinor == 0 else { throw wrong("has a device number and is no device") }
    }
    try checkAttributes(limits, wrong)
  }

  private func checkAttributes(_ limits: LayerLimits, _ wrong: (String) -> FormatError) throws(FormatError) {
    guard attributes.count <= limits.attributes else { throw wrong("has too many extended attributes") }
    var total = 0
    for attribute in attributes {
      guard (1...255).contains(attribute.name.count), !attribute.name.contains(0), attribute.value.count <= 65_536
      else {
        throw wrong("has an impossible extended attribute")
      }
      total += attribute.name.count + attribute.value.count
      for prefix in ["trusted.overlay.", "user.overlay."] where attribute.name.starts(with: prefix.utf8) {
        throw wrong("carries an attribute of overlayfs's own (\(prefix)…), which could lead it astray; refused")
      }
    }
    guard total <= limits.attributeBytes else { throw wrong("has too many bytes of extended attributes") }
  }

  /// Names joined by single slashes, none of them empty, `.`, `..`, longer than 255 bytes or with a NUL.
  private static func isNormal(_ path: ArraySlice<UInt8>, _ limits: LayerLimits) -> Bool {
    guard (1...limits.pathLength).contains(path.count) else { return false }
    let (slash, dot) = (UInt8(ascii: "/"), UInt8(ascii: "."))
    var start = path.startIndex
    while true {
      var end = start
      while end < path.endIndex, path[end] != slash {
        if path[end] == 0 { return false }
        end += 1
      }
      let count = end - start
      guard (1...255).contains(count) else { return false }
      if count <= 2, path[start] == dot, path[end - 1] == dot { return false }
      if end == path.endIndex { return true }
      start = end + 1
    }
  }
}
