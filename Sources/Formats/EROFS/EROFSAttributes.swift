/// The extended attributes of a tree: each name and value once, and which node has which.
struct EROFSAttributes: ~Copyable, Sendable {
  struct Attribute: BitwiseCopyable {
    /// Where name (without prefix) and value are in `bytes`, one behind the other.
    var place: UInt32
    var valueSize: UInt16
    var nameLength: UInt8
    var prefix: UInt8
    /// Nodes that have it, counted by the layout.
    var uses: UInt32 = 0
    /// Where it stands among the shared ones, in units of four bytes; `none` where it stands behind its inode.
    var shared = EROFSTree.none

    /// Bytes of it in an image (`struct erofs_xattr_entry`, filled up to four).
    var size: Int { (EROFSFormat.attributeEntry + Int(nameLength) + Int(valueSize) + 3) & ~3 }
  }

  /// Bytes of all of them at most.
  static let maximumBytes = 64 << 20
  /// A value of at least so many bytes is shared also where one node has it: what stands behind an inode is bounded.
  static let largeValue = 512

  var bytes: BytePool
  var list: FlatTable<Attribute>
  /// A count and so many numbers of attributes, one set behind the other. The first number belongs to nobody: 0 is no set.
  var sets: [UInt32] = [0]
  /// By the hash of name and value. Where two fall on one, the second is only not shared.
  private var known: [Int: UInt32] = [:]

  init(_ pool: PagePool) {
    bytes = BytePool(pool)
    list = FlatTable(pool)
  }

  /// The number of an attribute. The name is the whole one, of at most 255 bytes; the value has at most 65,535.
  mutating func number(
    prefix: EROFSFormat.AttributePrefix, name: Span<UInt8>, value: Span<UInt8>
  ) throws(FormatError) -> UInt32 {
    var hasher = Hasher()
    hasher.combine(prefix.rawValue)
    hasher.combine(name.count)
    // SAFETY: the pointers do not leave the closures.
    unsafe name.withUnsafeBytes { bytes in unsafe hasher.combine(bytes: bytes) }
    unsafe value.withUnsafeBytes { bytes in unsafe hasher.combine(bytes: bytes) }
    let hash = hasher.finalize()
    if let found = known[hash] {
      let attribute = list[found]
      if attribute.prefix == prefix.rawValue, EROFSTree.areEqual(self.name(of: found), name),
        EROFSTree.areEqual(self.value(of: found), value)
      {
        return found
      }
    }
    guard bytes.count + list.count * 64 < Self.maximumBytes else {
      throw FormatError("the layer has more than \(Self.maximumBytes) bytes of extended attributes")
    }
    let place = try bytes.append(name, value)
    try list.append(
      Attribute(
        place: place, valueSize: UInt16(truncatingIfNeeded: value.count),
        nameLength: UInt8(truncatingIfNeeded: name.count),
        prefix: prefix.rawValue))
    let number = UInt32(list.count - 1)
    if known[hash] == nil { known[hash] = number }
    return number
  }

  @_lifetime(borrow self)
  func name(of number: UInt32) -> Span<UInt8> {
    bytes.bytes(at: list[number].place, count: Int(list[number].nameLength))
  }

  @_lifetime(borrow self)
  func value(of number: UInt32) -> Span<UInt8> {
    let attribute = list[number]
    return bytes.bytes(at: attribute.place + UInt32(attribute.nameLength), count: Int(attribute.valueSize))
  }

  /// The numbers of a set; none for 0.
  func members(_ set: UInt32) -> ArraySlice<UInt32> {
    let count = Int(sets[Int(set)])
    return sets[Int(set) + 1..<Int(set) + 1 + count]
  }

  /// A set of attributes with different names.
  mutating func makeSet(_ members: [UInt32]) throws(FormatError) -> UInt32 {
    if members.isEmpty { return 0 }
    guard (sets.count + members.count) * 4 < Self.maximumBytes else {
      throw FormatError("the layer has more than \(Self.maximumBytes) bytes of extended attributes")
    }
    sets.append(UInt32(members.count))
    sets += members
    return UInt32(sets.count - members.count - 1)
  }

  /// A set with another's members, but for those whose names occur among the new ones, and then the new ones.
  mutating func union(_ set: UInt32, _ new: [UInt32]) throws(FormatError) -> UInt32 {
    if new.isEmpty { return set }
    var members: [UInt32] = []
    for old in self.members(set) where !new.contains(where: { hasSameName(old, $0) }) { members.append(old) }
    for (index, number) in new.enumerated()
    where !new[(index + 1)...].contains(where: { hasSameName(number, $0) }) { members.append(number) }
    return try makeSet(members)
  }

  private func hasSameName(_ one: UInt32, _ other: UInt32) -> Bool {
    one == other
      || list[one].prefix == list[other].prefix && EROFSTree.areEqual(name(of: one), name(of: other))
  }
}
