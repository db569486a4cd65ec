public import Linux

/// What guests with the capability may change of their mounts: mount(2), umount2(2), pivot_root(2), unshare(2).
extension MountNamespace {
  /// The uppermost mount at a place: where mount(2) and umount2(2) look.
  public func uppermost(_ place: Path) -> Path {
    var at = place
    while let above = at.mount.covering(at.dentry) { at = Path(mount: above, dentry: above.root) }
    return at
  }

  /// Whether something is mounted on it here; what other namespaces have there holds nobody up (is_local_mountpoint, fs/namespace.c).
  func isPoint(_ dentry: Dentry) -> Bool {
    dentry.mounts > 0 && mounts.contains { $0.point?.dentry === dentry }
  }

  public func isMounted(_ mount: Mount) -> Bool { mounts.contains { $0 === mount } }

  /// A mount and what is mounted in it, outer ones first.
  public func tree(of mount: Mount) -> [Mount] {
    var list = [mount]
    var at = 0
    while at < list.count {
      let parent = list[at]
      list += mounts.filter { $0.point?.mount === parent }
      at += 1
    }
    return list
  }

  /// A part of the tree once more, with what is mounted beneath it (MS_BIND and MS_REC).
  public func bindAll(_ source: Path, on point: Path) throws(Errno) {
    let inner = tree(of: source.mount).dropFirst().filter { mount in
      var at = mount.point
      while let place = at, place.mount !== source.mount { at = place.mount.point }
      return at?.dentry.isWithin(source.dentry) ?? false
    }
    guard mounts.count + inner.count < Self.limit else { throw .noSpace }
    var copies = [ObjectIdentifier(source.mount): try bind(source, on: point, flags: source.mount.flags)]
    for mount in inner {
      guard let place = mount.point, let parent = copies[ObjectIdentifier(place.mount)] else { continue }
      copies[ObjectIdentifier(mount)] = try bind(
        Path(mount: mount, dentry: mount.root), on: Path(mount: parent, dentry: place.dentry), flags: mount.flags)
    }
  }

  /// MS_MOVE.
  /// - Throws: EINVAL where `source` is no mount or the root's, ELOOP where the place is within it.
  public func move(_ source: Path, to place: Path) throws(Errno) {
    let mount = source.mount
    guard mount.root === source.dentry, mount.point != nil, isMounted(mount), isMounted(place.mount) else {
      throw .invalid
    }
    guard let there = place.inode, let inode = mount.root.inode else { throw .noEntry }
    guard (there.kind == .directory) == (inode.kind == .directory) else { throw .notDirectory }
    if tree(of: mount).contains(where: { $0 === place.mount }) { throw .loop }
    lift(mount)
    lay(mount, on: uppermost(place))
  }

  /// umount2(2) with MNT_DETACH: it and all in it are mounted no more; who stands in it goes on.
  /// - Throws: EINVAL.
  public func detach(_ path: Path) throws(Errno) {
    let mount = path.mount
    guard mount.root === path.dentry, mount.point != nil, isMounted(mount) else { throw .invalid }
    for each in tree(of: mount).reversed() {
      lift(each)
      forget(each)
    }
  }

  /// pivot_root(2): `new` becomes the root in place of `old`, which is mounted at `place` within it.
  /// - Throws: EINVAL, EBUSY.
  public func pivot(from old: Path, to new: Path, place: Path) throws(Errno) {
    guard old.mount.root === old.dentry, new.mount.root === new.dentry, isMounted(old.mount), isMounted(new.mount)
    else { throw .invalid }
    if old.mount === new.mount || place.mount === old.mount { throw .busy }
    guard new.mount.point != nil else { throw .invalid }
    // What hung from itself would be walked without end.
    guard isBeneath(place.mount, new.mount), isBeneath(new.mount, old.mount) else { throw .invalid }
    let above = old.mount.point
    lift(new.mount)
    if above != nil { lift(old.mount) }
    if let above { lay(new.mount, on: above) }
    lay(old.mount, on: uppermost(place))
    if root.mount === old.mount { root = new }
  }

  /// Whether a mount is another one, or somewhere in it.
  private func isBeneath(_ mount: Mount, _ other: Mount) -> Bool {
    var at = mount
    while at !== other {
      guard let point = at.point else { return false }
      at = point.mount
    }
    return true
  }

  /// CLONE_NEWNS: the same mounts, changed apart from now on.
  /// - Returns: the namespace, and where in it a place of this one is.
  public func copied() -> (namespace: MountNamespace, place: (Path) -> Path) {
    var copies: [ObjectIdentifier: Mount] = [:]
    let namespace = MountNamespace(sharing: self)
    for mount in tree(of: root.mount) {
      let copy = namespace.add(mount)
      copies[ObjectIdentifier(mount)] = copy
      if let point = mount.point, let parent = copies[ObjectIdentifier(point.mount)] {
        namespace.lay(copy, on: Path(mount: parent, dentry: point.dentry))
      }
    }
    let place = { (path: Path) in
      copies[ObjectIdentifier(path.mount)].map { Path(mount: $0, dentry: path.dentry) } ?? path
    }
    namespace.root = place(root)
    return (namespace, place)
  }
}
