import ChildProcesses
import Foundation
import Testing

/// podman with `immure-oci` as its runtime, its storage and state in a folder that goes with the test. The image `tiny` is busybox as a
/// whole root, imported from a tar file: no registry is asked.
final class Podman {
  static let folder = ProcessInfo.processInfo.environment["IMMURE_BIN"] ?? ""
  static let busybox = ["/usr/bin/busybox", "/bin/busybox"].first { FileManager.default.isExecutableFile(atPath: $0) }
  static func has(_ program: String) -> Bool {
    ["/usr/bin/", "/bin/", "/usr/sbin/"].contains { FileManager.default.isExecutableFile(atPath: $0 + program) }
  }
  static var canRun: Bool {
    FileManager.default.isExecutableFile(atPath: folder + "/immure") && geteuid() == 0 && busybox != nil
      && has("podman")
      && has("conmon") && has("script")
  }
  static let whyNot: Comment =
    "wants root, podman, conmon, script, busybox-static, and a folder in IMMURE_BIN with immure: `make test` has them"

  typealias Result = Finished

  let path: String
  /// Where a user other than root keeps containers; nil for root.
  let user: (id: Int, home: String)?
  /// The runtime's name, which may ask for a wall.
  let name: String
  var runtime: String { path + "/bin/" + name }

