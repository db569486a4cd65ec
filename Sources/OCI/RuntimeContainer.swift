import CLinux
import Formats
import Linux
import Policy
import Walls

/// A container as the specification sees it: a sandbox's record, and what the specification says about it besides.
struct RuntimeContainer {
  let id: String
  let record: SandboxRecord
  let session: RuntimeSession

  /// The specification's words (runtime.md, "State"), and runc's "paused".
  enum Status: String, Sendable { case creating, created, running, paused, stopped }

  /// Letters, digits, _ + - and ., at most 1024 (runc's rule).
  static func check(_ id: String) throws(RuntimeFailure) {
    func isAllowed(_ byte: UInt8) -> Bool {
      (byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122) || byte == 95
        || byte == 43
        || byte == 45 || byte == 46
    }
    guard !id.isEmpty, id.utf8.count <= 1024, id != ".", id != "..", id.utf8.allSatisfy(isAllowed) else {
      throw RuntimeFailure("invalid container ID format: \"\(FormatError.presentable(id))\"")
    }
  }

  /// The sandbox's id for a container's: the same where the store can keep it, else the beginning of its hash.
  static func sandbox(_ id: String) -> String {
    if SandboxStore.isValid(name: id) { return id }
    let digits = SHA256.hash(Array(id.utf8).span).map { byte in
      (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
    return "x" + digits.joined().prefix(63)
  }

  /// The container of that id; nil where there is none.
  static func find(_ id: String, _ session: RuntimeSession) throws(RuntimeFailure) -> RuntimeContainer? {
    try check(id)
    do throws(WallError) {
      let record = try session.store.load(sandbox(id))
      CodeMappings.releaseOwn()
      return RuntimeContainer(id: id, record: record, session: session)
    } catch {
      if error.kind == .gone { return nil }
      throw RuntimeFailure(error)
    }
  }

  static func require(_ id: String, _ session: RuntimeSession) throws(RuntimeFailure) -> RuntimeContainer {
    guard let container = try find(id, session) else { throw RuntimeFailure("container does not exist") }
    return container
  }

  // MARK: What is kept beside the wall's own details

  enum Detail {
    static let prefix = "oci."
    static let id = "oci.id"
    static let bundle = "oci.bundle"
    static let rootfs = "oci.rootfs"
    static let created = "oci.created"
    static let version = "oci.version"
    static let annotation = "oci.annotation."
  }

  var bundle: String { record.details[Detail.bundle] ?? "" }
  var directory: String { session.store.directory(record.id) }

  func open() throws(RuntimeFailure) -> any Sandbox { try session.open(record) }

  func status() throws(RuntimeFailure) -> Status {
    let isThisBoot = record.bootID == session.host.bootID
    guard let process = record.process else {
      // Being made; or whoever made it was killed, and what it had begun went with it.
      return isThisBoot && record.supervisor?.isAlive ?? false ? .creating : .stopped
    }
    guard isThisBoot, process.isAlive else { return .stopped }
    if record.status == .paused { return .paused }
    guard record.status == .created, let parting = try open().parting else { return .running }
    do throws(WallError) { return try parting.isWaiting() ? .created : .running } catch { throw RuntimeFailure(error) }
  }

  /// What `state` prints, hooks read and `list` lists (runtime.md, "State"; rootfs, created and owner are runc's).
  func state(_ status: Status) -> JSONValue {
    var state = JSONObject()
    state["ociVersion"] = .string(record.details[Detail.version] ?? RuntimeConfiguration.specificationVersion)
    state["id"] = .string(record.details[Detail.id] ?? id)
    let pid = status == .stopped ? 0 : record.process?.pid ?? 0
    state["pid"] = .integer(Int64(pid))
    state["status"] = .string(status.rawValue)
    state["bundle"] = .string(bundle)
    state["rootfs"] = .string(record.details[Detail.rootfs] ?? "")
    state["created"] = .string(record.details[Detail.created] ?? Timestamp.rfc3339(seconds: record.created))
    var annotations = JSONObject()
    for (key, value) in record.details.sorted(by: { $0.key < $1.key }) where key.hasPrefix(Detail.annotation) {
      annotations[String(key.dropFirst(Detail.annotation.utf8.count))] = .string(value)
    }
    if !annotations.isEmpty { state["annotations"] = .object(annotations) }
    state["owner"] = .string(owner)
    return .object(state)
  }

  /// The name of the user whose folder this is, as /etc/passwd has it.
  private var owner: String {
    guard let user = (try? File.status(directory))?.st_uid else { return "" }
    let text = (try? File.text("/etc/passwd")) ?? ""
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: ":", omittingEmptySubsequences: false)
      if fields.count > 2, fields[2] == "\(user)" { return String(fields[0]) }
    }
    return ""
  }
}
