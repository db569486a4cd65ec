import CLinux
import Confinement
import Formats
import Linux
import Policy
import Walls

/// What the code may reach where the jail has no root of its own: Landlock's allowlist over the host's tree.
struct JailGrants {
  private(set) var files: [LandlockRuleset.FileGrant] = []

  /// Nodes that every program may have (runtime-spec, "Default Devices").
  private static let devices = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"]
  /// Mounts of every box that have no meaning on the host's own tree.
  private static let standard: Set<String> = [
    "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup", "/tmp",
  ]

  init(_ bundle: Bundle, home: String) throws(WallError) {
    guard case .host(let root, _) = bundle.root else {
      throw WallError(
        .unavailable,
        "the jail wall without root has the host's own files only: use --wall container for an image, or run as root")
    }
    let hidden = bundle.policy.files.filter { $0.value.access == .hidden }.map(\.value.path)
    for path in root.visible { try add(path, hiding: root.hidden + hidden) }
    if let directory = root.workingDirectory { try add(directory, hiding: hidden) }
    for mount in bundle.configuration.mounts { try add(mount, bundle, hiding: hidden) }
    for path in Self.devices { grant(path, [.readFile, .writeFile, .ioctlDevice], optional: true) }
    for device in bundle.policy.devices {
      grant(device.value.path, [.readFile, .writeFile, .ioctlDevice], optional: false)
    }
    grant(home, .writing, optional: false)
  }

  private mutating func grant(_ path: String, _ rights: Landlock.FileRights, optional: Bool) {
    files.append(LandlockRuleset.FileGrant(.path(path, optional: optional), rights))
  }

  private mutating func add(_ mount: MountConfiguration, _ bundle: Bundle, hiding hidden: [String]) throws(WallError) {
    let isBind = mount.type == "bind" || mount.options.contains("bind") || mount.options.contains("rbind")
    if !isBind {
      if Self.standard.contains(mount.destination) { return }
      throw WallError(
        "mount \(mount.destination): the jail wall without root cannot mount (\(mount.type)): use --wall container, or run as root"
      )
    }
    // Names and addresses that immure wrote for the box: here it has the host's.
    if mount.source.hasPrefix(bundle.directory + "/") {
      return grant(mount.destination, .readFile, optional: true)
    }
    guard mount.source == mount.destination else {
      throw WallError(
        "volume \(mount.source): the jail wall without root cannot show it at \(mount.destination): give it at its own path, or use --wall container"
      )
    }
    let isReadOnly = mount.options.contains("ro") || mount.options.contains("rro")
    if isReadOnly { try add(mount.source, hiding: hidden) } else { grant(mount.source, .writing, optional: false) }
  }

  /// Landlock allows whole trees only: where something below is hidden, what lies beside it is allowed one by one. Names can be listed
  /// all the same.
  private mutating func add(_ path: String, hiding patterns: [String]) throws(WallError) {
    // A link leads where something is allowed of its own, or nowhere.
    if let kind = (try? File.status(path, followSymlinks: false))?.st_mode,
      UInt32(kind) & UInt32(S_IFMT) == UInt32(S_IFLNK)
    {
      return
    }
    let below = PathPattern.expand(patterns.filter { $0.hasPrefix(path + "/") }, below: path)
    if patterns.contains(path) { return }
    if below.isEmpty { return grant(path, .reading, optional: true) }
    grant(path, .readDirectory, optional: true)
    let names: [String]
    do throws(SystemError) {
      names = try File.names(inDirectory: path)
    } catch {
      throw WallError("\(path): cannot be listed, so that what is hidden in it could be left out", error)
    }
    for name in names where !below.contains(name) {
      let inner = below.filter { $0.hasPrefix(name + "/") }.map { path + "/" + $0 }
      try add(path + "/" + name, hiding: inner)
    }
  }
}
