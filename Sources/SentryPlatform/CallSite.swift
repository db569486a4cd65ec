import Linux
import SentryABI
package import SentryMemory

/// A place in a guest's text that makes a system call as `mov $number, %eax; syscall`, as `xor %eax, %eax; syscall`, or by C libraries' own
/// code for calls of any number (`Form`). Its first bytes become a jump to a trampoline; the syscall instruction stays. So what the stub does not answer is called from the very place that always did, with
/// the registers and the stack that it had, and a thread that stood between the two instructions goes on.
///
/// The xor has two bytes, a jump five: the other three are those of the syscall instruction and of what follows it, whatever they are. So
/// the jump leads to one of 256 addresses, where its trampoline must lie.
package struct CallSite {
  /// Of the first instruction.
  package let start: UInt64
  /// Of the syscall instruction.
  package let call: UInt64
  let number: UInt32
  /// Its first byte.
  let first: UInt8
  /// Where the jump of a site with little room leads, of 256 addresses the lowest.
  package let window: UInt64?
  /// What stands between the jump and the syscall instruction, where the number comes in rax.
  let form: Form?
  static let move: UInt8 = 0xb8

  /// An instruction of five bytes, and what follows it up to the syscall instruction. None of it looks at where it stands, so the trampoline
  /// does the same; who stands behind the first goes on as ever.
  struct Form {
    let bytes: [UInt8]
    /// C libraries look whether a thread stands there when they cancel it: not where there are others.
    var isCancelled = false

    static let all = [
      // glibc's syscall(3): mov 8(%rsp), %r9.
      Form(bytes: [0x4c, 0x8b, 0x4c, 0x24, 0x08]),
      // musl's calls that may sleep, in programs without threads: the same, and mov %rcx, %rdx.
      Form(bytes: [0x4c, 0x8b, 0x4c, 0x24, 0x08, 0x48, 0x89, 0xca]),
      // musl's, in others (__syscall_cp_asm): mov %r11, 8(%rsp).
      Form(bytes: [0x4c, 0x89, 0x5c, 0x24, 0x08], isCancelled: true),
    ]
  }
  /// What the jump takes the place of, where it may have to come back.
  var cancelled: [UInt8]? { form?.isCancelled == true ? form?.bytes : nil }

  /// - Parameter end: where the thread goes on after its call.
  /// - Returns: nil where it was not made in this form.
  package init?(end: UInt64, number: Int32, _ memory: GuestMemory) {
    self.number = UInt32(bitPattern: number)
    call = end &- 2
    // A byte more than the seven, so that one word holds all.
    if let word = try? memory.load(GuestAddress(end &- 7), as: UInt64.self),
      UInt8(truncatingIfNeeded: word) == Self.move,
      UInt32(truncatingIfNeeded: word >> 8) == self.number, word >> 40 & 0xffff == 0x050f
    {
      (start, first, window, form) = (end &- 7, Self.move, nil, nil)
      return
    }
    if let form = Self.form(end: end, memory) {
      (start, first, window) = (end &- 2 &- UInt64(form.bytes.count), form.bytes[0], nil)
      self.form = form
      return
    }
    // Either form of xor, and the byte after the call.
    guard number == 0, let word = try? memory.load(GuestAddress(end &- 4), as: UInt64.self),
      word & 0xffff_ffff == 0x050f_c031 || word & 0xffff_ffff == 0x050f_c033
    else { return nil }
    let high = Int64(Int8(truncatingIfNeeded: word >> 32)) << 24
    (start, first, form) = (end &- 4, UInt8(truncatingIfNeeded: word), nil)
    window = start &+ 5 &+ UInt64(bitPattern: high + 0x05_0f00)
  }

  private static func form(end: UInt64, _ memory: GuestMemory) -> Form? {
    let longest = 8
    guard end > 16, let before = try? memory.bytes(GuestAddress(end &- UInt64(longest + 2)), count: longest + 2),
      before.suffix(2) == [0x0f, 0x05]
    else { return nil }
    return Form.all.first { form in before.dropLast(2).suffix(form.bytes.count) == form.bytes[...] }
  }

  /// Sites of the same number that come soon behind one: C libraries go another way to a call that can be cancelled once there are threads.
  /// - Parameter code: what stands from `end` on.
  package static func others(of number: Int32, in code: [UInt8], from end: UInt64) -> [UInt64] {
    let moves = [move] + bytes(UInt64(UInt32(bitPattern: number)), count: 4) + [0x0f, 0x05]
    let forms: [[UInt8]] = number == 0 ? [moves, [0x31, 0xc0, 0x0f, 0x05], [0x33, 0xc0, 0x0f, 0x05]] : [moves]
    var found: [UInt64] = []
    for at in code.indices.dropFirst() {
      // A prefix would make it an instruction with another register.
      if code[at - 1] & 0xf0 == 0x40 { continue }
      for form in forms where code[at...].starts(with: form) { found.append(end &+ UInt64(at + form.count)) }
    }
    return found
  }

  /// Where thirty-two bytes may lie that its jump can lead to, and the page that they are in.
  package func room(besides used: [UInt64]) -> UInt64? {
    guard let window, window >= 65536, window < 0x7fff_ffff_0000 else { return nil }
    let size = UInt64(Trampoline.size)
    for offset in stride(from: UInt64(0), to: 256, by: 8) {
      let place = window &+ offset
      let isFree = !used.contains { $0 &+ size > place && place &+ size > $0 }
      if place & 4095 <= 4096 - size, isFree { return place }
    }
    return nil
  }

  /// The jump to a trampoline.
  /// - Returns: nil where it is out of reach.
  package func jump(to trampoline: UInt64) -> [UInt8]? {
    if let window {
      let distance = trampoline &- window
      return distance < 256 ? [0xe9, UInt8(distance)] : nil
    }
    guard let distance = Self.distance(from: start &+ 5, to: trampoline) else { return nil }
    return [0xe9] + distance
  }

  static func distance(from end: UInt64, to target: UInt64) -> [UInt8]? {
    guard let near = Int32(exactly: Int64(bitPattern: target &- end)) else { return nil }
    return bytes(UInt64(UInt32(bitPattern: near)), count: 4)
  }
  static func bytes(_ word: UInt64, count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) }
  }
}

