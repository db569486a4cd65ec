import Linux
import Testing

@Suite struct PacketSocketTests {
  @Test func messagesKeepTheirBoundsAndCarryDescriptors() throws {
    let pair = try DescriptorPair.sockets(sequencedPackets: true)
    let file = try MemoryFile.create("packet")
    try File.writeAll(file.rawValue, "inside")
    try PacketSocket.send(pair.first.rawValue, [1, 2, 3])
    try PacketSocket.send(pair.first.rawValue, [4], descriptors: [file.rawValue, file.rawValue])
    var descriptors: [Int32] = []
    #expect(try PacketSocket.receive(pair.second.rawValue, descriptors: &descriptors) == [1, 2, 3])
    #expect(descriptors.isEmpty)
    #expect(try PacketSocket.receive(pair.second.rawValue, descriptors: &descriptors) == [4])
    #expect(descriptors.count == 2)
    for descriptor in descriptors {
      let owned = FileDescriptor(owning: descriptor)
      #expect(try File.read(owned.rawValue, atMost: 100, at: 0) == Array("inside".utf8))
    }
  }

  @Test func endOfTheStreamIsEmpty() throws {
    let ends = try DescriptorPair.sockets(sequencedPackets: true).release()
    _ = FileDescriptor(owning: ends.first)
    let near = FileDescriptor(owning: ends.second)
    var descriptors: [Int32] = []
    #expect(try PacketSocket.receive(near.rawValue, descriptors: &descriptors).isEmpty)
    #expect(throws: SystemError("sendmsg", "\(near.rawValue)", .brokenPipe)) {
      try PacketSocket.send(near.rawValue, [1])
    }
  }

  /// A child that fails says why and dies, with a word of its parent's unread: the kernel's ECONNRESET comes before what it had said.
  @Test func whatTheOtherEndSaidIsHeardAlsoWhereItDidNotListen() throws {
    let ends = try DescriptorPair.sockets(sequencedPackets: true).release()
    let near = FileDescriptor(owning: ends.second)
    try PacketSocket.send(near.rawValue, [9])
    try PacketSocket.send(ends.first, [1, 2, 3])
    _ = FileDescriptor(owning: ends.first)
    var descriptors: [Int32] = []
    #expect(try PacketSocket.receive(near.rawValue, descriptors: &descriptors) == [1, 2, 3])
    #expect(try PacketSocket.receive(near.rawValue, descriptors: &descriptors).isEmpty)
  }

  @Test func oneThatDidNotListenIsGoneToThoseWhoSend() throws {
    let ends = try DescriptorPair.sockets(sequencedPackets: true).release()
    let near = FileDescriptor(owning: ends.second)
    try PacketSocket.send(near.rawValue, [9])
    _ = FileDescriptor(owning: ends.first)
    #expect(throws: SystemError("sendmsg", "\(near.rawValue)", .brokenPipe)) {
      try PacketSocket.send(near.rawValue, [1])
    }
  }
}
