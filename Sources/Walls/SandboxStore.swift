import CLinux
import Formats
public import Linux

/// The sandboxes of one state root: a folder each under `sandboxes/`, with `record.json` in it, and a link from each name in
/// `names/`. Every step is one atomic call, so kill -9 anywhere leaves what the next command understands.
public struct SandboxStore: Sendable {
  /// The state root.
  public let root: String
  public var sandboxes: String { root + "/sandboxes" }
  var names: String { root + "/names" }

  public init(root: String) { self.root = root }

  /// /var/lib/immure for root, else under XDG_DATA_HOME or ~/.local/share.
  public static func defaultRoot(isRoot: Bool) -> String {
    if let set = Process.environment("IMMURE_ROOT"), set.hasPrefix("/") { return set }
    if isRoot { return "/var/lib/immure" }
    if let data = Process.environment("XDG_DATA_HOME"), data.hasPrefix("/") { return data + "/immure" }
    if let home = Process.environment("HOME"), home.hasPrefix("/") { return home + "/.local/share/immure" }
    return "/var/tmp/immure-\(Process.user)"
  }

  public func directory(_ id: String) -> String { sandboxes + "/" + id }

  /// An id or name: 1 to 64 of [A-Za-z0-9_.-], the first a letter or digit, so it is safe as one path component.
  public static func isValid(name: String) -> Bool {
    guard let first = name.utf8.first, name.utf8.count <= 64 else { return false }
    func isWord(_ byte: UInt8) -> Bool {
      (byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122)
    }
    return isWord(first) && name.utf8.allSatisfy { isWord($0) || $0 == 95 || $0 == 46 || $0 == 45 }
  }

  /// Twelve random hexadecimal digits (getrandom(2)).
  public static func makeID() throws(SystemError) -> String {
    var word: UInt64 = 0
    // SAFETY: getrandom fills the eight bytes of `word`.
    let result = unsafe withUnsafeMutablePointer(to: &word) { pointer in
      systemCall(Int(SYS_getrandom), UInt(bitPattern: pointer), 8, 0)
    }
    try checked("getrandom", "", result)
    let digits = String(word >> 16, radix: 16)
    return String(repeating: "0", count: 12 - digits.utf8.count) + digits
  }

  /// Makes the sandbox's folder, takes its name and writes its first record. The folder is locked until its record is there, so that
  /// `removeUnrecorded` tells it from what a crash left.
  public func create(_ record: SandboxRecord) throws(WallError) {
    guard SandboxStore.isValid(name: record.name) else {
      throw WallError(
        "name \"\(FormatError.presentable(record.name))\": use 1 to 64 of letters, digits, _ . and -, beginning with a letter or digit"
      )
    }
    for _ in 0..<100 {
      guard let folder = try makeLockedFolder(record) else { continue }
      do throws(WallError) {
        try takeName(record)
        if try write(first: record, in: folder.rawValue) { return }
      } catch {
        // Half made: nothing points to the folder yet.
        try? File.removeTree(directory(record.id))
        throw error
      }
    }
    throw WallError("cannot keep the sandbox's state: its folder is removed again and again by another command")
  }

  /// Nil where another command cleared it away between being made and being locked.
  private func makeLockedFolder(_ record: SandboxRecord) throws(WallError) -> FileDescriptor? {
    do throws(SystemError) {
      try makeFolder(record)
      let folder: FileDescriptor
      do throws(SystemError) { folder = try File.open(directory(record.id), O_RDONLY | O_DIRECTORY) } catch
        where error.errno == .noEntry
      { return nil }
      _ = try File.lock(folder.rawValue)
      return folder
    } catch {
      throw WallError("cannot keep the sandbox's state", error)
    }
  }

  /// False where the folder was removed before it was locked.
  private func write(first record: SandboxRecord, in folder: Int32) throws(WallError) -> Bool {
    do throws(SystemError) {
      try File.exchange("record.json", record.json.bytes(), at: folder)
      return true
    } catch  where error.errno == .noEntry {
      return false
    } catch {
      throw WallError("cannot keep the state of sandbox \(record.name)", error)
    }
  }

  private func makeFolder(_ record: SandboxRecord) throws(SystemError) {
    do throws(SystemError) {
      try File.makeDirectory(directory(record.id), mode: 0o700)
    } catch  where error.errno == .noEntry {
      try File.makeDirectories(root, mode: 0o711)
      // Whoever finds the folder of sandboxes finds that of names.
      try File.makeDirectories(names, mode: 0o700)
      try File.makeDirectories(sandboxes, mode: 0o711)
      try File.makeDirectory(directory(record.id), mode: 0o700)
    }
  }

  private func takeName(_ record: SandboxRecord) throws(WallError) {
    // Its folder is found by its id: a sandbox that nobody named needs no link.
    if record.name == record.id { return }
    if File.exists(directory(record.name)) {
      throw WallError("the name \"\(record.name)\" is another sandbox's id: choose another --name")
    }
    for _ in 0..<8 {
      do throws(SystemError) {
        return try File.symlink("../sandboxes/" + record.id, at: names + "/" + record.name)
      } catch  where error.errno != .exists {
        throw WallError("cannot take the name \"\(record.name)\"", error)
      } catch {}
      // Taken: by a sandbox that is there, or by one whose removal was cut short.
      guard let target = try? File.readLink(names + "/" + record.name) else { continue }
      let holder = String(target.split(separator: "/").last ?? "")
      if File.exists(directory(holder)) && holder != record.id {
        throw WallError(
          "the name \"\(record.name)\" is in use by sandbox \(holder): remove it with `immure rm -f \(record.name)` or choose another --name"
        )
      }
      try? File.remove(names + "/" + record.name)
    }
    throw WallError("the name \"\(record.name)\" is being taken by another command: try again")
  }

