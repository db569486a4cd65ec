import CLinux
import Formats
import Linux
import Options
import Policy
import Walls

/// What of the host's files and devices a box is given, looked at once more on the host itself.
enum RunFiles {
  static func mounts(_ command: ParsedCommand, _ policy: Policy) throws(CommandError) -> [MountConfiguration] {
    var mounts: [MountConfiguration] = []
    for file in policy.files where file.value.access != .hidden {
      let rule = file.value
      let source = try resolved(rule, file.origin)
      mounts.append(
        MountConfiguration(
          destination: rule.destination, type: "bind", source: source,
          options: ["rbind", rule.access == .read ? "ro" : "rw", "nosuid", "nodev"]))
    }
    for text in command.all("tmpfs") { mounts.append(try memory(text, policy)) }
    return mounts
  }

  /// The path without links, so that what is checked here is what is mounted; the host's sockets are not reached through one.
  private static func resolved(_ rule: FileRule, _ origin: Origin) throws(CommandError) -> String {
    let path: String
    let kind: mode_t
    do throws(SystemError) {
      let opened = try File.open(rule.path, O_PATH)
      path = try File.readLink("/proc/self/fd/\(opened.rawValue)")
      kind = File.kind(try File.status("", at: opened.rawValue))
    } catch {
      throw CommandError(125, "\(origin.description): \(FormatError.presentable(rule.path)): \(error.errno)")
    }
    if !rule.sockets && (kind == S_IFSOCK || FileRule.reachesHostSockets(path)) {
      throw CommandError(
        125,
        "\(origin.description): \(FormatError.presentable(rule.path)) would let the box talk to the host's services through their sockets: add :sockets if you mean it"
      )
    }
    return path
  }

  /// `--tmpfs TARGET[:OPTION,…]`.
  private static func memory(_ text: String, _ policy: Policy) throws(CommandError) -> MountConfiguration {
    let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
    guard let destination = parts.first, destination.hasPrefix("/") else {
      throw CommandError(125, "--tmpfs \"\(FormatError.presentable(text))\": give an absolute path")
    }
    var options = ["nosuid", "nodev", "mode=1777"]
    for option in parts.count > 1 ? parts[1].split(separator: ",").map(String.init) : [] {
      if option.hasPrefix("size="), let size = Quantity.parseBytes(String(option.dropFirst(5))) {
        options.append("size=\(size)")
      } else if option.hasPrefix("mode=") || ["ro", "rw", "noexec", "exec"].contains(option) {
        options.append(option)
      } else {
        throw CommandError(
          125, "--tmpfs \"\(FormatError.presentable(text))\": there are size=, mode=, ro, rw, noexec and exec")
      }
    }
    if !options.contains(where: { $0.hasPrefix("size=") }), let scratch = policy.limits.scratch {
      options.append("size=\(scratch.value)")
    }
    return MountConfiguration(destination: destination, type: "tmpfs", source: "tmpfs", options: options)
  }

  /// The nodes of `--device`, as the host has them.
  static func devices(_ policy: Policy) throws(CommandError) -> [DeviceConfiguration] {
    var devices: [DeviceConfiguration] = []
    for device in policy.devices {
      let path = device.value.path
      let status: stat
      do throws(SystemError) { status = try File.status(path) } catch {
        throw CommandError(125, "\(device.origin.description): \(FormatError.presentable(path)): \(error.errno)")
      }
      let kind = File.kind(status)
      guard kind == S_IFCHR || kind == S_IFBLK else {
        throw CommandError(125, "\(device.origin.description): \(FormatError.presentable(path)) is no device")
      }
      devices.append(
        DeviceConfiguration(
          path: path, kind: kind == S_IFBLK ? .block : .character, major: immure_major(UInt64(status.st_rdev)),
          minor: immure_minor(UInt64(status.st_rdev)), mode: UInt32(status.st_mode) & 0o777))
    }
    return devices
  }
}
