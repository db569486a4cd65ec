import CFuzz
import Glibc
import GuestWorld
import Linux
import Sentry
import SentryABI
import SentrySockets
import SentryTasks

/// What is made of bytes that guests, or commands outside, send in one piece: netlink's messages, control messages of sendmsg(2), what
/// ioctl(2) takes and gives, the packet that asks for a further program. The first byte's last two bits say which.
func check(_ bytes: [UInt8]) {
  let rest = Array(bytes.dropFirst())
  switch (bytes.first ?? 0) & 3 {
  case 0: checkNetlink(rest)
  case 1: checkControl(rest)
  case 2: checkExecRequest(rest)
  default: checkDeviceRequests(rest)
  }
}

/// As the host's kernel goes through it (netlink_rcv_skb, net/netlink/af_netlink.c): nothing but the questions named here is left that it would
/// answer, and nothing else was touched.
private func checkNetlink(_ bytes: [UInt8]) {
  var restricted = bytes
  HostSocketRules.restrictNetlink(&restricted)
  precondition(restricted.count == bytes.count, "another length")
  let questions: Set<UInt16> = [18, 22, 26, 30, 34]
  var left = restricted[...]
  var types: Set<Int> = []
  while left.count >= 16 {
    let message = Array(left)
    let length = Int(message.little32(0))
    if length < 16 || length > message.count { break }
    let type = message.little16(4)
    precondition(type < 16 || type & 3 != 2 || questions.contains(type), "a question that is not named")
    types.insert(left.startIndex + 4)
    left = left.dropFirst(min((length + 3) / 4 * 4, left.count))
  }
  for index in bytes.indices where bytes[index] != restricted[index] {
    precondition(types.contains(index) && bytes[index] & ~3 == restricted[index], "more than a type is another")
  }
  var again = restricted
  HostSocketRules.restrictNetlink(&again)
  precondition(again == restricted, "not the same a second time")
}

/// As the host's kernel goes through a control buffer (CMSG_OK and __cmsg_nxthdr, linux/socket.h); nil where it says EINVAL.
private func kernelsWalk(_ bytes: [UInt8]) -> [ControlMessage]? {
  var found: [ControlMessage] = []
  var at = 0
  while at + 16 <= bytes.count {
    let length = bytes.little64(at)
    guard length >= 16, length <= UInt64(bytes.count - at) else { return nil }
    let end = at + Int(length)
    found.append(
      ControlMessage(
        level: Int32(bitPattern: bytes.little32(at + 8)), type: Int32(bitPattern: bytes.little32(at + 12)),
        data: Array(bytes[(at + 16)..<end])))
    at += (Int(length) + 7) / 8 * 8
  }
  return found
}

private func checkControl(_ bytes: [UInt8]) {
  let (walked, listed) = (kernelsWalk(bytes), ControlMessage.list(bytes))
  precondition(ControlMessage.isWellFormed(bytes) == (walked != nil), "well formed otherwise than the kernel says")
  if let walked {
    precondition(walked == listed, "other messages than the kernel's")
    var passes = true
    do throws(Errno) { try HostSocketControl.check(bytes) } catch { passes = false }
    precondition(passes == walked.allSatisfy { [0, 17, 41].contains($0.level) }, "a level that is not let through")
  }
  // Written down again they are the same, and where there is less room no more than that is taken.
  var written: [UInt8] = []
  for message in listed { precondition(message.append(to: &written, limit: .max), "no room where there is all") }
  precondition(ControlMessage.list(written) == listed, "another one when it is read back")
  let limit = Int(bytes.first ?? 0)
  var cut: [UInt8] = []
  for message in listed {
    let before = cut.count
    let isWhole = message.append(to: &cut, limit: limit)
    precondition(cut.count <= max(limit, before), "more than there is room for")
    precondition(!isWhole || cut.count - before >= 16 + message.data.count, "less than the whole")
  }
}

private func checkExecRequest(_ bytes: [UInt8]) {
  guard let request = ExecRequest(decoding: bytes) else { return }
  precondition(request.encoded == bytes, "not what was sent")
  precondition(ExecRequest(decoding: bytes + [0]) == nil, "more than a request")
  precondition(ExecRequest(decoding: Array(bytes.dropLast())) == nil, "less than a request")
}

/// Requests that some kind of file knows, about devices, terminals, pipes and sockets (ioctl_list(2)).
private let known: [UInt32] =
  Array(0x5401...0x5429) + [0x802c_542a, 0x402c_542b, 0x402c_542c, 0x402c_542d]
  + [0x8004_5430, 0x4004_5431, 0x8004_5438, 0x8004_5439, 0x8004_5440, 0x5440, 0x5441, 0x5450, 0x5451, 0x5452, 0x5460]
  + Array(0x8901...0x8907) + Array(0x8910...0x8943) + [0x541b, 0x660b, 0x8008_6601, 0x8008_5201, 0x5203]

/// A list of requests: a descriptor, which request, where its argument lies, and the argument's bytes.
private func checkDeviceRequests(_ bytes: [UInt8]) {
  do throws(Errno) {
    let world = try World()
    let task = world.tasks[0]
    var left = bytes[...]
    func next() -> UInt8 { left.popFirst() ?? 0 }
    for _ in 0..<32 where !left.isEmpty {
      let (number, which, place) = (UInt64(next() & 31), next(), Int(next()))
      let request =
        which == 255
        ? (0..<4).reduce(UInt32(0)) { $0 | UInt32(next()) << UInt32(8 * $1) } : known[Int(which) % known.count]
      let count = Int(next() & 127)
      // Somewhere within, or over the end of what is mapped.
      let offset = place < 224 ? 8192 + 64 * place : Arena.size - (place - 223) * 4
      Arena.put(Array(left.prefix(min(count, Arena.size - offset))), at: offset)
      left = left.dropFirst(count)
      if task.parked != nil { task.endCall() }
      let argument = place & 7 == 7 ? UInt64(place >> 3) : Arena.address(offset)
      world.serve(task, Call(16, number, UInt64(request), argument))
      world.goOn()
    }
    world.end()
  } catch { fatalError("no world: \(error)") }
}

@main
enum FuzzSentryMessages {
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
