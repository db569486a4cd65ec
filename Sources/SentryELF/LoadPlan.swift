public import Formats
public import Linux

/// What the program behind every name is told to map: bytes of guest/stub.c's `struct plan`, little-endian, without padding. As many of them as
/// say something: where the stub has it no page of the stack is there yet.
public enum LoadPlan {
  public static let segmentLimit = 48
  public static let stringLimit = 8192
  static let objectSize = 48
  static let segmentSize = 40
  static let boardOffset = 40
  static let objectsOffset = 48
  static let segmentsOffset = objectsOffset + 2 * objectSize
  static let stringsOffset = segmentsOffset + segmentLimit * segmentSize
  /// Bytes of the whole, more than which no plan has.
  public static let size = stringsOffset + stringLimit

  /// Ids for the auxiliary vector (getauxval(3)).
  public struct Identity: Sendable {
    public var user: UInt32
    public var effectiveUser: UInt32
    public var group: UInt32
    public var effectiveGroup: UInt32
    /// AT_SECURE: the program got ids or capabilities that its caller had not.
    public var isSecure: Bool
    public init(
      user: UInt32, effectiveUser: UInt32, group: UInt32, effectiveGroup: UInt32, isSecure: Bool = false
    ) {
      self.user = user
      self.effectiveUser = effectiveUser
      self.group = group
      self.effectiveGroup = effectiveGroup
      self.isSecure = isSecure
    }
  }

  /// - Parameters:
  ///   - interpreter: PT_INTERP's program.
  ///   - prefix: what stands in argv[0]'s place, where there is anything: a script's interpreter, its argument, the script.
  /// - Throws: ENOEXEC for more segments than there is room for, E2BIG for longer strings.
  public static func encode(
    _ program: ELFProgram, interpreter: ELFProgram?, prefix: [[UInt8]], _ identity: Identity
  ) throws(Errno) -> [UInt8] {
    let objects = [program] + (interpreter.map { [$0] } ?? [])
    let count = objects.reduce(0) { $0 + $1.segments.count }
    guard count <= segmentLimit else { throw .execFormat }
    guard prefix.reduce(0, { $0 + $1.count + 1 }) <= stringLimit else { throw .tooBig }
    var plan: [UInt8] = []
    plan.reserveCapacity(segmentsOffset + count * segmentSize)
    let executableStack: UInt32 = program.wantsExecutableStack ? 1 : 0
    for word in [
      UInt32(objects.count), UInt32(count), UInt32(prefix.count), executableStack, identity.user,
      identity.effectiveUser,
      identity.group, identity.effectiveGroup, UInt32(program.headerCount), identity.isSecure ? 1 : 0, 0, 0,
    ] { append(word, to: &plan) }
    for object in objects {
      let span = object.span
      append(span.lowerBound, to: &plan)
      append(span.upperBound - span.lowerBound, to: &plan)
      append(object.alignment, to: &plan)
      append(object.entry, to: &plan)
      append(object.headersAddress ?? 0, to: &plan)
      append(UInt32(0), to: &plan)
      append(UInt32(object.isFixed ? 1 : 0), to: &plan)
    }
    pad(&plan, to: segmentsOffset)
    for (index, object) in objects.enumerated() {
      for segment in object.segments {
        append(segment.address, to: &plan)
        append(segment.offset, to: &plan)
        append(segment.fileSize, to: &plan)
        append(segment.memorySize, to: &plan)
        append(segment.protection, to: &plan)
        append(UInt32(index), to: &plan)
      }
    }
    if prefix.isEmpty { return plan }
    pad(&plan, to: stringsOffset)
    for string in prefix { plan += string + [0] }
    return plan
  }

  /// Says which descriptors of the process the objects are, once they are there.
  public static func set(descriptors: [Int32], in plan: inout [UInt8]) {
    for (index, descriptor) in descriptors.prefix(2).enumerated() {
      set(UInt32(bitPattern: descriptor), at: objectsOffset + index * objectSize + 40, in: &plan)
    }
  }

  private static func set(_ word: UInt32, at offset: Int, in plan: inout [UInt8]) {
    for byte in 0..<4 { plan[offset + byte] = UInt8(truncatingIfNeeded: word >> (8 * UInt32(byte))) }
  }

  /// Has the stub prepare to answer calls by itself.
  /// - Parameter board: a descriptor of the process.
  public static func addAnswers(board: Int32, to plan: inout [UInt8]) {
    plan[12] |= 2
    set(UInt32(bitPattern: board), at: boardOffset, in: &plan)
  }

  private static func append(_ number: some FixedWidthInteger, to plan: inout [UInt8]) {
    var rest = number
    for _ in 0..<number.bitWidth / 8 {
      plan.append(UInt8(truncatingIfNeeded: rest))
      rest >>= 8
    }
  }
  private static func pad(_ plan: inout [UInt8], to size: Int) {
    plan.append(contentsOf: repeatElement(0, count: max(0, size - plan.count)))
  }
}
