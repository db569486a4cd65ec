import CLinux
package import Formats
package import Linux
package import Walls

/// Kernel settings that belong to the box's own namespaces (sysctl(8), namespaces(7)).
package enum Sysctl {
  package static func apply(_ configuration: RuntimeConfiguration, _ root: borrowing BoxRoot) throws(WallError) {
    for (name, value) in configuration.sysctl.sorted(by: { $0.key < $1.key }) {
      guard let kind = namespace(of: name) else {
        throw WallError("sysctl \(name): it belongs to the whole machine, not to a sandbox")
      }
      guard configuration.namespaces.contains(where: { $0.kind == kind }) else {
        throw WallError("sysctl \(name): the sandbox shares the host's \(kind.rawValue) namespace")
      }
      do throws(SystemError) {
        try write(try place(of: name), value, root)
      } catch {
        throw WallError("sysctl \(name)=\(value)", error)
      }
    }
  }

  /// "net.ipv4.ip_forward" and "net/ipv4/ip_forward"; the first separator says which of the two stands for "/" (sysctl(8)).
  package static func place(of name: String) throws(SystemError) -> String {
    let separator: Character = name.first { $0 == "." || $0 == "/" } ?? "."
    let parts = name.split(separator: separator, omittingEmptySubsequences: false)
    guard parts.allSatisfy({ !$0.isEmpty && $0 != ".." && $0 != "." }) else {
      throw SystemError("open", name, .invalid)
    }
    let joined = parts.map { part in
      separator == "." ? part.split(separator: "/").joined(separator: ".") : String(part)
    }
    if joined.contains(where: { $0.contains("/") }) { throw SystemError("open", name, .invalid) }
    return "sys/" + joined.joined(separator: "/")
  }

  /// Through a /proc of this process's own that is attached nowhere (CVE-2025-52881: what the image or a race put at /proc is not asked);
  /// where the kernel lets none be made, through the box's, whose kind is verified.
  private static func write(_ path: String, _ value: String, _ root: borrowing BoxRoot) throws(SystemError) {
    let procMagic = 0x9fa0
    do throws(SystemError) {
      let own = try FileSystemContext("proc").mount()
      let file = try File.open(
        path, O_WRONLY, at: own.descriptor.rawValue, resolve: [.inRoot, .noMagicLinks, .noSymlinks])
      try File.writeAll(file.rawValue, value)
      _ = consume own
    } catch  where error.errno == .notPermitted && error.call == "fsmount" || error.call == "mount" {
      let file = try File.open(
        "/proc/" + path, O_WRONLY, at: root.descriptor, resolve: [.inRoot, .noMagicLinks, .noSymlinks])
      guard try File.fileSystemKind(file.rawValue) == procMagic else { throw SystemError("open", path, .noDevice) }
      try File.writeAll(file.rawValue, value)
    }
  }

  /// The namespace that a setting belongs to; nil for those of the whole machine.
  package static func namespace(of name: String) -> NamespaceKind? {
    if name.hasPrefix("net.") || name.hasPrefix("net/") { return .network }
    if name.hasPrefix("fs.mqueue.") || name.hasPrefix("fs/mqueue/") { return .ipc }
    switch name.split(separator: "/").joined(separator: ".") {
    case "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
      "kernel.shmmni", "kernel.shm_rmid_forced":
      return .ipc
    case "kernel.domainname", "kernel.hostname": return .uts
    default: return nil
    }
  }
}
