import CLinux
import Linux
import Walls

/// What a jail can be made of here.
enum JailMode: Equatable {
  /// CAP_SYS_ADMIN on the host: an own user, and a root of its own in a private mount namespace.
  case rooted
  /// Only the power to change ids (root of a plain Docker container): an own user, the host's tree by Landlock.
  case ownUser
  /// No power at all: the caller's user, the host's tree by Landlock.
  case caller

  init(_ host: Host) {
    if host.isRoot {
      self = .rooted
    } else if host.inInitialUserNamespace, [Self.kill, Self.setgid, Self.setuid].allSatisfy(host.hasCapability) {
      self = .ownUser
    } else {
      self = .caller
    }
  }

  private static let kill = 5
  private static let setgid = 6
  private static let setuid = 7

  var hasOwnUser: Bool { self != .caller }
}
