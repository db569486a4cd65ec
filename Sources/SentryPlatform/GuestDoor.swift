import Linux

/// The door that guests' calls come through, by one of two kinds of it.
enum GuestDoor: ~Copyable {
  case notification(NotificationListener)
  case tracing(GuestTracer)

  /// Readable where there is something to take.
  var number: Int32 {
    switch self {
    case .notification(let listener): listener.descriptor.rawValue
    case .tracing(let tracer): tracer.descriptor.rawValue
    }
  }

  /// Whether calls are here already that the descriptor does not tell of.
  var hasMore: Bool {
    switch self {
    case .notification: false
    case .tracing(let tracer): tracer.hasMore
    }
  }

  /// Who stops the threads for their calls; nil where that is the kernel.
  var tracer: GuestTracer? {
    switch self {
    case .notification: nil
    case .tracing(let tracer): tracer
    }
  }

  /// The next call; nil where there is none, or it was gone before it could be taken.
  borrowing func next() -> Notification? {
    switch self {
    case .notification(let listener): listener.next()
    case .tracing(let tracer): tracer.next()
    }
  }

  /// The next call, waited for until a tick (Ticks); nil then. Not asked of a tracer.
  borrowing func nextUntilTick() -> Notification? {
    switch self {
    case .notification(let listener): listener.nextUntilTick()
    case .tracing: nil
    }
  }

  /// Whether a call waits to be taken.
  borrowing func hasNext() -> Bool {
    switch self {
    case .notification(let listener): return listener.hasNext()
    case .tracing(let tracer):
      tracer.collect()
      return tracer.hasMore
    }
  }

  /// Answers with a value, or where `error` is below zero with that; whoever is gone is none to be told.
  borrowing func answer(_ id: UInt64, value: Int64, error: Int32 = 0) {
    switch self {
    case .notification(let listener): listener.answer(id, value: value, error: error)
    case .tracing(let tracer): tracer.answer(id, value: value, error: error)
    }
  }

  /// Lets the host's kernel perform the call with the registers that it has.
  borrowing func proceed(_ id: UInt64) {
    switch self {
    case .notification(let listener): listener.proceed(id)
    case .tracing(let tracer): tracer.proceed(id)
    }
  }

  /// Puts an open file into the table of the thread that is in the call; close-on-exec.
  /// - Parameter number: nil takes the lowest free one.
  /// - Returns: the number that it has there.
  borrowing func inject(_ file: Int32, as number: Int32?, during id: UInt64) throws(Errno) -> Int32 {
    switch self {
    case .notification(let listener): try listener.inject(file, as: number, during: id)
    case .tracing(let tracer): try tracer.inject(file, as: number, during: id)
    }
  }
}
