import ChildProcesses
import Foundation

/// What a container could leave on the machine.
struct Leftovers: Equatable, CustomStringConvertible {
  var processes: [String]
  var groups: [String]
  var mounts: [String]
  var files: [String]

  static let none = Leftovers(processes: [], groups: [], mounts: [], files: [])

  var description: String { "processes \(processes), groups \(groups), mounts \(mounts), files \(files)" }

  /// - Parameter bundle: processes are those whose root, or a mount of theirs, is of this folder, however they are named.
  init(of id: String, bundle: String, state: String) {
    let end = "/" + (bundle as NSString).lastPathComponent + "/rootfs"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    processes = names.filter { Int($0) != nil }.filter { pid in
      // One that has ended meanwhile has no mounts.
      let text = (try? String(contentsOfFile: "/proc/\(pid)/mountinfo", encoding: .utf8)) ?? ""
      return text.split(separator: "\n").contains { line in
        let fields = line.split(separator: " ")
        return fields.count > 4 && fields[3].hasSuffix(end)
      }
    }
    let found = try? Rig.command(["/usr/bin/find", "/sys/fs/cgroup", "-type", "d", "-name", "*\(id)*"])
    groups = found?.output.split(separator: "\n").map { String($0) } ?? []
    let own = (try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)) ?? ""
    mounts = own.split(separator: "\n").filter { $0.contains(end) || $0.contains(id) }.map { String($0) }
    files = ["/sandboxes/", "/names/"].map { state + $0 + id }.filter { path in
      (try? FileManager.default.attributesOfItem(atPath: path)) != nil
    }
  }

  private init(processes: [String], groups: [String], mounts: [String], files: [String]) {
    self.processes = processes
    self.groups = groups
    self.mounts = mounts
    self.files = files
  }
}
