import CLinux
public import Linux

/// Why talking to init failed.
public enum InitSocketError: Error, Sendable, CustomStringConvertible {
  case system(SystemError)
  case malformed(InitProtocolError)

  public var description: String {
    switch self {
    case .system(let error): "init: \(error)"
    case .malformed(let error): "init: \(error)"
    }
  }
}

extension InitMessage {
  /// Tells init at the other end of `socket` to start the command. EPIPE when init is gone, and no SIGPIPE.
  public func send(to socket: Int32) throws(InitSocketError) {
    let bytes: [UInt8]
    do throws(InitProtocolError) { bytes = try encoded() } catch { throw .malformed(error) }
    var offset = 0
    while offset < bytes.count {
      // SAFETY: the kernel reads within the array, which the closure keeps alive.
      let sent = unsafe bytes.withUnsafeBytes { buffer in
        let address = UInt(bitPattern: buffer.baseAddress) + UInt(offset)
        let count = UInt(buffer.count - offset)
        return retrying { systemCall(Int(SYS_sendto), word(socket), address, count, UInt(MSG_NOSIGNAL)) }
      }
      do throws(SystemError) { offset += try checked("send", "\(socket)", sent) } catch { throw .system(error) }
    }
  }
}

extension InitMessage {
  /// Init's side: waits for the message; nil where the other end is gone without one.
  public static func receive(from socket: Int32) throws(InitSocketError) -> InitMessage? {
    var bytes: [UInt8] = []
    var size = headerSize
    while bytes.count < size {
      let piece: [UInt8]
      do throws(SystemError) { piece = try File.read(socket, atMost: size - bytes.count) } catch {
        throw .system(error)
      }
      if piece.isEmpty { return nil }
      bytes += piece
      if bytes.count == headerSize { size += Int(min(bytes.span.word(at: 4), UInt32(limit))) }
    }
    do throws(InitProtocolError) { return try InitMessage(decoding: bytes.span) } catch { throw .malformed(error) }
  }
}

extension InitReply {
  /// Init's side: says it. EPIPE when the other end is gone; SIGPIPE must be blocked or ignored.
  public func send(to socket: Int32) throws(SystemError) { try File.writeAll(socket, encoded()) }

  /// Waits for init's next word at the other end of `socket`; nil when init is gone without one. Without `wait` nil also when
  /// nothing has come: after init's end that is what it said last.
  public static func receive(from socket: Int32, wait: Bool = true) throws(InitSocketError) -> InitReply? {
    var failure = 0
    let flags = UInt(wait ? MSG_WAITALL : MSG_DONTWAIT)
    // SAFETY: the kernel fills at most `size` bytes and returns how many.
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: size) { storage, count in
      let address = UInt(bitPattern: storage.baseAddress)
      let got = retrying { systemCall(Int(SYS_recvfrom), word(socket), address, UInt(size), flags) }
      if got < 0 { failure = got } else { count = got }
    }
    if failure == -Int(EAGAIN) || failure == -Int(ECONNRESET) { return nil }
    do throws(SystemError) { try checked("recv", "\(socket)", failure) } catch { throw .system(error) }
    if bytes.isEmpty { return nil }
    do throws(InitProtocolError) { return try InitReply(decoding: bytes.span) } catch { throw .malformed(error) }
  }
}
