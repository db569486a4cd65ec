public import Linux

/// Bytes on their way from one guest to another, first in first out; its memory grows as it fills, up to a capacity.
@safe public final class ByteRing {
  /// Bytes that it may hold.
  public private(set) var capacity: Int
  public private(set) var count = 0
  private var storage: UnsafeMutableRawBufferPointer
  private var head = 0

  public init(capacity: Int) {
    self.capacity = capacity
    unsafe storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }
  // SAFETY: `storage` is this object's alone, allocated in `reserve`, and every index below is kept within its count.
  deinit { release() }

  private func release() {
    unsafe QueuedBytes.add(-storage.count)
    unsafe storage.deallocate()
    unsafe storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }

  public var isEmpty: Bool { count == 0 }
  public var free: Int { max(0, QueuedBytes.bound(capacity) - count) }

  /// - Parameter new: bytes, at least `count`.
  public func setCapacity(_ new: Int) { if new >= count { capacity = new } }

  public func removeAll() {
    head = 0
    count = 0
  }

  /// Takes bytes from a guest, as many as it has and there is room for.
  /// - Parameter limit: bytes at most.
  public func fill(from buffer: inout GuestBuffer, limit: Int = .max) throws(Errno) -> Int {
    let wanted = min(buffer.remaining, free, limit)
    reserve(count + wanted)
    var done = 0
    while done < wanted {
      let (start, room) = writable(wanted - done)
      let moved: Int
      do throws(Errno) {
        moved = try unsafe buffer.take(
          into: UnsafeMutableRawBufferPointer(rebasing: storage[start..<start + room]))
      } catch {
        if done > 0 { return done }
        throw error
      }
      count += moved
      done += moved
      if moved < room { break }
    }
    return done
  }

  /// Gives bytes to a guest, as many as there are and it has room for.
  /// - Parameter keeps: leaves them here (MSG_PEEK).
  public func drain(into buffer: inout GuestBuffer, limit: Int = .max, keeps: Bool = false) throws(Errno) -> Int {
    let wanted = min(buffer.remaining, count, limit)
    var done = 0
    while done < wanted {
      let start = unsafe (head + done) % storage.count
      let room = unsafe min(wanted - done, storage.count - start)
      let moved: Int
      do throws(Errno) {
        moved = try unsafe buffer.put(UnsafeRawBufferPointer(rebasing: storage[start..<start + room]))
      } catch {
        if done > 0 { break }
        throw error
      }
      done += moved
      if moved < room { break }
    }
    if !keeps { drop(done) }
    return done
  }

  /// - Returns: whether there was room.
  @discardableResult
  public func append(_ byte: UInt8) -> Bool {
    guard count < capacity else { return false }
    reserve(count + 1)
    unsafe storage[(head + count) % storage.count] = byte
    count += 1
    return true
  }

  /// As many as there is room for.
  public func append(_ bytes: [UInt8]) -> Int {
    let wanted = min(bytes.count, free)
    reserve(count + wanted)
    var done = 0
    while done < wanted {
      let (start, room) = writable(wanted - done)
      unsafe bytes.withUnsafeBytes { bytes in
        unsafe UnsafeMutableRawBufferPointer(rebasing: storage[start..<start + room]).copyMemory(
          from: UnsafeRawBufferPointer(rebasing: bytes[done..<done + room]))
      }
      count += room
      done += room
    }
    return done
  }

  public func popLast() { if count > 0 { count -= 1 } }

  /// - Parameter index: below `count`, from the oldest.
  public subscript(index: Int) -> UInt8 {
    precondition(index >= 0 && index < count)
    return unsafe storage[(head + index) % storage.count]
  }

  /// Takes the oldest bytes.
  public func take(_ limit: Int, keeps: Bool = false) -> [UInt8] {
    let wanted = max(0, min(limit, count))
    if wanted == 0 { return [] }
    let first = unsafe min(wanted, storage.count - head)
    var bytes = unsafe [UInt8](UnsafeRawBufferPointer(rebasing: storage[head..<head + first]))
    if wanted > first { unsafe bytes += UnsafeRawBufferPointer(rebasing: storage[0..<wanted - first]) }
    if !keeps { drop(wanted) }
    return bytes
  }

  /// Moves the oldest bytes to another ring.
  public func move(to other: ByteRing, limit: Int, keeps: Bool = false) -> Int {
    let moved = other.append(take(min(limit, other.free), keeps: true))
    if !keeps { drop(moved) }
    return moved
  }

  public func drop(_ bytes: Int) {
    let bytes = min(bytes, count)
    count -= bytes
    head = unsafe count == 0 ? 0 : (head + bytes) % storage.count
    // What was large once is not kept for later where memory is short.
    if count == 0, QueuedBytes.isFull { release() }
  }

  /// Where the next bytes go, in one piece.
  private func writable(_ limit: Int) -> (start: Int, room: Int) {
    let start = unsafe (head + count) % storage.count
    return unsafe (start, min(limit, storage.count - start, storage.count - count))
  }

  private func reserve(_ wanted: Int) {
    guard unsafe wanted > storage.count else { return }
    var size = unsafe max(1024, storage.count)
    while size < wanted { size *= 2 }
    let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
    let kept = take(count, keeps: true)
    unsafe kept.withUnsafeBytes { bytes in
      unsafe UnsafeMutableRawBufferPointer(rebasing: larger[0..<bytes.count]).copyMemory(from: bytes)
    }
    release()
    unsafe storage = larger
    QueuedBytes.add(size)
    head = 0
  }
}
