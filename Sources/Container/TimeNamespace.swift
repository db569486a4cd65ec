import CLinux
import Formats
import Linux
import Walls

/// A time namespace with clocks of its own. Its offsets can be set only before the first process enters it (time_namespaces(7)), which a
/// clone with CLONE_NEWTIME does at once: it is unshared, set, and then entered.
enum TimeNamespace {
  static func enter(_ offsets: [TimeOffset]) throws(WallError) {
    do throws(SystemError) {
      try Namespaces.unshare(Namespaces.time)
      for offset in offsets {
        try File.writeExisting(
          "/proc/self/timens_offsets", "\(offset.clock.rawValue) \(offset.seconds) \(offset.nanoseconds)")
      }
      let own = try File.open("/proc/self/ns/time_for_children", O_RDONLY)
      try Namespaces.join(descriptor: own.rawValue, kind: Namespaces.time)
    } catch {
      throw WallError("time namespace", error)
    }
  }
}
