import CLinux
public import Linux
public import SentryABI
import SentryMemory

/// Words of a guest's that are other ones while the host's kernel performs a call that reads them.
extension Task {
  /// Puts other words in place of a guest's, wherever they lie; they come back with the task's next call.
  public func borrow(_ words: [UInt64], at address: GuestAddress) throws(Errno) {
    var borrowed: [Borrowed] = []
    for (index, word) in words.enumerated() {
      let place = address.advanced(by: 8 * index)
      borrowed.append(Borrowed(address: place, own: try memory.load(place), lent: word))
    }
    for each in borrowed { try kernel.host.overwrite(each.lent, at: each.address, of: self) }
    self.borrowed = borrowed
  }

  /// Whether something is to be done before its next call, for what the host's kernel performed.
  public var hasAftermath: Bool { !borrowed.isEmpty || signalled != nil }

  /// Before a call is looked at.
  public func settleAftermath() {
    if let group = signalled {
      signalled = nil
      group.signallers.removeAll { $0 === self }
      group.signalsSent &+= 1
      kernel.look(at: group)
    }
    for each in borrowed {
      // The guest may have unmapped or written them meanwhile: then there is nothing to come back to.
      do throws(Errno) {
        guard try memory.load(each.address) == each.lent else { continue }
        try kernel.host.overwrite(each.own, at: each.address, of: self)
      } catch {}
    }
    borrowed = []
  }

  struct Borrowed {
    let address: GuestAddress
    let own: UInt64
    let lent: UInt64
  }
}

extension HostThreads {
  /// Where the stack of a thread ends that is in a call (proc(5), /proc/PID/syscall); nil where that is not told.
  public func stackPointer(of task: Task) -> UInt64? {
    let words = contents(task.hostID, "syscall", limit: 256).split(whereSeparator: { $0 == 0x20 || $0 == 0x0a })
    guard words.count == 9 else { return nil }
    var value: UInt64 = 0
    for digit in words[7].dropFirst(2) {
      switch digit {
      case 0x30...0x39: value = value << 4 | UInt64(digit - 0x30)
      case 0x61...0x66: value = value << 4 | UInt64(digit - 0x61 + 10)
      default: return nil
      }
    }
    return value
  }

  /// Writes into a guest's memory, also where the guest may not: constants.
  /// - Throws: EFAULT.
  func overwrite(_ value: UInt64, at address: GuestAddress, of task: Task) throws(Errno) {
    do throws(Errno) { return try task.memory.store(value, at: address) } catch {}
    do throws(SystemError) {
      let file = try File.open("\(task.hostID)/mem", O_RDWR, at: processes)
      var value = value
      // SAFETY: the kernel reads the eight bytes of the value, alive across the call.
      let result = unsafe withUnsafeMutablePointer(to: &value) {
        systemCall(Int(SYS_pwrite64), word(file.rawValue), UInt(bitPattern: $0), 8, UInt(address.bits))
      }
      if result != 8 { throw SystemError("pwrite", "mem", .badAddress) }
    } catch {
      throw .badAddress
    }
  }
}
