import Supervision
import Testing
import Walls

@Suite struct AttachFrameTests {
  static let all: [AttachFrame] = [
    .hello(owner: true), .hello(owner: false), .input([1, 2, 3]), .input([]), .inputEnd,
    .resize(rows: 300, columns: 65535), .signal(15), .detach, .welcome(terminal: true, input: false),
    .output([UInt8](repeating: 7, count: 64 << 10)), .error([0]), .ended(code: 137, limit: .memory),
    .ended(code: 0, limit: nil),
  ]

  @Test(arguments: [1, 2, 3, 7, 1000, 1 << 20])
  func framesSurviveAnyCutting(size: Int) {
    let bytes = Self.all.flatMap { $0.encoded() }
    var reader = AttachFrameReader()
    var frames: [AttachFrame] = []
    for start in stride(from: 0, to: bytes.count, by: size) {
      reader.append(Array(bytes[start..<min(start + size, bytes.count)]))
      while let frame = reader.next() { frames.append(frame) }
    }
    #expect(frames == Self.all)
    #expect(!reader.isBroken)
  }

  @Test(arguments: [
    [UInt8]([0, 0, 0, 0, 0]), [99, 0, 0, 0, 0], [1, 0, 0, 0, 0], [4, 1, 0, 0, 0, 1], [5, 1, 0, 0, 0, 0],
    [5, 1, 0, 0, 0, 65], [2, 1, 0, 1, 0], [2, 255, 255, 255, 255], [20, 0, 0, 0, 0], [20, 2, 0, 0, 0, 0, 65],
  ])
  func otherBytesBreakTheConnection(bytes: [UInt8]) {
    var reader = AttachFrameReader()
    reader.append(bytes)
    #expect(reader.next() == nil)
    #expect(reader.isBroken)
  }
}
