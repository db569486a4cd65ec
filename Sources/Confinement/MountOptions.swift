package import Formats
package import Linux
package import Walls

/// A mount's options, sorted into what they mean by the table of the reader (`MountOption`).
package struct MountOptions: Equatable {
  package var isBind = false
  package var isRecursive = false
  package var attributes: MountAttributes = []
  package var cleared: MountAttributes = []
  /// The same for the mounts below a bind too (`rro` and friends).
  package var attributesBelow: MountAttributes = []
  package var clearedBelow: MountAttributes = []
  package var propagation = MountPropagation.private
  package var recursivePropagation = true
  /// Translate owners as the mount's own mappings say, or as the box's user namespace does.
  package var isIDMapped = false
  package var isIDMappedBelow = false
  /// Fill a new file system with what it covers.
  package var copiesUp = false
  /// Flags of the file system itself, as fsconfig(2) spells them.
  package var flags: [String] = []
  /// The file system's own: "size=64k", "userxattr".
  package var data: [String] = []

  package init(_ configuration: MountConfiguration) throws(WallError) {
    isBind = configuration.type == "bind" || configuration.type == "rbind"
    isRecursive = configuration.type == "rbind"
    for option in configuration.options { try read(option, configuration) }
    if !configuration.userMappings.isEmpty { isIDMapped = true }
    func refuse(_ problem: String) -> WallError { WallError("mount \(configuration.destination): \(problem)") }
    if isBind {
      if let word = data.first { throw refuse("the option \"\(word)\" means nothing to a bind mount") }
      if let word = flags.first(where: { !["async", "nolazytime", "nomand"].contains($0) }) {
        throw refuse("the option \"\(word)\" is of a file system and cannot be given to a bind mount")
      }
      if copiesUp { throw refuse("the option \"tmpcopyup\" is for tmpfs") }
    } else {
      if configuration.type.isEmpty { throw refuse("it has no type, and \"bind\" is not among its options") }
      if copiesUp && configuration.type != "tmpfs" { throw refuse("the option \"tmpcopyup\" is for tmpfs") }
      if isIDMapped { throw refuse("only a bind mount can be idmapped") }
    }
  }

  private mutating func read(_ option: String, _ mount: MountConfiguration) throws(WallError) {
    switch MountOption.effect(of: option) {
    case .attribute(let set, let clear, let recursive):
      let set = MountAttributes(rawValue: set)
      let clear = MountAttributes(rawValue: clear)
      attributes = attributes.subtracting(clear).union(set)
      cleared = cleared.subtracting(set).union(clear)
      if recursive {
        attributesBelow = attributesBelow.subtracting(clear).union(set)
        clearedBelow = clearedBelow.subtracting(set).union(clear)
      }
    case .propagation(let kind, let recursive):
      propagation =
        switch kind {
        case .private: .private
        case .slave: .slave
        case .shared: .shared
        case .unbindable: .unbindable
        }
      recursivePropagation = recursive
    case .bind(let recursive):
      isBind = true
      isRecursive = recursive
    case .idMap(let recursive):
      isIDMapped = true
      isIDMappedBelow = recursive
    case .superblock(let word): flags.append(word)
    case .copyUp: copiesUp = true
    case .nothing: break
    case nil:
      if let refusal = MountOption.refused.first(where: { $0.name == option }) {
        throw WallError(
          "mount \(mount.destination): the option \"\(option)\" is not supported: \(refusal.why)")
      }
      data.append(option)
    }
  }
}
