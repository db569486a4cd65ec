/// Bytes on init's socket that are not what docs/guest-init.md says, or a message that cannot be put into them.
public struct InitProtocolError: Error, Equatable, Sendable, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}

/// What guest/init is told once: the command it starts. Layout: docs/guest-init.md.
public struct InitMessage: Equatable, Sendable {
  /// Never empty; the first is looked up in the environment's PATH inside the box, as execvp(3) does, unless it holds a "/".
  public var arguments: [String]
  /// "NAME=value".
  public var environment: [String]
  /// Inside the box.
  public var workingDirectory: String
  /// Nil leaves it as the wall set it.
  public var umask: UInt32?
  /// Whether descriptor 0 is a terminal that becomes the controlling one of the command's new session.
  public var terminal: Bool
  /// How many descriptors init has from 4 up that the command shall have from 3 up; at most 1024.
  public var preservedDescriptors: Int

  public init(
    arguments: [String], environment: [String], workingDirectory: String = "/", umask: UInt32? = nil,
    terminal: Bool = false, preservedDescriptors: Int = 0
  ) {
    self.arguments = arguments
    self.environment = environment
    self.workingDirectory = workingDirectory
    self.umask = umask
    self.terminal = terminal
    self.preservedDescriptors = preservedDescriptors
  }

  /// Most bytes that the strings may have together; the kernel itself takes at most 6 MiB (execve(2)).
  public static let limit = 8 << 20
  static let magic: UInt32 = 0x314d_4d49
  static let headerSize = 32
  static let descriptorLimit = 1024
  static let umaskKept = UInt32.max

  /// The message's bytes.
  public func encoded() throws(InitProtocolError) -> [UInt8] {
    if arguments.isEmpty { throw InitProtocolError("the command is empty") }
    if preservedDescriptors < 0 || preservedDescriptors > Self.descriptorLimit {
      throw InitProtocolError("\(preservedDescriptors) descriptors to hand over; at most \(Self.descriptorLimit)")
    }
    var strings: [UInt8] = []
    func add(_ string: String, _ what: String) throws(InitProtocolError) {
      let before = strings.count
      strings.append(contentsOf: string.utf8)
      if strings[before...].contains(0) {
        throw InitProtocolError("\(what) \(String(reflecting: string)) has a NUL byte in it")
      }
      strings.append(0)
    }
    try add(workingDirectory, "the working directory")
    for argument in arguments { try add(argument, "the argument") }
    for variable in environment { try add(variable, "the variable") }
    if strings.count > Self.limit {
      throw InitProtocolError("arguments and environment have \(strings.count) bytes; at most \(Self.limit)")
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.headerSize + strings.count)
    for field in [
      Self.magic, UInt32(strings.count), terminal ? 1 : 0, umask ?? Self.umaskKept, UInt32(preservedDescriptors),
      UInt32(arguments.count), UInt32(environment.count), 0,
    ] as [UInt32] { bytes.append(littleEndian: field) }
    bytes.append(contentsOf: strings)
    return bytes
  }

  /// The message that the bytes hold, which must be whole and nothing else.
  public init(decoding bytes: Span<UInt8>) throws(InitProtocolError) {
    guard bytes.count >= Self.headerSize else {
      throw InitProtocolError("\(bytes.count) bytes, shorter than a header of \(Self.headerSize)")
    }
    let length = Int(bytes.word(at: 4))
    let flags = bytes.word(at: 8)
    let descriptors = Int(bytes.word(at: 16))
    guard bytes.word(at: 0) == Self.magic else { throw InitProtocolError("the magic number is \(bytes.word(at: 0))") }
    guard length <= Self.limit, length == bytes.count - Self.headerSize else {
      throw InitProtocolError("the length says \(length), there are \(bytes.count - Self.headerSize) bytes")
    }
    guard flags <= 1, bytes.word(at: 28) == 0 else { throw InitProtocolError("unknown flags \(flags)") }
    guard descriptors <= Self.descriptorLimit else { throw InitProtocolError("\(descriptors) descriptors") }
    let argumentCount = Int(bytes.word(at: 20))
    let variableCount = Int(bytes.word(at: 24))
    guard argumentCount > 0 else { throw InitProtocolError("the command is empty") }
    var offset = Self.headerSize
    func next() throws(InitProtocolError) -> String {
      var string: [UInt8] = []
      while offset < bytes.count {
        let byte = bytes[offset]
        offset += 1
        if byte == 0 { return String(decoding: string, as: UTF8.self) }
        string.append(byte)
      }
      throw InitProtocolError("the strings end before \(argumentCount) arguments and \(variableCount) variables came")
    }
    let directory = try next()
    var arguments: [String] = []
    for _ in 0..<argumentCount { arguments.append(try next()) }
    var environment: [String] = []
    for _ in 0..<variableCount { environment.append(try next()) }
    guard offset == bytes.count else { throw InitProtocolError("\(bytes.count - offset) bytes after the last string") }
    let mask = bytes.word(at: 12)
    self.init(
      arguments: arguments, environment: environment, workingDirectory: directory,
      umask: mask == Self.umaskKept ? nil : mask, terminal: flags & 1 != 0, preservedDescriptors: descriptors)
  }
}

extension [UInt8] {
  /// A 32-bit number, little-endian.
  mutating func append(littleEndian number: UInt32) {
    for shift in [0, 8, 16, 24] as [UInt32] { append(UInt8(truncatingIfNeeded: number >> shift)) }
  }
}

extension Span<UInt8> {
  /// The 32-bit little-endian number at `offset`, which must lie within.
  func word(at offset: Int) -> UInt32 {
    UInt32(self[offset]) | UInt32(self[offset + 1]) << 8 | UInt32(self[offset + 2]) << 16 | UInt32(self[offset + 3])
      << 24
  }
}
