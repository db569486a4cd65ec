import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentryPipes
import SentryTasks
import SentryTerminals

/// ioctl(2): what every file knows, and the way to what each kind knows.
enum IOControlCalls {
  static let rows: [CallRow] = [
    CallRow(
      16, "ioctl",
      .part(
        "only those of terminals, FIONREAD, FIONBIO, FIOASYNC, FIOQSIZE, FIOCLEX, owners, questions about interfaces; others: ENOTTY"
      ),
      blocksOn: "terminal"
    ) {
      (call, task) throws(Errno) in try control(call, task)
    }
  ]

  private static func control(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let number = call.arguments.0.int32
    let file = try task.descriptors.file(number)
    if file.flags & OpenFlags.path != 0 { throw .badDescriptor }
    let (request, argument) = (call.arguments.1.uint32, call.arguments.2)
    switch request {
    case 0x5451: try task.descriptors.setCloseOnExec(number, true)  // FIOCLEX
    case 0x5450: try task.descriptors.setCloseOnExec(number, false)  // FIONCLEX
    case 0x5421: try set(file, OpenFlags.nonBlocking, argument, task)  // FIONBIO
    case 0x5452: try set(file, OpenFlags.asynchronous, argument, task)  // FIOASYNC
    case 0x8901, 0x8902: file.owner = try task.memory.load(argument.address)  // FIOSETOWN, SIOCSPGRP
    case 0x8903, 0x8904: try task.memory.store(file.owner, at: argument.address)  // FIOGETOWN, SIOCGPGRP
    case 0x5441: return try openPeer(file, argument.int32, task)
    case 0x541b where file.inode?.kind == .regular && !(file is HostStreamFile):  // FIONREAD
      let left = (file.inode?.attributes.size ?? 0).subtractingReportingOverflow(file.position).partialValue
      try task.memory.store(Int32(truncatingIfNeeded: left), at: argument.address)
    case 0x5460:  // FIOQSIZE
      guard file.inode?.kind == .regular || file.inode?.kind == .directory else { throw .notTerminal }
      try task.memory.store(file.inode?.attributes.size ?? 0, at: argument.address)
    default:
      // TCGETS: C libraries ask of everything whether it is a terminal.
      if request == 0x5401 { task.asked(about: file, number) }
      if file.isTerminal { task.kernel.current = task }
      let caller = ControlCaller(
        memory: task.memory, credentials: task.credentials, session: task.group.session,
        processGroup: task.group.processGroup)
      return .value(try file.control(request, argument, caller))
    }
    return .zero
  }

  private static func set(_ file: OpenFile, _ flag: Int32, _ argument: GuestWord, _ task: Task) throws(Errno) {
    let on: Int32 = try task.memory.load(argument.address)
    file.flags = on != 0 ? file.flags | flag : file.flags & ~flag
  }

  /// TIOCGPTPEER: the terminal of a master, without a path.
  private static func openPeer(_ file: OpenFile, _ flags: Int32, _ task: Task) throws(Errno) -> Outcome {
    guard let master = file as? MasterFile else { throw .notTerminal }
    task.kernel.current = task
    let terminal = try task.kernel.terminals.openTerminal(master.terminal, flags: flags & ~OpenFlags.closeOnExec)
    terminal.path = task.kernel.terminals.path(of: master.terminal)
    terminal.retain()
    defer { terminal.release() }
    return .value(
      Int64(try task.descriptors.add(terminal, closesOnExec: flags & OpenFlags.closeOnExec != 0)))
  }
}
