import Linux
import SentryMemory

/// Bytes between a descriptor of the host and a guest, through a buffer of the sentry's.
enum HostBytes {
  private static var piece: Int { 65536 }

  /// As pread(2): all that there is room for, or up to the file's end.
  static func read(_ descriptor: Int32, _ buffer: inout GuestBuffer, at offset: Int64) throws(Errno) -> Int {
    var guest = buffer
    defer { buffer = guest }
    let size = min(piece, guest.remaining)
    // SAFETY: all slices lie within the allocation, which lives until the closure returns.
    return try unsafe withUnsafeTemporaryAllocation(byteCount: max(size, 1), alignment: 16) {
      (bytes) throws(Errno) -> Int in
      var done = 0
      while guest.remaining > 0 {
        let count: Int
        do throws(Errno) {
          let wanted = min(bytes.count, guest.remaining)
          let room = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[..<wanted])
          let found = try unsafe HostFiles.read(descriptor, room, at: offset &+ Int64(done))
          if found == 0 { break }
          count = try unsafe guest.put(UnsafeRawBufferPointer(rebasing: bytes[..<found]))
          done += count
          // Regular files give less at their end only.
          if count < found || found < wanted { break }
        } catch {
          if done > 0 { break }
          throw error
        }
      }
      return done
    }
  }

  /// As pwrite(2).
  static func write(_ descriptor: Int32, _ buffer: inout GuestBuffer, at offset: Int64) throws(Errno) -> Int {
    var guest = buffer
    defer { buffer = guest }
    let size = min(piece, guest.remaining)
    return try unsafe withUnsafeTemporaryAllocation(byteCount: max(size, 1), alignment: 16) {
      (bytes) throws(Errno) -> Int in
      var done = 0
      while guest.remaining > 0 {
        do throws(Errno) {
          let count = try unsafe guest.take(into: bytes)
          var stored = 0
          while stored < count {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[stored..<count])
            let wrote = try unsafe HostFiles.write(descriptor, rest, at: offset &+ Int64(done))
            if wrote == 0 { throw .noSpace }
            stored += wrote
            done += wrote
          }
          if count == 0 { break }
        } catch {
          if done > 0 { break }
          throw error
        }
      }
      return done
    }
  }

  static func bytes(_ descriptor: Int32, at offset: Int64, count: Int) throws(Errno) -> [UInt8] {
    var failure: Errno?
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      do throws(Errno) {
        while filled < count {
          let room = unsafe UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[filled...])
          let found = try unsafe HostFiles.read(descriptor, room, at: offset &+ Int64(filled))
          if found == 0 { return }
          filled += found
        }
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }

  static func store(_ descriptor: Int32, _ bytes: [UInt8], at offset: Int64) throws(Errno) -> Int {
    try unsafe bytes.span.withUnsafeBytes { (bytes) throws(Errno) -> Int in
      var done = 0
      while done < bytes.count {
        let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[done...])
        let wrote = try unsafe HostFiles.write(descriptor, rest, at: offset &+ Int64(done))
        if wrote == 0 { throw .noSpace }
        done += wrote
      }
      return done
    }
  }
}
