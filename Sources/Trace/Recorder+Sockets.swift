import CLinux
import Linux
import Seccomp

/// Addresses as sockaddr holds them (ip(7), ipv6(7), unix(7)).
enum SocketAddress: Equatable {
  case internet(address: [UInt8], port: UInt16)
  /// A path, or "@name" for an abstract one; nil where it has no name.
  case local(String?)
  case other(family: UInt16)

  init?(_ bytes: [UInt8]) {
    guard bytes.count >= 2 else { return nil }
    let family = UInt16(bytes[0]) | UInt16(bytes[1]) << 8
    switch Int32(family) {
    case AF_INET where bytes.count >= 8:
      self = .internet(address: Array(bytes[4..<8]), port: UInt16(bytes[2]) << 8 | UInt16(bytes[3]))
    case AF_INET6 where bytes.count >= 24:
      self = .internet(address: Array(bytes[8..<24]), port: UInt16(bytes[2]) << 8 | UInt16(bytes[3]))
    case AF_UNIX:
      let name = bytes.dropFirst(2)
      if name.isEmpty {
        self = .local(nil)
      } else if name.first == 0 {
        self = .local("@" + String(decoding: name.dropFirst(), as: UTF8.self))
      } else {
        self = .local(String(decoding: name.prefix { $0 != 0 }, as: UTF8.self))
      }
    default: self = .other(family: family)
    }
  }
}

extension Recorder {
  /// sockaddr_storage's size: no address is longer.
  private static let longestAddress = 128

  private func address(_ task: Tracee, _ place: UInt64, _ length: UInt64) -> SocketAddress? {
    let count = min(Int(UInt32(truncatingIfNeeded: length)), Recorder.longestAddress)
    guard place != 0, count >= 2, let bytes = TraceeMemory(pid: task.id).bytes(place, count) else { return nil }
    return SocketAddress(bytes)
  }

  /// A socket's type and own address, asked of a copy of the descriptor (pidfd_getfd(2), Linux 5.6).
  private func socket(_ task: Tracee, _ descriptor: Int32) -> (isDatagram: Bool, own: SocketAddress?)? {
    let opened = systemCall(Int(IMMURE_SYS_pidfd_open), word(task.process), 0)
    if opened < 0 { return nil }
    let process = FileDescriptor(owning: Int32(opened))
    let copied = systemCall(Int(IMMURE_SYS_pidfd_getfd), word(process.rawValue), word(descriptor), 0)
    if copied < 0 { return nil }
    let copy = FileDescriptor(owning: Int32(copied))
    var type: Int32 = 0
    var size: UInt32 = 4
    var storage = (UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0))
    var length = UInt32(MemoryLayout.size(ofValue: storage))
    var own: SocketAddress?
    // SAFETY: the kernel fills at most as many bytes as the lengths say, which are the variables' sizes.
    unsafe withUnsafeMutablePointer(to: &size) { size in
      unsafe withUnsafeMutablePointer(to: &type) { type in
        // SOL_SOCKET and SO_TYPE (asm-generic/socket.h).
        _ = systemCall(
          Int(SYS_getsockopt), word(copy.rawValue), 1, 3, UInt(bitPattern: type), UInt(bitPattern: size))
      }
    }
    // SAFETY: as above; the bytes are copied out while the storage lives.
    unsafe withUnsafeMutableBytes(of: &storage) { bytes in
      let result = unsafe withUnsafeMutablePointer(to: &length) { length in
        systemCall(
          Int(SYS_getsockname), word(copy.rawValue), UInt(bitPattern: bytes.baseAddress), UInt(bitPattern: length))
      }
      if result == 0 { unsafe own = SocketAddress(Array(bytes.prefix(Int(min(length, 64))))) }
    }
    return (type == Int32(2), own)
  }

  func connection(_ task: Tracee, descriptor: Int32, address place: UInt64, _ length: UInt64) {
    switch address(task, place, length) {
    case .internet(let address, let port):
      let isDatagram = socket(task, descriptor)?.isDatagram ?? false
      // A datagram socket is connected to port 0 to learn which own address would be taken (getaddrinfo(3), RFC 6724).
      if isDatagram && port == 0 { return }
      facts.add(connection: Endpoint(address, port, isDatagram: isDatagram))
    case .local(let name?):
      if let name = localName(task, name), facts.localConnections.count < 1024 { facts.localConnections.insert(name) }
    case .other, .local(nil), nil: break
    }
  }

  func bound(_ task: Tracee, descriptor: Int32, address place: UInt64, _ length: UInt64) {
    switch address(task, place, length) {
    case .internet(let address, let port):
      if port > 0, socket(task, descriptor)?.isDatagram == true {
        facts.add(listener: Endpoint(address, port, isDatagram: true), accepted: 0)
      }
    case .local(let name?):
      guard let name = localName(task, name), facts.localListeners.count < 1024 else { return }
      facts.localListeners.insert(name)
      if name.hasPrefix("/") { facts.add(name, .created) { .socket } }
    case .other, .local(nil), nil: break
    }
  }

  func listening(_ task: Tracee, _ descriptor: Int32, accepted: Int) {
    if case .internet(let address, let port)? = socket(task, descriptor)?.own {
      facts.add(listener: Endpoint(address, port), accepted: accepted)
    }
  }

  private func localName(_ task: Tracee, _ name: String) -> String? {
    if name.hasPrefix("@") || name.hasPrefix("/") { return name.hasPrefix("@") ? name : Recorder.normal(name) }
    return link(task, "cwd").map { Recorder.normal($0 + "/" + name) }
  }

  /// struct msghdr: the address and its length first, in words of the architecture.
  func message(_ task: Tracee, header: UInt64) {
    let size =
      task.call?.architecture == .x86 || task.call?.architecture == .arm || task.call?.architecture == .x32 ? 4 : 8
    let memory = TraceeMemory(pid: task.id)
    guard let place = memory.word(header, size: size), place != 0,
      let length = memory.word(header &+ UInt64(size), size: 4)
    else { return }
    connection(task, descriptor: task.arguments.int(0), address: place, length)
  }

  /// i386: the number in the first argument, the arguments in memory (socketcall(2), linux/net.h).
  func endSocketCall(_ task: Tracee, _ result: Int64) {
    guard let bytes = TraceeMemory(pid: task.id).bytes(task.arguments[1], 24) else { return }
    func argument(_ index: Int) -> UInt64 {
      bytes[index * 4..<index * 4 + 4].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    let descriptor = Int32(truncatingIfNeeded: argument(0))
    switch task.arguments.int(0) {
    case 1 where result >= 0: noteDescriptor(result)
    case 2 where result >= 0: bound(task, descriptor: descriptor, address: argument(1), argument(2))
    case 3 where result >= 0 || result == -Int64(EINPROGRESS):
      connection(task, descriptor: descriptor, address: argument(1), argument(2))
    case 4 where result >= 0: listening(task, descriptor, accepted: 0)
    case 5 where result >= 0, 18 where result >= 0: listening(task, descriptor, accepted: 1)
    case 11 where result >= 0 && argument(4) != 0:
      connection(task, descriptor: descriptor, address: argument(4), argument(5))
    default: break
    }
  }
}
