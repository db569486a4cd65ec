import CLinux
package import Linux

/// Where a path that somebody named begins.
package enum TreePlace {
  /// This machine, by the ordinary way: whoever names a path here means what it leads to.
  case host
  /// A root whose owner is hostile and changes it meanwhile: nothing in it leads out, and no link of procfs is followed.
  case root(Int32)

  package func open(_ path: String, _ flags: Int32) throws(SystemError) -> FileDescriptor {
    switch self {
    case .host: return try File.open(path, flags)
    case .root(let root): return try File.open(path, flags, at: root, resolve: [.inRoot, .noMagicLinks])
    }
  }
}

/// This process's own /proc/self/fd, taken while /proc can be trusted: what was found by O_PATH and looked at is opened through it, so
/// that what is opened is what was looked at, and a pipe or device never is.
package struct Reopener: ~Copyable {
  private let folder: FileDescriptor
  /// - Parameter processes: where procfs is.
  package init(processes: String = "/proc") throws(SystemError) {
    folder = try File.open(processes + "/self/fd", O_PATH | O_DIRECTORY)
  }

  package var rawValue: Int32 { folder.rawValue }

  package borrowing func open(_ descriptor: Int32, _ flags: Int32) throws(SystemError) -> FileDescriptor {
    try File.open("\(descriptor)", flags, at: folder.rawValue)
  }
}

/// The parts of a path as a person types it.
struct TypedPath {
  /// Without slashes at its end, but "/" itself.
  let path: String
  /// The last part; nil where the path has no name of its own: "/", "." and "..".
  let name: [UInt8]?
  /// All but the last part, "." where there is only one.
  let parent: String
  /// A slash or "/." stands at its end, so it must be a folder.
  let mustBeFolder: Bool
  /// "FOLDER/.": what is in it, not itself.
  let isContents: Bool

  init(_ text: String) {
    var bytes = Array(text.utf8)
    let hadSlash = bytes.count > 1 && bytes.last == UInt8(ascii: "/")
    while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
    path = String(decoding: bytes, as: UTF8.self)
    let slash = bytes.lastIndex(of: UInt8(ascii: "/"))
    let last = slash.map { Array(bytes[($0 + 1)...]) } ?? bytes
    let isDots = last.isEmpty || last == Array(".".utf8) || last == Array("..".utf8)
    name = isDots ? nil : last
    isContents = isDots
    mustBeFolder = hadSlash || isDots
    parent = slash.map { $0 == 0 ? "/" : String(decoding: bytes[..<$0], as: UTF8.self) } ?? "."
  }
}

/// One file's bytes.
package enum FileReading {
  /// Copies a regular file into a descriptor. False where there is none of at most `limit` bytes, or it cannot be read.
  package static func copy(
    _ path: String, in place: TreePlace, to output: Int32, limit: Int, _ reopener: borrowing Reopener
  ) throws(SystemError) -> Bool {
    let bytes: [UInt8]
    do throws(SystemError) {
      let found = try FoundNode(place.open(path, O_PATH))
      guard found.kind == .regular, found.kernelFileSystem == nil, found.status.st_size <= limit else { return false }
      let file = try reopener.open(found.descriptor.rawValue, O_RDONLY | O_NONBLOCK | O_NOCTTY)
      bytes = try File.readAll(file.rawValue, limit: limit)
    } catch {
      return false
    }
    try File.writeAll(output, bytes)
    return true
  }
}
