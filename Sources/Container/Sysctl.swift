import CLinux
import Confinement
import Formats
import Linux
import Walls

/// Kernel settings that belong to the box's own namespaces (sysctl(8), namespaces(7)).
enum Sysctl {
  static func apply(_ configuration: RuntimeConfiguration, _ root: borrowing BoxRoot) throws(WallError) {
    for (name, value) in configuration.sysctl.sorted(by: { $0.key < $1.key }) {
      guard let kind = namespace(of: name) else {
        throw WallError("sysctl \(name): it belongs to the whole machine, not to a sandbox")
      }
      guard configuration.namespaces.contains(where: { $0.kind == kind }) else {
        throw WallError("sysctl \(name): the sandbox shares the host's \(kind.rawValue) namespace")
      }
      let path = "/proc/sys/" + name.split(separator: ".").joined(separator: "/")
      let procMagic = 0x9fa0
      do throws(SystemError) {
        let file = try File.open(
          path, O_WRONLY, at: root.descriptor, resolve: [.inRoot, .noMagicLinks, .noSymlinks])
        guard try File.fileSystemKind(file.rawValue) == procMagic else { throw SystemError("open", path, .noDevice) }
        try File.writeAll(file.rawValue, value)
      } catch {
        throw WallError("sysctl \(name)=\(value)", error)
      }
    }
  }

  /// The namespace that a setting belongs to; nil for those of the whole machine.
  static func namespace(of name: String) -> NamespaceKind? {
    if name.hasPrefix("net.") { return .network }
    if name.hasPrefix("fs.mqueue.") { return .ipc }
    switch name {
    case "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
      "kernel.shmmni", "kernel.shm_rmid_forced":
      return .ipc
    case "kernel.domainname", "kernel.hostname": return .uts
    default: return nil
    }
  }
}
