import Container
import Jail
import Policy
import Sentry
import Walls

/// Every wall that can be raised, in the order they are tried without --wall. A new wall is one line here.
enum WallList {
  static let all: [any Wall] = [
    ContainerWall(),
    JailWall(),
    SentryWall(),
  ]

  /// For messages: "container and jail".
  static var names: String { all.map(\.name.rawValue).joined(separator: " and ") }
}
