import CFuzz
import Glibc
import GuestWorld
import Linux
import SentryABI
import SentryCalls
import SentryTasks
import SentryWait

/// Whatever guests ask the table of calls, with whatever in their memory: no trap, no end of waiting, no memory without bound.
///
/// An input is a list of steps. A step is a byte and what it needs: a call with six words, eight bytes put into the guests' memory, time
/// that passes.
struct Steps {
  private let bytes: [UInt8]
  private var at = 0
  init(_ bytes: [UInt8]) { self.bytes = bytes }
  var isEmpty: Bool { at >= bytes.count }
  mutating func byte() -> UInt8 {
    guard at < bytes.count else { return 0 }
    at += 1
    return bytes[at - 1]
  }
  mutating func word(_ count: Int) -> UInt64 {
    var word: UInt64 = 0
    for index in 0..<count { word |= UInt64(byte()) << UInt64(8 * index) }
    return word
  }

  /// What a register or a word of memory holds: small numbers and pointers more often than anything.
  mutating func value() -> UInt64 {
    let kind = byte()
    switch kind {
    case 0..<128: return UInt64(kind) & 31
    case 128..<176: return Arena.address(Int(word(2)))
    case 176..<192: return 0 &- UInt64(kind & 15)
    case 192..<208: return Self.odd[Int(kind & 15)]
    case 208..<224: return word(2)
    case 224..<240: return word(4)
    default: return word(8)
    }
  }
  private static let odd: [UInt64] = [
    UInt64.max, 1 << 63, (1 << 63) - 1, 1 << 62, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 32, 0xffff_ff9c,
    0x7fff_ffff_f000, 0x7fff_ffff_efff, 0x3fff_ffff, 1_000_000_000, 999_999_999, 4096, 1 << 47,
  ]
}

/// The steps, one after the other.
func run(_ world: World, _ steps: inout Steps) {
  for _ in 0..<200 where !steps.isEmpty {
    let step = steps.byte()
    switch step {
    case 0..<192:
      let row = World.rows[Int(steps.byte()) % World.rows.count]
      var words: [UInt64] = []
      for _ in 0..<6 { words.append(steps.value()) }
      let task = world.tasks[Int(step) % world.tasks.count]
      // Who sleeps is interrupted.
      if task.parked != nil { task.endCall() }
      world.serve(task, Call(row.number, words[0], words[1], words[2], words[3], words[4], words[5]))
    case 192..<248: Arena.put(steps.value(), at: Int(steps.word(2)))
    default: world.kernel.deadlines.fire(now: world.kernel.now &+ steps.value())
    }
    world.goOn()
  }
}

func check(_ bytes: [UInt8]) {
  Arena.fill(bytes)
  var steps = Steps(bytes)
  do throws(Errno) {
    let world = try World()
    run(world, &steps)
    world.end()
  } catch { fatalError("no world: \(error)") }
}

@main
enum FuzzSentryCalls {
  static func main() {
    enterNamespaces()
    Arena.make()
    var count = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe CommandLine.unsafeArgv
    // SAFETY: the arguments live as long as the process; libFuzzer promises `size` readable bytes at `data`.
    let status = unsafe LLVMFuzzerRunDriver(&count, &arguments) { data, size in
      unsafe check(Array(UnsafeBufferPointer(start: data, count: size)))
      return 0
    }
    exit(status)
  }
}