  init(rootless: Bool = false, name: String = "immure-oci") throws {
    self.name = name
    path = "/tmp/immure-podman-\(UUID().uuidString.prefix(8))"
    user = rootless ? (7321, path + "/home") : nil
    for folder in ["bin", "home/.config/containers", "run", "graph", "state", "tmp"] {
      try FileManager.default.createDirectory(atPath: path + "/" + folder, withIntermediateDirectories: true)
    }
    try FileManager.default.createSymbolicLink(atPath: runtime, withDestinationPath: Self.folder + "/immure")
    // Limits that a root without CAP_SYS_RESOURCE may set; locks in files, for the shared memory is every podman's.
    try write(
      "home/.config/containers/containers.conf",
      """
      [containers]
      default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
      [engine]
      cgroup_manager = "cgroupfs"
      events_logger = "file"
      lock_type = "file"
      runtime = "immure"
      \(rootless ? "" : "tmp_dir = \"\(path)/tmp\"")
      [engine.runtimes]
      immure = ["\(runtime)"]

      """)
    let places = rootless ? "" : "runroot = \"\(path)/run\"\ngraphroot = \"\(path)/graph\"\n"
    try write("home/.config/containers/storage.conf", "[storage]\ndriver = \"vfs\"\n" + places)
    try write(
      "home/.config/containers/policy.json", #"{"default":[{"type":"insecureAcceptAnything"}]}"#)
    if rootless { try prepareUser() }
    let made = try call("import", "--quiet", try Self.image(in: path), "tiny")
    try #require(made.status == 0, "\(made.error)")
  }

  deinit {
    _ = try? call("rm", "--force", "--all", "--time", "0")
    if user != nil {
      // Ends the process that keeps the user's namespaces.
      _ = try? call("system", "migrate")
      let pause = try? String(contentsOfFile: path + "/state/libpod/tmp/pause.pid", encoding: .utf8)
      if let pid = pause.flatMap({ Int32($0.filter(\.isNumber)) }) { kill(pid, SIGKILL) }
    }
    try? FileManager.default.removeItem(atPath: path)
  }

  private func write(_ name: String, _ text: String) throws {
    try text.write(toFile: path + "/" + name, atomically: true, encoding: .utf8)
  }

  /// A user and a range of ids that exist in a mount namespace of the test's own only.
  private func prepareUser() throws {
    try FileManager.default.createDirectory(atPath: path + "/etc", withIntermediateDirectories: true)
    let lines = [
      "passwd": "boxer:x:7321:7321::\(path)/home:/bin/sh\n", "group": "boxer:x:7321:\n",
      "subuid": "boxer:73210000:65536\n",
      "subgid": "boxer:73210000:65536\n",
    ]
    for (name, line) in lines {
      let text = (try? String(contentsOfFile: "/etc/" + name, encoding: .utf8)) ?? ""
      try write("etc/" + name, text + line)
    }
    let result = try Self.command([
      "/bin/sh", "-c",
      "chmod 755 '\(path)' && chmod 700 '\(path)/state' && chown -R 7321:7321 '\(path)/home' '\(path)/state' '\(path)/tmp'",
    ])
    try #require(result.status == 0, "\(result.error)")
  }

  private static func image(in path: String) throws -> String {
    let root = path + "/tiny"
    for folder in ["bin", "etc", "tmp", "proc", "sys", "dev", "root", "run", "var", "home"] {
      try FileManager.default.createDirectory(atPath: root + "/" + folder, withIntermediateDirectories: true)
    }
    try FileManager.default.copyItem(atPath: busybox ?? "", toPath: root + "/bin/busybox")
    for name in ["sh", "true", "sleep", "cat", "id", "echo", "ls", "tty", "ps", "grep", "touch", "kill", "wc", "mount"]
    {
      try FileManager.default.createSymbolicLink(atPath: root + "/bin/" + name, withDestinationPath: "busybox")
    }
    try "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n".write(
      toFile: root + "/etc/passwd", atomically: true, encoding: .utf8)
    try "root:x:0:\nuser:x:1000:\n".write(toFile: root + "/etc/group", atomically: true, encoding: .utf8)
    let made = try command(["/bin/tar", "-C", root, "-cf", path + "/tiny.tar", "."])
    try #require(made.status == 0, "\(made.error)")
    return path + "/tiny.tar"
  }

  /// The words of a podman command as this rig runs it; in its own folder, for conmon writes a file where it stands after a memory kill.
  func words(_ arguments: [String]) -> [String] {
    let configuration = path + "/home/.config/containers"
    guard let user else {
      return [
        "/usr/bin/env", "-i", "-C", path, "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
        "CONTAINERS_CONF=\(configuration)/containers.conf", "CONTAINERS_STORAGE_CONF=\(configuration)/storage.conf",
        "podman",
      ] + arguments
    }
    let mounts = ["passwd", "group", "subuid", "subgid"].map {
      "[ -e /etc/\($0) ] && mount --bind \(path)/etc/\($0) /etc/\($0)"
    }
    let script = mounts.joined(separator: "; ") + "; mount --make-rshared /; cd '\(path)/home'; exec \"$@\""
    return [
      "/usr/bin/unshare", "-m", "--propagation", "private", "/bin/sh", "-c", script, "x", "/usr/bin/setpriv",
      "--reuid", "\(user.id)", "--regid", "\(user.id)", "--init-groups", "--inh-caps=-all", "/usr/bin/env", "-i",
      "HOME=\(user.home)", "USER=boxer", "PATH=/usr/bin:/bin", "XDG_RUNTIME_DIR=\(path)/state", "podman",
    ] + arguments
  }

  @discardableResult
  func call(_ arguments: String..., input: Finished.Input = "", seconds: Int = 60) throws -> Result {
    try Self.command(words(arguments), input: input, seconds: seconds)
  }

  /// The same with a terminal of script(1)'s at which nobody types; what is shown in it. At the end of its input script(1) types ^D, and
  /// podman loses what a program said if it has not read it when conmon closes with a key unread: the socket is reset (unix(7)).
  func shown(_ arguments: String...) throws -> Result {
    let quoted = words(arguments).map { "'" + $0.replacingOccurrences(of: "'", with: "'\\''") + "'" }.joined(
      separator: " ")
    return try Self.command(["/usr/bin/script", "-qec", quoted, "/dev/null"], input: .silence)
  }

  static func command(_ words: [String], input: Finished.Input = "", seconds: Int = 60) throws -> Result {
    try Finished.run(words, input: input, seconds: seconds)
  }
}