/// Thirty-two bytes of code for one call site.
package enum Trampoline {
  package static let size = 32

  /// - Parameter word: where in memory the answer lies with 1 added, 32 bits of it; 0 there means that it is unknown.
  /// - Returns: nil where the site is out of reach.
  package static func word(_ word: UInt64, for site: CallSite, at place: UInt64) -> [UInt8]? {
    let number = CallSite.bytes(UInt64(site.number), count: 4)
    // movabs word, %eax; test %eax, %eax; jz to the call itself; lea -1(%rax), %eax; jmp past the call.
    var code: [UInt8] = [0xa1] + CallSite.bytes(word, count: 8) + [0x85, 0xc0, 0x74, 0x08, 0x8d, 0x40, 0xff, 0xe9]
    guard let back = CallSite.distance(from: place &+ UInt64(code.count) &+ 4, to: site.call &+ 2)
    else { return nil }
    code += back + [0xb8] + number + [0xe9]
    guard let call = CallSite.distance(from: place &+ UInt64(code.count) &+ 4, to: site.call) else { return nil }
    return padded(code + call)
  }

  /// To the stub's own code (guest/answers.c), with the call's number in rax and the place of the syscall instruction in r11.
  package static func stub(for site: CallSite, at place: UInt64) -> [UInt8]? {
    let number = site.form?.bytes ?? [CallSite.move] + CallSite.bytes(UInt64(site.number), count: 4)
    var code: [UInt8] = number + [0x4c, 0x8d, 0x1d]
    guard let call = CallSite.distance(from: place &+ UInt64(code.count) &+ 4, to: site.call) else { return nil }
    // lea call, %r11; movabs answer, %rcx; jmp *%rcx.
    code += call + [0x48, 0xb9] + CallSite.bytes(StubProgram.answer, count: 8) + [0xff, 0xe1]
    return padded(code)
  }

  private static func padded(_ code: [UInt8]) -> [UInt8] {
    code + repeatElement(0xcc, count: max(0, size - code.count))
  }
}
