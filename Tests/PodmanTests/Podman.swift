import CLinux
import Foundation
import Linux
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

  struct Result {
    let status: Int32
    let output: String
    let error: String
  }

  let path: String
  /// Where a user other than root keeps containers; nil for root.
  let user: (id: Int, home: String)?
  var runtime: String { path + "/bin/immure-oci" }

  init(rootless: Bool = false) throws {
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
  func call(_ arguments: String..., input: String? = nil, seconds: Int = 60) throws -> Result {
    try Self.command(words(arguments), input: input, seconds: seconds)
  }

  /// The same with a terminal of script(1)'s at which nobody types; what is shown in it. At the end of its input script(1) types ^D, and
  /// podman loses what a program said if it has not read it when conmon closes with a key unread: the socket is reset (unix(7)).
  func shown(_ arguments: String...) throws -> Result {
    let quoted = words(arguments).map { "'" + $0.replacingOccurrences(of: "'", with: "'\\''") + "'" }.joined(
      separator: " ")
    return try Self.command(["/usr/bin/script", "-qec", quoted, "/dev/null"], input: nil, isSilent: true)
  }

  /// Runs a command to its end; one that takes longer than `seconds` is killed. Its input is what is given, or, silent, a pipe into which
  /// nothing comes and that does not end. Not with Foundation's Process: it waits until nobody has
  /// a descriptor any more that every child inherits, and conmon lives as long as its container.
  static func command(_ words: [String], input: String? = nil, isSilent: Bool = false, seconds: Int = 60) throws
    -> Result
  {
    // Files, not pipes: what a container keeps open must not keep the test waiting.
    let folder = FileManager.default.temporaryDirectory.path + "/podman-io-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for (name, text) in [("0", input ?? ""), ("1", ""), ("2", "")] where !(isSilent && name == "0") {
      try text.write(toFile: folder + "/" + name, atomically: false, encoding: .utf8)
    }
    if isSilent {
      // SAFETY: the text of the path lives across the call.
      let made = unsafe mkfifo(folder + "/0", 0o600)
      try #require(made == 0)
    }
    let status = try wait(["/usr/bin/timeout", "-k", "2", "\(seconds)"] + words, folder)
    return Result(
      status: status, output: String(decoding: try File.contents(folder + "/1"), as: UTF8.self),
      error: String(decoding: try File.contents(folder + "/2"), as: UTF8.self))
  }

  private static func wait(_ words: [String], _ folder: String) throws -> Int32 {
    // For writing too: a named pipe then has a writer, and does not end.
    let input = try File.open(folder + "/0", O_RDWR)
    let output = try File.open(folder + "/1", O_WRONLY)
    let error = try File.open(folder + "/2", O_WRONLY)
    let child = try Linux.Process.spawn(
      words[0], arguments: words, environment: Linux.Process.environment,
      descriptors: [input.rawValue, output.rawValue, error.rawValue])
    return try child.wait()?.code ?? -1
  }
}
