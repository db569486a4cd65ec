package import Formats
package import Linux
package import Walls

/// A mount's options, sorted into what they mean (runtime-spec config.md "Linux mount options"; mount(8)).
package struct MountOptions: Equatable {
  package var isBind = false
  package var isRecursive = false
  package var attributes: MountAttributes = []
  package var cleared: MountAttributes = []
  /// Attributes also for the mounts below a bind (`rro` and friends, or `ro` with `rbind`).
  package var recursiveAttributes = false
  package var propagation = MountPropagation.private
  package var recursivePropagation = true
  /// Translate owners as the box's user namespace does.
  package var isIDMapped = false
  /// The file system's own: "size=64k", "userxattr".
  package var data: [String] = []

  package init(_ configuration: MountConfiguration) throws(WallError) {
    isBind = configuration.type == "bind"
    for option in configuration.options { try read(option, configuration) }
    if configuration.type.isEmpty && !isBind {
      throw WallError("mount \(configuration.destination): it has no type, and \"bind\" is not among its options")
    }
  }

  private static let attributeWords: [String: (MountAttributes, Bool)] = [
    "ro": (.readOnly, true), "rw": (.readOnly, false), "nosuid": (.noSetUserID, true), "suid": (.noSetUserID, false),
    "nodev": (.noDevices, true), "dev": (.noDevices, false), "noexec": (.noExecute, true),
    "exec": (.noExecute, false), "noatime": (.noAccessTime, true), "atime": (.noAccessTime, false),
    "strictatime": (.strictAccessTime, true), "nostrictatime": (.strictAccessTime, false),
    "nodiratime": (.noDirectoryAccessTime, true), "diratime": (.noDirectoryAccessTime, false),
    "nosymfollow": (.noSymlinks, true), "symfollow": (.noSymlinks, false),
  ]
  private static let propagationWords: [String: MountPropagation] = [
    "private": .private, "slave": .slave, "shared": .shared, "unbindable": .unbindable,
  ]

  private mutating func read(_ option: String, _ mount: MountConfiguration) throws(WallError) {
    var word = option
    var recursive = false
    if word.hasPrefix("r"), Self.attributeWords[String(word.dropFirst())] != nil, Self.attributeWords[word] == nil {
      word.removeFirst()
      recursive = true
    }
    if let (attribute, on) = Self.attributeWords[word] {
      if on { attributes.insert(attribute) } else { attributes.remove(attribute) }
      if on { cleared.remove(attribute) } else { cleared.insert(attribute) }
      recursiveAttributes = recursiveAttributes || recursive
      return
    }
    if let kind = Self.propagationWords[word] {
      (propagation, recursivePropagation) = (kind, false)
      return
    }
    if word.hasPrefix("r"), let kind = Self.propagationWords[String(word.dropFirst())] {
      (propagation, recursivePropagation) = (kind, true)
      return
    }
    switch word {
    case "bind": isBind = true
    case "rbind": (isBind, isRecursive) = (true, true)
    case "idmap", "ridmap": isIDMapped = true
    case "defaults", "relatime", "norelatime", "async", "nolazytime", "nomand", "loud", "noiversion": break
    case "remount", "tmpcopyup", "z", "Z", "U", "copy-symlink", "src-nofollow", "dest-nofollow":
      throw WallError("mount \(mount.destination): the option \"\(word)\" is not supported: leave it out")
    default:
      if isBind { throw WallError("mount \(mount.destination): the option \"\(word)\" means nothing to a bind mount") }
      data.append(word)
    }
  }
}
