import Linux
public import SentryABI
public import SentryFiles
import SentrySignals

/// What calls that the sentry answered say about those that will come: what is asked for again is told to the guest's stub.
extension Task {
  /// The first program's tree is the one whose paths are told.
  public func beginAnswers() {
    if paths.namespace.answers == nil { paths.namespace.answers = kernel.board }
  }

  /// A path was walked, to its end or to where there is nothing.
  public func asked(for path: [UInt8], followsLast: Bool) { asked(for: path.span, followsLast: followsLast) }
  public func asked(for path: Span<UInt8>, followsLast: Bool) {
    guard let board = kernel.board, !path.isEmpty, path[0] == 0x2f, !group.answers.isOff else { return }
    if board.consider(path, followsLast: followsLast, walk) { group.answers.isAnswerable = true }
  }

  /// fstat(2) was answered.
  /// - Parameter empty: where the empty path of newfstatat(2) lies.
  public func askedStatus(of file: OpenFile, _ number: Int32, empty: GuestAddress = GuestAddress(0)) {
    // After a fork all is to be told anew: who asks often need not ask so often again.
    if group.answers.isAskedAgain(number) || group.answers.asksAlways { tell(number, file) }
    if !empty.isNull { group.answers.found(empty: empty) }
    if group.answers.asksOften, file.inode?.fileSystem.tellsLasting == true { group.answers.isAnswerable = true }
  }

  /// pread(2) was answered.
  public func askedBytes(of file: OpenFile, _ number: Int32, at offset: Int64, count: Int) {
    guard count > 0, count <= AnswerBoard.longest, let board = kernel.board, !group.answers.isOff,
      group.answers.isAskedAgain(number) || group.answers.asksAlways
    else { return }
    let known = board.number(of: file)
    guard known != 0 else { return }
    board.consider(file, known, from: offset, count: count)
    tell(number, file)
  }

  /// Something was answered of an open file that its stub can tell as well: that it is no terminal, its flags, its position.
  public func asked(about file: OpenFile, _ number: Int32) {
    let answers = group.answers
    guard !answers.isOff, file.isLendable, let inode = file.inode, inode.fileSystem.tellsLasting,
      inode.kind == .regular || inode.kind == .directory
    else { return }
    if answers.isAskedAgain(number) || answers.asksAlways { tell(number, file) }
    if answers.asksOften { answers.isAnswerable = true }
  }

  /// read(2) was answered: its end, or bytes that are asked for not for the first time, the stub can tell.
  /// - Parameter upTo: where the position stands now.
  public func askedNext(of file: OpenFile, _ number: Int32, upTo end: Int64, count: Int) {
    if count == 0 {
      if file.inode?.endsAsTold == true { asked(about: file, number) }
      return
    }
    guard count <= AnswerBoard.longest, let board = kernel.board, !group.answers.isOff,
      file.inode?.isImmutable == true
    else { return }
    let known = board.number(of: file)
    guard known != 0, board.consider(file, known, from: end &- Int64(count), count: count) else { return }
    asked(about: file, number)
  }

  /// rt_sigaction(2) was asked what a signal does that was never told.
  public func askedDefaultAction() {
    group.answers.askedActions &+= 1
    if group.answers.askedActions >= 4 { group.answers.tell(defaults: group.actions.untouched.bits) }
    group.answers.isAnswerable = true
  }

  /// A descriptor was made.
  public func opened(_ file: OpenFile, _ number: Int32) { if group.answers.asksAlways { tell(number, file) } }

  private func tell(_ number: Int32, _ file: OpenFile) {
    let answers = group.answers
    // A thread, or a process on its way, could have a table of its own.
    guard let board = kernel.board, !board.isOff, !answers.isOff,
      let expected = kernel.host.expectedThreads(of: group), descriptors.users == group.tasks.count + expected,
      answers.users == 1, let inode = file.inode,
      inode.kind == .regular || inode.kind == .directory, inode.fileSystem.tellsLasting
    else { return }
    if answers.tells(number, file, under: board.current) {
      answers.isAnswerable = true
      return
    }
    guard let record = try? inode.status(), let entry = try? descriptors.entry(number) else { return }
    answers.fill(self)
    inode.isAnswered(board)
    descriptors.answers = answers
    answers.isAnswerable = true
    let bytes = inode.kind == .regular ? board.number(of: file) : 0
    answers.tell(
      number, file, closesOnExec: entry.closesOnExec, generation: board.current,
      bytes: bytes, isClosable: bytes != 0 && isClosedUnseen(file, number), record)
  }

  /// Whether nobody but the process notices when it closes an image's file: no lock goes with it, no unmount waits for it, the host has none.
  private func isClosedUnseen(_ file: OpenFile, _ number: Int32) -> Bool {
    guard let inode = file.inode, inode.locks == nil, let mount = file.path?.mount else { return false }
    return mount === paths.namespace.root.mount && !descriptors.hasMirror(number)
  }

  /// What the process has closed by itself is closed, before its call is looked at.
  public func settleCloses() {
    let answers = group.answers
    answers.reach(by: memory)
    for number in answers.takeCloses() {
      // It was open when it was lent; whoever closed it since has had it taken back.
      try? descriptors.close(number)
    }
  }

  /// close(2) is to be answered.
  public func askedClose(_ number: Int32) { if group.answers.canClose(number) { group.answers.isAnswerable = true } }
}
