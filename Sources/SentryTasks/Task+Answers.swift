import Linux
public import SentryABI
public import SentryFiles

/// What calls that the sentry answered say about those that will come: what is asked for again is told to the guest's stub.
extension Task {
  /// The first program's tree is the one whose paths are told.
  public func beginAnswers() {
    if paths.namespace.answers == nil { paths.namespace.answers = kernel.board }
  }

  /// A path was walked, to its end or to where there is nothing.
  public func asked(for path: [UInt8], followsLast: Bool) {
    guard let board = kernel.board, path.first == 0x2f, !group.answers.isOff else { return }
    if board.consider(path, followsLast: followsLast, walk) { group.answers.isAnswerable = true }
  }

  /// fstat(2) was answered.
  /// - Parameter empty: where the empty path of newfstatat(2) lies.
  public func askedStatus(of file: OpenFile, _ number: Int32, empty: GuestAddress = GuestAddress(0)) {
    if group.answers.isAskedAgain(number) { tell(number, file) }
    if !empty.isNull { group.answers.found(empty: empty) }
    if group.answers.asksOften, file.inode?.fileSystem.tellsLasting == true { group.answers.isAnswerable = true }
  }

  /// pread(2) was answered.
  public func askedBytes(of file: OpenFile, _ number: Int32, at offset: Int64, count: Int) {
    guard count > 0, count <= AnswerBoard.piece, let board = kernel.board, !group.answers.isOff,
      group.answers.isAskedAgain(number)
    else { return }
    let known = board.number(of: file)
    guard known != 0 else { return }
    board.consider(file, known, at: offset)
    let last = offset &+ Int64(count) &- 1
    if last / Int64(AnswerBoard.piece) != offset / Int64(AnswerBoard.piece) { board.consider(file, known, at: last) }
    tell(number, file)
  }

  /// A descriptor was made.
  public func opened(_ file: OpenFile, _ number: Int32) { if group.answers.asksAlways { tell(number, file) } }

  private func tell(_ number: Int32, _ file: OpenFile) {
    let answers = group.answers
    // A second thread could read an entry that is half written, or close the file in a table of its own.
    guard let board = kernel.board, !board.isOff, !answers.isOff, group.tasks.count == 1, descriptors.users == 1,
      !kernel.host.isExpectingThread(of: group), let inode = file.inode, inode.kind == .regular,
      inode.fileSystem.tellsLasting, let record = try? inode.status()
    else { return }
    answers.fill(self)
    inode.isAnswered(board)
    descriptors.answers = answers
    answers.isAnswerable = true
    answers.tell(
      number, generation: board.current, file: board.number(of: file), size: UInt64(clamping: record.size),
      status: record.stat)
  }
}
