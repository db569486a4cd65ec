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
}
