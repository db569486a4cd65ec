import Formats
import Testing

/// D-Bus's wire format, against bytes that dbus-daemon 1.14.10 sent and took; Fuzz/Corpus/FuzzBusMessage has them as seeds.
@Suite struct BusTests {
  static let call = unhex(
    "6c01000100000000010000006d00000001016f00150000002f6f72672f667265656465736b746f702f4442757300000002017300140000006f7267"
      + "2e667265656465736b746f702e4442757300000000030173000500000048656c6c6f00000006017300140000006f72672e667265656465736b746f"
      + "702e4442757300000000")
  static let reply = unhex(
    "6c02010109000000010000003d00000006017300040000003a312e3000000000050175000100000008016700017300000701730014000000"
      + "6f72672e667265656465736b746f702e4442757300000000040000003a312e3000")
  static let dictionary = unhex(
    "6c02010138000000040000004500000006017300040000003a312e300000000005017500030000000801670005617b73767d000000000000070173"
      + "00140000006f72672e667265656465736b746f702e444275730000000030000000000000000900000050726f6365737349440001750000000062"
      + "1900000a000000556e697855736572494400017500000000000000")

  @Test func aCallIsWrittenAsOthersWriteIt() throws {
    var message = BusMessage(.call, serial: 1)
    message.path = "/org/freedesktop/DBus"
    message.interface = "org.freedesktop.DBus"
    message.member = "Hello"
    message.destination = "org.freedesktop.DBus"
    #expect(try message.encoded() == Self.call)
    #expect(try BusMessage(bytes: Self.call) == message)
  }

  @Test func answersOfARealBusAreRead() throws {
    let reply = try BusMessage(bytes: Self.reply)
    #expect(reply.kind == .reply && reply.replySerial == 1 && reply.sender == "org.freedesktop.DBus")
    #expect(reply.body == [.string(":1.0")])
    #expect(try BusMessage.length(of: Array(Self.reply.prefix(16))) == Self.reply.count)
    let credentials = try BusMessage(bytes: Self.dictionary)
    #expect(
      credentials.body == [
        .array(
          of: "{sv}",
          [
            .entry(.string("ProcessID"), .variant(.uint32(6498))), .entry(.string("UnixUserID"), .variant(.uint32(0))),
          ])
      ])
  }

  @Test func everyTypeComesBack() throws {
    var message = BusMessage(.signal, serial: 7)
    message.path = "/a/b_1"
    message.interface = "a.b"
    message.member = "C"
    message.body = [
      .byte(255), .boolean(true), .int16(-2), .uint16(3), .int32(-4), .uint32(5), .int64(-6), .uint64(.max),
      .double(bits: 0x7ff8_0000_0000_0001), .descriptor(1), .string("ü"), .objectPath("/"), .signature("a{sv}(ii)"),
      .array(of: "t", []), .array(of: "(sv)", [.structure([.string("x"), .variant(.array(of: "y", [.byte(1)]))])]),
    ]
    #expect(try BusMessage(bytes: message.encoded()) == message)
  }

  /// Bytes of a peer that lies: no length is believed, and nothing is read beyond the message.
  @Test func lyingLengthsAreRefused() throws {
    for (place, byte) in [(4, UInt8(0xff)), (12, 0xff), (7, 0xff), (15, 0xff), (84, 0xff), (80, 0xff)] {
      var bytes = Self.reply
      guard place < bytes.count else { continue }
      bytes[place] = byte
      #expect(throws: FormatError.self, "byte \(place)") { try BusMessage(bytes: bytes) }
    }
    for count in 0..<Self.dictionary.count {
      #expect(throws: FormatError.self, "the first \(count) bytes") {
        try BusMessage(bytes: Array(Self.dictionary.prefix(count)))
      }
    }
  }

  @Test func nestingIsBounded() throws {
    var value = BusValue.byte(1)
    for _ in 0..<80 { value = .variant(value) }
    var message = BusMessage(.reply, serial: 1)
    message.replySerial = 1
    message.body = [value]
    let bytes = try message.encoded()
    #expect(throws: FormatError.self) { try BusMessage(bytes: bytes) }
  }

  @Test func whatCannotBeSaidIsNotWritten() {
    var message = BusMessage(.reply, serial: 1)
    message.replySerial = 1
    for value: BusValue in [
      .string("a\0b"), .objectPath("a"), .objectPath("/a/"), .signature("("), .array(of: "s", [.byte(1)]),
      .array(of: "", []),
    ] {
      message.body = [value]
      #expect(throws: FormatError.self, "\(value)") { try message.encoded() }
    }
  }

  @Test(arguments: [
    ("'man:immure(1)'", BusValue.string("man:immure(1)")), ("true", .boolean(true)), ("uint64 5", .uint64(5)),
    ("byte 0x10", .byte(16)), (" -3 ", .int32(-3)), ("['a', 'b']", .array(of: "s", [.string("a"), .string("b")])),
    (#"'it\'s'"#, .string("it's")), ("[uint32 1, uint32 2]", .array(of: "u", [.uint32(1), .uint32(2)])),
  ]) func annotationsAreGVariants(_ text: String, _ value: BusValue) throws {
    #expect(try BusText.parse(text) == value)
  }

  @Test(arguments: [
    "", "'a", "[1", "[1, 'a']", "[]", "uint64 -1", "byte 256", "1 2", "word", "[[[[[[[[[1]]]]]]]]]", "'\\n'",
  ])
  func othersAreRefused(_ text: String) {
    #expect(throws: FormatError.self) { try BusText.parse(text) }
  }
}
