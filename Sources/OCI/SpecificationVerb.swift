import CLinux
import Formats
import Linux
import Options

/// `spec`: a config.json to begin with.
enum SpecificationVerb {
  static func write(_ command: ParsedCommand, _ session: RuntimeSession) throws(RuntimeFailure) {
    let folder = RuntimePath.absolute(command.value("bundle") ?? ".")
    let text = value(rootless: command.flag("rootless")).bytes(indented: true) + [UInt8(ascii: "\n")]
    do throws(SystemError) {
      let file = try File.open(folder + "/config.json", O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
      try File.writeAll(file.rawValue, text)
    } catch {
      if error.errno == .exists {
        throw RuntimeFailure("file config.json exists. Remove it first")
      }
      throw RuntimeFailure("\(folder)/config.json", error)
    }
  }

  private static let capabilities: JSONValue = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]

  private static func mount(_ destination: String, _ type: String, _ source: String, _ options: [String]) -> JSONValue {
    [
      "destination": .string(destination), "type": .string(type), "source": .string(source),
      "options": .array(options.map { .string($0) }),
    ]
  }

  static func value(rootless: Bool) -> JSONValue {
    var kinds = ["pid", "network", "ipc", "uts", "mount", "cgroup"]
    var mounts = [
      mount("/proc", "proc", "proc", []),
      mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
      mount(
        "/dev/pts", "devpts", "devpts",
        ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] + (rootless ? [] : ["gid=5"])),
      mount("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
      mount("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
      mount("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
    ]
    var linux = JSONObject()
    if rootless {
      kinds = ["pid", "ipc", "uts", "mount", "cgroup", "user", "network"]
      linux["uidMappings"] = [
        ["containerID": 0, "hostID": .integer(Int64(Process.effectiveUser)), "size": 1]
      ]
      linux["gidMappings"] = [
        ["containerID": 0, "hostID": .integer(Int64(Process.effectiveGroup)), "size": 1]
      ]
    } else {
      mounts.append(
        mount("/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro"]))
      linux["resources"] = ["devices": [["allow": false, "access": "rwm"]]]
    }
    linux["namespaces"] = .array(kinds.map { ["type": .string($0)] })
    linux["maskedPaths"] = .array(RuntimeConfiguration.defaultMaskedPaths.map { .string($0) })
    linux["readonlyPaths"] = .array(RuntimeConfiguration.defaultReadonlyPaths.map { .string($0) })
    return [
      "ociVersion": .string(RuntimeConfiguration.specificationVersion),
      "process": [
        "terminal": true,
        "user": ["uid": 0, "gid": 0],
        "args": ["sh"],
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
        "cwd": "/",
        "capabilities": ["bounding": capabilities, "effective": capabilities, "permitted": capabilities],
        "rlimits": [["type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024]],
        "noNewPrivileges": true,
      ],
      "root": ["path": "rootfs", "readonly": true],
      "hostname": "immure",
      "mounts": .array(mounts),
      "linux": .object(linux),
    ]
  }
}
