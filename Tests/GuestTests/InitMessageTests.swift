import Guest
import Linux
import Testing

@Suite struct InitMessageTests {
  @Test(arguments: [
    InitMessage(arguments: ["a"], environment: []),
    InitMessage(
      arguments: ["", "b c", "ü\n"], environment: ["A=", "B=c=d"], workingDirectory: "/x", umask: 0o77, terminal: true,
      preservedDescriptors: 1024),
  ])
  func whatIsWrittenIsRead(message: InitMessage) throws {
    #expect(try readMessage(try message.encoded()) == message)
  }

  @Test(arguments: [
    InitMessage(arguments: [], environment: []),
    InitMessage(arguments: ["a\0b"], environment: []),
    InitMessage(arguments: ["a"], environment: ["A=\0"]),
    InitMessage(arguments: ["a"], environment: [], workingDirectory: "/\0"),
    InitMessage(arguments: ["a"], environment: [], preservedDescriptors: 1025),
    InitMessage(arguments: ["a"], environment: [], preservedDescriptors: -1),
    InitMessage(arguments: [String(repeating: "a", count: 8 << 20)], environment: []),
  ])
  func whatCannotBeSaidIsRefused(message: InitMessage) {
    #expect(throws: InitProtocolError.self) { try message.encoded() }
  }

  @Test func everyTruncationAndEveryChangedByteIsRefusedOrReadWithoutHarm() throws {
    let good = try InitMessage(arguments: ["a", "b"], environment: ["C=d"], workingDirectory: "/").encoded()
    for length in 0..<good.count {
      #expect(throws: InitProtocolError.self) { try readMessage(Array(good[..<length])) }
    }
    for index in good.indices {
      for value in [0, 1, 0x7f, 0x80, 0xff] as [UInt8] {
        var bytes = good
        bytes[index] = value
        // Whatever can be read must be sayable again; everything else is refused by name.
        guard let message = try? readMessage(bytes) else { continue }
        #expect(try readMessage(try message.encoded()) == message)
      }
    }
  }

  @Test(arguments: [
    InitReply.started, .exited(waitStatus: 0), .exited(waitStatus: 0xff00), .exited(waitStatus: 9),
    .exited(waitStatus: 0x8b), .failed(InitReply.Failure(errno: .noEntry, step: .execute)),
  ])
  func repliesAreRead(reply: InitReply) throws {
    #expect(try readReply(reply.encoded()) == reply)
  }

  @Test(arguments: [
    [], [UInt8](repeating: 0, count: 15), [UInt8](repeating: 0, count: 16), [UInt8](repeating: 0, count: 17),
    // Kind 4; a failure at step 9; a negative errno; a stop; a status past 16 bits.
    reply(4, 0, 0), reply(2, 2, 9), reply(2, -1, 6), reply(3, 0x137f, 0), reply(3, 1 << 20, 0), reply(3, -1, 0),
  ])
  func otherBytesAreNoReply(bytes: [UInt8]) {
    #expect(throws: InitProtocolError.self) { try readReply(bytes) }
  }
}

private func reply(_ kind: UInt32, _ value: Int32, _ step: UInt32) -> [UInt8] {
  [0x3152_4d49, kind, UInt32(bitPattern: value), step].flatMap { word in
    [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: word >> UInt32($0)) }
  }
}

// Not within #expect: its macro cannot hold what does not escape.
private func readMessage(_ bytes: [UInt8]) throws -> InitMessage { try InitMessage(decoding: bytes.span) }
private func readReply(_ bytes: [UInt8]) throws -> InitReply { try InitReply(decoding: bytes.span) }
