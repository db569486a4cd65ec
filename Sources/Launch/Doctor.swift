import BoxNetwork
import Formats
import Images
import Linux
import Policy
import Walls

/// What `doctor` looks at on this machine, besides the walls.
enum Doctor {
  struct Fact {
    let name: String
    let found: String
    var remedy: String?
  }

  static func facts(_ session: Session) -> [Fact] {
    let host = session.host
    var facts: [Fact] = []
    facts.append(
      Fact(
        name: "privilege",
        found: host.isRoot
          ? "root (CAP_SYS_ADMIN in the initial user namespace)" : "user \(Process.effectiveUser), unprivileged"))
    facts.append(
      Fact(name: "kernel", found: (try? File.text("/proc/sys/kernel/osrelease"))?.trimmingSpaces ?? "unknown"))
    switch host.userNamespaces {
    case .available: facts.append(Fact(name: "user namespaces", found: "yes"))
    case .refused(let lack): facts.append(Fact(name: "user namespaces", found: lack.what, remedy: lack.remedy))
    }
    let layout = CgroupLayout.detect()
    facts.append(
      Fact(
        name: "control groups",
        found: layout.mode == .none ? "not mounted" : "\(layout.mode.rawValue), at \(layout.mountPoint)",
        remedy: layout.mode == .none ? "mount cgroup2 at /sys/fs/cgroup; until then limits become rlimits" : nil))
    let landlock = Landlock.probe()
    facts.append(
      Fact(
        name: "Landlock", found: landlock.map { "ABI \($0.version)" } ?? "not in this kernel, or off",
        remedy: landlock == nil ? "boot with lsm=landlock,… (Linux 5.13 or newer); the jail without root needs it" : nil
      ))
    switch UserNetwork.availability(on: host) {
    case .ready(let notes):
      facts.append(Fact(name: "network user", found: (["ready"] + notes).joined(separator: "; ")))
    case .missing(let lacks):
      for lack in lacks { facts.append(Fact(name: "network user", found: lack.what, remedy: lack.remedy)) }
    }
    facts.append(images(session))
    facts.append(Fact(name: "memory", found: Quantity.bytes(host.memoryBytes)))
    facts.append(Fact(name: "state root", found: session.store.root))
    let front = Front.candidates().first { File.exists($0) }
    facts.append(
      Fact(
        name: "immure-front", found: front ?? "not found",
        remedy: front == nil ? "install it beside immure (../libexec): it pulls and lists images" : nil))
    return facts
  }

  /// How images get to a box, tried with an empty one.
  private static func images(_ session: Session) -> Fact {
    let folder = ImageStore(root: session.store.root).directory
    do throws(ImageError) {
      return Fact(
        name: "image files", found: try ImageLadder(folder: folder, isRoot: session.host.isRoot).survey())
    } catch {
      return Fact(name: "image files", found: "not tried", remedy: error.message)
    }
  }
}
