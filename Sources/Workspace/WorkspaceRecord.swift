import Formats

/// What stands in `workspace.json`.
public struct WorkspaceRecord: Sendable, Equatable {
  public var name: String
  /// The host folder, absolute, without links.
  public var folder: String
  /// Its identity when the workspace was made.
  public var device: UInt64
  public var inode: UInt64
  /// Seconds since 1970.
  public var created: Int64
  /// The sandbox that was given it; empty where none was.
  public var sandbox: String
  /// How many names the folder had.
  public var entries: Int

  func bytes() -> [UInt8] {
    var writer = JSONWriter(indented: true)
    writer.beginObject()
    writer.key("version")
    writer.integer(1)
    writer.key("name")
    writer.string(name)
    writer.key("folder")
    writer.string(folder)
    writer.key("device")
    writer.integer(device)
    writer.key("inode")
    writer.integer(inode)
    writer.key("created")
    writer.integer(created)
    writer.key("sandbox")
    writer.string(sandbox)
    writer.key("entries")
    writer.integer(entries)
    writer.endObject()
    return writer.bytes + [UInt8(ascii: "\n")]
  }

  init(
    name: String, folder: String, device: UInt64, inode: UInt64, created: Int64, sandbox: String, entries: Int
  ) {
    self.name = name
    self.folder = folder
    self.device = device
    self.inode = inode
    self.created = created
    self.sandbox = sandbox
    self.entries = entries
  }

  init(_ bytes: [UInt8], source: String) throws(FormatError) {
    let node = try JSONNode.parse(bytes, source: source)
    guard try node.int("version") == 1 else {
      throw try node.required("version").failure("is not a version known here")
    }
    self.init(
      name: try node.string("name"), folder: try node.string("folder"), device: try node.integer("device"),
      inode: try node.integer("inode"), created: try node.integer("created"), sandbox: try node.string("sandbox"),
      entries: try node.int("entries"))
  }
}
