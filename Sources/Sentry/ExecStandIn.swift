import CLinux
import Guest
import Linux
import Walls

/// A process of the host's that stands for a further program once the command that asked for it has ended: whoever inherits it waits for it
/// as for the program itself. It hands signals on, and ends as the program does, or killed where the sentry ends first.
enum ExecStandIn {
  /// - Parameters:
  ///   - replies: the socket to the sentry.
  ///   - terminal: the far end of the program's terminal, whose new sizes are told to this process.
  /// - Returns: in the caller, the process; nil never.
  static func start(_ replies: OwnedDescriptor, terminal: OwnedDescriptor?) throws(SystemError) -> ProcessIdentity {
    guard let child = try Process.clone(CloneArguments(flags: 0)) else {
      do throws(SystemError) { try stand(replies, terminal) } catch { Process.exit(128 + SIGKILL) }
    }
    guard let process = ProcessIdentity(pid: child.pid) else { throw SystemError("exec", "its stand-in", .noProcess) }
    return process
  }

  private static func stand(_ replies: OwnedDescriptor, _ terminal: OwnedDescriptor?) throws(SystemError) -> Never {
    Process.wipeArguments()
    // Pipes that the caller gave are the program's: their readers wait for its end of them.
    let null = try File.open("/dev/null", O_RDWR)
    for number in [0, 1, 2] as [Int32] { try FileDescriptor.replace(number, with: null.rawValue) }
    try FileDescriptor.closeAll(but: [0, 1, 2, replies.rawValue] + (terminal.map { [$0.rawValue] } ?? []))
    _ = systemCall(Int(SYS_setsid))
    if let terminal {
      // Without it new sizes are not told, and nothing else is lost.
      _ = systemCall(Int(SYS_ioctl), word(terminal.rawValue), IMMURE_TIOCSCTTY, 0)
    }
    _ = try SignalSet(bits: .max).block()
    let signals = try SignalSet(bits: .max).descriptor()
    while true {
      if try Readiness.first(of: [replies.rawValue, signals.rawValue]) == replies.rawValue {
        let reply: InitReply?
        do throws(InitSocketError) { reply = try InitReply.receive(from: replies.rawValue) } catch {
          Process.exit(128 + SIGKILL)
        }
        switch reply {
        case .exited(let status): Process.exit(ExitStatus(waitStatus: status).code)
        case nil: Process.exit(128 + SIGKILL)
        case .started, .failed: continue
        }
      }
      while let signal = try SignalSet.next(signals.rawValue) {
        if signal != SIGCHLD, signal != SIGHUP || terminal == nil {
          try SentryExecutedProcess.send(signal, to: replies)
        }
      }
    }
  }
}
