public import Linux
public import SentryABI

/// What the three kinds of objects have in common.
public protocol IPCObject: AnyObject {
  var permissions: IPCPermissions { get set }
}

/// Objects of one kind by identifier and by key (ipc/util.c). An identifier is a sequence number of 16 bits above an index of 15, so that
/// an old one leads to nothing new.
public final class IPCTable<Object: IPCObject> {
  /// By index.
  private var objects: [Int32: (id: Int32, object: Object)] = [:]
  /// Identifiers.
  private var keys: [Int32: Int32] = [:]
  private var next: Int32 = 0
  /// Of those that no key leads to any more, and that go once nobody has them.
  private(set) var hidden: Set<Int32> = []
  let limit: Int

  init(limit: Int) { self.limit = limit }

  /// Below IPCMNI, 32768.
  private static func index(_ id: Int32) -> Int32 { id & 0x7fff }

  public var count: Int { objects.count }
  public var sorted: [(id: Int32, object: Object)] { objects.sorted { $0.key < $1.key }.map(\.value) }
  /// The largest index in use, as IPC_INFO gives it; 0 where there is none.
  public var lastIndex: Int32 { objects.keys.max() ?? 0 }

  /// - Throws: EINVAL where there is none.
  public func find(_ id: Int32) throws(Errno) -> Object {
    guard id >= 0, let found = objects[Self.index(id)], found.id == id else { throw .invalid }
    return found.object
  }

  /// By index, for SEM_STAT and the like.
  public func find(index: Int32) throws(Errno) -> (id: Int32, object: Object) {
    guard let found = objects[index] else { throw .invalid }
    return found
  }

  /// semget(2) and the like (ipcget, ipc/util.c).
  /// - Parameters:
  ///   - check: whether one that is there is fit for the call.
  ///   - make: a new one, with its identifier where that is not the table's to choose.
  public func get(
    _ key: Int32, _ flags: Int32, _ caller: Credentials, check: (Object) throws(Errno) -> Void,
    make: () throws(Errno) -> (object: Object, id: Int32?)
  ) throws(Errno) -> Int32 {
    let (create, exclusive) = (flags & 0o1000 != 0, flags & 0o2000 != 0)
    if key != 0, let id = keys[key], let object = objects[Self.index(id)]?.object {
      if create, exclusive { throw .exists }
      try check(object)
      try object.permissions.check(UInt32(bitPattern: flags) & 0o777, for: caller)
      return id
    }
    if key != 0, !create { throw .noEntry }
    if objects.count >= limit { throw .noSpace }
    let (object, given) = try make()
    let id = given ?? unusedID()
    objects[Self.index(id)] = (id, object)
    if key != 0 { keys[key] = id }
    return id
  }

  /// The next index that is free, under the next sequence number when all have been used once.
  private func unusedID() -> Int32 {
    while objects[Self.index(next)] != nil { advance() }
    defer { advance() }
    return next
  }
  private func advance() { next = next == .max ? 0 : next + 1 }

  /// No key leads to it any more.
  public func hide(_ id: Int32) {
    guard let (found, object) = objects[Self.index(id)], found == id else { return }
    keys[object.permissions.key] = nil
    object.permissions.key = 0
    hidden.insert(id)
  }

  public func remove(_ id: Int32) {
    guard let (found, object) = objects[Self.index(id)], found == id else { return }
    objects[Self.index(id)] = nil
    hidden.remove(id)
    if object.permissions.key != 0 { keys[object.permissions.key] = nil }
  }
}
