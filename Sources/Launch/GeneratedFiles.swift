import BoxNetwork
import CLinux
import Formats
import Linux
import Policy
import Walls

/// The small files of /etc that a box gets in place of its image's: its names, and where names are resolved.
enum GeneratedFiles {
  /// Writes them into the sandbox's folder and says where they appear.
  static func mounts(_ plan: RunPlan, folder: String) throws(CommandError) -> [MountConfiguration] {
    var files: [(name: String, text: String)] = []
    let hostname = plan.configuration.hostname ?? plan.options.id
    if plan.image != nil {
      files.append(("hostname", hostname + "\n"))
      files.append(
        ("hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t\(hostname)\n"))
    }
    switch plan.policy.network.value {
    case .none: break
    case .host:
      // The host's own resolver is in the box's network; without a file there is nothing to hand over.
      if plan.image != nil, let text = try? File.text("/etc/resolv.conf") { files.append(("resolv.conf", text)) }
    case .user: files.append(("resolv.conf", UserNetwork.resolverConfiguration))
    }
    if files.isEmpty { return [] }
    do throws(SystemError) {
      let etc = folder + "/etc"
      try File.makeDirectory(etc, mode: 0o755)
      let directory = try File.open(etc, O_RDONLY | O_DIRECTORY)
      for file in files {
        try File.replaceAtomically(file.name, Array(file.text.utf8), mode: 0o644, at: directory.rawValue)
      }
      return files.map {
        MountConfiguration(
          destination: "/etc/" + $0.name, type: "bind", source: etc + "/" + $0.name,
          options: ["bind", "ro", "nosuid", "nodev", "noexec"])
      }
    } catch {
      throw CommandError(125, "cannot write the box's /etc files: \(error)")
    }
  }
}
