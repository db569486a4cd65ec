import CLinux
import Linux
import SentryABI
import SentryMemory

/// What files come into guests' tables through where there is no SECCOMP_IOCTL_NOTIF_ADDFD: a socket that every guest has from the keeper,
/// under a number above those that guests may have. The sentry sends the file and has the guest's thread receive it. Guests cannot use it by
/// themselves, as all of their calls on descriptors are the sentry's; what races over the message in their memory brings them is a file that
/// was sent to them.
final class GuestPassage {
  /// The socket's number in each table, the sentry's own among them.
  let number: Int32
  private let near: FileDescriptor
  /// How far down guests' own numbers reach at most.
  private static let usual: Int32 = 4096

  init() throws(SystemError) {
    let hard = UInt64(try ResourceLimits.get(ResourceLimits.openFiles).rlim_max)
    try ResourceLimits.set(ResourceLimits.openFiles, soft: hard, hard: hard)
    number = Int32(min(UInt64(Self.usual), hard - 1))
    let ends = try DescriptorPair.sockets(sequencedPackets: true).release()
    near = FileDescriptor(owning: ends.first)
    let far = FileDescriptor(owning: ends.second)
    // Not close-on-exec: the keeper has it from its exec on, and every guest from the keeper.
    try checked("dup3", "\(number)", systemCall(Int(SYS_dup3), word(far.rawValue), word(number), 0))
  }

  /// struct msghdr at 0, struct iovec at 56, a byte at 72, the control message at 80.
  private static let size = 112
  private static let (vector, byte, control) = (56, 72, 80)
  private static let controlSize = 24

  func give(_ file: Int32, as wanted: Int32?, to guest: TracedThread) throws(Errno) -> Int32 {
    let memory = GuestMemory(process: guest.thread)
    // Below what the thread may use of its stack (the red zone of 128 bytes).
    let place = GuestAddress((guest.registers.stack &- 128 &- UInt64(Self.size)) & ~15)
    let kept = try memory.bytes(place, count: Self.size)
    try memory.store(Self.message(at: place), at: place)
    do throws(SystemError) { try PacketSocket.send(near.rawValue, [0], descriptors: [file]) } catch {
      throw error.errno
    }
    guest.begin()
    let received = guest.perform(
      Int(SYS_recvmsg), UInt64(number), place.bits, UInt64(MSG_CMSG_CLOEXEC | MSG_DONTWAIT))
    var failure: Errno?
    var got: Int32 = -1
    if received == 1 {
      do throws(Errno) { got = try descriptor(at: place, memory) } catch { failure = error }
      if failure == nil, let wanted, wanted != got {
        let moved = guest.perform(Int(SYS_dup3), UInt64(got), UInt64(wanted), UInt64(O_CLOEXEC))
        if moved != Int64(wanted) { failure = Errno(rawValue: Int32(truncatingIfNeeded: max(1, -moved))) }
        _ = guest.perform(Int(SYS_close), UInt64(got))
        got = wanted
      }
    } else {
      failure = received < 0 ? Errno(rawValue: Int32(truncatingIfNeeded: -received)) : .inputOutput
      drain()
    }
    // A guest whose stack is gone by now has done that itself.
    do throws(Errno) { try memory.store(kept, at: place) } catch {}
    guard guest.end() else { throw .noProcess }
    if let failure { throw failure }
    return got
  }

  private static func message(at place: GuestAddress) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: size)
    func put(_ value: UInt64, _ at: Int) {
      for shift in 0..<8 { bytes[at + shift] = UInt8(truncatingIfNeeded: value >> UInt64(8 * shift)) }
    }
    put(place.advanced(by: vector).bits, 16)
    put(1, 24)
    put(place.advanced(by: control).bits, 32)
    put(UInt64(controlSize), 40)
    put(place.advanced(by: byte).bits, vector)
    put(1, vector + 8)
    return bytes
  }

  /// What the thread received, as its memory says, which others may have written to: a number of its own table at worst.
  private func descriptor(at place: GuestAddress, _ memory: GuestMemory) throws(Errno) -> Int32 {
    let length = try memory.load(place.advanced(by: Self.control), as: UInt64.self)
    // MSG_CTRUNC: there was no number left for it.
    guard length == 20 else { throw .tooManyFiles }
    let got = try memory.load(place.advanced(by: Self.control + 16), as: Int32.self)
    guard got >= 0, got < number else { throw .tooManyFiles }
    return got
  }

  /// Takes back what the guest did not take, lest another one gets it.
  private func drain() {
    while Readiness.now(number, POLLIN) & POLLIN != 0 {
      var files: [Int32] = []
      do throws(SystemError) { _ = try PacketSocket.receive(number, limit: 16, descriptors: &files) } catch { return }
      for file in files { _ = FileDescriptor(owning: file) }
    }
  }
}