  /// Writes the record in place of the one before. Returns what stands in the file now.
  @discardableResult
  public func write(_ record: SandboxRecord) throws(WallError) -> [UInt8] {
    do throws(SystemError) {
      let folder = try File.open(directory(record.id), O_RDONLY | O_DIRECTORY)
      let bytes = record.json.bytes()
      try File.exchange("record.json", bytes, at: folder.rawValue)
      return bytes
    } catch  where error.errno == .noEntry {
      throw WallError(.gone, "sandbox \(record.name) was removed by another command")
    } catch {
      throw WallError("cannot keep the state of sandbox \(record.name)", error)
    }
  }

  /// Reads, changes and writes a record under the folder's lock. Returns what was written. With `last`, what the caller wrote last,
  /// the text is not read again where it is still the same.
  @discardableResult
  public func update(
    _ id: String, last: (record: SandboxRecord, bytes: [UInt8])? = nil, _ change: (inout SandboxRecord) -> Void
  ) throws(WallError) -> SandboxRecord {
    let lock = try lock(id)
    var record: SandboxRecord
    if let last, last.record.id == id, (try? File.exchangedContents(directory(id) + "/record.json")) == last.bytes {
      record = last.record
    } else {
      record = try load(id)
    }
    change(&record)
    try write(record)
    _ = consume lock
    return record
  }

  /// The sandbox's lock, held until the descriptor is closed: two commands never change one sandbox at once.
  public func lock(_ id: String) throws(WallError) -> FileDescriptor {
    do throws(SystemError) {
      let folder = try File.open(directory(id), O_RDONLY | O_DIRECTORY)
      _ = try File.lock(folder.rawValue)
      return folder
    } catch  where error.errno == .noEntry {
      throw WallError(.gone, "there is no sandbox \(id)")
    } catch {
      throw WallError("cannot lock sandbox \(id)", error)
    }
  }

  /// The record of an id.
  public func load(_ id: String) throws(WallError) -> SandboxRecord {
    let path = directory(id) + "/record.json"
    let bytes: [UInt8]
    do throws(SystemError) { bytes = try File.exchangedContents(path) } catch {
      throw error.errno == .noEntry
        ? WallError(.gone, "there is no sandbox \(id)") : WallError("cannot read the state of sandbox \(id)", error)
    }
    do throws(FormatError) { return try SandboxRecord(bytes: bytes, source: path) } catch {
      throw WallError("the state of sandbox \(id) is damaged: \(error); `immure rm -f \(id)` clears it")
    }
  }

  /// The id that a name, an id or a unique beginning of an id stands for.
  public func find(_ word: String) throws(WallError) -> String {
    guard SandboxStore.isValid(name: word) else {
      throw WallError(
        .gone, "\"\(FormatError.presentable(word))\" is no name or id of a sandbox; `immure ps -a` lists them")
    }
    if let target = try? File.readLink(names + "/" + word), let id = target.split(separator: "/").last,
      File.exists(directory(String(id)))
    {
      return String(id)
    }
    if File.exists(directory(word)) { return word }
    let matches = try ids().filter { $0.hasPrefix(word) }
    if matches.count == 1 { return matches[0] }
    if matches.count > 1 {
      throw WallError("\"\(word)\" is the beginning of \(matches.count) sandboxes' ids: give more of it")
    }
    throw WallError(.gone, "there is no sandbox \"\(word)\"; `immure ps -a` lists them")
  }

  /// Every sandbox's id, sorted.
  public func ids() throws(WallError) -> [String] {
    do throws(SystemError) {
      return try File.names(inDirectory: sandboxes).filter(SandboxStore.isValid(name:)).sorted()
    } catch  where error.errno == .noEntry {
      return []
    } catch {
      throw WallError("cannot list the sandboxes", error)
    }
  }

  /// The record of an id and what it means now. One that ended, and whose supervisor too, between being read and being looked at is read
  /// again: what a supervisor wrote is there once it has ended.
  public func look(_ id: String, bootID: String) throws(WallError) -> (
    record: SandboxRecord, condition: SandboxCondition
  ) {
    let record = try load(id)
    let condition = record.condition(bootID: bootID)
    guard case .interrupted = condition, record.bootID == bootID else { return (record, condition) }
    let later = try load(id)
    return (later, later.condition(bootID: bootID))
  }

  /// Removes a folder that has no record, which a command that was killed left. Waits while one is making it.
  /// - Returns: false where it has a record after all.
  public func removeUnrecorded(_ id: String) throws(WallError) -> Bool {
    let held: FileDescriptor
    do throws(WallError) { held = try lock(id) } catch  where error.kind == .gone { return true }
    if File.exists(directory(id) + "/record.json") { return false }
    try remove(id, name: nil)
    _ = consume held
    return true
  }

  /// Removes the sandbox's name, record and folder, in that order; what is already gone is no error.
  public func remove(_ id: String, name: String?) throws(WallError) {
    do throws(SystemError) {
      if let name, let target = try? File.readLink(names + "/" + name), target.hasSuffix("/" + id) {
        do throws(SystemError) { try File.remove(names + "/" + name) } catch  where error.errno == .noEntry {}
      }
      try File.removeTree(directory(id))
    } catch  where error.errno == .noEntry {
      return
    } catch {
      throw WallError("cannot remove the state of sandbox \(id)", error)
    }
  }
}
