import Formats
package import Linux
package import Walls

/// Who the box's ids are outside.
package struct BoxIdentity {
  /// Nil where the box shares the host's user namespace (`--userns host`).
  package var map: UserNamespaceMap?
  package var lease: IDRangeLease?
  /// The ids that build the box: 0 inside, or the only id that is mapped.
  package var builder: (user: UInt32, group: UInt32) = (0, 0)
  /// Who serves the box, where that is nobody of the box's: an id outside and inside, with no files.
  package var server: UInt32?
  package var notes: [String] = []
  /// Whether files' owners are translated to an id that is the box's without a namespace of its own.
  private var ownsFiles = false
  private var isJail = false

  /// Whether files' owners can be translated: the caller has power over the file systems and the box a map of its own.
  package var mapsFiles: Bool { lease != nil || ownsFiles }
  /// Where setgroups(2) was denied to the user namespace around this one, every namespace below denies it too (user_namespaces(7)).
  private var deniesGroups = false
  /// Whether the map is another's, written long ago.
  package private(set) var isJoined = false
  package var setGroups: Bool { map?.means != .single && !deniesGroups }

  /// As root a range of its own; else what /etc/subuid gives; else the single own id.
  package static func choose(_ bundle: Bundle, on host: Host) throws(WallError) -> BoxIdentity {
    let configuration = bundle.configuration
    if !configuration.namespaces.contains(where: { $0.kind == .user }) {
      let administrator = 21
      if !host.isRoot && !host.hasCapability(administrator) {
        throw WallError(
          .unavailable, "the host's user namespace (--userns host) is for root: leave the option out, or run as root")
      }
      // Root of an outer user namespace, such as podman's own, serves as well: the box's ids are those there.
      var identity = BoxIdentity(map: nil)
      identity.deniesGroups =
        !host.inInitialUserNamespace && ((try? File.text("/proc/self/setgroups"))?.hasPrefix("deny") ?? false)
      return identity
    }
    if !configuration.userMappings.isEmpty || !configuration.groupMappings.isEmpty {
      func ranges(_ mappings: [IDMapping]) -> [IDRange] {
        mappings.map { IDRange(inside: $0.inside, outside: $0.outside, count: $0.count) }
      }
      let users = ranges(configuration.userMappings)
      let groups = ranges(configuration.groupMappings)
      var identity = BoxIdentity(map: UserNamespaceMap(users: users, groups: groups, means: means(users, groups, host)))
      if identity.map?.means == .single { identity.builder = (users[0].inside, groups[0].inside) }
      return identity
    }
    if host.isRoot {
      do throws(SystemError) {
        let lease = try IDRangeLease.take(for: bundle.directory)
        let range = [IDRange(inside: 0, outside: lease.base, count: IDRangeLease.size)]
        return BoxIdentity(map: UserNamespaceMap(users: range, groups: range, means: .direct), lease: lease)
      } catch {
        throw WallError("no range of ids for the sandbox", error)
      }
    }
    return unprivileged(configuration.process.user, on: host)
  }

  /// That of a user namespace which is joined.
  package init(joined map: UserNamespaceMap, deniesGroups: Bool) {
    self.map = map
    self.deniesGroups = deniesGroups
    isJoined = true
  }
  init(map: UserNamespaceMap?, lease: IDRangeLease? = nil, notes: [String] = []) {
    self.map = map
    self.lease = lease
    self.notes = notes
  }

  /// Who may write these maps: whoever has power over the ids outside, anybody for the single own id, else the setuid helpers.
  private static func means(_ users: [IDRange], _ groups: [IDRange], _ host: Host) -> UserNamespaceMap.Means {
    let setgid = 6
    let setuid = 7
    if host.isRoot || !host.inInitialUserNamespace && host.hasCapability(setuid) && host.hasCapability(setgid) {
      return .direct
    }
    func isOwn(_ ranges: [IDRange], _ id: UInt32) -> Bool {
      ranges.count == 1 && ranges[0].count == 1 && ranges[0].outside == id
    }
    return isOwn(users, Process.effectiveUser) && isOwn(groups, Process.effectiveGroup) ? .single : .helpers
  }

  /// A jail's: no user namespace; with `ownsFiles` what is mounted belongs to the jail's own user.
  package static func jail(ownsFiles: Bool) -> BoxIdentity {
    var identity = BoxIdentity(map: nil)
    identity.ownsFiles = ownsFiles
    identity.isJail = true
    return identity
  }
  /// Whether the box's root may write where the host's root may, so that its writes need a layer of their own.
  var writesAsRoot: Bool { lease != nil || map == nil && !isJail }

  private static func unprivileged(_ user: UserConfiguration, on host: Host) -> BoxIdentity {
    let setuid = 7
    let setgid = 6
    if !host.inInitialUserNamespace && host.hasCapability(setuid) && host.hasCapability(setgid),
      let users = try? File.text("/proc/self/uid_map"), let groups = try? File.text("/proc/self/gid_map")
    {
      // Root of an outer container: the ids it has, as they are.
      var identity = BoxIdentity(
        map: UserNamespaceMap(users: sameRanges(users), groups: sameRanges(groups), means: .direct),
        notes: ["the sandbox's ids are those of the container around it"])
      identity.deniesGroups = (try? File.text("/proc/self/setgroups"))?.hasPrefix("deny") ?? false
      return identity
    }
    if let map = SubordinateIDs.mapForCaller() { return BoxIdentity(map: map) }
    let map = UserNamespaceMap(
      users: [IDRange(inside: user.user, outside: Process.effectiveUser, count: 1)],
      groups: [IDRange(inside: user.group, outside: Process.effectiveGroup, count: 1)], means: .single)
    var identity = BoxIdentity(
      map: map,
      notes: [
        "one user id only: /etc/subuid has no range for this user, or newuidmap is not installed (package uidmap)"
      ])
    identity.builder = (user.user, user.group)
    return identity
  }

  /// The ranges of a map's text, each onto itself.
  private static func sameRanges(_ text: String) -> [IDRange] {
    text.split(separator: "\n").compactMap { line in
      let numbers = line.split(separator: " ").compactMap { UInt32($0) }
      return numbers.count == 3 ? IDRange(inside: numbers[0], outside: numbers[0], count: numbers[2]) : nil
    }
  }

  /// Whether an id inside is some id outside.
  package func hasGroup(_ group: UInt32) -> Bool {
    guard let map else { return true }
    return map.groups.contains { $0.outside(of: group) != nil }
  }
  package func hasUser(_ user: UInt32) -> Bool {
    guard let map else { return true }
    return map.users.contains { $0.outside(of: user) != nil }
  }
}
