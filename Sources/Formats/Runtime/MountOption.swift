/// A word among a mount's options and what it does: config.md, "Linux mount options". Words that are not here belong to the file system
/// ("size=64k", "mode=755") and mean nothing to a bind mount.
public struct MountOption: Sendable {
  public enum Propagation: Sendable { case `private`, slave, shared, unbindable }
  public enum Effect: Sendable, Equatable {
    /// MOUNT_ATTR_* bits to set and to clear (linux/mount.h, mount_setattr(2)), also for every mount below where recursive.
    case attribute(set: UInt64, clear: UInt64, recursive: Bool)
    case propagation(Propagation, recursive: Bool)
    case bind(recursive: Bool)
    case idMap(recursive: Bool)
    /// A flag of the file system itself, as fsconfig(2) spells it.
    case superblock(String)
    case copyUp
    /// What is so anyway.
    case nothing
  }
  public let name: String
  public let effect: Effect

  /// What the word does; nil where it is the file system's own.
  public static func effect(of name: String) -> Effect? { all.first { $0.name == name }?.effect }

  /// Words of other runtimes that would be taken for the file system's own.
  public static let refused: [(name: String, why: String)] = [
    ("remount", "mounts are made with their options at once"),
    ("copy-symlink", "crun's own; links are resolved within the root"),
    ("src-nofollow", "crun's own; name the target itself"), ("dest-nofollow", "crun's own; name the target itself"),
    ("z", "SELinux labels are not set"), ("Z", "SELinux labels are not set"),
    ("U", "owners are translated by idmap"),
  ]

  private static let accessTime: UInt64 = 0x70

  /// The words of one attribute: "noexec" sets it, "exec" clears it, and with "r" before them also below.
  private static func pair(_ on: String, _ off: String, _ bit: UInt64, clearing: UInt64 = 0) -> [MountOption] {
    [
      MountOption(name: on, effect: .attribute(set: bit, clear: clearing, recursive: false)),
      MountOption(name: off, effect: .attribute(set: 0, clear: clearing | bit, recursive: false)),
      MountOption(name: "r" + on, effect: .attribute(set: bit, clear: clearing, recursive: true)),
      MountOption(name: "r" + off, effect: .attribute(set: 0, clear: clearing | bit, recursive: true)),
    ]
  }

  public static let all: [MountOption] =
    pair("ro", "rw", 0x01) + pair("nosuid", "suid", 0x02) + pair("nodev", "dev", 0x04) + pair("noexec", "exec", 0x08)
    + pair("nodiratime", "diratime", 0x80) + pair("nosymfollow", "symfollow", 0x20_0000)
    + pair("noatime", "atime", 0x10, clearing: accessTime)
    + pair("strictatime", "nostrictatime", 0x20, clearing: accessTime)
    + pair("relatime", "norelatime", 0, clearing: accessTime) + [
      MountOption(name: "bind", effect: .bind(recursive: false)),
      MountOption(name: "rbind", effect: .bind(recursive: true)),
      MountOption(name: "private", effect: .propagation(.private, recursive: false)),
      MountOption(name: "rprivate", effect: .propagation(.private, recursive: true)),
      MountOption(name: "slave", effect: .propagation(.slave, recursive: false)),
      MountOption(name: "rslave", effect: .propagation(.slave, recursive: true)),
      MountOption(name: "shared", effect: .propagation(.shared, recursive: false)),
      MountOption(name: "rshared", effect: .propagation(.shared, recursive: true)),
      MountOption(name: "unbindable", effect: .propagation(.unbindable, recursive: false)),
      MountOption(name: "runbindable", effect: .propagation(.unbindable, recursive: true)),
      MountOption(name: "idmap", effect: .idMap(recursive: false)),
      MountOption(name: "ridmap", effect: .idMap(recursive: true)),
      MountOption(name: "tmpcopyup", effect: .copyUp),
      MountOption(name: "sync", effect: .superblock("sync")),
      MountOption(name: "async", effect: .superblock("async")),
      MountOption(name: "dirsync", effect: .superblock("dirsync")),
      MountOption(name: "lazytime", effect: .superblock("lazytime")),
      MountOption(name: "nolazytime", effect: .superblock("nolazytime")),
      MountOption(name: "mand", effect: .superblock("mand")),
      MountOption(name: "nomand", effect: .superblock("nomand")),
      MountOption(name: "iversion", effect: .superblock("iversion")),
      MountOption(name: "noiversion", effect: .nothing), MountOption(name: "silent", effect: .nothing),
      MountOption(name: "loud", effect: .nothing), MountOption(name: "defaults", effect: .nothing),
    ]
}
