extension CallTable {
  /// One list for each subsystem.
  public static let all = CallTable([
    ProcessCalls.rows, ExecCalls.rows, MemoryCalls.rows,
    FileCalls.rows,
    IdentityCalls.rows, SessionCalls.rows, LimitCalls.rows, MachineCalls.rows, ClockCalls.rows, SignalCalls.rows,
    TimerCalls.rows,
    WaitCalls.rows, ProcessFileCalls.rows, ProcessControlCalls.rows, CapabilityCalls.rows, SchedulingCalls.rows,
    PipeCalls.rows, SpliceCalls.rows, PollCalls.rows, SelectCalls.rows, IOControlCalls.rows,
    SocketCalls.rows, SocketOptionCalls.rows, MessageCalls.rows,
    EventPollCalls.rows, EventFileCalls.rows, FileWatchCalls.rows,
    MountCalls.rows, NamespaceCalls.rows, GuestFilterCalls.rows, SemaphoreCalls.rows, SharedMemoryCalls.rows,
    MessageQueueCalls.rows, NamedQueueCalls.rows, TraceCalls.rows,
  ])
}
