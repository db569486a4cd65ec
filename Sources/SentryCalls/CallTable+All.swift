extension CallTable {
  /// One list for each subsystem.
  public static let all = CallTable([PipeCalls.rows, PollCalls.rows, SelectCalls.rows])
}
