/// The attributes that a layer's files keep: capabilities, POSIX ACLs and `user.*`. Anything else (`trusted.*`, labels of a security
/// module) would speak to the host: it is left out and noted.
extension EROFSLayerWriter {
  mutating func setAttributes(_ record: LayerRecord, of node: UInt32) throws(FormatError) {
    var members: [UInt32] = []
    for attribute in record.attributes {
      guard let prefix = Self.prefix(attribute.name) else {
        notes.refuse(attribute.name)
        continue
      }
      guard attribute.value.count <= Int(UInt16.max) else {
        throw FormatError("has an extended attribute of more than 65535 bytes", offending: record.name)
      }
      let name = attribute.name.span.extracting(prefix.text.utf8.count...)
      guard let value = try checked(prefix, name, attribute.value, record, node) else { continue }
      members.append(try tree.attributes.number(prefix: prefix, name: name, value: value.span))
    }
    tree.nodes[node].attributes = try tree.attributes.union(tree.nodes[node].attributes, members)
  }

  private static func prefix(_ name: [UInt8]) -> EROFSFormat.AttributePrefix? {
    if name.elementsEqual("security.capability".utf8) { return .security }
    if name.elementsEqual("system.posix_acl_access".utf8) { return .accessACL }
    if name.elementsEqual("system.posix_acl_default".utf8) { return .defaultACL }
    return name.starts(with: "user.".utf8) ? .user : nil
  }

  /// The value as it is kept, nil where there is nothing to keep. Linux refuses to set what is none of these; a file that
  /// has it all the same could not be run or opened.
  private mutating func checked(
    _ prefix: EROFSFormat.AttributePrefix, _ name: Span<UInt8>, _ value: [UInt8], _ record: LayerRecord, _ node: UInt32
  ) throws(FormatError) -> [UInt8]? {
    switch prefix {
    case .user:
      guard !name.isEmpty else { throw FormatError("has an extended attribute without a name", offending: record.name) }
      return value
    case .accessACL, .defaultACL:
      guard var list = PosixACL(value) else {
        throw FormatError("has an access control list that is none (acl(5))", offending: record.name)
      }
      if prefix == .defaultACL {
        guard record.kind == .directory else {
          throw FormatError("has a default access control list and is not a directory", offending: record.name)
        }
        return list.entries.isEmpty ? nil : list.bytes
      }
      if list.entries.isEmpty { return nil }
      // A directory gets its mode after its list, a file before it: what came last tells the other.
      if record.kind == .directory {
        list.setMode(record.mode)
      } else {
        tree.nodes[node].mode = tree.nodes[node].mode & ~0o777 | list.mode
      }
      return list.isMode ? nil : list.bytes
    default:
      guard Self.isCapability(value) else {
        throw FormatError("has file capabilities that are none (capabilities(7))", offending: record.name)
      }
      return value
    }
  }

  /// `struct vfs_cap_data` of revision 2 or, with a user namespace's root, 3 (linux/capability.h).
  private static func isCapability(_ value: [UInt8]) -> Bool {
    guard value.count >= 4, value[0] & ~1 == 0, value[1] == 0, value[2] == 0 else { return false }
    return value.count == 20 && value[3] == 2 || value.count == 24 && value[3] == 3
  }
}

/// A POSIX access control list as an attribute's value (linux/posix_acl_xattr.h, version 2).
struct PosixACL {
  struct Entry {
    var tag: UInt16
    var permissions: UInt16
    var id: UInt32
  }

  private enum Tag {
    static let owner: UInt16 = 0x01
    static let user: UInt16 = 0x02
    static let owningGroup: UInt16 = 0x04
    static let group: UInt16 = 0x08
    static let mask: UInt16 = 0x10
    static let other: UInt16 = 0x20
  }

  private(set) var entries: [Entry] = []

  /// Nil for what Linux would not take (posix_acl_valid): each entry in its place, a mask where somebody is named.
  init?(_ bytes: [UInt8]) {
    guard bytes.count >= 4, bytes[0] == 2, bytes[1...3].allSatisfy({ $0 == 0 }), bytes.count % 8 == 4 else {
      return nil
    }
    func number(_ offset: Int, _ size: Int) -> UInt32 {
      (0..<size).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }
    for offset in stride(from: 4, to: bytes.count, by: 8) {
      entries.append(
        Entry(tag: UInt16(number(offset, 2)), permissions: UInt16(number(offset + 2, 2)), id: number(offset + 4, 4)))
    }
    if entries.isEmpty { return }
    var last: UInt16 = 0
    var isNamed = false
    for entry in entries {
      guard entry.permissions & ~7 == 0 else { return nil }
      switch entry.tag {
      case Tag.user, Tag.group:
        guard entry.id != .max, last <= entry.tag else { return nil }
        isNamed = true
      case Tag.owner, Tag.owningGroup, Tag.mask, Tag.other: guard last < entry.tag else { return nil }
      default: return nil
      }
      last = entry.tag
    }
    func has(_ tag: UInt16) -> Bool { entries.contains { $0.tag == tag } }
    guard has(Tag.owner), has(Tag.owningGroup), has(Tag.other), !isNamed || has(Tag.mask) else { return nil }
  }

  /// Whether it says nothing that a mode does not.
  var isMode: Bool { entries.count == 3 }

  /// Permission bits of the mode of a file with this list: the mask stands for the group.
  var mode: UInt16 {
    func permissions(_ tag: UInt16) -> UInt16? { entries.first { $0.tag == tag }?.permissions }
    let group = permissions(Tag.mask) ?? permissions(Tag.owningGroup) ?? 0
    return (permissions(Tag.owner) ?? 0) << 6 | group << 3 | (permissions(Tag.other) ?? 0)
  }

  /// What chmod(2) does to it.
  mutating func setMode(_ mode: UInt32) {
    let groupTag = entries.contains { $0.tag == Tag.mask } ? Tag.mask : Tag.owningGroup
    for index in entries.indices {
      switch entries[index].tag {
      case Tag.owner: entries[index].permissions = UInt16(mode >> 6 & 7)
      case groupTag: entries[index].permissions = UInt16(mode >> 3 & 7)
      case Tag.other: entries[index].permissions = UInt16(mode & 7)
      default: break
      }
    }
  }

  var bytes: [UInt8] {
    var bytes: [UInt8] = [2, 0, 0, 0]
    for entry in entries {
      bytes.appendLittleEndian(entry.tag)
      bytes.appendLittleEndian(entry.permissions)
      let isNamed = entry.tag == Tag.user || entry.tag == Tag.group
      bytes.appendLittleEndian(isNamed ? entry.id : UInt32.max)
    }
    return bytes
  }
}
