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

  /// For messages: "container, jail and sentry".
  static var names: String {
    let names = all.map(\.name.rawValue)
    return names.dropLast().joined(separator: ", ") + " and " + (names.last ?? "")
  }
}
