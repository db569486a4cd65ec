import CGuest

/// guest/stub: what the host's kernel runs whatever program a guest executes.
package enum StubProgram {
  /// Where it is linked and how far its text may reach (guest/stub.ld).
  package static let base: UInt64 = 0x5000_0000_0000
  package static let limit: UInt64 = 0x4000
  /// Whether an address lies in its text.
  static func holds(_ address: UInt64) -> Bool { address &- base < limit }
  /// The way into answers of the stub's own, for trampolines (guest/answers.c).
  static let answer: UInt64 = 0x5000_0000_0200
  /// Bytes of an area for trampolines.
  static let area: UInt64 = 16384

  /// Whether there is one for this machine.
  static var isPresent: Bool { immure_guest_stub_size() > 0 }

  static var bytes: Span<UInt8> {
    @_lifetime(immortal)
    get {
      // SAFETY: the program lies in this executable's read-only data, from start to end, for as long as the process lives.
      let buffer = unsafe UnsafeBufferPointer(start: immure_guest_stub(), count: immure_guest_stub_size())
      let span = unsafe Span(_unsafeElements: buffer)
      return unsafe _overrideLifetime(span, copying: ())
    }
  }
}

/// What the stub asks: numbers that no kernel has (guest/stub.c).
package enum StubCall {
  /// A plan to load, by address and size of its buffer.
  package static let hello: Int32 = 0x494d00
  /// The keeper: the size of the next program's strings, 0 to reap; sleeps until there is either.
  package static let next: Int32 = 0x494d01
  /// The keeper: this process ended with this wait status.
  package static let reaped: Int32 = 0x494d02
  /// A program's strings into a buffer.
  package static let fetch: Int32 = 0x494d03
  /// The execve(2) of a program that was to start failed with this.
  package static let failed: Int32 = 0x494d04

  /// wait4(2) and waitid(2) of a thread that traces others: what they are made into on their way (`GuestDebugger`).
  package static let waitsForTracee: Int32 = 0x494d10
  package static let waitsForTraceeByID: Int32 = 0x494d11

  static let load: Int64 = 1
  static let keeper: Int64 = 2
}
