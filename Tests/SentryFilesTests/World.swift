import CLinux
import Foundation
import Linux
import SentryABI
import SentryFileSystems
import SentryFiles
import Testing

/// A tree and somebody who walks in it.
struct World {
  let namespace: MountNamespace
  let context: PathContext
  let walk: PathWalk

  init(_ root: Inode, credentials: Credentials = World.everything) {
    let special = SpecialFiles()
    MemoryDevices.add(to: special)
    namespace = MountNamespace(root: root, special: special)
    context = PathContext(namespace)
    walk = PathWalk(context, FileCaller(credentials: credentials))
  }

  static var everything: Credentials {
    var credentials = Credentials()
    credentials.effective = .max
    return credentials
  }
  static func user(_ id: UInt32) -> Credentials {
    var credentials = Credentials()
    (credentials.fileUser, credentials.fileGroup) = (id, id)
    return credentials
  }

  static let create = OpenFlags.create | OpenFlags.readWrite

  func write(_ path: String, _ text: String, flags: Int32 = World.create | OpenFlags.truncate) throws {
    let file = try walk.open(Array(path.utf8), flags: flags, mode: 0o644)
    #expect(try file.store(Array(text.utf8), at: nil) == text.utf8.count)
  }
  func read(_ path: String) throws -> String {
    let file = try walk.open(Array(path.utf8), flags: 0)
    return String(decoding: try file.bytes(at: 0, count: 1 << 20), as: UTF8.self)
  }
  func inode(_ path: String) throws -> Inode {
    try #require(try walk.find(Array(path.utf8), followsLast: false).inode)
  }
  func list(_ path: String) throws -> [String] {
    let file = try walk.open(Array(path.utf8), flags: OpenFlags.directory)
    var names: [String] = []
    try #require(file as? OpenDirectory).entries(walk.caller) {
      names.append(String(decoding: $0.name, as: UTF8.self))
      return true
    }
    return names.filter { $0 != "." && $0 != ".." }.sorted()
  }
  func make(_ path: String) throws { try walk.make(.directory, at: Array(path.utf8), permissions: 0o755) }
  func remove(_ path: String, isDirectory: Bool = false) throws {
    try walk.remove(Array(path.utf8), isDirectory: isDirectory)
  }
  func error(_ path: String) -> Errno? {
    do throws(Errno) {
      _ = try walk.find(Array(path.utf8))
      return nil
    } catch { return error }
  }
}

/// A folder of the host's, gone with the test.
final class HostPlace {
  let path = FileManager.default.temporaryDirectory.path + "/sentry-files-\(UUID().uuidString)"
  init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
  // What cannot be removed stays in the temporary folder.
  deinit { try? FileManager.default.removeItem(atPath: path) }

  func make(_ name: String) throws {
    try FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: true)
  }
  func write(_ name: String, _ text: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
  }
  func link(_ name: String, to target: String) throws {
    try FileManager.default.createSymbolicLink(atPath: "\(path)/\(name)", withDestinationPath: target)
  }
  func read(_ name: String) -> String? {
    FileManager.default.contents(atPath: "\(path)/\(name)").map { String(decoding: $0, as: UTF8.self) }
  }
  func tree(_ name: String = "", isReadOnly: Bool) throws -> Inode {
    let folder = try File.open("\(path)/\(name)", O_PATH)
    return try HostFolder.tree(folder.rawValue, isReadOnly: isReadOnly)
  }
}

/// fcntl(2) without an argument.
func control(_ descriptor: Int32, _ command: Int32) -> Int32 {
  Int32(truncatingIfNeeded: systemCall(Int(SYS_fcntl), word(descriptor), word(command)))
}

extension HostPlace {
  /// The host's permission bits.
  func mode(_ name: String) throws -> Int {
    try #require(try FileManager.default.attributesOfItem(atPath: "\(path)/\(name)")[.posixPermissions] as? Int)
  }
  func makeHardLink(_ name: String, to old: String) throws {
    try FileManager.default.linkItem(atPath: "\(path)/\(old)", toPath: "\(path)/\(name)")
  }
  func makeNode(_ name: String, _ mode: UInt32, _ number: UInt64) -> Int {
    "\(path)/\(name)".withPathAddress { systemCall(Int(SYS_mknodat), word(AT_FDCWD), $0, UInt(mode), UInt(number)) }
  }
  func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: "\(path)/\(name)") }
}
